"""What would be decided, and why: the check itself, asked without a component that runs.

Everything that a manifest asks for counts as granted, the optional too: the answer says what an approval of all of it
would permit. What cannot be a request is a denial with its reason and never an exception, so that a line of a batch
always has its answer. Paths are taken lexically, unless whoever asks gives a function that resolves them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, NoReturn

import msgspec

from airssys_security.audit.records import Record
from airssys_security.checks import CapabilityService
from airssys_security.context import SecurityContext
from airssys_security.errors import RequestInvalid
from airssys_security.manifest.values import Manifest
from airssys_security.normalise import normalise
from airssys_security.policy import Policy
from airssys_security.requests import Request
from airssys_security.text import is_unicode, visible
from airssys_security.units import show_size

__all__ = ("MAX_LINE_BYTES", "Explainer", "Explanation", "decide", "decide_line", "not_a_request")

MAX_LINE_BYTES: Final = 1 << 20
_MAX_SHOWN: Final = 16_384
_KEYS: Final = ("kind", "action", "resource")


class Explanation(msgspec.Struct, frozen=True):
    """A decision, with what a person needs to understand it."""

    granted: bool
    layer: str
    reason: str
    pattern: str
    """The pattern that decided, as it was written; empty if none did."""
    resource: str
    """What was decided about: normalised, or as it was asked where that could not be done."""
    hint: str
    """The line of a manifest that would grant it; empty when none can."""

    def to_json(self) -> str:
        """Return one line of JSON in ASCII with exactly these fields."""
        return json.dumps(msgspec.structs.asdict(self))


def not_a_request(reason: str, resource: str = "") -> Explanation:
    """Return the denial of what could not be asked."""
    if len(resource) > _MAX_SHOWN or not is_unicode(resource):
        resource = visible(resource, _MAX_SHOWN)
    return Explanation(False, "request", reason, "", resource, "")


class _NoSink:
    """An audit that keeps nothing: nothing happens here that could be written down."""

    def append(self, record: Record, /) -> bool:
        return True


class Explainer:
    """One manifest under one policy, ready to answer any number of questions."""

    def __init__(
        self,
        manifest: Manifest,
        policy: Policy | None = None,
        *,
        component_id: str = "",
        resolve: Callable[[Request], Request] | None = None,
    ) -> None:
        """``resolve`` may exchange a request before it is normalised, or raise RequestInvalid."""
        name = component_id or manifest.component.name
        self._resolve = resolve
        self._service = CapabilityService(_NoSink(), policy or Policy())
        self._context = SecurityContext(
            name, manifest.required.bind(name), manifest.optional.bind(name), manifest_digest=manifest.digest
        )

    def decide(self, request: Request) -> Explanation:
        """Normalise a request, check it, and say what was decided."""
        fault = _fault(request)
        if fault:
            resource: object = request.resource
            return not_a_request(fault, resource if isinstance(resource, str) else "")
        try:
            asked = normalise(request if self._resolve is None else self._resolve(request))
        except RequestInvalid as error:
            return not_a_request(error.reason, request.resource)
        decision = self._service.check(self._context, asked)
        if decision.layer == "request":
            return not_a_request(decision.reason, asked.resource)
        return Explanation(
            decision.granted, decision.layer, decision.reason, decision.pattern, asked.resource, decision.hint
        )

    def decide_line(self, line: bytes) -> Explanation:
        """Read a request from one line of JSON, ``{"kind": ..., "action": ..., "resource": ...}``, and decide."""
        try:
            request = _read(line)
        except RequestInvalid as error:
            return not_a_request(error.reason)
        return self.decide(request)


def _fault(request: Request) -> str:
    """Say what keeps the three parts from being plain text; empty if nothing does."""
    for key in _KEYS:
        text: object = getattr(request, key)
        if type(text) is not str:
            return f"the {key} is not text"
        if "\0" in text:
            return f"the {key} holds a NUL"
        if not is_unicode(text):
            return f"the {key} is not Unicode text: it holds a lone surrogate"
    return ""


class _Pairs(list[tuple[str, object]]):
    """An object of JSON with all of its keys, also those that stand twice."""


def _no_constant(text: str) -> NoReturn:
    raise RequestInvalid(f"{text} is not JSON")


def _number(_: str) -> int:
    return 0  # no number is wanted anywhere, however long it is


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=_number, parse_float=_number, parse_constant=_no_constant
)


def _read(line: bytes) -> Request:
    if len(line) > MAX_LINE_BYTES:
        raise RequestInvalid(f"the line is longer than {show_size(MAX_LINE_BYTES)}")
    try:
        text = line.decode().strip(" \t\r\n")
        if not text:
            raise RequestInvalid("the line is empty")
        value: object = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"the line is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise RequestInvalid("the line is nested too deeply") from error
    except ValueError as error:
        raise RequestInvalid(f"the line is not JSON: {error}") from error
    if not isinstance(value, _Pairs):
        raise RequestInvalid("the line is not a JSON object")
    found: dict[str, str] = {}
    for key, part in value:
        if key not in _KEYS:
            raise RequestInvalid(f"there is no key {visible(key, 64)!a}: the keys are {', '.join(_KEYS)}")
        if key in found:
            raise RequestInvalid(f"the key {key!r} stands there twice")
        if not isinstance(part, str):
            raise RequestInvalid(f"the {key} is not text")
        found[key] = part
    missing = next((key for key in _KEYS if key not in found), None)
    if missing is not None:
        raise RequestInvalid(f"the key {missing!r} is missing")
    return Request(**found)


def decide(manifest: Manifest, request: Request, policy: Policy | None = None) -> Explanation:
    """Say what would be decided about a request of this component."""
    return Explainer(manifest, policy).decide(request)


def decide_line(manifest: Manifest, line: bytes, policy: Policy | None = None) -> Explanation:
    """Say what would be decided about a request in JSON; whatever is none is denied."""
    return Explainer(manifest, policy).decide_line(line)
