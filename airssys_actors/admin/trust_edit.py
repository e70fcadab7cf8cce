"""Changes the file of trusted sources so that it is the old one or the new one, whole, at every moment.

A change that somebody else made meanwhile is not written over. What the file means is for others to say.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import DocumentInvalid, TrustFileInvalid
from airssys_security.manifest.values import CapabilityRequests
from airssys_security.toml.file import read_text
from airssys_security.trust.keys import parse_public_key
from airssys_security.trust.origin import split_git_url
from airssys_security.trust.sources import TrustSource

from airssys_actors.admin.commands import AddTrust, TrustLine, Wish
from airssys_actors.errors import OperationRefused

__all__ = ("comes_from", "rewrite", "source_of", "trust_line")


def source_of(command: AddTrust) -> TrustSource:
    """Make of a command the source that it means.

    Raises:
        OperationRefused: if it does not say from where, or says it twice.
        KeyInvalid, PatternInvalid, RequestInvalid: for what cannot be such a thing.
    """
    if sum(map(bool, (command.key, command.git, command.folder))) != 1:
        raise OperationRefused("a source is exactly one of a key, a repository and a folder")
    if command.level == "dev" and command.max:
        raise OperationRefused("a source of development has no --max: it bypasses the grants altogether")
    patterns: dict[tuple[str, str], list[str]] = {}
    for wish in command.max:
        patterns.setdefault((wish.kind, wish.action), []).append(wish.pattern)
    CapabilitySet(patterns, component_id="self")  # a pattern that is none is refused by itself, not with the whole file
    return TrustSource(
        command.name,
        command.level,
        key=parse_public_key(command.key) if command.key else None,
        git=str(split_git_url(command.git)) if command.git else "",
        ref=command.ref,
        commit=command.commit,
        folder=command.folder,
        max=CapabilityRequests(tuple((*key, tuple(texts)) for key, texts in patterns.items())),
    )


def comes_from(source: TrustSource) -> str:
    """Say in one line what comes from a source."""
    if source.key is not None:
        return f"{source.key} ({source.key.id})"
    if source.folder:
        return source.folder
    version = f"@{source.commit or source.ref}" if source.commit or source.ref else ""
    return source.git + version


def trust_line(source: TrustSource) -> TrustLine:
    """Show a source in a list."""
    wishes = tuple(Wish(kind, action, pattern) for kind, action, patterns in source.max for pattern in patterns)
    return TrustLine(source.name, source.level, comes_from(source), wishes)


def rewrite(path: Path, change: Callable[[str, str], str]) -> None:
    """Replace the text of a file by what ``change`` makes of it and of the file's name; a file is begun if need be.

    Raises:
        TrustFileInvalid: if it is not right, or would not be.
        OperationRefused: if somebody else changed it meanwhile.
        OSError: if it cannot be written; then it is as it was.
    """
    real = Path(os.path.realpath(path))  # the operator's own link stays one
    before = _text(real)
    after = change(before or "", str(path))
    mode = stat.S_IMODE(real.stat().st_mode) if before is not None else 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(after.encode())
            file.flush()
            os.fsync(file.fileno())
        if _text(real) != before:
            raise OperationRefused(f"{path} was changed by somebody else just now; look at it, and try again")
        os.rename(name, real)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _text(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return read_text(path, "trust.toml", TrustFileInvalid)[0]
    except DocumentInvalid:
        if not path.exists():
            return None
        raise
