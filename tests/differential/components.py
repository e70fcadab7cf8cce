"""The kinds of components that the suite makes; each maker answers a case with its calls.

- ``pass``: values go through, host -> guest -> host -> guest -> host, as flat values or through memory.
- ``echo``: parameters come back out of the memory that they were put into.
- ``catch``: the guest shows the core values and the memory that it was given, byte for byte.
- ``raw``: the guest hands over bytes and core values that are wrong in places, as a result or to the host.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from airssys_actors.engine.types import FuncType, ListOf, Primitive, Tuple, ValType
from tests.differential.case import Answer, Call, Case
from tests.differential.generate import TypeMaker, random_value
from tests.differential.image import Image
from tests.differential.kit import HEAP, IMAGE, PAGES, RESULT, Kit, Realloc, to_i64
from tests.differential.layout import alignment, core_type, flatten, size

__all__ = ("VALUE_MAKERS",)

ENCODINGS = ("utf8", "utf16", "latin1+utf16")
_BYTES = ListOf(Primitive("u8"))
_MEMORY = PAGES * 65536
_MOST_IMAGE = HEAP - IMAGE


def pass_case(rng: random.Random) -> Case:
    kit, make = Kit(), TypeMaker(rng)
    functions = []
    for number in range(5):
        kit.owner = f"pass{number}"
        kind = make.function()
        encoding = rng.choice(ENCODINGS)
        other = encoding if rng.random() < 0.85 else rng.choice(ENCODINGS)
        low = kit.host(f"h{number}", kind, other)
        shape = core_type(kind, lifted=True)
        arguments = " ".join(f"(local.get {position})" for position in range(len(shape.params)))
        at = f"(i32.const {RESULT})" if shape.indirect else ""
        kit.export(f"pass{number}", kind, encoding, f"(call {low} {arguments} {at}) {at}", post=rng.random() < 0.6)
        functions.append((f"pass{number}", kind))
    case = Case("pass", kit.text, kit.imports, kit.exports)
    for name, kind in functions:
        for _ in range(4):
            case.calls += _with_mode(rng, Call(name, _arguments(rng, kind), _answers(rng, kind)))
    case.calls.append(Call("posts"))
    return case


def _with_mode(rng: random.Random, call: Call) -> list[Call]:
    """Now and then realloc or post-return misbehaves during the call."""
    if rng.random() < 0.75:
        return [call]
    mode = Call("mode", (rng.choice(list(Realloc)), rng.choice((0, 0, 1, 2, 3))))
    return [Call("spare"), mode, call, Call("mode", (0, 0))]


def _arguments(rng: random.Random, kind: FuncType) -> tuple[Any, ...]:
    return tuple(random_value(rng, each) for _, each in kind.params)


def _answers(rng: random.Random, kind: FuncType) -> tuple[Any, ...]:
    if rng.random() < 0.04:
        return (Answer.FAIL,)
    return (random_value(rng, kind.result),) if kind.result is not None else ()


def echo_case(rng: random.Random) -> Case:
    kit, make = Kit(), TypeMaker(rng)
    functions = []
    for number in range(5):
        kit.owner = f"echo{number}"
        single = rng.random() < 0.3
        params: list[ValType] = []
        while single:
            params = [make.type(1)]
            if len(flatten(params[0])) == 1:
                break
        while not single:
            params.append(make.type(2))
            if sum(len(flatten(each)) for each in params) > 16:
                break
        result: ValType = params[0] if single else Tuple(tuple(params))
        kind = FuncType(tuple((f"p{position}", each) for position, each in enumerate(params)), result)
        length, body = size(result), "(local.get 0)"
        if not single and rng.random() < 0.5:  # answer a copy, as far up in the memory as it goes
            body = f"""(local.set 1 (i32.and (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const {length}))
                         (i32.const {-alignment(result)})))
              (memory.copy (local.get 1) (local.get 0) (i32.const {length})) (local.get 1)"""
        kit.export(f"echo{number}", kind, rng.choice(ENCODINGS), body, post=rng.random() < 0.3, locals_="(local i32)")
        functions.append((f"echo{number}", kind))
    case = Case("echo", kit.text, kit.imports, kit.exports)
    for name, kind in functions:
        for _ in range(4):
            case.calls += _with_mode(rng, Call(name, _arguments(rng, kind)))
    return case


def catch_case(rng: random.Random) -> Case:
    kit, make = Kit(), TypeMaker(rng)
    functions = []
    for number in range(5):
        kit.owner = f"catch{number}"
        params = make.function(result=False).params
        kind = FuncType(params, Tuple((_BYTES, _BYTES)))
        cores = core_type(kind, lifted=True).params
        stores = " ".join(
            f"(i64.store (i32.const {RESULT + 8 * position}) {to_i64(core, f'(local.get {position})')})"
            for position, core in enumerate(cores)
        )
        body = f"""{stores}
          (i32.store (i32.const 1024) (i32.const {RESULT})) (i32.store (i32.const 1028) (i32.const {8 * len(cores)}))
          (i32.store (i32.const 1032) (i32.const {HEAP}))
          (i32.store (i32.const 1036) (i32.sub (global.get $next) (i32.const {HEAP}))) (i32.const 1024)"""
        kit.export(f"catch{number}", kind, rng.choice(ENCODINGS), body, post=True)
        functions.append((f"catch{number}", kind))
    case = Case("catch", kit.text, kit.imports, kit.exports)
    for name, kind in functions:
        case.calls += [Call(name, _arguments(rng, kind)) for _ in range(4)]
    case.calls.append(Call("posts"))
    return case


def raw_case(rng: random.Random) -> Case:
    kit, make = Kit(), TypeMaker(rng)
    images: _Images = []
    for number in range(3):
        kit.owner = f"lift{number}"
        kind, encoding = make.type(), rng.choice(ENCODINGS)
        _lift_raw(rng, kit, images, f"lift{number}", kind, encoding)
    for number in range(3):
        kit.owner = f"send{number}"
        _send_raw(rng, kit, images, f"send{number}", make.function(), rng.choice(ENCODINGS))
    case = Case("raw", kit.text, kit.imports, kit.exports)
    for name, image, answers in images:
        for _ in range(8):
            made = image()
            if len(made.data) <= _MOST_IMAGE:
                case.calls.append(Call(name, (bytes(made.data),), answers(), made.spoiled))
    return case


_Images = list[tuple[str, Callable[[], Image], Callable[[], tuple[Any, ...]]]]

_COPY_IMAGE = f"""(memory.copy (i32.const {IMAGE}) (local.get 0) (local.get 1)) (call $reset)"""
_LOADS = {"i32": "i32.load", "i64": "i64.load", "f32": "f32.load", "f64": "f64.load"}


def _image(rng: random.Random, encoding: str) -> Image:
    wild = rng.choice((0.0, 0.02, 0.1, 0.1, 0.5))
    return Image(rng, IMAGE, _MEMORY, encoding, wild)


def _pointer(rng: random.Random, image: Image, pointer: int, length: int) -> int:
    """The pointer, or now and then a wrong one."""
    if not image.spoil():
        return pointer
    end = _MEMORY - length
    return rng.choice((pointer + 1, pointer + 2, pointer + 4, 0, end, end + 8, end + 1, _MEMORY, 0xFFFFFFF0, 1 << 31))


def _lift_raw(rng: random.Random, kit: Kit, images: _Images, name: str, kind: ValType, encoding: str) -> None:
    """The image's first word is the core result: the result itself, or where in the image it lies."""
    function = FuncType((("image", _BYTES),), kind)
    (core,) = core_type(function, lifted=True).results
    body = f"{_COPY_IMAGE} ({_LOADS[core]} (i32.const {IMAGE}))"
    kit.export(name, function, encoding, body, post=rng.random() < 0.2)

    def make() -> Image:
        image = _image(rng, encoding)
        image.allocate(8, 8)
        value = random_value(rng, kind)
        if len(flatten(kind)) == 1:
            word = image.flat(kind, value)[0]
        else:
            word = _pointer(rng, image, image.place(kind, value), size(kind))
        image.data[:8] = (word & (1 << 64) - 1).to_bytes(8, "little")
        return image

    images.append((name, make, tuple))


def _send_raw(rng: random.Random, kit: Kit, images: _Images, name: str, kind: FuncType, encoding: str) -> None:
    """The image begins with the core parameters for the host function; its result comes back as bytes."""
    low = kit.host(f"host-{name}", kind, encoding)
    shape = core_type(kind, lifted=False)
    loads = " ".join(f"({_LOADS[core]} (i32.const {IMAGE + 8 * n}))" for n, core in enumerate(shape.params))
    length = size(kind.result) if kind.result is not None else 0
    call = f"(call {low} {loads})"
    if shape.results:
        call = f"(i64.store (i32.const {RESULT}) {to_i64(shape.results[0], call)})"
        length = 8
    body = f"""{_COPY_IMAGE} (memory.fill (i32.const {RESULT}) (i32.const 0) (i32.const {length})) {call}
      (i32.store (i32.const 1024) (i32.const {RESULT})) (i32.store (i32.const 1028) (i32.const {length}))
      (i32.store (i32.const 1032) (i32.const {HEAP}))
      (i32.store (i32.const 1036) (i32.sub (global.get $next) (i32.const {HEAP}))) (i32.const 1024)"""
    kit.export(name, FuncType((("image", _BYTES),), Tuple((_BYTES, _BYTES))), encoding, body, post=True)

    def make() -> Image:
        image = _image(rng, encoding)
        image.allocate(8 * len(shape.params), 8)
        values = tuple(random_value(rng, each) for _, each in kind.params)
        if shape.spilled:
            whole = Tuple(tuple(each for _, each in kind.params))
            words = [_pointer(rng, image, image.place(whole, values), size(whole))]
        else:
            words = [
                word for (_, each), value in zip(kind.params, values, strict=True) for word in image.flat(each, value)
            ]
        if shape.indirect:
            words.append(_pointer(rng, image, RESULT, length))
        for position, word in enumerate(words):
            image.data[8 * position : 8 * position + 8] = (word & (1 << 64) - 1).to_bytes(8, "little")
        return image

    images.append((name, make, lambda: _answers(rng, kind)))


VALUE_MAKERS: dict[str, Callable[[random.Random], Case]] = {
    "pass": pass_case,
    "echo": echo_case,
    "catch": catch_case,
    "raw": raw_case,
}
