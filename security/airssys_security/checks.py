"""The one check: may this component do this? Pure, synchronous, and recorded before it is believed.

Order: the form of the request, the never-list, the operator's deny list, the grants. Deny wins, an error denies, and
there is no branch that allows by default. What a guest may learn of a refusal is its interface's affair; the texts
here are for the operator.
"""

from __future__ import annotations

from time import time_ns
from typing import Final

from airssys_security.audit.records import AuditSink, CheckRecord, EventRecord
from airssys_security.capabilities import CapabilitySet
from airssys_security.context import SecurityContext
from airssys_security.decisions import _MINT, Decision, Denied, Granted, Layer
from airssys_security.errors import AuditUnavailable, MatchTooCostly
from airssys_security.never import never_list
from airssys_security.patterns.filesystem import FilesystemPatterns, path_fault, split
from airssys_security.patterns.namespaces import STORAGE, TOPICS
from airssys_security.requests import ACTIONS, Request

__all__ = ("CapabilityService", "check_capability")

_MAX_RESOURCE: Final = 16384
_NOTHING: Final = CapabilitySet({})


class CapabilityService:
    """Checks requests against a context and its own lists, and writes down what it answered."""

    __slots__ = ("_audit", "_deny", "_never", "_refusing")

    def __init__(self, audit: AuditSink, never: CapabilitySet | None = None, deny: CapabilitySet | None = None) -> None:
        """``never`` defaults to the strong list without state folders; ``deny`` to nothing."""
        self._audit = audit
        self._never = never_list() if never is None else never
        self._deny = _NOTHING if deny is None else deny
        lists = (("never", self._never), ("deny", self._deny))
        self._refusing: dict[str, list[tuple[str, FilesystemPatterns]]] = {
            action: [(layer, listed.files[action]) for layer, listed in lists if action in listed.files]
            for action in ACTIONS["filesystem"]
        }

    def check(self, context: SecurityContext, request: Request) -> Decision:
        """Decide, without effect and without record. The answer says which layer and which pattern decided."""
        cache = context.cache
        if cache.owner is self:
            try:
                known = cache.entries.get(request)
            except Exception:  # what cannot be hashed is not known, and is refused by its form
                known = None
            if known is not None:
                return known
        return self._decide(context, request)

    def authorize(self, context: SecurityContext, request: Request, evidence: str = "") -> Granted | Denied:
        """Check, record, and return the proof or the refusal. What is not recorded is not granted."""
        cache = context.cache
        try:
            decision = cache.entries.get(request) if cache.owner is self else None
        except Exception:  # what cannot be hashed is not known, and is refused by its form
            decision = None
        if decision is None:
            decision = self._decide(context, request)
        recorded = self._audit.append(CheckRecord(time_ns(), context, decision, evidence))
        if not decision.granted:
            return Denied(decision)
        if not recorded:
            return Denied(_refusal(context, request, "audit", "", "the audit takes no more records"))
        return Granted(_MINT, decision)

    def refuse(
        self, context: SecurityContext, request: Request, reason: str, layer: Layer = "attempt", evidence: str = ""
    ) -> Denied:
        """Record a refusal that a host function decided itself: a way out of a folder, a special file."""
        decision = _refusal(context, request, layer, "", reason)
        self._audit.append(CheckRecord(time_ns(), context, decision, evidence))
        return Denied(decision)

    def record(self, context: SecurityContext | None, event: str, **facts: str | int | float | bool) -> None:
        """Record what happened to a component or the host: ``start``, ``stop``, ``restart``, ``trap``, ``approval``.

        Raises AuditUnavailable if the audit does not take it.
        """
        if not self._audit.append(EventRecord(time_ns(), context, event, facts)):
            raise AuditUnavailable(f"the audit does not take records: {event!r} is not written down")

    def _decide(self, context: SecurityContext, request: Request) -> Decision:
        if type(request.resource) is not str:  # a subclass of str could answer differently the second time
            return _refusal(context, _as_text(request), "request", "", "the resource is not text")
        try:
            judge = self._judge_path if request.kind == "filesystem" else self._judge
            decision = judge(context, request)
        except MatchTooCostly:
            reason = "too many patterns apply to this resource to decide in time"
            decision = _refusal(context, request, "error", "", reason)
        except Exception as error:  # whatever went wrong, it must not end in a grant
            return _refusal(context, _as_text(request), "error", "", f"the check failed: {type(error).__name__}")
        cache = context.cache
        if cache.owner is not self:
            cache = context.new_cache(self)
        cache.keep(request, decision)
        return decision

    def _judge_path(self, context: SecurityContext, request: Request) -> Decision:
        """Decide about a path, which is looked at and split once for all lists."""
        path, action = request.resource, request.action
        refusing = self._refusing.get(action)
        names = split(path) if refusing is not None else None
        if refusing is None or names is None:
            return _refusal(context, request, "request", "", _fault(request.kind, action, path))
        for layer, listed in refusing:
            pattern = listed.find_names(names)
            if pattern is not None:
                return _refusal(context, request, layer, pattern, _REASONS[layer])
        grants = context.grants.files.get(action)
        if grants is not None and (pattern := grants.find_names(names)) is not None:
            return Decision(request, context.component_id, True, "capability", pattern, "a grant covers it")
        return self._by_grant(context, request, None)

    def _judge(self, context: SecurityContext, request: Request) -> Decision:
        """Decide about everything that is not a path."""
        kind, action, resource = request.kind, request.action, request.resource
        fault = _fault(kind, action, resource)
        if fault:
            return _refusal(context, request, "request", "", fault)
        for layer, listed in (("never", self._never), ("deny", self._deny)):
            denies = listed.denier(kind, action)
            pattern = denies(resource) if denies else None
            if pattern is not None:
                return _refusal(context, request, layer, pattern, _REASONS[layer])
        grants = context.grants.matcher(kind, action)
        return self._by_grant(context, request, grants(resource) if grants else None)

    def _by_grant(self, context: SecurityContext, request: Request, pattern: str | None) -> Decision:
        if pattern is not None:
            return Decision(request, context.component_id, True, "capability", pattern, "a grant covers it")
        if context.grants.patterns(request.kind, request.action):
            reason = "no pattern covers it"
        elif context.grants.declares(request.kind):
            reason = "the action was never granted"
        else:
            reason = "the kind was never granted"
        return _refusal(context, request, "capability", "", reason)


_REASONS: Final = {"never": "nobody gets this", "deny": "the operator denies it"}


def _refusal(context: SecurityContext, request: Request, layer: str, pattern: str, reason: str) -> Decision:
    return Decision(request, context.component_id, False, layer, pattern, reason)


def _as_text(request: Request) -> Request:
    """Name what is not text by its type, so that the refusal can be remembered and written down."""
    parts = (request.kind, request.action, request.resource)
    return Request(*(part if type(part) is str else f"<{type(part).__name__}>" for part in parts))


def _fault(kind: str, action: str, resource: str) -> str:
    """Say what is wrong with the form of a request; empty if nothing is."""
    actions = ACTIONS.get(kind)
    if actions is None:
        return "there is no such kind of capability"
    if action not in actions:
        return "there is no such action"
    if kind == "filesystem":
        return path_fault(resource)
    if kind == "network":
        return "network access is not supported by this version"
    if not resource or len(resource) > _MAX_RESOURCE:
        return "the resource is empty or too long"
    if kind == "storage" and not STORAGE.is_resource(resource):
        return "it is not a storage resource"
    if action in ("publish", "subscribe") and not TOPICS.is_resource(resource, pattern=action == "subscribe"):
        return "it is not a topic"
    return ""


def check_capability(service: CapabilityService, context: SecurityContext, request: Request) -> Decision:
    """Decide about a request, as ``service.check`` does."""
    return service.check(context, request)
