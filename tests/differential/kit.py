"""The text of a component around a few core functions: memory, a realloc that can be told to misbehave, wiring.

Where things lie in memory: ``RESULT`` is where core functions put results, ``IMAGE`` where raw bytes from the host go,
``HEAP`` where realloc begins. Realloc gives out whole KiB, as far into them as the alignment that it was asked for, so
that where things lie does not depend on how much an
engine asks for while it finds out how long a string is in another encoding; that is also why what is given back is
cleared, and why only strings in UTF-8 and what is aligned to 4 are ever put at the very end of memory. A misdeed is
done once, by the allocation it is due at.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from component_text import Declarations

from airssys_actors.engine import types
from airssys_actors.engine.types import FuncType, ResourceType, ValType
from tests.differential.case import handles
from tests.differential.layout import core_type, uses_memory

__all__ = ("HEAP", "IMAGE", "PAGES", "RESULT", "Kit", "Realloc")

RESULT, IMAGE, HEAP, PAGES = 4096, 16384, 32768, 4
RESULT_BYTES = IMAGE - RESULT


class Realloc(IntEnum):
    """What realloc does on the allocation that it was told of (see ``mode``), or post-return does."""

    FINE = 0
    NULL = 1
    MISALIGNED = 2
    FAR_OUT = 3
    LAST_BYTES = 4
    BEYOND_THE_END = 5
    TRAPS = 6
    GROWS = 7
    CALLS_IMPORT = 8
    MAKES_RESOURCE = 9
    DROPS_RESOURCE = 10
    ASKS_REP = 11
    POST_TRAPS = 12
    POST_CALLS_IMPORT = 13
    POST_MAKES_RESOURCE = 14
    POST_DROPS_RESOURCE = 15
    POST_ASKS_REP = 16


_LIBC = f"""
    (memory (export "memory") {PAGES})
    (table (export "outside") 5 funcref)
    (type $none (func))
    (type $one (func (param i32)))
    (type $map (func (param i32) (result i32)))
    (global $next (export "next") (mut i32) (i32.const {HEAP}))
    (global $mode (export "mode") (mut i32) (i32.const 0))
    (global $wait (export "wait") (mut i32) (i32.const 0))
    (global $posts (export "posts") (mut i64) (i64.const 0))
    (func $leave (export "leave") (param $mode i32)
      (if (i32.eq (local.get $mode) (i32.const {Realloc.CALLS_IMPORT}))
        (then (call_indirect (type $none) (i32.const 0))))
      (if (i32.eq (local.get $mode) (i32.const {Realloc.MAKES_RESOURCE}))
        (then (drop (call_indirect (type $map) (i32.const 7) (i32.const 1)))))
      (if (i32.eq (local.get $mode) (i32.const {Realloc.DROPS_RESOURCE}))
        (then (call_indirect (type $one) (i32.const 1) (i32.const 2))))
      (if (i32.eq (local.get $mode) (i32.const {Realloc.ASKS_REP}))
        (then (drop (call_indirect (type $map) (i32.const 1) (i32.const 3))))))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32) (local $off i32)
      (if (i32.or (local.get $old) (local.get $old_size)) (then
        (if (i32.lt_u (local.get $size) (local.get $old_size)) (then
          (memory.fill (i32.add (local.get $old) (local.get $size)) (i32.const 0)
                       (i32.sub (local.get $old_size) (local.get $size)))))
        (if (i32.gt_u (local.get $size) (i32.const 1024)) (then
          (if (i32.gt_u (local.get $size) (local.get $old_size)) (then unreachable))))
        (return (local.get $old))))
      (if (global.get $mode) (then
        (if (i32.eqz (global.get $wait))
          (then
            (local.set $at (global.get $mode))
            (global.set $wait (i32.const 0x7fffffff))
            (if (i32.ge_u (local.get $at) (i32.const {Realloc.POST_TRAPS})) (then (local.set $at (i32.const 0))))
            (if (i32.eq (local.get $at) (i32.const {Realloc.NULL})) (then (return (i32.const 0))))
            (if (i32.eq (local.get $at) (i32.const {Realloc.MISALIGNED}))
              (then (local.set $off (i32.shr_u (i32.add (local.get $align) (i32.const 1)) (i32.const 1)))))
            (if (i32.eq (local.get $at) (i32.const {Realloc.FAR_OUT})) (then (return (i32.const 0xfffffff0))))
            (if (i32.and (i32.eq (local.get $at) (i32.const {Realloc.LAST_BYTES}))
                         (i32.ne (i32.and (local.get $align) (i32.const RECODED)) (local.get $align)))
              (then (return (i32.and (i32.sub (i32.mul (memory.size) (i32.const 65536)) (local.get $size))
                                     (i32.sub (i32.const 0) (local.get $align))))))
            (if (i32.eq (local.get $at) (i32.const {Realloc.BEYOND_THE_END}))
              (then (return (i32.add (i32.sub (i32.mul (memory.size) (i32.const 65536))
                                              (i32.and (local.get $size) (i32.sub (i32.const 0) (local.get $align))))
                                     (local.get $align)))))
            (if (i32.eq (local.get $at) (i32.const {Realloc.TRAPS})) (then unreachable))
            (if (i32.eq (local.get $at) (i32.const {Realloc.GROWS}))
              (then (return (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))))
            (call $leave (local.get $at)))
          (else (global.set $wait (i32.sub (global.get $wait) (i32.const 1)))))))
      (local.set $at (i32.add (global.get $next) (i32.add (local.get $align) (local.get $off))))
      (global.set $next (i32.add (global.get $next)
        (i32.and (i32.add (local.get $size) (i32.add (local.get $align) (i32.const 1031))) (i32.const 0xfffffc00))))
      (block $fits
        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
          (i32.div_u (local.get $size) (i32.const 65536))))))
        unreachable)
      (local.get $at))
    (func (export "dtor") (param i32) (call_indirect (type $one) (local.get 0) (i32.const 4)))
    (func $reset (export "reset")
      (memory.fill (i32.const {HEAP}) (i32.const 0) (i32.sub (global.get $next) (i32.const {HEAP})))
      (global.set $next (i32.const {HEAP})))
    (func $post (export "post") (param $bits i64)
      (local $mode i32)
      (global.set $posts (i64.add (i64.mul (global.get $posts) (i64.const 31))
                                  (i64.add (i64.const 1) (local.get $bits))))
      (local.set $mode (i32.sub (global.get $mode) (i32.const {Realloc.POST_TRAPS})))
      (if (i32.eqz (local.get $mode)) (then unreachable))
      (if (i32.le_u (local.get $mode) (i32.const 4))
        (then (call $leave (i32.add (local.get $mode) (i32.const {Realloc.CALLS_IMPORT - 1})))))
      (call $reset))
"""

_GLOBALS = """
    (import "libc" "memory" (memory 1))
    (import "libc" "outside" (table 5 funcref))
    (import "libc" "next" (global $next (mut i32)))
    (import "libc" "mode" (global $mode (mut i32)))
    (import "libc" "wait" (global $wait (mut i32)))
    (import "libc" "posts" (global $posts (mut i64)))
    (import "libc" "reset" (func $reset))
    (import "libc" "post" (func $post (param i64)))
"""

_TO_I64 = {
    "i32": "(i64.extend_i32_u {})",
    "i64": "{}",
    "f32": "(i64.extend_i32_u (i32.reinterpret_f32 {}))",
    "f64": "(i64.reinterpret_f64 {})",
}


def to_i64(core: str, expression: str) -> str:
    return _TO_I64[core].format(expression)


@dataclass
class Kit:
    """One component under construction.

    ``tidy``: for one that is called by components. Every function that uses memory has a post-return, which clears
    what was allocated, and takes no note of floats, which may be NaNs of any bits. No string lies at the very end of
    memory: between components, any may have to grow.
    """

    host_resources: Sequence[ResourceType] = ()
    tidy: bool = False
    types: Declarations = field(init=False)
    imports: dict[str, FuncType] = field(default_factory=dict)
    exports: dict[str, FuncType] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.types = Declarations({each: f"${each.name}" for each in self.host_resources})
        self._guest_types = Declarations()
        self.owner = ""
        """The function that is being made; what it needs is left out of a text without it."""
        self._parts: dict[str, list[tuple[str, str]]] = {}
        self.imports["ping"] = FuncType((), None)
        self._import("ping", self.imports["ping"], "utf8")
        self._add("definitions", "(type $spare (resource (rep i32)))")
        self.builtin("spare-new", "resource.new $spare", ("i32",), ("i32",))
        self.builtin("spare-drop", "resource.drop $spare", ("i32",), ())
        self.builtin("spare-rep", "resource.rep $spare", ("i32",), ("i32",))
        self._add("core", "(elem (i32.const 0) func $ping $spare-new $spare-drop $spare-rep)")
        self.export(
            "mode",
            FuncType((("mode", _U32), ("wait", _U32)), None),
            "utf8",
            """
          (global.set $mode (local.get 0)) (global.set $wait (local.get 1))""",
        )
        self.export("posts", FuncType((), types.Primitive("u64")), "utf8", "(global.get $posts)")
        self.export(
            "pong", FuncType((), None), "utf8", "(global.set $posts (i64.add (global.get $posts) (i64.const 1)))"
        )
        self.export("spare", FuncType((), _U32), "utf8", "(call $spare-new (i32.const 70))")

    def _add(self, part: str, text: str) -> None:
        self._parts.setdefault(part, []).append((self.owner, text))

    def _lines(self, part: str, only: Collection[str] | None) -> str:
        kept = [text for owner, text in self._parts.get(part, ()) if not owner or only is None or owner in only]
        return "\n  ".join(kept)

    def host(self, name: str, kind: FuncType, encoding: str) -> str:
        """Import and lower a function; the core function's name."""
        self.imports[name] = kind
        return self._import(name, kind, encoding)

    def _import(self, name: str, kind: FuncType, encoding: str) -> str:
        shape = core_type(kind, lifted=False)
        self._add("imported", f'(import "{name}" (func ${name} {function_text(kind, self.types)}))')
        self._add("lowered", f"(core func ${name}-low (canon lower (func ${name}) {options(encoding)}))")
        self._wire(name, f"${name}-low", shape.params, shape.results)
        return f"${name}"

    def _wire(self, name: str, definition: str, params: Sequence[str], results: Sequence[str]) -> None:
        self._add("wired", f'(export "{name}" (func {definition}))')
        self._add("core_imports", f'(import "host" "{name}" (func ${name} {core_text(params, results)}))')

    def builtin(self, name: str, text: str, params: Sequence[str], results: Sequence[str]) -> None:
        """A canonical built-in (``resource.drop $t``), callable in core code by its name."""
        self._add("lowered", f"(core func ${name}-low (canon {text}))")
        self._wire(name, f"${name}-low", params, results)

    def define(self, text: str) -> None:
        """A definition of the component (a resource type, say) that comes before its functions."""
        self._add("definitions", text)

    def resource(self, resource: ResourceType, destructor: bool) -> None:
        """The component implements a resource. Its destructor is what core code puts into place 4 of the table."""
        name, ends = f"${resource.name}", ""
        if destructor:
            self._add("definitions", f'(alias core export $libc "dtor" (core func {name}-dtor))')
            ends = f" (dtor (core func {name}-dtor))"
        self._add("definitions", f"(type {name}' (resource (rep i32){ends}))")
        self._add("definitions", f'(export {name} "{resource.name}" (type {name}\'))')
        names = {**self.types.resources, resource: name}
        self._guest_types = Declarations(names, where="export", prefix="g")

    def core(self, text: str) -> None:
        """More of the core module."""
        self._add("core", text)

    def export(
        self, name: str, kind: FuncType, encoding: str, body: str, post: bool = False, locals_: str = ""
    ) -> None:
        """Export ``name``, which ``body`` implements in core code. ``post``: with a post-return."""
        self.exports[name] = kind
        shape = core_type(kind, lifted=True)
        self._add("core", f'(func (export "{name}") {core_text(shape.params, shape.results)} {locals_}\n      {body})')
        types = self.types if self._knows(kind) else self._guest_types
        post_option = ""
        memory = shape.spilled or shape.indirect or any(uses_memory(each) for each in parts_of(kind))
        if post or (self.tidy and self.owner and memory):
            told = shape.results and not (self.tidy and shape.results[0] in ("f32", "f64"))
            bits = to_i64(shape.results[0], "(local.get 0)") if told else "(i64.const 5)"
            self._add("core", f'(func (export "post-{name}") {core_text(shape.results, ())} (call $post {bits}))')
            post_option = f' (post-return (core func $m "post-{name}"))'
        self._add(
            "lifted",
            f'(func (export "{name}") {function_text(kind, types)}\n'
            f'    (canon lift (core func $m "{name}") {options(encoding)}{post_option}))',
        )

    def _knows(self, kind: FuncType) -> bool:
        """Whether the type can be told before the component's own resources are there, as for imports."""
        return all(handles(each) <= set(self.types.resources) for each in parts_of(kind))

    def belongs(self, imported: str, owner: str) -> bool:
        """Whether an import is there for the function ``owner``."""
        return any(of == owner and f'(import "{imported}"' in text for of, text in self._parts["imported"])

    def text(self, only: Collection[str] | None = None) -> str:
        """The component; with ``only`` those of its functions."""

        def part(name: str) -> str:
            return self._lines(name, only)

        resources = "\n  ".join(
            f'(import "{each.name}" (type ${each.name} (sub resource)))' for each in self.host_resources
        )
        lifted = part("lifted")
        body = f"""
  {part("imported")}
  (core module $libc {_LIBC.replace("RECODED", "3" if self.tidy else "2")})
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  {part("definitions")}
  {part("lowered")}
  (core module $m {_GLOBALS}
    {part("core_imports")}
    {part("core")})
  (core instance $m (instantiate $m
    (with "libc" (instance $libc))
    (with "host" (instance
      {part("wired")}))))
  {_used(self._guest_types.lines, lifted)}
  {lifted}
)
"""
        return f"(component\n  {resources}\n  {_used(self.types.lines, body)}{body}"


def _used(types: list[str], body: str) -> str:
    """Those type definitions, in their order, that ``body`` needs."""
    kept: list[str] = []
    for line in reversed(types):
        name = line.split()[3 if line.startswith("(import") else 1]
        if re.search(re.escape(name) + r"(?![0-9'])", body + "".join(kept)):
            kept.append(line)
    return "\n  ".join(reversed(kept))


_U32 = types.Primitive("u32")


def parts_of(kind: FuncType) -> list[ValType]:
    """The types of the parameters and of the result."""
    return [each for _, each in kind.params] + ([kind.result] if kind.result is not None else [])


def function_text(kind: FuncType, types: Declarations) -> str:
    params = "".join(f'(param "{name}" {types.name(each)}) ' for name, each in kind.params)
    return params + (f"(result {types.name(kind.result)})" if kind.result is not None else "")


def options(encoding: str) -> str:
    return f"(memory $memory) (realloc $realloc) string-encoding={encoding}"


def core_text(params: Sequence[str], results: Sequence[str]) -> str:
    return (f"(param {' '.join(params)}) " if params else "") + (f"(result {' '.join(results)})" if results else "")
