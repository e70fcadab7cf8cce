"""Component text for the engine's tests: types as WIT-like declarations, and components that send values round.

Two components carry any type both ways. ``through_memory`` echoes a value that travels in linear memory: its parameters
spill, and the core function answers the address they were put at. ``through_values`` passes flat core values on to the
host, and answers with what the host gives back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from airssys_actors.engine.abi.layout import flatten, signature
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    ResourceType,
    Result,
    Tuple,
    ValType,
    Variant,
)

REALLOC = """
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                            (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
        (i32.div_u (local.get $size) (i32.const 65536))))))
      unreachable)
    (local.get $at))
"""


class Declarations:
    """Type definitions of a component, each numbered once. ``resources``: what each resource is called in the text.

    Types that must have a name get it by an import; by an export (``where``) those that speak of the component's own
    resources. ``prefix`` tells two sets of definitions in one component apart.
    """

    def __init__(
        self,
        resources: Mapping[ResourceType, str] | None = None,
        where: Literal["import", "export"] = "import",
        prefix: str = "t",
    ) -> None:
        self._where, self._prefix = where, prefix
        self.lines: list[str] = []
        self.resources = dict(resources or {})
        self._known: dict[ValType, str] = {}

    def named(self) -> list[tuple[ValType, str]]:
        """The types that are imported or exported, with the names they have in the text."""
        return [(kind, name) for kind, name in self._known.items() if isinstance(kind, Record | Variant | Enum | Flags)]

    def name(self, kind: ValType) -> str:
        """How ``kind`` is written where it is used; defines it if it must have a name."""
        if isinstance(kind, Primitive):
            return "float32" if kind.name == "f32" else "float64" if kind.name == "f64" else kind.name
        if isinstance(kind, Own | Borrow):
            return f"({'own' if isinstance(kind, Own) else 'borrow'} {self.resources[kind.resource]})"
        if kind not in self._known:
            body = self._body(kind)
            self._known[kind] = f"${self._prefix}{len(self._known)}"
            name = self._known[kind]
            self.lines.append(f"(type {name}' {body})")
            if isinstance(kind, Record | Variant | Enum | Flags):
                if self._where == "import":
                    self.lines.append(f'(import "{name[1:]}" (type {name} (eq {name}\')))')
                else:
                    self.lines.append(f'(export {name} "{name[1:]}" (type {name}\'))')
            else:
                self.lines[-1] = f"(type {name} {body})"
        return self._known[kind]

    def _body(self, kind: ValType) -> str:
        match kind:
            case Record(fields):
                return "(record " + " ".join(f'(field "{name}" {self.name(each)})' for name, each in fields) + ")"
            case Variant(cases):
                return (
                    "(variant "
                    + " ".join(
                        f'(case "{name}"{"" if each is None else " " + self.name(each)})' for name, each in cases
                    )
                    + ")"
                )
            case ListOf(element):
                return f"(list {self.name(element)})"
            case Tuple(elements):
                return "(tuple " + " ".join(self.name(each) for each in elements) + ")"
            case Flags(labels):
                return "(flags " + " ".join(f'"{label}"' for label in labels) + ")"
            case Enum(labels):
                return "(enum " + " ".join(f'"{label}"' for label in labels) + ")"
            case Option(payload):
                return f"(option {self.name(payload)})"
            case Result(ok, error):
                parts = "" if ok is None else " " + self.name(ok)
                return f"(result{parts}{'' if error is None else f' (error {self.name(error)})'})"
        raise AssertionError(kind)


def through_memory(kind: ValType, encoding: str = "utf8") -> str:
    """A component with ``echo: func(x: T, tag: u32, pad...) -> tuple<T, u32>``, all of it in memory."""
    types = Declarations()
    value = types.name(kind)
    padding = " ".join(f'(param "p{number}" u32)' for number in range(16))
    pair = types.name(Tuple((kind, Primitive("u32"))))
    lines = "\n  ".join(types.lines)
    return f"""(component
  {lines}
  (core module $m {REALLOC}
    (func (export "echo") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m))
  {_aliases("$i")}
  (func (export "echo") (param "x" {value}) (param "tag" u32) {padding} (result {pair})
    (canon lift (core func $i "echo") {_options(encoding)})))
"""


def through_values(kind: ValType, encoding: str = "utf8") -> str:
    """A component with ``pass: func(x: T) -> T`` that calls the imported ``host: func(x: T) -> T``."""
    types = Declarations()
    value = types.name(kind)
    lines = "\n  ".join(types.lines)
    function = FuncType((("x", kind),), kind)
    outer, inner = signature(function, lifted=True), signature(function, lifted=False)
    parameters = " ".join(outer.params)
    arguments = " ".join(f"(local.get {number})" for number in range(len(outer.params)))
    call = f"(call $host {arguments}{' (i32.const 16)' if inner.indirect else ''})"
    body = f"{call} (i32.const 16)" if inner.indirect else call
    host_type = f"(param {' '.join(inner.params)}) (result {' '.join(inner.results)})"
    return f"""(component
  {lines}
  (import "host" (func $host (param "x" {value}) (result {value})))
  (core module $libc {REALLOC})
  (core instance $libc (instantiate $libc))
  {_aliases("$libc")}
  (core func $lowered (canon lower (func $host) {_options(encoding)}))
  (core module $m
    (import "host" "host" (func $host {host_type}))
    (func (export "pass") (param {parameters}) (result {" ".join(outer.results)}) {body}))
  (core instance $i (instantiate $m (with "host" (instance (export "host" (func $lowered))))))
  (func (export "pass") (param "x" {value}) (result {value})
    (canon lift (core func $i "pass") {_options(encoding)})))
"""


def _aliases(instance: str) -> str:
    return f"""(alias core export {instance} "memory" (core memory $memory))
  (alias core export {instance} "realloc" (core func $realloc))"""


def _options(encoding: str) -> str:
    return f"(memory $memory) (realloc $realloc) string-encoding={encoding}"


def fits_in_values(kind: ValType) -> bool:
    """Whether a value of this type crosses as flat core values (at most 16, and a result pointer)."""
    return len(flatten(kind)) <= 16
