"""The answer to a request: a decision, and the proof that it was taken and recorded.

``Granted`` can be made by the capability service alone. Code that opens something takes a ``Granted`` instead of a
string, so that forgetting to ask is a type error and not a hole.
"""

from __future__ import annotations

from typing import Final, Literal, NoReturn, final

import msgspec

from airssys_security.hints import grant_line
from airssys_security.requests import Request

__all__ = ("Decision", "Denied", "Granted", "Layer")

Layer = Literal[
    "request", "never", "deny", "capability", "mask", "dev-mode", "quota", "approval", "audit", "error", "attempt"
]
"""Who decided: the form of the request, the never-list, the operator's deny list, the grants, the mask that takes a
grant away for now, the dev mode that lets pass what no grant covers, a quota, an approval that is missing or over, the
audit that could not take the record, a failure of the check itself, or a host function that saw an attempt to leave."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What the check says about one request of one component. It opens nothing: only a ``Granted`` does."""

    request: Request
    component_id: str
    granted: bool
    layer: str
    pattern: str
    """The pattern that decided, as it was written; empty if none did."""
    reason: str

    @property
    def hint(self) -> str:
        """The line of a manifest that would grant this; empty when none can. For operators, never for guests."""
        if self.granted or self.layer != "capability":
            return ""
        return grant_line(self.request)  # built when somebody reads it: a denial must stay cheap


class _Outcome:
    """What both answers have in common: a view of the decision that nothing can exchange by accident."""

    __slots__ = ("_decision",)

    _decision: Decision

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be copied or pickled: ask again")

    @property
    def decision(self) -> Decision:
        return self._decision

    @property
    def request(self) -> Request:
        return self._decision.request

    @property
    def component_id(self) -> str:
        return self._decision.component_id

    @property
    def layer(self) -> str:
        return self._decision.layer

    @property
    def pattern(self) -> str:
        return self._decision.pattern

    @property
    def reason(self) -> str:
        return self._decision.reason

    @property
    def hint(self) -> str:
        return self._decision.hint

    def __repr__(self) -> str:
        d = self._decision
        return f"<{type(self).__name__} {d.component_id}: {d.request} ({d.layer}: {d.reason})>"


_MINT: Final = object()


@final
class Granted(_Outcome):
    """Proof that a request was checked, granted and recorded. Only the capability service mints it."""

    __slots__ = ()
    granted: Final[Literal[True]] = True

    def __init__(self, mint: object, decision: Decision) -> None:
        if mint is not _MINT or not decision.granted:
            raise TypeError("a Granted comes from CapabilityService.authorize, and from nowhere else")
        self._decision = decision


@final
class Denied(_Outcome):
    """A refusal. The guest gets its interface's error code and none of this text."""

    __slots__ = ()
    granted: Final[Literal[False]] = False

    def __init__(self, decision: Decision) -> None:
        if decision.granted:
            raise TypeError("a granted decision is not a refusal")
        self._decision = decision
