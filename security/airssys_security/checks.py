"""The one check: may this component do this? Pure, synchronous, and recorded before it is believed.

Order: the form of the request, the never-list, the operator's deny list, the grants. Deny wins, an error denies, and
there is no branch that allows by default. What a guest may learn of a refusal is its interface's affair; the texts
here are for the operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import time_ns
from typing import Final

from airssys_security.audit.records import AuditSink, CheckRecord, EventRecord
from airssys_security.context import SecurityContext
from airssys_security.decisions import _MINT, Decision, Denied, Granted, Layer
from airssys_security.errors import AuditUnavailable, MatchTooCostly
from airssys_security.forms import request_fault
from airssys_security.patterns.address_ranges import parse_address, special_range, text_of
from airssys_security.patterns.filesystem import path_fault, split
from airssys_security.patterns.hosts import is_local_name
from airssys_security.patterns.network import ANY_PORT, read_target
from airssys_security.patterns.network_sets import RAW, Use, left_of
from airssys_security.policy import Policy as Policy
from airssys_security.requests import ACTIONS, Request

__all__ = ("CapabilityService", "Policy", "check_capability")

_DEV: Final = "dev"


class CapabilityService:
    """Checks requests against a context and the policy in force, and writes down what it answered."""

    __slots__ = ("_audit", "_policy")

    def __init__(self, audit: AuditSink, policy: Policy | None = None) -> None:
        """``policy`` defaults to the strong never-list without state folders, and no denials."""
        self._audit = audit
        self._policy = Policy() if policy is None else policy

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    def publish(self, policy: Policy) -> None:
        """Put another policy in force, at once for every check that begins from now on.

        One assignment: who is in the middle of a check ends it under the old one, and what contexts remember is of
        one policy only.
        """
        self._policy = policy

    def check(self, context: SecurityContext, request: Request) -> Decision:
        """Decide, without effect and without record. The answer says which layer and which pattern decided."""
        policy, cache = self._policy, context.cache
        if cache.owner is policy:
            try:
                known = cache.entries.get(request)
                # A subclass of str may be equal to what is known, and mean something else where it is used.
                if known is not None and type(request.resource) is str:
                    return known
            except Exception:  # what cannot be hashed is not known, and is refused by its form
                return self._decide(policy, context, request)
        return self._decide(policy, context, request)

    def authorize(self, context: SecurityContext, request: Request, evidence: str = "") -> Granted | Denied:
        """Check, record, and return the proof or the refusal. What is not recorded is not granted."""
        decision = self.check(context, request)
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

    def filter_addresses(self, context: SecurityContext, request: Request, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return which answers of a look-up may be used: the addresses that a name leads to, in their order.

        ``request`` is the granted one: to connect to the name, or to look it up. Special addresses and those that a
        list takes away are left out; the operator may let names lead to special ones, but never past the lists.
        What is no address is left out, and so is everything if anything goes wrong or nothing was granted.
        """
        policy = self._policy
        try:
            decision = self.check(context, request)
            target = read_target(request.action, request.resource) if decision.granted else None
            if target is None or not target.name:
                return ()
            return tuple(dict.fromkeys(_usable(policy, addresses, target.scheme, target.port)))
        except Exception:  # whatever went wrong, it must not end in an address
            return ()

    def _decide(self, policy: Policy, context: SecurityContext, request: Request) -> Decision:
        # A subclass of str could answer differently the second time.
        if not (type(request.kind) is type(request.action) is type(request.resource) is str):
            return _refusal(context, _as_text(request), "request", "", "a part of the request is not text")
        try:
            decision = _JUDGES.get(request.kind, _judge)(policy, context, request)
        except MatchTooCostly:
            reason = "too many patterns apply to this resource to decide in time"
            decision = _refusal(context, request, "error", "", reason)
        except Exception as error:  # whatever went wrong, it must not end in a grant
            return _refusal(context, request, "error", "", f"the check failed: {type(error).__name__}")
        cache = context.cache
        if cache.owner is not policy:
            cache = context.new_cache(policy)
        cache.keep(request, decision)
        return decision


def _judge_path(policy: Policy, context: SecurityContext, request: Request) -> Decision:
    """Decide about a path, which is looked at and split once for all lists."""
    path, action = request.resource, request.action
    refusing = policy.refusing.get(action)
    names = split(path) if refusing is not None else None
    if refusing is None or names is None:
        fault = "there is no such action" if refusing is None else path_fault(path)
        return _refusal(context, request, "request", "", fault)
    for layer, listed in refusing:
        pattern = listed.find_names(names)
        if pattern is not None:
            return _refusal(context, request, layer, pattern, _REASONS[layer])
    grants = context.grants.files.get(action)
    if grants is not None and (pattern := grants.find_names(names)) is not None:
        return Decision(request, context.component_id, True, "capability", pattern, "a grant covers it")
    return _not_covered(context, request)


def _judge(policy: Policy, context: SecurityContext, request: Request) -> Decision:
    """Decide about everything that is neither a path nor a connection."""
    kind, action, resource = request.kind, request.action, request.resource
    fault = request_fault(kind, action, resource)
    if fault:
        return _refusal(context, request, "request", "", fault)
    for layer, listed in policy.lists:
        denies = listed.denier(kind, action)
        pattern = denies(resource) if denies else None
        if pattern is not None:
            return _refusal(context, request, layer, pattern, _REASONS[layer])
    grants = context.grants.matcher(kind, action)
    pattern = grants(resource) if grants else None
    if pattern is not None:
        return Decision(request, context.component_id, True, "capability", pattern, "a grant covers it")
    return _not_covered(context, request)


def _judge_network(policy: Policy, context: SecurityContext, request: Request) -> Decision:
    """Decide about hosts and ports, which are read once for all lists."""
    action = request.action
    if action == "bind":
        return _judge(policy, context, request)
    target = read_target(action, request.resource)
    if target is None or action not in ACTIONS["network"]:
        return _refusal(context, request, "request", "", request_fault(request.kind, action, request.resource))
    if action == "resolve":
        return _judge_lookup(policy, context, request)
    for layer, listed in policy.lists:
        pattern = _every([patterns.find_denying_target(target) for patterns in listed.connecting])
        if pattern is not None:
            return _refusal(context, request, layer, pattern, _REASONS[layer])
    if is_local_name(target.name) and not policy.names_reach_this_machine:
        return _refusal(context, request, "deny", "", _THIS_MACHINE)
    pattern = _every([patterns.find_target(target) for patterns in context.grants.connecting])
    if pattern is not None:
        return Decision(request, context.component_id, True, "capability", pattern, "a grant covers it")
    return _not_covered(context, request)


def _judge_lookup(policy: Policy, context: SecurityContext, request: Request) -> Decision:
    """Decide about a look-up: granted if the lists leave anything of what may be done with the name."""
    name = request.resource
    granted = context.grants.uses(name)
    left = granted or _ANYTHING
    for layer, listed in policy.lists:
        taken = listed.uses(name)
        if taken:
            left = left_of(left, taken)
        if not left:
            return _refusal(context, request, layer, taken[0].text, _REASONS[layer])
    if is_local_name(name) and not policy.names_reach_this_machine:
        return _refusal(context, request, "deny", "", _THIS_MACHINE)
    if granted:
        return Decision(request, context.component_id, True, "capability", left[0].text, "a grant covers it")
    return _not_covered(context, request)


def _every(found: list[str | None]) -> str | None:
    """Return what decided: a pattern of each condition, or None if one has none, or there is no condition."""
    texts = [text for text in found if text is not None]
    return " and ".join(dict.fromkeys(texts)) if texts and len(texts) == len(found) else None


def _not_covered(context: SecurityContext, request: Request) -> Decision:
    """Answer for what no grant covers: refused, by the mask if only that is why; under the dev mode not refused."""
    kind, action, resource = request.kind, request.action, request.resource
    if context.mask:
        granted = context.granted_unmasked.matcher(kind, action)
        pattern = granted(resource) if granted else None
        if pattern is not None:
            return _refusal(context, request, "mask", pattern, "it was granted, and is taken away for now")
    if context.trust == _DEV and (kind, action) != ("messaging", "receive"):
        if kind in context.mask.kinds:
            return _refusal(context, request, "mask", "", "the whole kind is taken away for now")
        reason = "no grant covers it: the dev mode lets it pass"
        return Decision(request, context.component_id, True, "dev-mode", "", reason)
    if context.grants.matcher(kind, action) is not None:
        reason = "no pattern covers it"
    elif context.grants.declares(kind):
        reason = "the action was never granted"
    else:
        reason = "the kind was never granted"
    return _refusal(context, request, "capability", "", reason)


_JUDGES: Final = {"filesystem": _judge_path, "network": _judge_network}
_ANYTHING: Final = [Use(RAW, *ANY_PORT, "")]
_THIS_MACHINE: Final = "the name means this machine, and names may not lead there here"
_REASONS: Final = {"never": "nobody gets this", "deny": "the operator denies it"}


def _refusal(context: SecurityContext, request: Request, layer: str, pattern: str, reason: str) -> Decision:
    return Decision(request, context.component_id, False, layer, pattern, reason)


def _as_text(request: Request) -> Request:
    """Name what is not text by its type, so that the refusal can be remembered and written down."""
    parts = (request.kind, request.action, request.resource)
    return Request(*(part if type(part) is str else f"<{type(part).__name__}>" for part in parts))


def _usable(policy: Policy, addresses: Iterable[str], scheme: str, port: int) -> Iterator[str]:
    for text in addresses:
        try:
            address = parse_address(text)
        except ValueError:
            continue
        if special_range(address) is not None and not policy.is_reachable_by_name(address):
            continue
        if not policy.refuses_address(address, scheme, port):
            yield text_of(address)


def check_capability(service: CapabilityService, context: SecurityContext, request: Request) -> Decision:
    """Decide about a request, as ``service.check`` does."""
    return service.check(context, request)
