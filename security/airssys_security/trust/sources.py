"""One source of ``trust.toml``: what comes from it, and how much that may do without being reviewed."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from airssys_security.errors import MatchTooCostly
from airssys_security.limits import Limits, Quotas
from airssys_security.manifest.values import CapabilityRequests
from airssys_security.patterns.filesystem import FilesystemPatterns
from airssys_security.trust.keys import PublicKey
from airssys_security.trust.origin import Origin, parse_git_url, split_git_url

__all__ = ("TrustPolicy", "TrustSource", "shadows", "trust_folders")


class TrustSource(msgspec.Struct, frozen=True):
    """One ``[[source]]``. Exactly one of ``key``, ``git`` and ``folder`` says what comes from it."""

    name: str
    level: Literal["trusted", "dev"]
    key: PublicKey | None = None
    git: str = ""
    """A repository's URL; its path is a pattern."""
    ref: str = ""
    """A pattern for the branch or tag; empty takes any, and a fetch that named none."""
    commit: str = ""
    """A whole commit id; empty takes any."""
    folder: str = ""
    """A pattern for the folder."""
    max: CapabilityRequests = CapabilityRequests()
    """What is granted without review; nothing if it is empty."""
    limits: Limits = Limits()
    quotas: Quotas = Quotas()
    unlimited: bool = False
    """``max = "everything"``: nothing is reviewed, and the host's ceilings, deny lists and never-list alone hold."""

    def matches(self, origin: Origin, signer: PublicKey | None) -> bool:
        """Tell whether a component comes from here; ``signer`` is a key whose signature was verified.

        Raises MatchTooCostly: to go on with the next source would then be a guess.
        """
        if self.key is not None:
            return signer == self.key
        if self.folder:
            return origin.kind == "folder" and FilesystemPatterns([self.folder]).find(origin.place) is not None
        if origin.kind != "git" or (self.commit and self.commit != origin.commit):
            return False
        mine, theirs = split_git_url(self.git), parse_git_url(origin.place)
        if (mine.scheme, mine.authority) != (theirs.scheme, theirs.authority):
            return False
        if FilesystemPatterns([mine.path]).find(theirs.path) is None:
            return False
        return not self.ref or FilesystemPatterns([f"/{self.ref}"]).find(f"/{origin.ref}") is not None


class TrustPolicy(msgspec.Struct, frozen=True):
    """What ``trust.toml`` says. Without a file nothing is trusted."""

    sources: tuple[TrustSource, ...] = ()
    revision: str = ""
    """SHA-256 of the file's bytes, in hex; empty without a file."""

    def find(self, origin: Origin, signer: PublicKey | None) -> TrustSource | None:
        """Return the first source that a component comes from."""
        return next((source for source in self.sources if source.matches(origin, signer)), None)


def trust_folders(*folders: str | os.PathLike[str]) -> TrustPolicy:
    """Trust what lies in folders of the application's own, and below them, as far as the application itself is trusted.

    Authority: whatever a manifest in one of them asks for is granted, within the host's ceilings and below its lists.
    """
    sources = [
        TrustSource(f"folder-{number}", "trusted", folder=pattern, unlimited=True)
        for number, pattern in enumerate((f"{_literally(os.path.realpath(folder))}/**" for folder in folders), 1)
    ]
    return TrustPolicy(tuple(sources), "application")


def _literally(path: str) -> str:
    """Spell a path as a pattern that covers it alone."""
    return "".join(f"[{character}]" if character in "*?[{}" else character for character in path.rstrip("/"))


def _covers(wide: str, narrow: str) -> bool:
    """Tell whether one path pattern surely covers all that another does. No only says that it cannot be told."""
    if wide == narrow:
        return True
    stem = narrow.removesuffix("/**")
    if any(mark in stem for mark in "*?[{"):
        return False
    try:
        patterns = FilesystemPatterns([wide])
        # A pattern that ends in ** and covers a folder covers all below it: what follows only lengthens the path.
        return (stem == narrow or wide.endswith("/**")) and patterns.find(stem or "/") is not None
    except MatchTooCostly:
        return False


def shadows(earlier: TrustSource, later: TrustSource) -> bool:
    """Tell whether nothing can reach a source because one before it takes all of it, where that can be told."""
    if earlier.key is not None or later.key is not None:
        return earlier.key == later.key
    if earlier.folder or later.folder:
        return bool(earlier.folder and later.folder) and _covers(earlier.folder, later.folder)
    if earlier.commit not in ("", later.commit):
        return False
    wide, narrow = split_git_url(earlier.git), split_git_url(later.git)
    if (wide.scheme, wide.authority) != (narrow.scheme, narrow.authority) or not _covers(wide.path, narrow.path):
        return False
    return not earlier.ref or bool(later.ref and _covers(f"/{earlier.ref}", f"/{later.ref}"))
