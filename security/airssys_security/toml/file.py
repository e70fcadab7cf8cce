"""Reads the text of a TOML file that the operator named: bounded, and with whatever is wrong as a mistake in it."""

from __future__ import annotations

import os
from pathlib import Path

from airssys_security.errors import DocumentInvalid, PackageInvalid, Problem
from airssys_security.manifest.beside import read_bounded
from airssys_security.text import visible
from airssys_security.toml.document import MAX_DOCUMENT_BYTES, too_long

__all__ = ("read_text",)


def read_text(path: Path, name: str, error_type: type[DocumentInvalid]) -> tuple[str, str]:
    """Return the text of a file, and its path as it can be shown. ``name`` says what kind of file is wanted.

    Blocks. Raises ``error_type``, also when there is no such file.
    """
    file = visible(str(path))
    try:
        # The operator names this file, so a link is followed; a FIFO or a device is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        contents = read_bounded(descriptor, MAX_DOCUMENT_BYTES)
        if contents is None:
            raise error_type(file, (too_long(),))
        return contents.decode(), file
    except OSError as error:
        problem = Problem(1, 1, "", f"it cannot be read ({os.strerror(error.errno or 0)})", f"name a {name}")
    except PackageInvalid as error:
        problem = Problem(1, 1, "", str(error), f"name a {name}")
    except UnicodeDecodeError as error:
        problem = Problem(1, 1, "", f"it is not UTF-8 (byte {error.start})", "save it as UTF-8")
    except ValueError:
        problem = Problem(1, 1, "", "no file can have this name", f"name a {name}")
    raise error_type(file, (problem,))
