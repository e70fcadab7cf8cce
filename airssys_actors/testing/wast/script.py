"""What a script says: its directives, as ``wasm-tools json-from-wast`` tells them.

Every directive is parsed by itself and strictly. One that this file does not know, or that carries a field it does not
know, becomes an ``Unknown`` with the reason: it is reported by name and never skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from airssys_actors.testing.wast.constants import Const

__all__ = (
    "Action",
    "AssertException",
    "AssertExhaustion",
    "AssertInvalid",
    "AssertInvalidCustom",
    "AssertMalformed",
    "AssertMalformedCustom",
    "AssertReturn",
    "AssertSuspension",
    "AssertTrap",
    "AssertUninstantiable",
    "AssertUnlinkable",
    "Directive",
    "Get",
    "Invoke",
    "Module",
    "ModuleDefinition",
    "ModuleInstance",
    "OfFile",
    "Perform",
    "Register",
    "Script",
    "ScriptUnreadable",
    "Thread",
    "Unknown",
    "Wait",
    "parse_script",
)


class ScriptUnreadable(Exception):
    """Raised when a script as a whole cannot be had. The text says why, and how to mend it."""


class Invoke(msgspec.Struct, tag_field="type", tag="invoke", frozen=True, forbid_unknown_fields=True):
    """Call the function ``field`` of the named instance, or of the latest one."""

    field: str
    args: tuple[Const, ...]
    module: str | None = None


class Get(msgspec.Struct, tag_field="type", tag="get", frozen=True, forbid_unknown_fields=True):
    """Read a global of a core module's instance."""

    field: str
    module: str | None = None


Action: TypeAlias = Invoke | Get


class _Directive(msgspec.Struct, tag_field="type", frozen=True, forbid_unknown_fields=True, kw_only=True):
    line: int

    @property
    def kind(self) -> str:
        """Return the directive's name in the JSON."""
        tag = self.__struct_config__.tag
        assert isinstance(tag, str)
        return tag


class OfFile(_Directive, tag=False, kw_only=True, frozen=True):
    """A directive about a component, whose text or binary lies in a file beside the JSON.

    ``binary_filename`` is the binary of a text that could be assembled.
    """

    filename: str
    module_type: Literal["text", "binary"]
    binary_filename: str | None = None


class Module(OfFile, tag="module", kw_only=True, frozen=True):
    """Load a component and make an instance of it, which becomes the latest one."""

    name: str | None = None


class ModuleDefinition(OfFile, tag="module_definition", kw_only=True, frozen=True):
    """Load a component, without an instance."""

    name: str | None = None


class ModuleInstance(_Directive, tag="module_instance", kw_only=True, frozen=True):
    """Make an instance of what was defined as ``module``, or last."""

    instance: str | None = None
    module: str | None = None


class Register(_Directive, tag="register", kw_only=True, frozen=True):
    """Offer an instance to later components under another name."""

    offered_as: str = msgspec.field(name="as")
    name: str | None = None


class Perform(_Directive, tag="action", kw_only=True, frozen=True):
    """Call a function, and expect nothing of it."""

    action: Action


class AssertReturn(_Directive, tag="assert_return", kw_only=True, frozen=True):
    """A call answers these values."""

    action: Action
    expected: tuple[Const, ...]


class AssertTrap(_Directive, tag="assert_trap", kw_only=True, frozen=True):
    """A call traps, for this reason."""

    action: Action
    text: str


class AssertExhaustion(_Directive, tag="assert_exhaustion", kw_only=True, frozen=True):
    """A call exhausts the stack."""

    action: Action
    text: str


class AssertException(_Directive, tag="assert_exception", kw_only=True, frozen=True):
    """A call ends with an exception of core WebAssembly."""

    action: Action


class AssertSuspension(_Directive, tag="assert_suspension", kw_only=True, frozen=True):
    """A call suspends without a handler."""

    action: Action
    text: str


class AssertInvalid(OfFile, tag="assert_invalid", kw_only=True, frozen=True):
    """A component does not validate, for this reason."""

    text: str


class AssertMalformed(OfFile, tag="assert_malformed", kw_only=True, frozen=True):
    """Text or bytes are no component, for this reason."""

    text: str


class AssertInvalidCustom(OfFile, tag="assert_invalid_custom", kw_only=True, frozen=True):
    """A custom section does not validate."""

    text: str


class AssertMalformedCustom(OfFile, tag="assert_malformed_custom", kw_only=True, frozen=True):
    """A custom section cannot be read."""

    text: str


class AssertUnlinkable(OfFile, tag="assert_unlinkable", kw_only=True, frozen=True):
    """What a component imports is not offered so."""

    text: str


class AssertUninstantiable(OfFile, tag="assert_uninstantiable", kw_only=True, frozen=True):
    """An ``assert_trap`` of a component: making an instance of it traps."""

    text: str


class Thread(_Directive, tag="thread", kw_only=True, frozen=True):
    """Run directives in a thread of their own."""

    name: str
    commands: tuple[msgspec.Raw, ...]
    shared_module: str | None = None


class Wait(_Directive, tag="wait", kw_only=True, frozen=True):
    """Wait for the end of a thread."""

    thread: str


class Unknown(msgspec.Struct, frozen=True):
    """A directive that cannot be carried out, because it was not understood.

    ``makes`` says what it would have made, and ``name`` under which name: what comes later must not take for it what
    was there before.
    """

    line: int
    reason: str
    makes: Literal["definition", "instance"] | None = None
    name: str | None = None


_Known: TypeAlias = (
    Module
    | ModuleDefinition
    | ModuleInstance
    | Register
    | Perform
    | AssertReturn
    | AssertTrap
    | AssertExhaustion
    | AssertException
    | AssertSuspension
    | AssertInvalid
    | AssertMalformed
    | AssertInvalidCustom
    | AssertMalformedCustom
    | AssertUnlinkable
    | AssertUninstantiable
    | Thread
    | Wait
)
Directive: TypeAlias = _Known | Unknown


class _Outer(msgspec.Struct, frozen=True):
    source_filename: str
    commands: tuple[msgspec.Raw, ...]


class _Head(msgspec.Struct, frozen=True):
    type: str = "(without a type)"
    line: int = 0
    name: str | None = None
    instance: str | None = None


_MAKES: dict[str, Literal["definition", "instance"]] = {
    "module": "instance",
    "module_instance": "instance",
    "module_definition": "definition",
}


class Script(msgspec.Struct, frozen=True):
    """``source`` names the script in reports; the directives' files are found in ``folder``."""

    source: str
    folder: Path
    directives: tuple[Directive, ...]


def parse_script(data: bytes, folder: Path, name: str) -> Script:
    """Parse what ``json-from-wast`` wrote. ``name`` is the JSON file's, for errors.

    Raises:
        ScriptUnreadable: it is not such a JSON.
    """
    try:
        outer = msgspec.json.decode(data, type=_Outer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScriptUnreadable(
            f"{name} is not what wasm-tools json-from-wast writes: {error}; make it anew from the .wast file"
        ) from error
    return Script(outer.source_filename, folder, tuple(_directive(raw) for raw in outer.commands))


def _directive(raw: msgspec.Raw) -> Directive:
    try:
        known: _Known = msgspec.json.decode(raw, type=_Known)
    except (msgspec.DecodeError, RecursionError) as error:
        try:
            head = msgspec.json.decode(raw, type=_Head)
        except msgspec.DecodeError:
            head = _Head()
        reason = f"the directive {head.type} is not understood: {error}"
        return Unknown(head.line, reason, _MAKES.get(head.type), head.instance or head.name)
    return known
