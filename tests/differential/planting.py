"""Planting an error in the running engine: a file's source with a piece replaced, put into the functions that exist.

Functions keep their identity and get other code, so that it does not matter who imported them, or when.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ("Planted", "plant")

_ENGINE = "airssys_actors.engine"
_CONSTANTS = (int, float, str, bytes, tuple, dict)


@dataclass(frozen=True)
class Planted:
    """In ``file`` of the engine, ``old`` (which occurs ``count`` times) becomes ``new``.

    ``categories`` are the kinds of cases that are run to find it, in turn.
    """

    name: str
    categories: str
    file: str
    old: str
    new: str
    count: int = 1


@contextmanager
def plant(planted: Planted) -> Iterator[None]:
    """Plant it, and put everything back in the end. Raises ``AssertionError`` when the file has changed its wording."""
    module = importlib.import_module(f"{_ENGINE}.{planted.file.removesuffix('.py').replace('/', '.')}")
    assert module.__file__ is not None
    source = Path(module.__file__).read_text("utf-8")
    found = source.count(planted.old)
    assert found == planted.count, (
        f"planted error {planted.name!r}: its text occurs {found} times in {planted.file}, not {planted.count}; "
        f"give its entry in planted_values.py or planted_calls.py the file's new wording"
    )
    changed: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(compile(source.replace(planted.old, planted.new), module.__file__, "exec", dont_inherit=True), changed)
    codes = list(_codes(vars(module), changed, module.__name__))
    values = list(_values(module, changed))
    assert codes or values, f"planted error {planted.name!r} changes nothing"
    before: list[tuple[FunctionType, CodeType]] = [(function, function.__code__) for function, _ in codes]
    try:
        for function, code in codes:
            function.__code__ = code
        for names, name, _, value in values:
            names[name] = value
        _clear_caches()
        yield
    finally:
        for function, code in before:
            function.__code__ = code
        for names, name, value, _ in values:
            names[name] = value
        _clear_caches()


def _codes(old: Any, new: Any, module: str) -> Iterator[tuple[FunctionType, CodeType]]:
    """Functions and methods of ``module`` whose code is another now."""
    for name, value in list(old.items()):
        one, other = _function(value), _function(new.get(name))
        if one is not None and other is not None and one.__module__ == module and one.__code__ != other.__code__:
            yield one, other.__code__
        if isinstance(value, type) and value.__module__ == module:
            yield from _codes(vars(value), vars(new[name]), module)


def _function(value: Any) -> FunctionType | None:
    if isinstance(value, property):
        value = value.fget
    value = getattr(value, "__wrapped__", getattr(value, "__func__", value))
    return value if isinstance(value, FunctionType) else None


def _values(module: ModuleType, changed: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, Any, Any]]:
    """Constants that are other ones now, wherever they were imported: (names, name, before, after)."""
    for name, value in list(vars(module).items()):
        if not name.startswith("__") and isinstance(value, _CONSTANTS) and value != changed[name]:
            for names in _namespaces():
                if names.get(name) is value:
                    yield names, name, value, changed[name]


def _namespaces() -> Iterator[dict[str, Any]]:
    """Where a constant may be known by its name: in modules, and in what generated source gets to see."""
    for module in _engine_modules():
        yield vars(module)
        yield from [value for name, value in list(vars(module).items()) if name == "_COMMON"]


def _engine_modules() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith(_ENGINE)]


def _clear_caches() -> None:
    """Forget what was computed, or generated as source, before."""
    for module in _engine_modules():
        for value in list(vars(module).values()):
            clear = getattr(value, "cache_clear", None)
            if clear is not None and value.__module__ == module.__name__:
                clear()
