"""The command's entry: registers each group of commands, and turns what is left into an exit status."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from airssys_actors.cli import approvals, audit, check, explain, install, keys, run, trust

__all__ = ("app", "main")

app = typer.Typer(
    name="airssys",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run code that is not trusted, and say what it may do.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"airssys-actors {version('airssys-actors')}")
        raise typer.Exit


@app.callback()
def _options(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run code that is not trusted, and say what it may do."""


check.register(app)
explain.register(app)
install.register(app)
approvals.register(app)
trust.register(app)
keys.register(app)
run.register(app)
audit.register(app)


def main() -> None:
    """Run the command that the arguments name."""
    app()
