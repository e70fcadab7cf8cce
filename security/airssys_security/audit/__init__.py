"""What was asked and decided, written down: the records, and where they go."""
