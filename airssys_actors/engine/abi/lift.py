"""Guest values -> Python values: generates the source that reads flat core values and linear memory.

In generated code ``mem`` is the view of the function's memory, ``cur`` the instance, ``W`` the core values.
"""

from __future__ import annotations

from collections.abc import Callable

from airssys_actors.engine.abi.layout import (
    NUMBERS,
    SCALARS,
    align_to,
    alignment,
    cases_of,
    discriminant_size,
    fields_of,
    flags_size,
    flatten,
    leaf_count,
    payload_offset,
    size,
)
from airssys_actors.engine.abi.memory_source import MemorySource
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    Result,
    Tuple,
    ValType,
)

__all__ = ("Lifter",)

_WORD_OF = {"s8": "u32", "s16": "u32", "s32": "i32", "u64": "u64", "s64": "i64", "f32": "f32", "f64": "f64"}


class Lifter(MemorySource):
    """Each method emits what it needs, and returns an expression for the value."""

    def flat(self, kind: ValType, indices: list[int]) -> str:
        """Lift from core values; takes its share of ``indices`` off the front."""
        if isinstance(kind, Primitive) and kind.name != "string":
            return self._flat_scalar(kind.name, indices.pop(0))
        if isinstance(kind, ListOf | Primitive):
            pointer, length = self.fresh(), self.fresh()
            self.emit(
                f"{pointer} = {self.slots.at(indices.pop(0), 'u32')}; {length} = {self.slots.at(indices.pop(0), 'u32')}"
            )
            return self._sequence(kind, pointer, length)
        if (fields := fields_of(kind)) is not None:
            return self._build(kind, [(name, self.flat(field, indices)) for name, field in fields])
        if cases_of(kind) is not None:
            discriminant = self.fresh()
            self.emit(f"{discriminant} = {self.slots.at(indices.pop(0), 'u32')}")
            mine = [indices.pop(0) for _ in flatten(kind)[1:]]
            return self._cases(kind, discriminant, lambda payload: self.flat(payload, list(mine)))
        return self._word(kind, self.slots.at(indices.pop(0), "u32"))

    def load(self, kind: ValType, pointer: str, offset: int) -> str:
        """Lift from memory at ``pointer + offset``, whose bounds were checked."""
        at = f"{pointer} + {offset}" if offset else pointer
        if isinstance(kind, Primitive) and kind.name != "string":
            scalar = SCALARS[kind.name]
            value = f"mem[{at}]" if scalar.code == "B" else f"u_{scalar.code}(mem, {at})[0]"
            return self._scalar(kind.name, value)
        if isinstance(kind, ListOf | Primitive):
            start, length = self.fresh(), self.fresh()
            self.emit(f"{start}, {length} = u_II(mem, {at})")
            return self._sequence(kind, start, length)
        if (fields := fields_of(kind)) is not None:
            values = []
            for name, field in fields:
                offset = align_to(offset, alignment(field))
                values.append((name, self.load(field, pointer, offset)))
                offset += size(field)
            return self._build(kind, values)
        if (cases := cases_of(kind)) is not None:
            discriminant = self.fresh()
            self.emit(f"{discriminant} = {self._unsigned(discriminant_size(cases), at)}")
            inside = offset + payload_offset(cases)
            return self._cases(kind, discriminant, lambda payload: self.load(payload, pointer, inside))
        return self._word(kind, self._unsigned(flags_size(kind) if isinstance(kind, Flags) else 4, at))

    @staticmethod
    def _unsigned(width: int, at: str) -> str:
        return f"mem[{at}]" if width == 1 else f"u_{'H' if width == 2 else 'I'}(mem, {at})[0]"

    def _flat_scalar(self, name: str, index: int) -> str:
        value = self.slots.at(index, _WORD_OF.get(name, "u32"))
        if name in ("u8", "u16"):
            return f"{value} & {SCALARS[name].high:#x}"
        if name in ("s8", "s16"):  # the upper bits of the core value do not count
            half = SCALARS[name].high + 1
            return f"(({value} & {2 * half - 1:#x}) ^ {half:#x}) - {half:#x}"
        return self._scalar(name, value)

    def _scalar(self, name: str, value: str) -> str:
        if name == "bool":
            return f"{value} != 0"
        if name == "char":
            return f"to_char({value})"
        if name in ("f32", "f64"):
            number = self.fresh()
            self.emit(f"{number} = {value}")
            return f"({number} if {number} == {number} else NAN)"
        return value

    def _word(self, kind: ValType, value: str) -> str:
        result = self.fresh()
        if isinstance(kind, Flags):
            pairs = self.constant(tuple((label, 1 << bit) for bit, label in enumerate(kind.labels)))
            self.emit(f"{result} = {value}")
            return f"frozenset([l for l, b in {pairs} if {result} & b])"
        assert isinstance(kind, Own | Borrow)
        self.emit(f"{result} = {self.handles.lift(isinstance(kind, Own), value, self.constant(kind.resource))}")
        return result

    def _sequence(self, kind: ListOf | Primitive, pointer: str, length: str) -> str:
        return self._list(kind.element, pointer, length) if isinstance(kind, ListOf) else self._string(pointer, length)

    def _string(self, pointer: str, length: str) -> str:
        result = self.fresh()
        if self.encoding == "utf8":
            self._text(result, pointer, length, 1, "utf-8")
        elif self.encoding == "utf16":
            self._text(result, pointer, length, 2, "utf-16-le")
        else:
            self.emit(f"if {pointer} & 1: raise unaligned({pointer})")
            with self.block(f"if {length} >> 31:"):
                self.emit(f"{length} &= 0x7fffffff")
                self._text(result, pointer, length, 2, "utf-16-le")
                if self.handles.passes_on:
                    self.emit(f"{result} = Utf16Text({result})")
            with self.block("else:"):
                self._text(result, pointer, length, 1, "latin-1")
        return result

    def _text(self, result: str, pointer: str, units: str, width: int, codec: str) -> None:
        length = units if width == 1 else f"{width} * {units}"
        self.emit(f"if {length} > cur.string_bytes: raise cur.too_large('string', {length}, cur.string_bytes)")
        self.bounds(pointer, length, width)
        self._count_bytes(length)
        line = f"{result} = str(mem[{pointer}:{pointer} + {length}], {codec!r})"
        if codec == "latin-1":  # every byte is a character
            self.emit(line)
        else:
            self.emit(f"try: {line}")
            self.emit("except UnicodeDecodeError as broken: raise bad_text(broken) from None")

    def _count_bytes(self, length: str) -> None:
        """In line, because it is done for each of thousands of strings."""
        self.emit(f"cur.bytes_left -= {length}")
        self.emit("if cur.bytes_left < 0: raise cur.too_many_bytes()")

    def _list(self, element: ValType, pointer: str, count: str) -> str:
        width, result = size(element), self.fresh()
        length = count if width == 1 else f"{count} * {width}"
        self.emit(f"if {length} > cur.list_bytes: raise cur.too_large('list', {length}, cur.list_bytes)")
        self.bounds(pointer, length, alignment(element))
        name = element.name if isinstance(element, Primitive) else ""
        if name == "u8":
            self._count_bytes(count)
            self.emit(f"{result} = bytes(mem[{pointer}:{pointer} + {count}])")
        elif name in NUMBERS:
            code = SCALARS[name].code
            self.emit(f"cur.charge({count} >> 2)")  # a number costs a quarter of what other values do
            self.emit(f"{result} = mem[{pointer}:{pointer} + {length}].cast('{code}').tolist()")
            if name in ("f32", "f64"):
                self.emit(f"{result} = canonical_nans({result})")
        else:
            at = self.fresh()
            self.emit(f"cur.charge({count} * {leaf_count(element)})")
            self.emit(f"{result} = []")
            with self.block(f"for {at} in range({pointer}, {pointer} + {length}, {width}):"):
                self.emit(f"{result}.append({self.load(element, at, 0)})")
        return result

    @staticmethod
    def _build(kind: ValType, values: list[tuple[str | int, str]]) -> str:
        if isinstance(kind, Tuple):
            return "(" + "".join(f"{value}, " for _, value in values) + ")"
        assert isinstance(kind, Record)
        return "{" + ", ".join(f"{name!r}: {value}" for name, value in values) + "}"

    def _cases(self, kind: ValType, discriminant: str, payload_of: Callable[[ValType], str]) -> str:
        cases = cases_of(kind) or ()
        self.emit(f"if {discriminant} >= {len(cases)}: raise bad_case({discriminant})")
        if isinstance(kind, Enum):
            return f"{self.constant(kind.labels)}[{discriminant}]"
        result = self.fresh()

        def case(number: int) -> None:
            label, payload = cases[number]
            value = payload_of(payload) if payload is not None else "None"
            if isinstance(kind, Option):
                wraps = number == 1 and isinstance(kind.payload, Option)
                self.emit(f"{result} = " + (f"Some({value})" if wraps else value))
            elif isinstance(kind, Result):
                self.emit(f"{result} = {'Err' if number else 'Ok'}({value})")
            else:
                self.emit(f"{result} = ({label!r}, {value})")

        self.choose(discriminant, len(cases), case)
        return result
