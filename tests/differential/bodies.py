"""Core code for a function of any type, and the calls that suit it: what components are made of.

- ``passing``: everything goes on to an import of the same type, and its answer back.
- ``echoing``: parameters come back out of the memory that they were put into.
- ``catching``: the guest shows the core values and the memory that it was given, byte for byte.
- ``summing``: the guest answers a sum of the core values that it was given.
- ``lifting``: the guest answers raw bytes that are wrong in places.
- ``sending``: the guest calls an import with raw bytes and core values that are wrong in places, and shows what came
  back.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from airssys_actors.engine.types import FuncType, ListOf, Primitive, Tuple, ValType
from tests.differential.case import Answer, Call
from tests.differential.generate import TypeMaker, random_value
from tests.differential.image import Image
from tests.differential.kit import HEAP, IMAGE, PAGES, RESULT, Kit, Realloc, to_i64
from tests.differential.layout import alignment, core_type, flatten, size

__all__ = (
    "BYTES",
    "ENCODINGS",
    "Function",
    "catching",
    "echo_type",
    "echoing",
    "lifting",
    "passing",
    "sending",
    "summing",
)

ENCODINGS = ("utf8", "utf16", "latin1+utf16")
BYTES = ListOf(Primitive("u8"))
_MEMORY = PAGES * 65536
_MOST_IMAGE = HEAP - IMAGE
_LOADS = {"i32": "i32.load", "i64": "i64.load", "f32": "f32.load", "f64": "f64.load"}
_COPY_IMAGE = f"(memory.copy (i32.const {IMAGE}) (local.get 0) (local.get 1)) (call $reset)"


@dataclass
class Function:
    """A function of a component, and who makes a call of it. ``faults``: what its own code does wrong each time."""

    name: str
    type: FuncType
    make: Callable[[], Call]
    faults: int = 0

    def call(self) -> Call:
        made = self.make()
        return replace(made, faults=made.faults + self.faults)


def _arguments(rng: random.Random, kind: FuncType) -> tuple[Any, ...]:
    return tuple(random_value(rng, each) for _, each in kind.params)


def answers(rng: random.Random, kind: FuncType) -> tuple[Any, ...]:
    """What a host function of this type answers once."""
    if rng.random() < 0.04:
        return (Answer.FAIL,)
    return (random_value(rng, kind.result),) if kind.result is not None else ()


def with_mode(rng: random.Random, call: Call, prefix: str = "", leaves_late: bool = True) -> list[Call]:
    """Now and then realloc or post-return misbehaves during the call. ``leaves_late``: post-return may call out."""
    if rng.random() < 0.65:
        return [call]
    modes = [each for each in Realloc if leaves_late or each <= Realloc.POST_TRAPS]
    modes += [Realloc.MISALIGNED] * 5 + [Realloc.LAST_BYTES, Realloc.BEYOND_THE_END, Realloc.GROWS]
    mode = Call(f"{prefix}mode", (rng.choice(modes), rng.choice((0, 0, 0, 1, 2))))
    return [Call(f"{prefix}spare"), mode, replace(call, faults=call.faults + 1), Call(f"{prefix}mode", (0, 0))]


def passing(rng: random.Random, kit: Kit, name: str, kind: FuncType, source: str) -> Function:
    """Hand everything on to the import ``source``; sometimes in an encoding that strings are not in."""
    encoding = rng.choice(ENCODINGS)
    other = encoding if rng.random() < 0.85 else rng.choice(ENCODINGS)
    low = kit.host(source, kind, other)
    shape = core_type(kind, lifted=True)
    arguments = " ".join(f"(local.get {position})" for position in range(len(shape.params)))
    at = f"(i32.const {RESULT})" if shape.indirect else ""
    kit.export(name, kind, encoding, f"(call {low} {arguments} {at}) {at}", post=rng.random() < 0.6)

    def make() -> Call:
        return Call(name, _arguments(rng, kind), answers(rng, kind))

    return Function(name, kind, make, int(other != encoding))


def echo_type(rng: random.Random, make: TypeMaker) -> FuncType:
    """Parameters that come back: one that is a single core value, or so many that they go through memory."""
    params: list[ValType] = []
    if rng.random() < 0.3:
        while not params or len(flatten(params[0])) > 1:
            params = [make.type(1)]
    else:
        while sum(len(flatten(each)) for each in params) <= 16:
            params.append(make.type(2))
    result = params[0] if len(params) == 1 and len(flatten(params[0])) == 1 else Tuple(tuple(params))
    return FuncType(tuple((f"p{position}", each) for position, each in enumerate(params)), result)


def echoing(rng: random.Random, kit: Kit, name: str, kind: FuncType) -> Function:
    """Answer the parameters where they lie, or a copy of them as far up in the memory as it goes."""
    assert kind.result is not None
    length, body = size(kind.result), "(local.get 0)"
    if len(flatten(kind.result)) > 1 and rng.random() < 0.5:
        grow = "(drop (memory.grow (i32.const 1)))" if rng.random() < 0.4 else ""
        body = f"""{grow} (local.set 1 (i32.and (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const {length}))
                     (i32.const {-alignment(kind.result)})))
          (memory.copy (local.get 1) (local.get 0) (i32.const {length})) (local.get 1)"""
    kit.export(name, kind, rng.choice(ENCODINGS), body, post=rng.random() < 0.3, locals_="(local i32)")
    return Function(name, kind, lambda: Call(name, _arguments(rng, kind)))


def _show(length: int) -> str:
    """Core code that answers two lists of bytes: ``length`` at RESULT, and all that was allocated."""
    return f"""(i32.store (i32.const 1024) (i32.const {RESULT})) (i32.store (i32.const 1028) (i32.const {length}))
      (i32.store (i32.const 1032) (i32.const {HEAP}))
      (i32.store (i32.const 1036) (i32.sub (global.get $next) (i32.const {HEAP}))) (i32.const 1024)"""


def catching(rng: random.Random, kit: Kit, name: str, params: tuple[tuple[str, ValType], ...]) -> Function:
    kind = FuncType(params, Tuple((BYTES, BYTES)))
    cores = core_type(kind, lifted=True).params
    stores = " ".join(
        f"(i64.store (i32.const {RESULT + 8 * position}) {to_i64(core, f'(local.get {position})')})"
        for position, core in enumerate(cores)
    )
    kit.export(name, kind, rng.choice(ENCODINGS), f"{stores}\n      {_show(8 * len(cores))}", post=True)
    return Function(name, kind, lambda: Call(name, _arguments(rng, kind)))


def summing(rng: random.Random, kit: Kit, name: str, params: tuple[tuple[str, ValType], ...]) -> Function:
    """Answer a sum of the core values, in which each bit of them shows: for what carries only numbers."""
    kind = FuncType(params, Primitive("u64"))
    body = "(i64.const 7)"
    for position, core in enumerate(core_type(kind, lifted=True).params):
        body = f"(i64.add (i64.mul {body} (i64.const 1000003)) {to_i64(core, f'(local.get {position})')})"
    kit.export(name, kind, rng.choice(ENCODINGS), body)
    return Function(name, kind, lambda: Call(name, _arguments(rng, kind)))


def _image(rng: random.Random, encoding: str) -> Image:
    wild = rng.choice((0.0, 0.02, 0.1, 0.1, 0.5))
    return Image(rng, IMAGE, _MEMORY, encoding, wild)


def _pointer(rng: random.Random, image: Image, pointer: int, length: int) -> int:
    """The pointer, or now and then a wrong one."""
    if not (image.spoil() or image.spoil()):
        return pointer
    end = _MEMORY - length
    return rng.choice((pointer + 1, pointer + 2, pointer + 4, 0, end, end + 8, end + 1, _MEMORY, 0xFFFFFFF0, 1 << 31))


def _call(name: str, image: Callable[[], Image], answer: Callable[[], tuple[Any, ...]]) -> Call:
    while True:
        made = image()
        if len(made.data) <= _MOST_IMAGE:
            return Call(name, (bytes(made.data),), answer(), made.spoiled)


def _put(image: Image, position: int, word: int) -> None:
    image.data[8 * position : 8 * position + 8] = (word & (1 << 64) - 1).to_bytes(8, "little")


def lifting(rng: random.Random, kit: Kit, name: str, kind: ValType, encoding: str, handle: Any = None) -> Function:
    """The image's first word is the core result: the result itself, or where in the image it lies."""
    function = FuncType((("image", BYTES),), kind)
    (core,) = core_type(function, lifted=True).results
    body = f"{_COPY_IMAGE} ({_LOADS[core]} (i32.const {IMAGE}))"
    kit.export(name, function, encoding, body, post=rng.random() < 0.2)

    def make() -> Image:
        image = _image(rng, encoding)
        image.allocate(8, 8)
        value = random_value(rng, kind, handle)
        if len(flatten(kind)) == 1:
            _put(image, 0, image.flat(kind, value)[0])
        else:
            _put(image, 0, _pointer(rng, image, image.place(kind, value), size(kind)))
        return image

    return Function(name, function, lambda: _call(name, make, tuple))


def sending(
    rng: random.Random, kit: Kit, name: str, kind: FuncType, source: str, encoding: str, handle: Any = None
) -> Function:
    """The image begins with the core parameters for the import; its result comes back as bytes."""
    low = kit.host(source, kind, encoding)
    shape = core_type(kind, lifted=False)
    loads = " ".join(f"({_LOADS[core]} (i32.const {IMAGE + 8 * n}))" for n, core in enumerate(shape.params))
    length = size(kind.result) if kind.result is not None else 0
    call = f"(call {low} {loads})"
    if shape.results:
        call = f"(i64.store (i32.const {RESULT}) {to_i64(shape.results[0], call)})"
        length = 8
    body = f"""{_COPY_IMAGE} (memory.fill (i32.const {RESULT}) (i32.const 0) (i32.const {length})) {call}
      {_show(length)}"""
    function = FuncType((("image", BYTES),), Tuple((BYTES, BYTES)))
    kit.export(name, function, encoding, body, post=True)

    def make() -> Image:
        image = _image(rng, encoding)
        image.allocate(8 * len(shape.params), 8)
        values = tuple(random_value(rng, each, handle) for _, each in kind.params)
        if shape.spilled:
            whole = Tuple(tuple(each for _, each in kind.params))
            words = [_pointer(rng, image, image.place(whole, values), size(whole))]
        else:
            pairs = zip(kind.params, values, strict=True)
            words = [word for (_, each), value in pairs for word in image.flat(each, value)]
        if shape.indirect:
            words.append(_pointer(rng, image, RESULT, length))
        for position, word in enumerate(words):
            _put(image, position, word)
        return image

    return Function(name, function, lambda: _call(name, make, lambda: answers(rng, kind)))
