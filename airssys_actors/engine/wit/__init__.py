"""WIT, the text in which interfaces are written: read strictly, and turned into the engine's own types."""
