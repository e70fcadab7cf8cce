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
from airssys_actors.engine.abi.transcode import AGAIN
from airssys_actors.engine.binary import encode_u32
from airssys_actors.engine.border import DONE, WAITING
from airssys_actors.engine.wasm_code import (
    AND,
    BLOCK,
    ELSE,
    END,
    EQ,
    IF,
    IF_I32,
    LOOP,
    MULTIPLY,
    MUTABLE_I32,
    SHIFT_RIGHT,
    TYPE_CODES,
    UNREACHABLE,
    Shape,
    branch,
    constant,
    get,
    get_all,
    global_set,
    name,
    section,
    set_all,
    set_local,
    vector,
)

__all__ = ("GlueModule",)

_REALLOC: Shape = (("i32", "i32", "i32", "i32"), ("i32",))
_STATE_AND_SIZE: tuple[CoreType, CoreType] = ("i32", "i32")


class GlueModule:
    """One module under construction.

    ``flag`` is a mutable global that is 1 while a guest may not leave, in components where WebAssembly looks at it
    (see ``plain_call``). It is set here, because here is where realloc and post-return are called.
    """

    def __init__(self, flag: Hashable | None = None) -> None:
        self._flag = flag
        self._imported: dict[tuple[Hashable, int], int] = {}  # (key, number of its type) -> its number
        self._types: dict[bytes, int] = {}
        self._functions: list[tuple[int, Sequence[CoreType], Sequence[bytes | int]]] = []

    @property
    def is_empty(self) -> bool:
        """Whether no function was added."""
        return not self._functions

    @property
    def imports(self) -> list[Hashable]:
        """What its functions call, as the linker's own keys; then the flag, if there is one."""
        functions = [key for key, _ in self._imported]
        return functions if self._flag is None else [*functions, self._flag]

    def host_call(self, shape: Shape, callback: Hashable, resume: Hashable, realloc: Hashable | None) -> int:
        """A host function that may wait or allocate. ``shape`` is what the guest calls.

        ``callback``: (NOT_RUN, parameters) -> (state, size, results); ``resume``: (NOT_RUN, pointer) -> the same.
        """
        params, results = shape
        first = len(params)
        answers = (*_STATE_AND_SIZE, *results)
        code: list[bytes | int] = [constant(NOT_RUN), *get_all(range(first))]
        code += [self.call(callback, (("i32", *params), answers)), set_all(first, answers)]
        waiting: list[bytes | int] = [get(first), constant(WAITING), EQ, IF_I32, self._pause(), constant(0), ELSE]
        code += self._until_done(first, answers, resume, [*waiting, *self._allocate(first, realloc), END])
        code += get_all(range(first + 2, first + len(answers)))
        return self.function(params, results, answers, code)

    def component_call(
        self,
        outer: Shape,
        inner: Shape,
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
        # The locals: state, size, the callee's parameters and result, state, size, the result, what was allocated last.
        first = len(params)
        asked = (*_STATE_AND_SIZE, *inner[0])
        returned = first + len(asked)
        given = get_all(range(returned, returned + len(inner[1])))
        finish = returned + len(inner[1])
        last = finish + 2 + len(results)
        answers = (*_STATE_AND_SIZE, *results)
        code: list[bytes | int] = [constant(NOT_RUN), *get_all(range(first))]
        code += [self.call(begin, (("i32", *params), asked)), set_all(first, asked)]
        code += self._until_done(first, asked, arguments, self._allocate_again(first, last, realloc))
        code += get_all(range(first + 2, returned))
        code += [self.call(core, inner), set_all(returned, inner[1])]
        pointer = params[-1:] if outer[1] != inner[1] else ()  # where the caller wants a result that is no core value
        code += [constant(NOT_RUN), *given, *get_all(range(first - len(pointer), first))]
        code += [self.call(done, (("i32", *inner[1], *pointer), answers)), set_all(finish, answers)]
        code += self._until_done(finish, answers, resume, self._allocate_again(finish, last, result_realloc))
        if post_return is not None:
            lock, function = post_return
            code += [constant(1), self.call(lock, (("i32",), ()))]
            code += self._locked_in([*given, self.call(function, (inner[1], ()))])
            code += [constant(0), self.call(lock, (("i32",), ()))]
        code += get_all(range(finish + 2, finish + len(answers)))
        return self.function(params, results, (*asked, *inner[1], *answers, *_STATE_AND_SIZE), code)

    def export(
        self,
        shape: Shape,
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
            code += get_all(range(len(params)))
            result = len(params)
        else:
            answers = (*_STATE_AND_SIZE, *params)
            outer, inner = _STATE_AND_SIZE, (*params, *results)
            code += [LOOP, constant(NOT_RUN), get(0), IF_I32, *self._allocate(0, realloc), ELSE, constant(0), END]
            code += [self.call(arguments, (("i32", "i32"), answers)), set_all(0, answers)]
            code += [get(0), constant(NOT_RUN), EQ, IF, UNREACHABLE, END]
            code += [get(0), branch(0, conditional=True), END]
            code += get_all(range(2, len(answers)))
            result = len(answers)
        code += [self.call(core, shape), set_all(result, results)]
        given = get_all(range(result, result + len(results)))
        if done is not None:
            code += [*given, self.call(done, (results, ()))]
        if post_return is not None:
            code += self._locked_in([*given, self.call(post_return, (results, ()))])
        return self.function(outer, (), inner, code)

    def drop(self, callback: Hashable, destructor: Hashable) -> int:
        """``resource.drop`` for a resource with a destructor. ``callback``: (NOT_RUN, handle) -> (owned, rep)."""
        code = [constant(NOT_RUN), get(0), self.call(callback, (("i32", "i32"), ("i32", "i32")))]
        code += [set_local(1), set_local(0), get(0), constant(NOT_RUN), EQ, IF, UNREACHABLE, END]
        code += [get(0), IF, get(1), self.call(destructor, (("i32",), ())), END]
        return self.function(("i32",), (), ("i32",), code)

    def binary(self) -> bytes:
        """The module. The empty function that pauses call comes last, if any asked for it."""
        count, functions = len(self._imported), list(self._functions)
        pause = count + len(functions)
        functions.append((self._type(((), ())), (), ()))
        imports = [
            b"\x00" + name(position) + b"\x00" + encode_u32(kind) for (_, kind), position in self._imported.items()
        ]
        if self._flag is not None:
            imports.append(b"\x00" + name(count) + b"\x03" + MUTABLE_I32)
        exports = [name(position) + b"\x00" + encode_u32(count + position) for position in range(len(functions) - 1)]
        bodies = []
        for _, local_types, code in functions:
            local = vector([b"\x01" + bytes([TYPE_CODES[kind]]) for kind in local_types])
            body = local + b"".join(b"\x10" + encode_u32(pause) if part == _PAUSE else part for part in code) + END  # type: ignore[misc]
            bodies.append(encode_u32(len(body)) + body)
        return (
            b"\0asm\1\0\0\0"
            + section(1, list(self._types))
            + section(2, imports)
            + section(3, [encode_u32(kind) for kind, _, _ in functions])
            + section(7, exports)
            + section(10, bodies)
        )

    def _type(self, shape: Shape) -> int:
        encoded = b"\x60" + b"".join(vector([bytes([TYPE_CODES[kind]]) for kind in side]) for side in shape)
        return self._types.setdefault(encoded, len(self._types))

    def call(self, key: Hashable, shape: Shape) -> bytes:
        """The code that calls ``key``, which is imported when it is first called."""
        position = self._imported.setdefault((key, self._type(shape)), len(self._imported))
        return b"\x10" + encode_u32(position)

    def _allocate(self, first: int, realloc: Hashable | None) -> list[bytes | int]:
        """Have the guest allocate what the locals from ``first`` on (alignment, size) ask for."""
        if realloc is None:
            return [UNREACHABLE]
        sizes = [constant(0), constant(0), get(first), get(first + 1)]
        return self._locked_in([*sizes, self.call(realloc, _REALLOC)])

    def _allocate_again(self, first: int, last: int, realloc: Hashable | None) -> list[bytes | int]:
        """``_allocate`` that, for AGAIN, changes what the locals from ``last`` on (pointer, size) have been given."""
        if realloc is None:
            return [UNREACHABLE]
        again: list[bytes | int] = [get(first), constant(8), SHIFT_RIGHT]
        code = [get(last), *again, MULTIPLY, get(last + 1), *again, MULTIPLY]
        code += [get(first), constant(AGAIN - 1), AND, get(first + 1), self.call(realloc, _REALLOC)]
        return [*self._locked_in(code), set_local(last), get(first + 1), set_local(last + 1), get(last)]

    def _locked_in(self, code: list[bytes | int]) -> list[bytes | int]:
        """Have ``code`` run while the guest may not leave."""
        if self._flag is None:
            return code
        return [constant(1), global_set(0), *code, constant(0), global_set(0)]

    def _until_done(
        self, first: int, answers: Sequence[CoreType], again: Hashable | None, pointer: Sequence[bytes | int]
    ) -> list[bytes | int]:
        """Call ``again`` with what ``pointer`` leaves, until the state (local ``first``) is DONE. None: it is so."""
        trap = [get(first), constant(NOT_RUN), EQ, IF, UNREACHABLE, END]
        if again is None:
            return [*trap]
        code: list[bytes | int] = [BLOCK, LOOP, get(first), constant(DONE), EQ, branch(1, conditional=True)]
        code += [*trap, constant(NOT_RUN), *pointer, self.call(again, (("i32", "i32"), answers))]
        return [*code, set_all(first, answers), branch(0), END, END]

    @staticmethod
    def _pause() -> int:
        return _PAUSE

    def function(
        self,
        params: Sequence[CoreType],
        results: Sequence[CoreType],
        local_types: Sequence[CoreType],
        code: Sequence[bytes | int],
    ) -> int:
        """Add a function; its number among the exports."""
        self._functions.append((self._type((params, results)), local_types, code))
        return len(self._functions) - 1


_PAUSE = -1
"""Stands in a body for the call of the empty function, whose number is known at the end."""
