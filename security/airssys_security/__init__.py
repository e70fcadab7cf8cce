"""Authority: what a component may do. Pure decisions, no asyncio, no WebAssembly."""
