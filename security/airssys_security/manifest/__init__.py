"""``Component.toml`` and the bytes that it names, read strictly."""
