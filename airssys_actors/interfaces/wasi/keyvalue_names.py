"""Which stored thing a bucket's identifier and a key name, so that no two pairs name the same one. Pure.

The default bucket is the component's own: ``component:<id>:<key>``. Any other identifier is a namespace that
components share: ``<identifier>:<key>``. Separators and the escape inside of a part are escaped.
"""

from __future__ import annotations

from typing import Final

import msgspec
from airssys_security.patterns.namespaces import escape_segment

__all__ = ("Namespace", "namespace_of")

_OWN: Final = frozenset({"", "default"})
_LONGEST_IDENTIFIER: Final = 256
_RESERVED: Final = "component"


class Namespace(msgspec.Struct, frozen=True):
    """What a bucket stands for: a name that ends before the key."""

    name: str

    def resource(self, key: str) -> str:
        """Return the name that a grant must cover."""
        return f"{self.name}:{escape_segment(key)}"


def namespace_of(component_id: str, identifier: str) -> Namespace | None:
    """Return the namespace of an identifier; None where there is no such store.

    ``component`` itself is none: beside the components' own namespaces, it would only be misread.
    """
    if identifier in _OWN:
        return Namespace(f"component:{escape_segment(component_id)}")
    if len(identifier) > _LONGEST_IDENTIFIER or identifier == _RESERVED:
        return None
    return Namespace(escape_segment(identifier))
