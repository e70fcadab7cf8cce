"""The ``airssys`` command: one file for each group of commands."""
