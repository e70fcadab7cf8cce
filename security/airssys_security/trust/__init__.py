"""Who is trusted, and how far: where a component came from, who signed it, and what ``trust.toml`` says of both."""
