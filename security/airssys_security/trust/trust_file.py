"""Reads ``trust.toml``: the sources that the operator trusts, in order; the first that matches decides.

All mistakes are reported together, each with its place and what would be right. A key that would be without effect is
one of them: who reads the file must be able to believe it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from airssys_security.errors import KeyInvalid, PatternInvalid, Problem, RequestInvalid, TrustFileInvalid
from airssys_security.limits import LIMITS, QUOTAS, Ceilings, Limits, Quotas
from airssys_security.manifest.grants import GrantReader
from airssys_security.manifest.values import CapabilityRequests
from airssys_security.patterns.filesystem import FilesystemPatterns
from airssys_security.text import visible
from airssys_security.toml.document import read_document
from airssys_security.toml.file import read_text
from airssys_security.toml.quantities import quantities
from airssys_security.toml.reader import KeyPath, shown_text
from airssys_security.trust.keys import PublicKey, parse_public_key
from airssys_security.trust.origin import COMMIT, split_git_url
from airssys_security.trust.sources import TrustPolicy as TrustPolicy
from airssys_security.trust.sources import TrustSource as TrustSource
from airssys_security.trust.sources import shadows

__all__ = ("MAX_SOURCES", "TrustPolicy", "TrustSource", "load_trust_file", "parse_trust_file")

MAX_SOURCES: Final = 500
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SELECTORS: Final = ("key", "git", "folder")
_KNOWN: Final = ("name", "level", *_SELECTORS, "ref", "commit", "max", "limits", "quotas")
_LEVELS: Final = ("trusted", "dev")
_EVERYTHING: Final = "everything"


class _Sources(GrantReader):
    """The sources of a trust file; one with a mistake is left out, and reported."""

    def source(self, path: KeyPath, value: object) -> TrustSource | None:
        before = self.mistakes
        entries = self.table(path, value, _KNOWN)
        if not isinstance(value, dict):
            return None
        name = self.name(path, entries)
        level = self.level(path, entries)
        self.selector(path, entries)
        at: KeyPath = (*path, "key")
        key = self.key(at, entries["key"]) if "key" in entries else None
        git = self.git((*path, "git"), entries["git"]) if "git" in entries else ""
        ref = self.ref((*path, "ref"), entries["ref"]) if "ref" in entries else ""
        commit = self.commit((*path, "commit"), entries["commit"]) if "commit" in entries else ""
        folder = self.folder((*path, "folder"), entries["folder"]) if "folder" in entries else ""
        unlimited = entries.get("max") == _EVERYTHING
        most = CapabilityRequests(() if unlimited else self.grants((*path, "max"), entries.get("max", {})))
        for each in ("limits", "quotas"):
            if unlimited and each in entries:
                what = f'max = "{_EVERYTHING}" lets the host\'s ceilings alone hold, so this would be without effect'
                self.wrong((*path, each), what, "remove it, or write what max holds")
        limits = quantities(self, (*path, "limits"), entries.get("limits", {}), LIMITS, Limits(), None)
        quotas = quantities(self, (*path, "quotas"), entries.get("quotas", {}), QUOTAS, Quotas(), None)
        if self.mistakes > before:
            return None
        return TrustSource(
            name,
            "dev" if level == "dev" else "trusted",
            key,
            git,
            ref,
            commit,
            folder,
            most,
            Limits(**limits),  # type: ignore[arg-type]
            Quotas(**quotas),  # type: ignore[arg-type]
            unlimited,
        )

    def name(self, path: KeyPath, entries: Mapping[str, object]) -> str:
        if "name" not in entries:
            self.wrong((*path, "name"), "it is missing", "add a name, to speak of this source by")
            return ""
        text = self.text((*path, "name"), entries["name"], 200)
        if text is not None and _NAME.fullmatch(text) is None:
            remedy = "write 1 to 63 letters, digits, '.', '_' and '-', a letter or digit first"
            self.wrong((*path, "name"), f"{shown_text(text)} is not a source's name", remedy)
        return text or ""

    def level(self, path: KeyPath, entries: Mapping[str, object]) -> str:
        if "level" not in entries:
            self.wrong((*path, "level"), "it is missing", 'write level = "trusted", or "dev" on a developer\'s machine')
            return ""
        level = self.choice((*path, "level"), entries["level"], _LEVELS) or ""
        for key in ("max", "limits", "quotas"):
            if level == "dev" and key in entries:
                what = 'level = "dev" grants whatever is asked for, so this would be without effect'
                self.wrong((*path, key), what, 'remove it, or write level = "trusted"')
        return level

    def selector(self, path: KeyPath, entries: Mapping[str, object]) -> None:
        present = [key for key in entries if key in _SELECTORS]
        if len(present) != 1:
            what = f"it has {' and '.join(present)}" if present else "nothing says what comes from it"
            self.wrong((*path, present[1]) if present else path, what, "write exactly one of key, git and folder")
        for key in ("ref", "commit"):
            if key in entries and "git" not in entries:
                self.wrong((*path, key), "it means something beside git only", "remove it")

    def key(self, path: KeyPath, value: object) -> PublicKey | None:
        text = self.text(path, value, 200)
        if text is None:
            return None
        try:
            return parse_public_key(text)
        except KeyInvalid as error:
            self.wrong(path, f"{shown_text(text)}: {error.reason}", 'write "ed25519:..." as airssys keys shows it')
            return None

    def git(self, path: KeyPath, value: object) -> str:
        text = self.text(path, value)
        if text is None:
            return ""
        remedy = 'write a URL such as "https://example.org/team/*", or "ssh://git@example.org/team/**"'
        try:
            url = split_git_url(text)
        except RequestInvalid as error:
            self.wrong(path, f"{shown_text(text)}: {error.reason}", remedy)
            return ""
        self.path_pattern(path, url.path)
        return str(url)

    def ref(self, path: KeyPath, value: object) -> str:
        text = self.text(path, value, 500)
        if text is not None and not self.path_pattern(path, f"/{text}"):
            return ""
        if text == "":
            self.wrong(path, "it is empty", 'write a branch, a tag or a pattern such as "v1.*"')
        return text or ""

    def commit(self, path: KeyPath, value: object) -> str:
        text = self.text(path, value, 200)
        if text is not None and COMMIT.fullmatch(text) is None:
            what = f"{shown_text(text)} is not a whole commit id"
            self.wrong(path, what, "write all 40 (or 64) hex digits, in lower case")
        return text or ""

    def folder(self, path: KeyPath, value: object) -> str:
        text = self.text(path, value)
        return text if text is not None and self.path_pattern(path, text) else ""

    def path_pattern(self, path: KeyPath, text: str) -> bool:
        """Tell whether this is one pattern of paths; what its braces stand for counts like a pattern of ``max``."""
        if self.too_many(path, (text,), "filesystem"):
            return False
        try:
            FilesystemPatterns([text])
        except PatternInvalid as error:
            self.wrong(path, f"{shown_text(error.pattern)}: {error.reason}", error.remedy)
            return False
        return True

    def compared(self, sources: list[tuple[KeyPath, TrustSource]]) -> None:
        """Report names that stand twice, and sources that nothing can reach."""
        named: set[str] = set()
        for index, (path, source) in enumerate(sources):
            if source.name in named:
                self.wrong((*path, "name"), f"{shown_text(source.name)} is the name of two sources", "rename one")
            named.add(source.name)
            before = next((earlier for _, earlier in sources[:index] if shadows(earlier, source)), None)
            if before is not None:
                what = f"nothing can reach it: {shown_text(before.name)} stands before it and takes all of it"
                self.wrong(path, what, "put it before that one, or remove one of them")


def parse_trust_file(text: str, file: str = "trust.toml") -> TrustPolicy:
    """Read the text of a trust file. ``file`` is only named in mistakes.

    Raises TrustFileInvalid with all of them.
    """
    document, places = read_document(text, file, TrustFileInvalid)
    ceilings = Ceilings()
    reader = _Sources(places, ceilings.patterns, ceilings.segments)
    sections = reader.table((), document, ("schema", "source"))
    reader.schema(sections)
    listed = reader.typed(("source",), sections.get("source", []), list) or []
    found: list[tuple[KeyPath, TrustSource]] = []
    if len(listed) > MAX_SOURCES:
        what = f"there are {len(listed)} sources, and at most {MAX_SOURCES} are read"
        reader.wrong(("source",), what, "use patterns, or one signing key for many components")
        listed = []
    for index, value in enumerate(listed):
        source = reader.source(("source", index), value)
        if source is not None:
            found.append((("source", index), source))
    reader.compared(found)
    reader.report(file, TrustFileInvalid)
    return TrustPolicy(tuple(source for _, source in found), hashlib.sha256(text.encode()).hexdigest())


def load_trust_file(path: Path) -> TrustPolicy:
    """Read a trust file. Blocks; call it from a thread where that matters.

    Raises TrustFileInvalid, also when the file cannot be read, or when anybody could have written it.
    """
    path = Path(path)
    text, file = read_text(path, "trust.toml", TrustFileInvalid)
    try:
        facts = os.stat(path)
    except OSError as error:
        what = f"it cannot be looked at ({os.strerror(error.errno or 0)})"
        raise TrustFileInvalid(visible(str(path)), (Problem(1, 1, "", what, "name a trust.toml"),)) from error
    if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o002:
        problem = Problem(1, 1, "", "another user could have written it", "let it be root's or yours, and chmod o-w it")
        raise TrustFileInvalid(file, (problem,))
    return parse_trust_file(text, file)
