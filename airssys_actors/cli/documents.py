"""Reads the files that a command names, and ends the command with all of their mistakes where there are any."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from airssys_security.errors import DocumentInvalid
from airssys_security.host_file import HostFile, load_host_file
from airssys_security.manifest.parse import load_manifest
from airssys_security.manifest.values import Manifest
from airssys_security.text import visible

__all__ = ("read_documents",)


def read_documents(manifest: str, host: str | None) -> tuple[Manifest, HostFile | None]:
    """Return a manifest, and the file of a host within whose ceilings it has to stay.

    The mistakes of both are printed on standard error, each with file, line and column; the exit status is 2 then.
    """
    mistakes: list[str] = []
    settings: HostFile | None = None
    if host is not None:
        try:
            settings = load_host_file(Path(host))
        except DocumentInvalid as error:
            mistakes += str(error).split("\n")
    try:
        read = load_manifest(Path(manifest), settings.ceilings if settings is not None else None)
    except DocumentInvalid as error:
        mistakes += str(error).split("\n")
    if mistakes:
        for mistake in mistakes:
            print(visible(mistake), file=sys.stderr)
        raise typer.Exit(2)
    return read, settings
