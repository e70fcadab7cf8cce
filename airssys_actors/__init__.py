"""Run code that is not trusted, as supervised actors on asyncio."""
