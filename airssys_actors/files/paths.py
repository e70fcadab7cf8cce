"""What can be said of a path by looking at its letters alone. Pure: no file is touched here.

A guest's path is relative to one of its folders. One that is not is an attempt to leave, whatever it would reach.
"""

from __future__ import annotations

__all__ = ("PATH_MAX", "above", "flaw", "join", "lexical")

PATH_MAX = 4096
"""As in Linux, the NUL at the end included."""


def flaw(path: str) -> str | None:
    """Say why this cannot be a path below a folder, or None if it can."""
    if not path:
        return "the path is empty"
    if path[0] == "/":
        return "the path is absolute"
    if "\0" in path:
        return "the path holds a NUL"
    if len(path) >= PATH_MAX or len(path.encode("utf-8", "surrogatepass")) >= PATH_MAX:
        return f"the path has {PATH_MAX} bytes or more"
    if ".." in path:
        depth = 0
        for part in path.split("/"):
            if part == "..":
                depth -= 1
                if depth < 0:
                    return "the path climbs above its folder"
            elif part not in ("", "."):
                depth += 1
    return None


def lexical(folder: str, *parts: str) -> str:
    """Join names onto an absolute folder, taking ``..`` back by its letters. Never climbs above the root."""
    names = [name for name in folder.split("/") if name]
    for part in parts:
        for name in part.split("/"):
            if name == "..":
                if names:
                    names.pop()
            elif name not in ("", "."):
                names.append(name)
    return "/" + "/".join(names)


def join(folder: str, rest: str) -> str:
    """Put a relative path behind an absolute folder, letter by letter."""
    return f"{folder}{rest}" if folder == "/" else f"{folder}/{rest}"


def above(path: str) -> tuple[str, ...]:
    """List the beginnings of a path that a ``..`` in it steps out of.

    ``a/../b`` opens ``b`` only where ``a`` exists: whoever may not know of ``a`` could find it out that way, so each of
    these beginnings is asked about by itself.
    """
    if ".." not in path:
        return ()
    parts = path.split("/")
    return tuple("/".join(parts[:at]) for at, part in enumerate(parts) if part == ".." and at > 0)
