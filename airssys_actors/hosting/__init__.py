"""What a host is made of, beside the engine, the actors and the interfaces."""
