"""Writes audit records in the shape of OCSF 1.8: API Activity for checks, Application Lifecycle for events.

One record is one line of ASCII: what strangers wrote cannot break a line, move a cursor or reorder what is read.
The part of a record that its decision fixes is encoded once for all records of that decision. Captions that repeat
a number in words are left out, as the schema allows: this file is written hundreds of thousands of times a second.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from airssys_security.audit.records import CheckRecord, EventRecord, Record
from airssys_security.context import SecurityContext
from airssys_security.decisions import Decision
from airssys_security.text import is_unicode

__all__ = ("CHECK_CLASS", "EVENT_CLASS", "Encoder")

CHECK_CLASS: Final = 6003
EVENT_CLASS: Final = 6002
_CATEGORY: Final = 6
_VERSION: Final = "1.8.0"
_MAX_TEXT: Final = 4096
_MAX_KNOWN: Final = 1024
_MAX_KEPT: Final = 2048

_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99

_ACTIVITIES: Final = {
    ("filesystem", "read"): _READ,
    ("filesystem", "write"): _UPDATE,
    ("storage", "read"): _READ,
    ("storage", "write"): _UPDATE,
    ("storage", "delete"): _DELETE,
    ("messaging", "send"): _CREATE,
    ("messaging", "publish"): _CREATE,
    ("messaging", "receive"): _READ,
    ("messaging", "subscribe"): _READ,
    ("process", "env"): _READ,
}
_LIFECYCLE: Final = {"install": 1, "remove": 2, "start": 3, "stop": 4, "restart": 5}
_INFORMATIONAL, _LOW, _HIGH = 1, 2, 4
_GRAVE: Final = frozenset({"never", "attempt", "error", "audit"})
_FAILURES: Final = frozenset({"trap", "crash", "timeout", "refused", "lost"})


def _safe(value: object) -> object:
    """Cut long text, and spell lone surrogates out, which no decoder has to accept."""
    if isinstance(value, str):
        if len(value) > _MAX_TEXT:
            value = f"{value[:_MAX_TEXT]}... ({len(value)} characters)"
        return value if is_unicode(value) else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(_safe(str(key))): _safe(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_safe(entry) for entry in value]
    return value if isinstance(value, (int, float, bool)) or value is None else str(_safe(str(value)))


def _encode(document: dict[str, object]) -> bytes:
    """Encode a value whose text is short enough, as ASCII."""
    try:
        encoded = msgspec.json.encode(document)
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        encoded = b"\xff"
    if not encoded.isascii():
        encoded = json.dumps(_safe(document), ensure_ascii=True, separators=(",", ":")).encode()
    return encoded.replace(b"\x7f", b"\\u007f")  # the one control character that JSON lets through


def _who(context: SecurityContext) -> dict[str, object]:
    return {
        "component_id": context.component_id,
        "incarnation": context.incarnation,
        "wasm_digest": context.wasm_digest,
        "manifest_digest": context.manifest_digest,
        "trust": context.trust,
        "revision": context.revision,
    }


def _check(context: SecurityContext, decision: Decision) -> dict[str, object]:
    request = decision.request
    resource = str(_safe(request.resource)) if len(request.resource) > _MAX_TEXT else request.resource
    activity = _ACTIVITIES.get((request.kind, request.action), _OTHER)
    severity = _INFORMATIONAL if decision.granted else _HIGH if decision.layer in _GRAVE else _LOW
    verdict, one_or_two = ("Allowed", 1) if decision.granted else ("Denied", 2)
    return {
        "class_uid": CHECK_CLASS,
        "category_uid": _CATEGORY,
        "activity_id": activity,
        "type_uid": CHECK_CLASS * 100 + activity,
        "severity_id": severity,
        "status_id": one_or_two,
        "action_id": one_or_two,
        "disposition_id": one_or_two,
        "actor": {"app_name": context.component_id, "app_uid": context.wasm_digest},
        "src_endpoint": {"svc_name": context.component_id, "instance_uid": str(context.incarnation)},
        "api": {"operation": f"{request.kind}.{request.action}"},
        "resources": [{"name": resource, "type": request.kind}],
        "authorizations": [{"decision": verdict, "policy": {"name": decision.layer, "desc": decision.pattern}}],
        "unmapped": {
            **_who(context),
            "layer": decision.layer,
            "pattern": decision.pattern,
            "reason": decision.reason,
            "hint": decision.hint,
        },
    }


def _event(record: EventRecord) -> dict[str, object]:
    activity = _LIFECYCLE.get(record.event, _OTHER)
    failed = record.event in _FAILURES
    context = record.context
    document: dict[str, object] = {
        "class_uid": EVENT_CLASS,
        "category_uid": _CATEGORY,
        "activity_id": activity,
        "activity_name": record.event,
        "type_uid": EVENT_CLASS * 100 + activity,
        "severity_id": _LOW if failed else _INFORMATIONAL,
        "status_id": 2 if failed else 1,
        "app": {"name": "airssys-actors" if context is None else context.component_id, "vendor_name": "airssys"},
    }
    if context is None:
        return document | {"unmapped": {"event": record.event, **record.facts}}
    document["actor"] = {"app_name": context.component_id, "app_uid": context.wasm_digest}
    return document | {"unmapped": {**record.facts, **_who(context), "event": record.event}}


class Encoder:
    """Turns records into lines, numbered in their order. Belongs to one thread."""

    __slots__ = ("_check_end", "_event_end", "_known", "sequence")

    def __init__(self, product_version: str = "") -> None:
        self.sequence = 0
        self._known: dict[int, tuple[Decision, SecurityContext, bytes]] = {}
        product = {"name": "airssys-actors", "vendor_name": "airssys", "version": product_version}
        common = _encode({"version": _VERSION, "product": product})[:-1].replace(b"%", b"%%")
        self._event_end = b'{"time":%d,%b,"metadata":' + common + b',"sequence":%d}}\n'
        profiled = common + b',"profiles":["security_control"]'
        self._check_end = b'{"time":%d,%b,"metadata":' + profiled + b',"sequence":%d}}\n'

    def line(self, record: Record) -> bytes:
        """Encode one record, its newline included."""
        self.sequence += 1
        milliseconds = record.time_ns // 1_000_000
        if isinstance(record, EventRecord):
            event = _event(record)
            body = _encode({key: _safe(value) for key, value in event.items()})[1:-1]
            return self._event_end % (milliseconds, body, self.sequence)
        known = self._known.get(id(record.decision))
        if known is not None and known[0] is record.decision and known[1] is record.context:
            body = known[2]
        else:
            body = self._body(record)
        if record.evidence:
            # The body ends with its "unmapped" object: what is known of this use alone goes into it.
            body = body[:-1] + b"," + _encode({"evidence": _safe(record.evidence)})[1:]
        return self._check_end % (milliseconds, body, self.sequence)

    def _body(self, record: CheckRecord) -> bytes:
        context, decision = record.context, record.decision
        body = _encode(_check(context, decision))[1:-1]
        if len(body) <= _MAX_KEPT:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[id(decision)] = (decision, context, body)  # holding it keeps its id from being given away
        return body
