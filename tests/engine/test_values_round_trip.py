"""Every value type crosses the border both ways, through memory and as core values, and comes back the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from both import load_here, new_runtime
from component_text import fits_in_values, through_memory, through_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from value_strategies import same, types, values
from wasmtime import wat2wasm

from airssys_actors.engine.decoder import decode
from airssys_actors.engine.engine import Engine
from airssys_actors.engine.host import HostFunction, HostInterface
from airssys_actors.engine.plan import ImportedFunc
from airssys_actors.engine.types import ValType

_ENCODINGS = ("utf8", "utf16", "latin1+utf16")


async def _round_trip(kind: ValType, encoding: str, samples: list[Any]) -> None:
    runtime = new_runtime()
    instance = await load_here(bytes(wat2wasm(through_memory(kind, encoding))), runtime).instantiate(None)
    for sample in samples:
        came, tag = await instance.call("echo", sample, 7, *range(16))
        assert same(came, sample)
        assert tag == 7
    if fits_in_values(kind):
        seen: list[Any] = []

        def host(_owner: object, value: Any) -> Any:
            seen.append(value)
            return value

        async def host_later(owner: object, value: Any) -> Any:
            await asyncio.sleep(0)
            return host(owner, value)

        for function in (HostFunction(host), HostFunction(host_later, waits=True)):
            interface = HostInterface("", functions={"host": function})
            instance = await load_here(bytes(wat2wasm(through_values(kind, encoding))), runtime, interface).instantiate(
                None
            )
            for sample in samples:
                assert same(await instance.call("pass", sample), sample)
                assert same(seen.pop(), sample)
    runtime.close()
    assert runtime.stores == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.sampled_from(_ENCODINGS))
def test_a_value_of_any_type_comes_back_as_it_went(data: st.DataObject, encoding: str) -> None:
    kind = data.draw(types())
    samples = data.draw(st.lists(values(kind), min_size=1, max_size=4))
    asyncio.run(_round_trip(kind, encoding, samples))


def _samples(strategy: st.SearchStrategy[Any]) -> list[Any]:
    found: list[Any] = []

    @settings(max_examples=12, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(strategy)
    def collect(sample: Any) -> None:
        found.append(sample)

    collect()
    return found


async def test_the_values_guest_carries_every_function_of_its_interface(
    engine: Engine, guest: Callable[[str], Path]
) -> None:
    """Each value leaves the guest through the import of the same name, and comes back through it."""
    calls: list[tuple[str, tuple[Any, ...]]] = []

    def carry(name: str, answers: bool) -> HostFunction:
        def function(_owner: object, *arguments: Any) -> Any:
            calls.append((name, arguments))
            if not answers:
                return None
            if name in ("sixteen", "seventeen-parameters"):
                return "many"
            if name == "several-strings":
                return (*arguments[:2], "".join(arguments[2]))
            return arguments[0] if len(arguments) == 1 else arguments

        return HostFunction(function)

    data = guest("values").read_bytes()
    plan = decode(data)
    names = {name: wanted for (_, name), wanted in plan.imports.items()}
    functions = {
        name: carry(name, wanted.type.result is not None)
        for name, wanted in names.items()
        if isinstance(wanted, ImportedFunc)
    }
    component = await engine.load(data, [HostInterface("test:values/values", ("1.0.0",), functions)])
    instance = await component.instantiate(None)
    for full_name, kind in component.exports.items():
        name = full_name.partition("#")[2]
        for sample in _samples(st.tuples(*(values(param) for _, param in kind.params))):
            result = await instance.call(full_name, *sample)
            called, arguments = calls.pop()
            assert called == name
            assert same(arguments, sample), name
            if kind.result is None:
                assert result is None
            elif name in ("sixteen", "seventeen-parameters"):
                assert result == "many"
            elif name == "several-strings":
                assert result == (*sample[:2], "".join(sample[2]))
            else:
                assert same(result, sample[0] if len(sample) == 1 else sample), name


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("u8", 256), ("u8", -1), ("s8", 128), ("u16", 65536), ("s16", -32769), ("u32", 1 << 32), ("s32", 1 << 31),
        ("u64", 1 << 64), ("s64", 1 << 63), ("u8", 1.5), ("u32", "1"), ("char", "ab"), ("char", "\ud800"),
        ("string", "\ud800"), ("string", b"x"), ("f64", "x"), ("bytes", "text"), ("bytes", 3), ("bytes", [256]),
        ("three", {"fly"}), ("color", "mauve"), ("point", {"x": 1.0}), ("shape", ("square", None)), ("result", 3),
    ],
)  # fmt: skip
async def test_an_argument_that_does_not_fit_is_refused_and_the_instance_goes_on(
    engine: Engine, guest: Callable[[str], Path], kind: str, wrong: Any
) -> None:
    data = guest("values").read_bytes()
    functions = {
        name: HostFunction(lambda _owner, *each: each[0] if each else None) for _, name in decode(data).imports
    }
    component = await engine.load(data, [HostInterface("test:values/values", ("1.0.0",), functions)])
    instance = await component.instantiate(None)
    with pytest.raises((TypeError, ValueError, LookupError, AttributeError, OverflowError)):
        await instance.call(f"test:values/values@1.0.0#carry-{kind}", wrong)
    assert await instance.call("test:values/values@1.0.0#carry-u8", 200) == 200
