"""A TOML text as values and as places. What every file of this package has in common, whoever wrote it."""

from __future__ import annotations

import re
from typing import Final

import tomli

from airssys_security.errors import DocumentInvalid, ManifestInvalid, Problem
from airssys_security.text import is_unicode, visible
from airssys_security.toml.source import Places, locate
from airssys_security.units import show_size

__all__ = ("MAX_DOCUMENT_BYTES", "read_document", "too_long")

MAX_DOCUMENT_BYTES: Final = 1 << 20

_MAX_KEY_PARTS: Final = 100
_KEY_PART: Final = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_ENDLESS_KEY: Final = re.compile(rf"(?<![^\s\[{{,])(?:{_KEY_PART}){{{_MAX_KEY_PARTS}}}", re.ASCII)
"""Each part of a dotted key makes TOML readers note everything before it: a megabyte of them would take gigabytes."""


def too_long() -> Problem:
    """Return the mistake of a file that is longer than any need be."""
    return Problem(1, 1, "", f"it is longer than {show_size(MAX_DOCUMENT_BYTES)}", "use fewer, wider patterns")


def read_document(
    text: str, file: str, error_type: type[DocumentInvalid] = ManifestInvalid
) -> tuple[dict[str, object], Places]:
    """Read a text into its values and the places of its keys. ``file`` is only named in mistakes.

    Raises ``error_type``.
    """
    if not is_unicode(text):
        raise error_type(file, (Problem(1, 1, "", "it holds what is not Unicode text", "save it as UTF-8"),))
    if len(text) > MAX_DOCUMENT_BYTES or len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise error_type(file, (too_long(),))
    remedy = "see https://toml.io for how TOML is written"
    if text.startswith("\ufeff"):
        raise error_type(file, (Problem(1, 1, "", "it begins with a byte order mark", "save it without one"),))
    endless = _ENDLESS_KEY.search(text)
    if endless is not None:
        line, column = text.count("\n", 0, endless.start()) + 1, endless.start() - text.rfind("\n", 0, endless.start())
        what = f"there is a dotted key of more than {_MAX_KEY_PARTS} parts"
        raise error_type(file, (Problem(line, column, "", what, "shorten it"),))
    try:
        document = tomli.loads(text)
        return document, locate(text)
    except tomli.TOMLDecodeError as error:
        problem = Problem(error.lineno, error.colno, "", f"it is not TOML: {visible(error.msg)}", remedy)
    except RecursionError:
        problem = Problem(1, 1, "", "its lists or tables are nested too deeply", "flatten them")
    except ValueError as error:
        problem = Problem(1, 1, "", f"a value cannot be read: {visible(str(error), 200)}", remedy)
    raise error_type(file, (problem,))
