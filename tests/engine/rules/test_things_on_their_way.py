"""Whatever becomes of a call, the host is told once of each thing of its own that nobody has any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from both import load_here, new_runtime
from wasmtime import wat2wasm

from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.limits import InstanceLimits
from airssys_actors.engine.values import Ok
from airssys_actors.errors import GuestTrap, InstanceConsumed

Make = Callable[..., Any]

_MEMORY = '(memory (core memory $libc "memory"))'


def _component(go: str, *, drops: bool = True, realloc: str = "unreachable") -> str:
    """A guest with ``go``, which calls $open, $find, $name, $sink of the host and $eat of another component."""
    return f"""(component
      (import "x" (instance $x
        (export "t" (type $t (sub resource)))
        (export "open" (func (result (own $t))))
        (export "find" (func (result (result (own $t)))))
        (export "name" (func (result (tuple (own $t) string))))
        (export "sink" (func (param "t" (own $t)) (param "c" char)))))
      (alias export $x "t" (type $t))
      (component $Eater
        (import "t" (type $t (sub resource)))
        (core module $m (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
          (func (export "eat") (param i32 i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "eat") (param "t" (own $t)) (param "s" string) (canon lift (core func $i "eat")
          (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
      (instance $eater (instantiate $Eater (with "t" (type $t))))
      (core module $libc (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc}))
      (core instance $libc (instantiate $libc))
      (core func $open (canon lower (func $x "open")))
      (core func $find (canon lower (func $x "find") {_MEMORY}))
      (core func $name (canon lower (func $x "name") {_MEMORY} (realloc (core func $libc "realloc"))))
      (core func $sink (canon lower (func $x "sink")))
      (core func $eat (canon lower (func $eater "eat") {_MEMORY}))
      {"(core func $drop (canon resource.drop $t))" if drops else ""}
      (core module $m
        (import "" "open" (func $open (result i32)))
        (import "" "find" (func $find (param i32)))
        (import "" "name" (func $name (param i32)))
        (import "" "sink" (func $sink (param i32 i32)))
        (import "" "eat" (func $eat (param i32 i32 i32)))
        {'(import "" "drop" (func $drop (param i32)))' if drops else ""}
        (func (export "go") {go}))
      (core instance $i (instantiate $m (with "" (instance
        (export "open" (func $open)) (export "find" (func $find)) (export "name" (func $name))
        (export "sink" (func $sink)) (export "eat" (func $eat))
        {'(export "drop" (func $drop))' if drops else ""}))))
      (func (export "go") (canon lift (core func $i "go"))))"""


class _Host:
    """Counts what it made, what it was told of, and what its functions were given."""

    def __init__(self) -> None:
        self.made: list[object] = []
        self.told: list[object] = []
        self.given: list[object] = []

    def open(self, _log: Any = None) -> object:
        self.made.append(object())
        return self.made[-1]

    async def run(self, both: Make, text: str, limits: InstanceLimits | None = None) -> str:
        """Call "go" once and close; what it trapped with, "" if it did not."""
        functions = {
            "x#open": self.open,
            "x#find": lambda _log: Ok(self.open()),
            "x#name": lambda _log: (self.open(), "name"),
            "x#sink": lambda _log, thing, _char: self.given.append(thing),
        }
        resources = {"x#t": lambda _log, thing: self.told.append(thing)}
        instance, _ = await both(text, functions, resources, limits).alone()
        said = ""
        try:
            await instance.call("go")
        except GuestTrap as trap:
            said = str(trap)
        instance.close()
        return said


@pytest.mark.parametrize("drops", [True, False])
async def test_the_host_is_told_at_the_end_though_the_guest_cannot_drop(both: Make, drops: bool) -> None:
    host = _Host()
    assert not await host.run(both, _component("(drop (call $open)) (drop (call $open))", drops=drops))
    assert sorted(map(id, host.told)) == sorted(map(id, host.made))
    assert len(host.told) == 2


async def test_a_result_that_has_no_place_in_the_guests_memory_is_given_up(both: Make) -> None:
    host = _Host()
    assert "out of bounds" in await host.run(both, _component("(call $find (i32.const 0xfffffff0))"))
    assert host.told == host.made
    assert len(host.told) == 1


async def test_a_result_that_has_no_place_among_the_handles_is_given_up(both: Make) -> None:
    host = _Host()
    text = _component("(loop $l (drop (call $open)) (br $l))")
    assert "3 handles" in await host.run(both, text, InstanceLimits(handles=3))
    assert len(host.made) == 4
    assert sorted(map(id, host.told)) == sorted(map(id, host.made))


async def test_a_result_whose_memory_the_guest_fails_to_allocate_is_given_up_once(both: Make) -> None:
    host = _Host()
    assert "unreachable" in await host.run(both, _component("(call $name (i32.const 8))"))
    assert host.told == host.made
    assert len(host.told) == 1


async def test_an_argument_before_one_that_is_wrong_is_given_up(both: Make) -> None:
    host = _Host()
    assert "invalid char" in await host.run(both, _component("(call $sink (call $open) (i32.const 0xd800))"))
    assert (host.told, host.given) == (host.made, [])


async def test_an_argument_that_the_host_was_given_is_the_hosts(both: Make) -> None:
    host = _Host()
    assert not await host.run(both, _component("(call $sink (call $open) (i32.const 65))"))
    assert (host.told, host.given) == ([], host.made)


async def test_what_one_component_gives_and_the_other_cannot_take_is_given_up_once(both: Make) -> None:
    host = _Host()
    text = _component("(call $eat (call $open) (i32.const 0) (i32.const 4))")
    assert "unreachable" in await host.run(both, text)
    assert host.told == host.made
    assert len(host.told) == 1


_WAITS = """(component
  (import "x" (instance $x (export "t" (type $t (sub resource))) (export "open" (func (result (own $t))))))
  (core func $open (canon lower (func $x "open")))
  (core module $m (import "" "open" (func $open (result i32))) (func (export "go") (drop (call $open))))
  (core instance $i (instantiate $m (with "" (instance (export "open" (func $open))))))
  (func (export "go") (canon lift (core func $i "go"))))"""


async def _closed_while_waiting(open_: Callable[[_Host, Callable[[], None]], Any], monkeypatch: Any) -> _Host:
    """A guest that waits for ``open_``, which is given what closes the instance."""
    host, runtime = _Host(), new_runtime()
    holder: list[Any] = []
    functions = {"open": HostFunction(lambda _owner: open_(host, lambda: holder[0].close()), waits=True)}
    interface = HostInterface("x", (), functions, {"t": lambda _owner, thing: host.told.append(thing)})
    component = load_here(bytes(wat2wasm(_WAITS)), runtime, interface)
    holder.append(await component.instantiate(None))
    monkeypatch.setattr(type(runtime.scheduler), "has_room", lambda _self, _fiber: False)
    with pytest.raises(InstanceConsumed):
        await holder[0].call("go")
    runtime.close()
    return host


async def test_what_a_host_function_answers_after_the_instance_was_closed_is_given_up(monkeypatch: Any) -> None:
    async def open_(host: _Host, close: Callable[[], None]) -> object:
        asyncio.get_running_loop().call_soon(close)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return host.open()
        raise AssertionError

    host = await _closed_while_waiting(open_, monkeypatch)
    assert host.told == host.made
    assert len(host.told) == 1


async def test_what_was_answered_and_not_yet_taken_when_the_instance_was_closed_is_given_up(monkeypatch: Any) -> None:
    async def open_(host: _Host, close: Callable[[], None]) -> object:
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(close)  # before the guest's turn
        return host.open()

    host = await _closed_while_waiting(open_, monkeypatch)
    assert host.told == host.made
    assert len(host.told) == 1
