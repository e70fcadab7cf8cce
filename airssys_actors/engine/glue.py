"""Small WebAssembly modules, written here, that stand between a guest and the host's callbacks.

They exist so that no Python frame is on the guest's stack while guest code (its realloc, its post-return, a
destructor) runs: the callback answers what it needs, the glue has the guest do it, and calls back. So guest code that
spins there yields like any other, and a trap there unwinds wasm alone.

Imports are numbered "0", "1", ... in the order in which they were first asked for, exports likewise.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from airssys_actors.engine.abi.functions import NOT_RUN
from airssys_actors.engine.abi.layout import CoreType
from airssys_actors.engine.border import DONE, WAITING

__all__ = ("GlueModule",)

_TYPE_CODES: dict[CoreType, int] = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C}
_BLOCK, _LOOP, _IF, _IF_I32 = b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x04\x7f"
_ELSE, _END, _UNREACHABLE, _EQZ, _EQ = b"\x05", b"\x0b", b"\x00", b"\x45", b"\x46"

_Shape = tuple[Sequence[CoreType], Sequence[CoreType]]

_REALLOC: _Shape = (("i32", "i32", "i32", "i32"), ("i32",))
_STATE_AND_SIZE: tuple[CoreType, CoreType] = ("i32", "i32")


def _unsigned(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _constant(number: int) -> bytes:
    """``i32.const``, of a number given as unsigned."""
    signed = number - (1 << 32) if number >> 31 else number
    out = bytearray(b"\x41")
    while True:
        byte, signed = signed & 0x7F, signed >> 7
        if (signed == 0 and not byte & 0x40) or (signed == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def _get(local: int) -> bytes:
    return b"\x20" + _unsigned(local)


def _set(local: int) -> bytes:
    return b"\x21" + _unsigned(local)


def _get_all(positions: range) -> list[bytes]:
    return [_get(position) for position in positions]


def _set_all(first: int, kinds: Sequence[CoreType]) -> bytes:
    """Pop as many values as there are ``kinds`` into the locals from ``first`` on."""
    return b"".join(_set(first + position) for position in reversed(range(len(kinds))))


def _branch(depth: int, conditional: bool = False) -> bytes:
    return (b"\x0d" if conditional else b"\x0c") + _unsigned(depth)


def _vector(items: Sequence[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)


def _section(number: int, items: Sequence[bytes]) -> bytes:
    body = _vector(items)
    return bytes([number]) + _unsigned(len(body)) + body


def _name(number: int) -> bytes:
    text = str(number).encode()
    return _unsigned(len(text)) + text


class GlueModule:
    """One module under construction. ``imports`` are what its functions call, as the linker's own keys."""

    def __init__(self) -> None:
        self.imports: list[Hashable] = []
        self._import_types: list[int] = []
        self._types: list[bytes] = []
        self._functions: list[tuple[int, Sequence[CoreType], Sequence[bytes | int]]] = []

    @property
    def is_empty(self) -> bool:
        return not self._functions

    def host_call(self, shape: _Shape, callback: Hashable, resume: Hashable, realloc: Hashable | None) -> int:
        """A host function that may wait or allocate. ``shape`` is what the guest calls.

        ``callback``: (NOT_RUN, parameters) -> (state, size, results); ``resume``: (NOT_RUN, pointer) -> the same.
        """
        params, results = shape
        first = len(params)
        answers = (*_STATE_AND_SIZE, *results)
        code: list[bytes | int] = [_constant(NOT_RUN), *_get_all(range(first))]
        code += [self._call(callback, (("i32", *params), answers)), _set_all(first, answers)]
        waiting: list[bytes | int] = [_get(first), _constant(WAITING), _EQ, _IF_I32, self._pause(), _constant(0), _ELSE]
        code += self._until_done(first, answers, resume, [*waiting, *self._allocate(first, realloc), _END])
        code += _get_all(range(first + 2, first + len(answers)))
        return self._function(params, results, answers, code)

    def component_call(
        self,
        outer: _Shape,
        inner: _Shape,
        begin: Hashable,
        arguments: Hashable | None,
        realloc: Hashable | None,
        core: Hashable,
        done: Hashable,
        resume: Hashable | None,
        result_realloc: Hashable | None,
        post_return: tuple[Hashable, Hashable] | None,
    ) -> int:
        """A function of another component: ``outer`` is what the caller calls, ``inner`` what the callee is.

        ``begin`` and ``done`` are ``abi.fused``'s; ``arguments`` and ``resume`` go on when memory has been allocated,
        by the callee's ``realloc`` and by the caller's ``result_realloc``. ``post_return`` comes with what locks it in.
        """
        params, results = outer
        first = len(params)  # of the locals: state, size, the callee's parameters and result, state, size, the result
        asked = (*_STATE_AND_SIZE, *inner[0])
        returned = first + len(asked)
        given = _get_all(range(returned, returned + len(inner[1])))
        finish = returned + len(inner[1])
        answers = (*_STATE_AND_SIZE, *results)
        code: list[bytes | int] = [_constant(NOT_RUN), *_get_all(range(first))]
        code += [self._call(begin, (("i32", *params), asked)), _set_all(first, asked)]
        code += self._until_done(first, asked, arguments, self._allocate(first, realloc))
        code += _get_all(range(first + 2, returned))
        code += [self._call(core, inner), _set_all(returned, inner[1])]
        pointer = params[-1:] if outer[1] != inner[1] else ()  # where the caller wants a result that is no core value
        code += [_constant(NOT_RUN), *given, *_get_all(range(first - len(pointer), first))]
        code += [self._call(done, (("i32", *inner[1], *pointer), answers)), _set_all(finish, answers)]
        code += self._until_done(finish, answers, resume, self._allocate(finish, result_realloc))
        if post_return is not None:
            lock, function = post_return
            code += [_constant(1), self._call(lock, (("i32",), ()))]
            code += [*given, self._call(function, (inner[1], ()))]
            code += [_constant(0), self._call(lock, (("i32",), ()))]
        code += _get_all(range(finish + 2, finish + len(answers)))
        return self._function(params, results, (*asked, *inner[1], *answers), code)

    def export(
        self,
        shape: _Shape,
        core: Hashable,
        arguments: Hashable | None,
        realloc: Hashable | None,
        done: Hashable | None,
        post_return: Hashable | None,
    ) -> int:
        """An export that goes through memory. With ``arguments`` it takes (state, size), else the core parameters.

        ``arguments``: (NOT_RUN, pointer) -> (state, size, parameters); ``done``: (results) -> (), lifts the result and
        locks the guest in if there is a post-return.
        """
        params, results = shape
        code: list[bytes | int] = []
        if arguments is None:
            outer: Sequence[CoreType] = params
            inner: Sequence[CoreType] = results
            code += [_get(position) for position in range(len(params))]
            result = len(params)
        else:
            answers = (*_STATE_AND_SIZE, *params)
            outer, inner = _STATE_AND_SIZE, (*params, *results)
            code += [_LOOP, _constant(NOT_RUN), _get(0), _IF_I32]
            if realloc is not None:
                code += [_constant(0), _constant(0), _get(0), _get(1), self._call(realloc, _REALLOC)]
            else:
                code += [_UNREACHABLE]
            code += [_ELSE, _constant(0), _END, self._call(arguments, (("i32", "i32"), answers))]
            code += [_set(position) for position in reversed(range(len(answers)))]
            code += [_get(0), _constant(NOT_RUN), _EQ, _IF, _UNREACHABLE, _END]
            code += [_get(0), _branch(0, conditional=True), _END]
            code += [_get(2 + position) for position in range(len(params))]
            result = 2 + len(params)
        code += [self._call(core, shape)]
        code += [_set(result + position) for position in reversed(range(len(results)))]
        given = [_get(result + position) for position in range(len(results))]
        if done is not None:
            code += [*given, self._call(done, (results, ()))]
        if post_return is not None:
            code += [*given, self._call(post_return, (results, ()))]
        return self._function(outer, (), inner, code)

    def drop(self, callback: Hashable, destructor: Hashable) -> int:
        """``resource.drop`` for a resource with a destructor. ``callback``: (NOT_RUN, handle) -> (owned, rep)."""
        code = [_constant(NOT_RUN), _get(0), self._call(callback, (("i32", "i32"), ("i32", "i32")))]
        code += [_set(1), _set(0), _get(0), _constant(NOT_RUN), _EQ, _IF, _UNREACHABLE, _END]
        code += [_get(0), _IF, _get(1), self._call(destructor, (("i32",), ())), _END]
        return self._function(("i32",), (), ("i32",), code)

    def binary(self) -> bytes:
        """The module. The empty function that pauses call comes last, if any asked for it."""
        count, functions = len(self.imports), list(self._functions)
        pause = count + len(functions)
        functions.append((self._type(((), ())), (), ()))
        imports = [
            b"\x00" + _name(position) + b"\x00" + _unsigned(kind) for position, kind in enumerate(self._import_types)
        ]
        exports = [_name(position) + b"\x00" + _unsigned(count + position) for position in range(len(functions) - 1)]
        bodies = []
        for _, local_types, code in functions:
            local = _vector([b"\x01" + bytes([_TYPE_CODES[kind]]) for kind in local_types])
            body = local + b"".join(b"\x10" + _unsigned(pause) if part == _PAUSE else part for part in code) + _END  # type: ignore[misc]
            bodies.append(_unsigned(len(body)) + body)
        return (
            b"\0asm\1\0\0\0"
            + _section(1, self._types)
            + _section(2, imports)
            + _section(3, [_unsigned(kind) for kind, _, _ in functions])
            + _section(7, exports)
            + _section(10, bodies)
        )

    def _type(self, shape: _Shape) -> int:
        encoded = b"\x60" + b"".join(_vector([bytes([_TYPE_CODES[kind]]) for kind in side]) for side in shape)
        if encoded not in self._types:
            self._types.append(encoded)
        return self._types.index(encoded)

    def _call(self, key: Hashable, shape: _Shape) -> bytes:
        kind = self._type(shape)
        for position, (known, known_kind) in enumerate(zip(self.imports, self._import_types, strict=True)):
            if known == key and known_kind == kind:
                return b"\x10" + _unsigned(position)
        self.imports.append(key)
        self._import_types.append(kind)
        return b"\x10" + _unsigned(len(self.imports) - 1)

    def _allocate(self, first: int, realloc: Hashable | None) -> list[bytes | int]:
        """Have the guest allocate what the locals from ``first`` on (alignment, size) ask for."""
        if realloc is None:
            return [_UNREACHABLE]
        return [_constant(0), _constant(0), _get(first), _get(first + 1), self._call(realloc, _REALLOC)]

    def _until_done(
        self, first: int, answers: Sequence[CoreType], again: Hashable | None, pointer: Sequence[bytes | int]
    ) -> list[bytes | int]:
        """Call ``again`` with what ``pointer`` leaves, until the state (local ``first``) is DONE. None: it is so."""
        trap = [_get(first), _constant(NOT_RUN), _EQ, _IF, _UNREACHABLE, _END]
        if again is None:
            return [*trap]
        code: list[bytes | int] = [_BLOCK, _LOOP, _get(first), _constant(DONE), _EQ, _branch(1, conditional=True)]
        code += [*trap, _constant(NOT_RUN), *pointer, self._call(again, (("i32", "i32"), answers))]
        return [*code, _set_all(first, answers), _branch(0), _END, _END]

    @staticmethod
    def _pause() -> int:
        return _PAUSE

    def _function(
        self,
        params: Sequence[CoreType],
        results: Sequence[CoreType],
        local_types: Sequence[CoreType],
        code: Sequence[bytes | int],
    ) -> int:
        self._functions.append((self._type((params, results)), local_types, code))
        return len(self._functions) - 1


_PAUSE = -1
"""Stands in a body for the call of the empty function, whose number is known at the end."""
