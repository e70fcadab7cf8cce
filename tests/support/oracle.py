"""A component in wasmtime's own component API, speaking the engine's form of values: what the engine is compared with.

Conversions follow wasmtime's types, not the engine's: a type that the engine reads wrongly shows as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from wasmtime import Engine, Store, WasmtimeError
from wasmtime import component as wc
from wasmtime.component import _types as wt

from airssys_actors.engine.values import Err, Ok, Some

__all__ = ("OracleComponent", "OracleInstance")

_HOST_RESOURCE = 7


@cache
def _engine() -> Engine:
    return Engine()


class OracleComponent:
    """``functions`` and ``resources`` by name, "interface#name" or "name"; each is called with the instance's log."""

    def __init__(
        self,
        data: bytes,
        functions: Mapping[str, Callable[..., Any]],
        resources: Mapping[str, Callable[..., Any]],
    ) -> None:
        self._component = wc.Component(_engine(), data)
        self._functions, self._resources = functions, resources

    def instantiate(self) -> OracleInstance:
        """Raises ``WasmtimeError`` when a start function traps."""
        log: list[Any] = []
        store = Store(_engine())
        linker = wc.Linker(_engine())
        groups: dict[str, list[tuple[str, Any, bool]]] = {}
        for made, is_resource in ((self._functions, False), (self._resources, True)):
            for full_name, function in made.items():
                interface, _, name = full_name.rpartition("#")
                groups.setdefault(interface, []).append((name, function, is_resource))
        imports = self._component.type.imports(_engine())
        with linker.root() as root:
            for interface, members in groups.items():
                if interface:
                    group = imports[interface].ty
                    assert isinstance(group, wt.ComponentInstanceType)
                    with root.add_instance(interface) as inside:
                        _define(inside, members, group.exports(_engine()), log)
                else:
                    _define(root, members, imports, log)
        return OracleInstance(store, linker.instantiate(store, self._component), log)


class OracleInstance:
    """``log`` is what its host functions wrote."""

    def __init__(self, store: Store, instance: wc.Instance, log: list[Any]) -> None:
        self.store, self._instance, self.log = store, instance, log

    def call(self, full_name: str, *arguments: Any) -> Any:
        """Call an export. Raises ``WasmtimeError`` for a trap."""
        interface, _, name = full_name.rpartition("#")
        inside = self._instance.get_export_index(self.store, interface) if interface else None
        index = self._instance.get_export_index(self.store, name, inside)
        assert index is not None, f"no export {full_name}"
        function = self._instance.get_func(self.store, index)
        assert function is not None
        kind = function.type(self.store)
        given = [_to_wasmtime(each, value) for (_, each), value in zip(kind.params, arguments, strict=True)]
        result = function(self.store, *given)
        return None if kind.result is None else _from_wasmtime(self.store, kind.result, result)

    def drop(self, resource: wc.ResourceAny) -> None:
        resource.drop(self.store)


def _define(
    inside: wc.LinkerInstance, members: list[tuple[str, Any, bool]], externs: Mapping[str, Any], log: list[Any]
) -> None:
    for name, function, is_resource in members:
        if is_resource:
            inside.add_resource(name, wc.ResourceType.host(_HOST_RESOURCE), _destructor(function, log))
        else:
            kind = externs[name].ty
            assert isinstance(kind, wt.FuncType)
            inside.add_func(name, _host_function(function, [each for _, each in kind.params], kind.result, log))


def _destructor(function: Callable[..., Any], log: list[Any]) -> Callable[[Any, int], None]:
    def dropped(_store: Any, rep: int) -> None:
        function(log, rep)

    return dropped


def _host_function(
    function: Callable[..., Any], params: list[wt.ValType], result: wt.ValType | None, log: list[Any]
) -> Callable[..., Any]:
    def call(store: Any, *arguments: Any) -> Any:
        given = [_from_wasmtime(store, kind, value) for kind, value in zip(params, arguments, strict=True)]
        value = function(log, *given)
        return None if result is None else _to_wasmtime(result, value)

    return call


def _cases(kind: wt.VariantLikeType) -> dict[str, wt.ValType | None]:
    return dict(kind._cases())


def _to_wasmtime(kind: wt.ValType, value: Any) -> Any:
    match kind:
        case wt.F32() | wt.F64():
            return float(value)
        case wt.ListType():
            if isinstance(kind.element, wt.U8):
                return bytes(value)
            return [_to_wasmtime(kind.element, each) for each in value]
        case wt.TupleType():
            return tuple(_to_wasmtime(each, part) for each, part in zip(kind.elements, value, strict=True))
        case wt.RecordType():
            record = wc.Record()
            for name, each in kind.fields:
                setattr(record, name, _to_wasmtime(each, value[name]))
            return record
        case wt.FlagsType():
            return set(value)
        case wt.OptionType():
            payload = value.value if isinstance(value, Some) else value
            return _case(kind, "none" if value is None else "some", payload)
        case wt.ResultType():
            return _case(kind, "ok" if isinstance(value, Ok) else "err", value.value)
        case wt.VariantType():
            return _case(kind, value[0], value[1])
        case wt.OwnType() if isinstance(value, int):
            return wc.ResourceHost.own(value, _HOST_RESOURCE)
        case wt.BorrowType() if isinstance(value, int):
            return wc.ResourceHost.borrow(value, _HOST_RESOURCE)
    return value


def _case(kind: wt.VariantLikeType, label: str, payload: Any) -> Any:
    inner = _cases(kind)[label]
    converted = None if inner is None else _to_wasmtime(inner, payload)
    return wc.Variant(label, converted) if kind._tagged() else converted


def _from_wasmtime(store: Any, kind: wt.ValType, value: Any) -> Any:
    match kind:
        case wt.ListType():
            return value if isinstance(value, bytes) else [_from_wasmtime(store, kind.element, each) for each in value]
        case wt.TupleType():
            return tuple(_from_wasmtime(store, each, part) for each, part in zip(kind.elements, value, strict=True))
        case wt.RecordType():
            return {name: _from_wasmtime(store, each, getattr(value, name)) for name, each in kind.fields}
        case wt.FlagsType():
            return frozenset(value)
        case wt.OptionType():
            label, payload = _uncase(store, kind, value)
            return Some(payload) if label == "some" and isinstance(kind.payload, wt.OptionType) else payload
        case wt.ResultType():
            label, payload = _uncase(store, kind, value)
            return Ok(payload) if label == "ok" else Err(payload)
        case wt.VariantType():
            return _uncase(store, kind, value)
        case wt.OwnType() | wt.BorrowType():
            try:
                return value.to_host(store).rep
            except WasmtimeError:  # a guest's own
                return value
    return value


def _uncase(store: Any, kind: wt.VariantLikeType, value: Any) -> tuple[str, Any]:
    if kind._tagged():
        inner = _cases(kind)[value.tag]
        return value.tag, None if inner is None else _from_wasmtime(store, inner, value.payload)
    for label, inner in _cases(kind).items():
        classes: set[type] = set()
        if inner is not None:
            inner.add_classes(classes)
        if (inner is None and value is None) or (inner is not None and isinstance(value, tuple(classes))):
            return label, None if inner is None else _from_wasmtime(store, inner, value)
    raise AssertionError(f"{value!r} fits no case")
