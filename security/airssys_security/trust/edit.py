"""Changes the text of a ``trust.toml``: one source more, or one less, and not a byte of the rest.

What somebody wrote beside the sources, and in which order they stand, is theirs. The result is read before it is
returned, and must say exactly what was meant.
"""

from __future__ import annotations

import tomlkit

from airssys_security.errors import Problem, TrustFileInvalid
from airssys_security.limits import LIMITS, QUOTAS, Limits, Quantity, Quotas
from airssys_security.text import visible
from airssys_security.toml.document import read_document
from airssys_security.toml.source import Places
from airssys_security.trust.sources import TrustSource
from airssys_security.trust.trust_file import parse_trust_file

__all__ = ("add_source", "remove_source")

_EMPTY = "schema = 1\n"


def _refuse(file: str, what: str, remedy: str) -> TrustFileInvalid:
    return TrustFileInvalid(file, (Problem(1, 1, "", what, remedy),))


def _changed(keys: dict[str, Quantity], values: Limits | Quotas) -> dict[str, str | int]:
    """Return the keys that differ from the defaults, as they are written."""
    plain = type(values)()
    written: dict[str, str | int] = {}
    for key, unit in keys.items():
        value = getattr(values, unit.field)
        if value != getattr(plain, unit.field):
            written[key] = int(value) if unit.parse is None else unit.show(value)
    return written


def _rendered(source: TrustSource) -> str:
    entries: dict[str, object] = {"name": source.name, "level": source.level}
    selector = {
        "key": "" if source.key is None else str(source.key),
        "git": source.git,
        "ref": source.ref,
        "commit": source.commit,
        "folder": source.folder,
    }
    entries |= {key: text for key, text in selector.items() if text}
    most: dict[str, dict[str, object]] = {}
    for kind, action, patterns in source.max:
        if kind.startswith("custom."):
            named = most.setdefault("custom", {}).setdefault(kind.removeprefix("custom."), {})
            assert isinstance(named, dict)
            named[action] = list(patterns)
        else:
            most.setdefault(kind, {})[action] = list(patterns)
    sections: dict[str, object] = {
        "max": "everything" if source.unlimited else most,
        "limits": _changed(LIMITS, source.limits),
        "quotas": _changed(QUOTAS, source.quotas),
    }
    entries |= {key: section for key, section in sections.items() if section}
    return tomlkit.dumps({"source": [entries]})


def _starts(text: str, places: Places, count: int, file: str) -> list[int]:
    """Return where each source begins in a text: at its header, of which there is one for each."""
    starts, at = [0], text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    found = []
    for index in range(count):
        line = places.of("source", index)[0]
        if not text[starts[line - 1] :].lstrip(" \t").startswith("[["):
            raise _refuse(file, "its sources stand in a list between brackets", "write each under [[source]]")
        found.append(starts[line - 1])
    return found


def _before_comments(text: str, end: int) -> int:
    """Return where the blank and comment lines that stand right before a place begin: they speak of what follows."""
    while end:
        line = text.rfind("\n", 0, end - 1) + 1
        content = text[line:end].strip()
        if content and not content.startswith("#"):
            return end
        end = line
    return end


def add_source(text: str, source: TrustSource, *, before: str | None = None, file: str = "trust.toml") -> str:
    """Return the text with one source more, at the end or before the one of a name; an empty text is begun.

    Raises TrustFileInvalid for a text that was not right, and for one that would not be.
    """
    text = text if text.strip() else _EMPTY
    policy = parse_trust_file(text, file)
    _, places = read_document(text, file, TrustFileInvalid)
    starts = _starts(text, places, len(policy.sources), file)
    expected = list(policy.sources)
    if before is None:
        at, index = len(text), len(expected)
    else:
        index = _index(policy.sources, before, file)
        at = _before_comments(text, starts[index])
    expected.insert(index, source)
    head, tail = text[:at], text[at:]
    if head and not head.endswith("\n"):
        head += "\n"
    blank = "" if head.endswith("\n\n") else "\n"
    gap = "\n" if tail and not tail.startswith(("\n", "\r\n")) else ""
    return _checked(head + blank + _rendered(source).strip() + "\n" + gap + tail, tuple(expected), file)


def remove_source(text: str, name: str, *, file: str = "trust.toml") -> str:
    """Return the text without the source of a name. What is written before it and after it stays.

    Raises TrustFileInvalid for a text that was not right, and if there is no such source.
    """
    policy = parse_trust_file(text, file)
    _, places = read_document(text, file, TrustFileInvalid)
    index = _index(policy.sources, name, file)
    starts = [*_starts(text, places, len(policy.sources), file), len(text)]
    end = _before_comments(text, starts[index + 1])
    left = text[: starts[index]] + text[end:].lstrip("\r\n")
    return _checked(left, policy.sources[:index] + policy.sources[index + 1 :], file)


def _index(sources: tuple[TrustSource, ...], name: str, file: str) -> int:
    for index, source in enumerate(sources):
        if source.name == name:
            return index
    names = ", ".join(source.name for source in sources) or "none"
    raise _refuse(file, f"there is no source {visible(name, 80)!a}", f"its sources are {names}")


def _checked(text: str, expected: tuple[TrustSource, ...], file: str) -> str:
    if parse_trust_file(text, file).sources != expected:
        raise _refuse(file, "it cannot be changed so that it says what was meant", "change it by hand")
    return text
