"""The bench guest as a plug-in under Extism's Python SDK: no check, no audit, no event loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import extism
from extism.extism import CompiledPlugin

from perf.measure import Batch
from perf.questions import SIZES, payload

__all__ = ("batches",)

_BYTES = payload(max(SIZES.values()))


def batches(wasm: Path) -> dict[str, Batch]:
    """Return what to measure, by the name of the question."""
    functions = [_host_function("nothing", _nothing), _host_function("check", _check)]
    compiled = CompiledPlugin({"wasm": [{"data": wasm.read_bytes()}]}, functions=functions)
    plugin = extism.Plugin(compiled)

    def called(name: str, data: bytes = b"") -> Batch:
        async def batch(repetitions: int) -> None:
            for _ in range(repetitions):
                plugin.call(name, data)

        return batch

    async def instantiate(repetitions: int) -> None:
        for _ in range(repetitions):
            extism.Plugin(compiled)

    assert plugin.call("echo_bytes", _BYTES) == _BYTES
    check = called("check_1000")
    asked = {
        "call": called("add"),
        "nothing": called("nothing_1000"),
        "take": check,
        "check": check,
        "check-to-file": check,
        "small": instantiate,
        "small-ready": instantiate,
    }
    for text, size in SIZES.items():
        asked[f"bytes {text}"] = asked[f"text {text}"] = called("echo_bytes", _BYTES[:size])
    return asked


def _host_function(name: str, implementation: Callable[[Any, list[Any], list[Any]], None]) -> Any:
    signature = ([extism.ValType.I64], [extism.ValType.I64])
    return extism.host_fn(name=name, namespace="extism:host/user", signature=signature)(implementation)


def _nothing(plugin: Any, parameters: list[Any], results: list[Any]) -> None:
    results[0].value = parameters[0].value


def _check(plugin: Any, parameters: list[Any], results: list[Any]) -> None:
    plugin.input_string(parameters[0])
    results[0].value = 1
