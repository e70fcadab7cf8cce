"""Carry out a script's directives, one after another, each isolated from the others' failures.

Every component goes through the product's own engine: its validator, its linker, its canonical ABI. Some rules, as
wasmtime's runner has them too:

- An instance is offered to later components under its name in the script and under what it is registered as.
- An instance that trapped is consumed. Calling it once more is the trap "cannot enter component instance", no other.
- A component that is text in the JSON (``quote``) and that ``wasm-tools`` does not assemble is malformed by its word.
- A component that the engine refuses by name (``ComponentUnsupported``) is refused, and so is all that depends on it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airssys_actors.engine.component import Component
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostInterface
from airssys_actors.engine.instance import Instance
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.errors import (
    AirssysError,
    CallTimeout,
    ComponentError,
    ComponentInvalid,
    ComponentUnsupported,
    GuestTrap,
    ImportRefused,
    InstanceConsumed,
)
from airssys_actors.testing.wast import script as s
from airssys_actors.testing.wast.convert import Assembler
from airssys_actors.testing.wast.earlier import module_wanted, offers_of
from airssys_actors.testing.wast.host import Host
from airssys_actors.testing.wast.report import Finding, Verdict
from airssys_actors.testing.wast.texts import CANNOT_ENTER, same_failure
from airssys_actors.testing.wast.values import Mismatch, arguments_of, check_results, shown

__all__ = ("DEFAULT_TIMEOUT_S", "Runner")

DEFAULT_TIMEOUT_S = 30.0
# Scripts test rules, not this product's limits: what may cross at once is what the specification allows, 2**28 bytes.
_LIMITS = InstanceLimits(
    memory_bytes=1 << 32,
    table_elements=1 << 24,
    memories=64,
    string_bytes=1 << 28,
    list_bytes=1 << 28,
    elements=1 << 24,
    handles=1 << 28,
)
_CORE_MODULE = b"\0asm\x01\0\0\0"


class _Refused(Exception):
    """What a directive needs was refused by name; the text has the name."""


@dataclass(frozen=True, slots=True)
class _Definition:
    """A component of the script. ``component`` is None when it has to be linked anew for each instance."""

    data: bytes
    component: Component | None


@dataclass(frozen=True, slots=True)
class _Live:
    data: bytes
    component: Component
    instance: Instance


@dataclass(frozen=True, slots=True)
class _Broken:
    """In the place of a component or an instance that could not be made."""

    line: int
    error: Exception

    def complain(self) -> Exception:
        if isinstance(self.error, _Refused | ComponentUnsupported):
            return _Refused(f"the component of line {self.line} was refused: {self.error}")
        return Mismatch(f"the component of line {self.line} failed")


class Runner:
    """Runs one script. ``strict_text``: a failure's words count too.

    ``timeout_s`` bounds a call, and the making of an instance. What loading may take, the engine's compiler says.
    """

    def __init__(
        self,
        engine: Engine,
        assembler: Assembler,
        *,
        strict_text: bool = False,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._engine, self._assembler = engine, assembler
        self._strict_text, self._timeout_s = strict_text, timeout_s
        self._folder = Path()
        self._host = Host()
        self._offer = self._host.interfaces()
        self._definitions: dict[str | None, _Definition | _Broken] = {}
        self._instances: dict[str, _Live | _Broken] = {}
        self._current: _Live | _Broken | None = None
        self._all: list[Instance] = []

    async def run(self, script: s.Script) -> tuple[Finding, ...]:
        """Carry out every directive; no failure of one keeps the next from running."""
        self._folder = script.folder
        try:
            return tuple([await self._finding(directive) for directive in script.directives])
        finally:
            self._host.counts = False
            for instance in self._all:
                instance.close()

    async def _finding(self, directive: s.Directive) -> Finding:
        line = directive.line
        try:
            note = await self._carry_out(directive)
        except (_Refused, ComponentUnsupported) as refused:
            return Finding(line, Verdict.REFUSED, str(refused))
        except (Mismatch, AirssysError, s.ScriptUnreadable) as failure:
            name = "" if isinstance(failure, Mismatch | s.ScriptUnreadable) else f"{type(failure).__name__}: "
            return Finding(line, Verdict.FAILED, f"{name}{failure}")
        except TimeoutError:
            return Finding(line, Verdict.FAILED, f"it took longer than {self._timeout_s:g} s and was stopped")
        except Exception as failure:  # the engine's or the runner's own mistake: told, and the script goes on
            return Finding(line, Verdict.FAILED, f"unexpected {type(failure).__name__}: {failure}")
        return Finding(line, Verdict.PASSED, note or "")

    async def _carry_out(self, directive: s.Directive) -> str | None:
        """Return what is to be noted of a directive that passed, if anything."""
        match directive:
            case s.Module():
                await self._module(directive)
            case s.ModuleDefinition():
                await self._define(directive)
            case s.ModuleInstance():
                await self._instance_of(directive)
            case s.Register():
                self._instances[directive.offered_as] = self._named(directive.name)
            case s.Perform(action=action):
                await self._perform(action)
            case s.AssertReturn(action=action, expected=expected):
                live, field, result = await self._perform(action)
                check_results(expected, live.component.exports[field], result)
            case s.AssertTrap(action=action, text=text) | s.AssertExhaustion(action=action, text=text):
                return await self._assert_trap(action, text)
            case s.AssertException(action=action):
                _, _, result = await self._perform(action)
                raise Mismatch(f"an exception is expected; {shown(result)} came")
            case s.AssertSuspension():
                raise _Refused("stack switching (assert_suspension)")
            case s.AssertInvalid() | s.AssertMalformed():
                return await self._assert_invalid(directive)
            case s.AssertInvalidCustom() | s.AssertMalformedCustom():
                raise _Refused(f"judging what is in custom sections ({directive.kind})")
            case s.AssertUnlinkable():
                return await self._assert_unlinkable(directive)
            case s.AssertUninstantiable():
                return await self._assert_uninstantiable(directive)
            case s.Thread() | s.Wait():
                raise _Refused(f"threads ({directive.kind})")
            case s.Unknown():
                self._forget(directive)
                raise Mismatch(directive.reason)
        return None

    # -- components and their instances

    async def _module(self, directive: s.Module) -> None:
        try:
            data = await self._binary(directive)
            live = await self._instantiate(data, await self._load(data))
        except Exception as failure:
            self._now(directive.name, _Broken(directive.line, failure))
            raise
        self._now(directive.name, live)

    async def _define(self, directive: s.ModuleDefinition) -> None:
        try:
            data = await self._binary(directive)
            try:
                defined = _Definition(data, await self._load(data, alone=True))
            except ImportRefused:  # what it imports may be there when an instance is made
                defined = _Definition(data, None)
        except Exception as failure:
            self._definitions[directive.name] = self._definitions[None] = _Broken(directive.line, failure)
            raise
        self._definitions[directive.name] = self._definitions[None] = defined

    async def _instance_of(self, directive: s.ModuleInstance) -> None:
        defined = self._definitions.get(directive.module)
        if isinstance(defined, _Broken):
            self._now(directive.instance, defined)
            raise defined.complain()
        try:
            if defined is None:
                raise Mismatch(f"no component is defined as {directive.module or 'the latest one'}")
            live = await self._instantiate(defined.data, defined.component or await self._load(defined.data))
        except Exception as failure:
            self._now(directive.instance, _Broken(directive.line, failure))
            raise
        self._now(directive.instance, live)

    def _forget(self, unknown: s.Unknown) -> None:
        """Let nothing that was made before stand for what an unknown directive would have made."""
        broken = _Broken(unknown.line, Mismatch(unknown.reason))
        if unknown.makes == "instance":
            self._now(unknown.name, broken)
        elif unknown.makes == "definition":
            self._definitions[unknown.name] = self._definitions[None] = broken

    def _now(self, name: str | None, live: _Live | _Broken) -> None:
        self._current = live
        if name is not None:
            self._instances[name] = live

    async def _binary(self, file: s.OfFile) -> bytes:
        """Read a component's binary; assemble it first if it is there as text only.

        Raises ``ComponentInvalid`` when ``wasm-tools`` does not assemble it.
        """
        name = file.binary_filename or file.filename
        path = self._folder / name
        if file.module_type == "text" and file.binary_filename is None:
            binary = path.with_suffix(".assembled.wasm")
            reason = await asyncio.to_thread(self._assembler.assemble, path, binary)
            if reason is not None:
                raise ComponentInvalid(f"wasm-tools does not assemble it: {reason}")
            path = binary
        try:
            data = path.read_bytes()
        except OSError as error:
            raise s.ScriptUnreadable(f"{path} cannot be read: {error.strerror}; convert the script again") from error
        if data.startswith(_CORE_MODULE):
            raise _Refused("a core module by itself: the engine loads components")
        return data

    async def _load(self, data: bytes, *, alone: bool = False) -> Component:
        """Load a component with what the host offers, or also with earlier instances if it needs them."""
        try:
            return await self._engine.load(data, self._offer)
        except ImportRefused as refused:
            if alone:
                raise
            module = module_wanted(data, (*self._instances, "host"))
            if module is not None:
                raise _Refused(f"the core module of another instance ({module})") from refused
            earlier = self._earlier()
            if not earlier:
                raise
            return await self._engine.load(data, (*self._offer, *earlier))

    async def _instantiate(self, data: bytes, component: Component) -> _Live:
        async with asyncio.timeout(self._timeout_s):
            instance = await component.instantiate(None, _LIMITS)
        self._all.append(instance)
        return _Live(data, component, instance)

    def _earlier(self) -> list[HostInterface]:
        return [
            offer
            for name, live in self._instances.items()
            if isinstance(live, _Live)
            for offer in offers_of(name, live.data, live.component, live.instance)
        ]

    # -- actions

    def _named(self, name: str | None) -> _Live:
        live = self._current if name is None else self._instances.get(name)
        if live is None:
            raise Mismatch("there is no instance yet" if name is None else f"there is no instance {name}")
        if isinstance(live, _Broken):
            raise live.complain()
        return live

    async def _perform(self, action: s.Action) -> tuple[_Live, str, Any]:
        if isinstance(action, s.Get):
            raise _Refused(f"reading a core module's global {action.field!r}")
        live = self._named(action.module)
        kind = live.component.exports.get(action.field)
        if kind is None:
            offered = ", ".join(live.component.exports) or "none"
            raise Mismatch(f"the component exports no function {action.field!r}; it exports {offered}")
        arguments = arguments_of(action.args, kind)
        result = await live.instance.call(action.field, *arguments, timeout_s=self._timeout_s)
        return live, action.field, result

    # -- assertions of failure

    async def _assert_trap(self, action: s.Action, text: str) -> str | None:
        try:
            _, _, result = await self._perform(action)
        except GuestTrap as trap:
            return self._compare_text(text, _with_causes(trap))
        except InstanceConsumed as consumed:
            if not same_failure(text, CANNOT_ENTER):
                raise Mismatch(f"a trap ({text}) is expected; an earlier one had ended the instance") from consumed
            return None
        except CallTimeout as timeout:
            raise Mismatch(f"a trap ({text}) is expected; {timeout}") from timeout
        raise Mismatch(f"a trap ({text}) is expected; {shown(result)} came")

    async def _assert_invalid(self, directive: s.AssertInvalid | s.AssertMalformed) -> str | None:
        try:
            await self._load(await self._binary(directive), alone=True)
        except ComponentInvalid as invalid:
            return self._compare_text(directive.text, str(invalid))
        except ImportRefused as refused:
            raise Mismatch(f"it is invalid ({directive.text}); only its imports were refused: {refused}") from refused
        raise Mismatch(f"it is invalid ({directive.text}), and was loaded")

    async def _assert_unlinkable(self, directive: s.AssertUnlinkable) -> str | None:
        data = await self._binary(directive)
        try:
            component = await self._load(data)
        except ImportRefused as refused:
            return self._compare_text(directive.text, str(refused))
        await self._instantiate(data, component)
        raise Mismatch(f"it cannot be linked ({directive.text}), and was")

    async def _assert_uninstantiable(self, directive: s.AssertUninstantiable) -> str | None:
        data = await self._binary(directive)
        try:
            component = await self._load(data)
        except ComponentUnsupported:
            raise
        except ComponentError as refused:
            raise Mismatch(f"making an instance traps ({directive.text}); it was refused: {refused}") from refused
        try:
            await self._instantiate(data, component)
        except GuestTrap as trap:
            return self._compare_text(directive.text, _with_causes(trap))
        raise Mismatch(f"making an instance traps ({directive.text}); it was made")

    def _compare_text(self, expected: str, actual: str) -> str | None:
        if same_failure(expected, actual):
            return None
        note = f"the script says {expected!r}; it is told as {actual!r}"
        if self._strict_text:
            raise Mismatch(note)
        return note


def _with_causes(trap: BaseException) -> str:
    """Return the texts of a trap and of what caused it: what another instance did, called as a host function."""
    texts = []
    each: BaseException | None = trap
    while each is not None:
        texts.append(str(each))
        each = each.__cause__
    return ": ".join(texts)
