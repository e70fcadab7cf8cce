"""Says each record in the shape of OCSF 1.8, as the part of a line that does not depend on when it is written.

Checks are API Activity (6003), what is decided about approvals is Entity Management (3004), the life of components and
of the host is Application Lifecycle (6002), and an incident is a Detection Finding (2004). A body is ASCII without a
line break: what strangers wrote cannot break a line, move a cursor or reorder what is read. It ends inside its
``unmapped`` object, which the writer fills and closes. Captions that repeat a number in words are left out, as the
schema allows: this file is written hundreds of thousands of times a second.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from airssys_security.audit.records import EventRecord, Fact
from airssys_security.context import SecurityContext
from airssys_security.decisions import Decision
from airssys_security.text import is_unicode

__all__ = ("APPROVAL_CLASS", "CHECK_CLASS", "EVENT_CLASS", "INCIDENT_CLASS", "SCHEMA_VERSION", "Bodies")

CHECK_CLASS: Final = 6003
APPROVAL_CLASS: Final = 3004
EVENT_CLASS: Final = 6002
INCIDENT_CLASS: Final = 2004
SCHEMA_VERSION: Final = "1.8.0"
_MAX_TEXT: Final = 4096

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
_APPROVALS: Final = {
    "approval-requested": _CREATE,
    "approval-approved": 8,  # Enable
    "approval-denied": _UPDATE,
    "approval-revoked": 9,  # Disable
    "approval-expired": 11,  # Deactivate: nobody decided it, time did
    "approval-reopened": _UPDATE,
    "source-bound": _CREATE,
    "source-rebound": _UPDATE,
    "policy": _UPDATE,
}
_INFORMATIONAL, _LOW, _HIGH = 1, 2, 4
_GRAVE: Final = frozenset({"never", "attempt", "error", "audit"})
_FAILURES: Final = frozenset({"trap", "crash", "timeout", "refused", "lost"})
_OURS: Final = frozenset({"spool", "spool_last", "mac", "hash"})
"""What the writer adds to ``unmapped``: no fact may have such a name."""
_ORDER: Final = ("request", "never", "deny", "capability")
_PASSED: Final = {"mask": 3, "dev-mode": 3}
"""How many layers of the order were passed before one that is not in it; the others are asked before any of it."""


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
        "source": context.source,
        "isolation": context.isolation,
        "trust": context.trust,
        "approval_id": context.approval_id,
        "policy_revision": context.policy_revision,
        "revision": context.revision,
        "violations": context.violations,
    }


def _actor(context: SecurityContext) -> dict[str, object]:
    return {"app_name": context.component_id, "app_uid": context.wasm_digest}


def _authorizations(decision: Decision) -> list[dict[str, object]]:
    """Say what each layer answered that was asked, the one that decided last."""
    layer = decision.layer
    passed = _ORDER.index(layer) if layer in _ORDER else _PASSED.get(layer, 0)
    answers: list[dict[str, object]] = [
        {"decision": "Allowed", "policy": {"name": earlier}} for earlier in _ORDER[:passed]
    ]
    if layer == "dev-mode":
        answers.append({"decision": "Denied", "policy": {"name": "capability"}})
    verdict = "Allowed" if decision.granted else "Denied"
    answers.append({"decision": verdict, "policy": {"name": layer, "desc": decision.pattern}})
    return answers


def _check(context: SecurityContext, decision: Decision) -> dict[str, object]:
    request = decision.request
    resource = str(_safe(request.resource)) if len(request.resource) > _MAX_TEXT else request.resource
    activity = _ACTIVITIES.get((request.kind, request.action), _OTHER)
    severity = _INFORMATIONAL if decision.granted else _HIGH if decision.layer in _GRAVE else _LOW
    one_or_two = 1 if decision.granted else 2
    return {
        "class_uid": CHECK_CLASS,
        "category_uid": CHECK_CLASS // 1000,
        "activity_id": activity,
        **({"activity_name": request.action or "other"} if activity == _OTHER else {}),
        "type_uid": CHECK_CLASS * 100 + activity,
        "severity_id": severity,
        "status_id": one_or_two,
        "action_id": one_or_two,
        "disposition_id": one_or_two,
        "actor": _actor(context),
        "src_endpoint": {"svc_name": context.component_id, "instance_uid": str(context.incarnation)},
        "api": {"operation": f"{request.kind}.{request.action}"},
        "resources": [{"name": resource, "type": request.kind}],
        "authorizations": _authorizations(decision),
        "unmapped": {
            **_who(context),
            "layer": decision.layer,
            "pattern": decision.pattern,
            "reason": decision.reason,
            "hint": decision.hint,
        },
    }


def _fact(record: EventRecord, *names: str) -> str:
    known = (record.facts.get(name, "") for name in names)
    return next((str(fact) for fact in known if fact != ""), "")


def _subject(record: EventRecord) -> str:
    if record.context is not None:
        return record.context.component_id
    return _fact(record, "component_id", "component")


def _approval(record: EventRecord) -> dict[str, object]:
    activity = _APPROVALS.get(record.event, _OTHER)
    entity = {
        "name": _subject(record),
        "type": record.event.partition("-")[0],
        "uid": _fact(record, "approval", "approval_id", "source", "revision"),
    }
    user = {"name": _fact(record, "by_name"), "uid": _fact(record, "by_uid")}
    return {
        **_head(APPROVAL_CLASS, activity, record.event, _INFORMATIONAL, 1),
        "actor": {"user": user} if user["uid"] else {"app_name": "airssys-actors"},
        "entity": entity,
        "comment": _fact(record, "reason"),
    }


def _incident(record: EventRecord) -> dict[str, object]:
    title = _fact(record, "title", "what", "reason") or record.event
    return {
        **_head(INCIDENT_CLASS, _CREATE, record.event, _HIGH, 1),
        "is_alert": True,
        "finding_info": {
            "uid": _fact(record, "uid") or f"{_subject(record)}-{record.time_ns}",
            "title": title,
            "created_time": record.time_ns // 1_000_000,
        },
        "resources": [{"name": _subject(record), "type": "component"}],
    }


def _life(record: EventRecord) -> dict[str, object]:
    failed = record.event in _FAILURES
    name = "airssys-actors" if record.context is None else record.context.component_id
    severity, status = (_LOW, 2) if failed else (_INFORMATIONAL, 1)
    return {
        **_head(EVENT_CLASS, _LIFECYCLE.get(record.event, _OTHER), record.event, severity, status),
        "app": {"name": name, "vendor_name": "airssys"},
    }


def _head(class_uid: int, activity: int, event: str, severity: int, status: int) -> dict[str, object]:
    return {
        "class_uid": class_uid,
        "category_uid": class_uid // 1000,
        "activity_id": activity,
        "activity_name": event,
        "type_uid": class_uid * 100 + activity,
        "severity_id": severity,
        "status_id": status,
    }


def _event(record: EventRecord) -> dict[str, object]:
    if record.event in _APPROVALS or record.event.startswith("approval-"):
        document = _approval(record)
    elif record.event.startswith("incident"):
        document = _incident(record)
    else:
        document = _life(record)
    facts = {f"fact_{name}" if name in _OURS else name: fact for name, fact in record.facts.items()}
    context = record.context
    if context is None:
        return document | {"unmapped": {**facts, "event": record.event}}
    if "actor" not in document:
        document["actor"] = _actor(context)
    return document | {"unmapped": {**facts, **_who(context), "event": record.event}}


class Bodies:
    """Encodes bodies for one version of the product. Any thread may use it."""

    __slots__ = ("_plain", "_profiled")

    def __init__(self, product_version: str = "") -> None:
        product = {"name": "airssys-actors", "vendor_name": "airssys", "version": product_version}
        common: dict[str, object] = {"version": SCHEMA_VERSION, "product": product}
        self._plain = _encode(common | {"profiles": []})[1:] + b","
        self._profiled = _encode(common | {"profiles": ["security_control"]})[1:] + b","

    def check(self, context: SecurityContext, decision: Decision) -> bytes:
        """Say a decision about a component."""
        return self._profiled + _encode(_check(context, decision))[1:-2]

    def event(self, record: EventRecord) -> bytes:
        """Say an event; a fact cannot pass for who did it."""
        encoded = _encode({key: _safe(value) for key, value in _event(record).items()})
        return self._plain + encoded[1:-2]

    def own(self, event: str, **facts: Fact) -> bytes:
        """Say what the log has to say of itself."""
        return self.event(EventRecord(0, None, event, facts))

    def folded(self, body: bytes, count: int, start_ns: int, end_ns: int, last: int) -> bytes:
        """Make the body of many checks alike out of that of one; ``last`` is the last entry of them."""
        start, end = start_ns // 1_000_000, end_ns // 1_000_000
        times = b'"count":%d,"start_time":%d,"end_time":%d,' % (count, start, end)
        place = len(self._profiled)
        return body[:place] + times + body[place:] + b',"spool_last":%d' % last

    def unwritable(self, context: SecurityContext | None, error: Exception) -> bytes:
        """Say that a record could not be said: it must not silence all that follow."""
        facts: dict[str, Fact] = {"what": "a record could not be encoded", "error": type(error).__name__}
        return self.event(EventRecord(0, context, "lost", facts))

    @staticmethod
    def evidence(text: str) -> bytes:
        """Say what is known of one use of a decision alone."""
        return b"," + _encode({"evidence": _safe(text)})[1:-1]
