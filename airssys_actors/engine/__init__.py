"""The engine: WebAssembly components on the asyncio loop, linked by the host."""
