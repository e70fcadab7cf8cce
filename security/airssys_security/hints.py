"""The manifest line that would have granted a request: for the operator's log and tools, never for a guest."""

from __future__ import annotations

import re
from typing import Final

from airssys_security.capabilities import check_pattern
from airssys_security.errors import PatternInvalid
from airssys_security.forms import request_fault
from airssys_security.requests import Request
from airssys_security.text import first_hidden

__all__ = ("grant_line",)

_SPECIAL: Final = re.compile(r"[*?\[{}\\]")


def _literally(path: str) -> str:
    """Spell a path as a pattern that covers it alone; what a pattern may not hold becomes ``?``."""
    spelt = _SPECIAL.sub(lambda found: "?" if found[0] == "\\" else f"[{found[0]}]", path)
    if first_hidden(spelt) is None:
        return spelt
    return "".join("?" if first_hidden(character) else character for character in spelt)


def grant_line(request: Request) -> str:
    """Return the section and line of a manifest that would cover exactly this request; empty if none can.

    A guest that asks for ``*`` is not hinted a wildcard: what is not in the form of its kind has no line.
    """
    kind, action, resource = request.kind, request.action, request.resource
    if request_fault(kind, action, resource):
        return ""
    match kind, action:
        case "filesystem", _:
            resource = _literally(resource)
        case "network", "resolve":
            # Who may connect to a name may look it up. Which connection it is for is not known yet: mostly this one.
            action, resource = "connect", f"{resource}:443"
        case "network", "bind" if resource.endswith(":0"):
            resource = f"{resource[:-1]}*"
    try:
        check_pattern(kind, action, resource)
    except PatternInvalid:  # longer than a pattern may be, or it could not be shown
        return ""
    quoted = resource.replace("\\", "\\\\").replace('"', '\\"')
    return f'[capabilities.{kind}] {action} = ["{quoted}"]'
