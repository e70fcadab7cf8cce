"""What an operator writes to say where a component comes from, read into values; nothing is opened or fetched here.

A folder, a ``Component.toml``, or a path in a Git repository at a commit or ref::

    ./weather
    git+https://git.example.com/tools/weather@v1.2.0#components/weather

A URL is held to one spelling, because lists of trusted repositories are compared with it. A ref is a branch or a tag:
forges keep what strangers propose under other refs of the same repository, and that is not the repository's own word.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
from airssys_security.errors import RequestInvalid
from airssys_security.text import first_hidden, visible
from airssys_security.trust.origin import COMMIT, parse_git_url

from airssys_actors.errors import SourceRefused

__all__ = ("MANIFEST_NAME", "FolderSource", "GitSource", "Source", "parse_source")

MANIFEST_NAME: Final = "Component.toml"

_MAX_TEXT: Final = 4096
_MAX_SEGMENTS: Final = 32
_LIKE_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[/:]")
_REF: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
_EXAMPLE: Final = "write one such as git+https://git.example.com/weather@main#path/in/it, or the path of a folder"


class FolderSource(msgspec.Struct, frozen=True):
    """A folder of this machine, and the name of the manifest in it."""

    folder: Path
    manifest: str = MANIFEST_NAME


class GitSource(msgspec.Struct, frozen=True):
    """A folder in a Git repository. Of ``ref`` and ``commit`` one is set; none of them means the repository's HEAD."""

    url: str
    ref: str = ""
    commit: str = ""
    path: str = ""
    manifest: str = MANIFEST_NAME


Source = FolderSource | GitSource


def parse_source(text: str) -> Source:
    """Read what the operator wrote.

    Raises:
        SourceRefused: if it can be read in no way, or in two.
    """
    if not text or len(text) > _MAX_TEXT or first_hidden(text) is not None:
        raise SourceRefused(text, "it is empty, too long, or holds characters that cannot be seen", _EXAMPLE)
    if text.startswith("-"):
        raise SourceRefused(text, "it begins like an option", f"write ./{text} if it is a folder")
    if text.startswith("git+"):
        return _parse_git(text)
    if _LIKE_URL.match(text):
        raise SourceRefused(text, "it is no source that can be installed from", _EXAMPLE)
    path = Path(text)
    if path.suffix == ".toml" and not path.is_dir():
        return FolderSource(path.parent, path.name)
    return FolderSource(path)


def _parse_git(text: str) -> GitSource:
    rest, _, inside = text.removeprefix("git+").partition("#")
    # The authority of an ssh URL may hold an "@" of its own; behind it, the last one begins the ref.
    scheme, _, behind = rest.partition("://")
    authority, slash, place = behind.partition("/")
    place, at, version = place.rpartition("@") if "@" in place else (place, "", "")
    url = _plain_url(text, f"{scheme}://{authority}{slash}{place}")
    if at and not version:
        raise SourceRefused(text, "there is nothing behind the '@'", "name a commit, a branch or a tag there")
    ref, commit = ("", version) if COMMIT.fullmatch(version) else (version, "")
    if ref and not _is_ref(ref):
        raise SourceRefused(text, f"{visible(ref)} cannot be a commit, a branch or a tag", "name one, as in @main")
    path, manifest = _inside(text, inside)
    return GitSource(url, ref, commit, path, manifest)


def _is_ref(ref: str) -> bool:
    """Tell whether this is a name that Git lets a ref have, without those that begin like options."""
    parts = ref.split("/")
    dots = any(part.startswith(".") or part.endswith((".", ".lock")) or not part for part in parts)
    foreign = ref.startswith("refs/") and not ref.startswith(("refs/heads/", "refs/tags/"))
    return _REF.fullmatch(ref) is not None and ".." not in ref and not dots and not foreign


def _inside(text: str, inside: str) -> tuple[str, str]:
    """Split the path in a repository into a folder and the manifest's name."""
    if not inside:
        return "", MANIFEST_NAME
    segments = inside.removesuffix("/").split("/")
    bad = any(part in ("", ".", "..") or part.lower() == ".git" or "\\" in part for part in segments)
    if bad or len(segments) > _MAX_SEGMENTS:
        raise SourceRefused(text, f"{visible(inside)} is no path inside a repository", "write it as in #sub/folder")
    if segments[-1].endswith(".toml"):
        return "/".join(segments[:-1]), segments[-1]
    return "/".join(segments), MANIFEST_NAME


def _plain_url(text: str, url: str) -> str:
    try:
        return str(parse_git_url(url))
    except RequestInvalid as error:
        raise SourceRefused(text, str(error), _EXAMPLE) from None
