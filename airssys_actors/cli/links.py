"""Follows the links of this machine for a path that is asked about, as an opening would follow them.

What exists is followed strictly; from the first name that does not exist the rest is taken as it is written, so that a
``..`` in it is left for the check to refuse.
"""

from __future__ import annotations

import os
import stat
from typing import Final

import msgspec
from airssys_security.errors import RequestInvalid
from airssys_security.requests import Request

__all__ = ("resolve_links", "resolve_path")

_MAX_LINKS: Final = 40


def resolve_path(path: str) -> str:
    """Return the path that is reached through all links; what is no absolute path comes back as it is.

    Raises RequestInvalid where this user cannot see, or links lead in a circle.
    """
    if not path.startswith("/") or "\0" in path:
        return path
    pending = path.split("/")[::-1]
    reached: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            reached = reached[:-1]
            continue
        found = "/" + "/".join([*reached, name])
        try:
            mode = os.lstat(found).st_mode
            target = os.readlink(found) if stat.S_ISLNK(mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return "/".join([found, *pending[::-1]])
        except OSError as error:
            raise RequestInvalid(f"the path cannot be resolved here: {os.strerror(error.errno or 0)}") from error
        if target is None:
            reached.append(name)
            if pending and not stat.S_ISDIR(mode):
                return "/".join([found, *pending[::-1]])
            continue
        links += 1
        if links > _MAX_LINKS:
            raise RequestInvalid("the path cannot be resolved here: too many links")
        if target.startswith("/"):
            reached = []
        pending += target.split("/")[::-1]
    return "/" + "/".join(reached)


def resolve_links(request: Request) -> Request:
    """Return the request about what its path leads to; requests of other kinds come back as they are."""
    if request.kind != "filesystem":
        return request
    return msgspec.structs.replace(request, resource=resolve_path(request.resource))
