"""What all commands print alike: tables, and the one line that says why a command ends.

Whatever strangers wrote goes through ``visible`` on its way here: a terminal obeys what it is given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import typer
from airssys_security.text import visible

__all__ = ("fail", "print_table")


def fail(message: str, status: int = 2) -> NoReturn:
    """End the command: the message on standard error, line by line made visible, and the exit status."""
    for line in message.splitlines() or [""]:
        print(f"airssys: {visible(line)}", file=sys.stderr)
    raise typer.Exit(status)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns, aligned, as plain text that a script can cut as well."""
    lines = [list(columns), *([visible(cell) for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
