"""Where a component came from, as the host itself established it: nothing here was taken from a file's own claim."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from airssys_security.errors import RequestInvalid
from airssys_security.patterns.filesystem import path_fault
from airssys_security.text import first_hidden

__all__ = ("COMMIT", "GitUrl", "Identity", "Origin", "parse_git_url", "split_git_url")

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""A whole commit id, SHA-1 or SHA-256: a shorter one could come to mean another commit."""

_URL: Final = re.compile(r"([a-z]+)://([^/]*)(/.*)")
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PORTS: Final = {"https": 443, "ssh": 22}
_MAX_URL: Final = 2048


class Identity(msgspec.Struct, frozen=True):
    """A person, or a service, as the operating system names them. Only the uid counts; the name is for people."""

    uid: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name or 'uid'} ({self.uid})"


class Origin(msgspec.Struct, frozen=True):
    """A place that the host read or fetched itself, and what it found there."""

    kind: Literal["folder", "git"]
    place: str
    """The resolved folder, or the URL as ``parse_git_url`` spells it."""
    path: str = ""
    """The folder inside the repository; empty for its root, and for a folder."""
    ref: str = ""
    """The branch or tag that was asked for; empty if none was."""
    commit: str = ""
    """The whole id of the commit that was fetched."""
    digest: str = ""
    """SHA-256 of what was copied, in hex."""

    @property
    def source(self) -> str:
        """The place as one text, without the version: what a component's id is bound to."""
        return f"{self.kind}:{self.place}#{self.path}" if self.path else f"{self.kind}:{self.place}"


class GitUrl(msgspec.Struct, frozen=True):
    """The parts of a repository's URL. ``authority`` is the host, with a user and a port where the scheme has them."""

    scheme: str
    authority: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def _authority(scheme: str, text: str) -> str:
    if scheme == "file":
        if text:
            raise RequestInvalid("a file:// URL has no host")
        return ""
    user, at, place = text.rpartition("@")
    if at and (scheme != "ssh" or _USER.fullmatch(user) is None):
        raise RequestInvalid("only ssh:// may name a user, in lower case and without a password")
    host, colon, port = place.partition(":")
    host = host.lower()
    if _HOST.fullmatch(host) is None or ".." in host:
        raise RequestInvalid("its host is not a plain name (letters, digits, '-' and '.')")
    if not colon:
        return user + at + host
    if re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) is None or int(port) > 65_535:
        raise RequestInvalid("its port is not a number up to 65535")
    return user + at + host if int(port) == _PORTS[scheme] else f"{user}{at}{host}:{port}"


def split_git_url(text: str) -> GitUrl:
    """Split a URL, or a pattern of URLs: scheme and host are literal in both, and the path is not looked at.

    Raises RequestInvalid. ``http://`` and ``git://`` are refused: whoever is on the way could change what they bring.
    """
    if len(text) > _MAX_URL or first_hidden(text) is not None or not text.isascii():
        raise RequestInvalid(f"it holds more than {_MAX_URL} plain ASCII characters, or others")
    found = _URL.fullmatch(text)
    if found is None or found[1] not in ("https", "ssh", "file"):
        raise RequestInvalid("it is not https://host/path, ssh://host/path or file:///path")
    return GitUrl(found[1], _authority(found[1], found[2]), found[3])


def parse_git_url(text: str) -> GitUrl:
    """Read the URL of one repository into its one spelling: ``str()`` of the result is what origins hold.

    Raises RequestInvalid, also for escapes, queries and dots in the path: they are other spellings of something else.
    """
    url = split_git_url(text)
    strange = next((mark for mark in "%?#\\*[]{} " if mark in url.path), None)
    if strange is not None:
        raise RequestInvalid(f"its path holds {strange!r}")
    fault = path_fault(url.path)
    if fault or url.path == "/":
        raise RequestInvalid(fault or "its path names no repository")
    return url
