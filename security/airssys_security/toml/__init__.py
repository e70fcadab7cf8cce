"""TOML read strictly: values by type, each with its place in the file, all mistakes together."""
