"""Python values -> guest values: generates the source that writes flat core values and linear memory.

Memory for strings and lists comes from the guest's realloc. The generated code asks for it by
``pointer = yield alignment, length``, and whoever drives the generator has the guest run its realloc: no Python frame
stays on the guest's stack meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    Result,
    Tuple,
    ValType,
)

__all__ = ("Lowerer",)

_WORD_OF = {"s8": "i32", "s16": "i32", "s32": "i32", "u64": "u64", "s64": "i64", "f32": "f32", "f64": "f64"}


class Lowerer(MemorySource):
    """Each method emits the code that writes one value; ``value`` is an expression that is read once."""

    def explained(self, indent: int, expected: Sequence[tuple[str, ValType]], values: Sequence[str]) -> str:
        """The whole text, with what a value that does not fit raises made clear. ``values``: their names, in order."""
        if not expected:
            return self.text(indent)
        margin, names = " " * indent, "".join(f"{value}, " for value in values)
        return (
            f"{margin}try:\n{self.text(indent + 4)}"
            f"{margin}except MISFITS as failure: raise misfit(failure, {self.constant(tuple(expected))}, ({names}))\n"
        )

    def flat(self, kind: ValType, value: str, indices: list[int]) -> None:
        """Lower into core values; takes its share of ``indices`` off the front."""
        if isinstance(kind, Primitive) and kind.name != "string":
            self._put(indices, _WORD_OF.get(kind.name, "u32"), self._scalar(kind.name, value))
        elif isinstance(kind, ListOf | Primitive):
            pointer, length = self._sequence(kind, value)
            self._put(indices, "u32", pointer)
            self._put(indices, "u32", length)
        elif (fields := fields_of(kind)) is not None:
            whole = self._whole(kind, value, len(fields))
            for name, field in fields:
                self.flat(field, f"{whole}[{name!r}]", indices)
        elif cases_of(kind) is not None:
            count = len(flatten(kind))
            slots = indices[:count]
            del indices[:count]
            for slot in slots[1:]:
                self.emit(f"{self.slots.at(slot, 'u64')} = 0")
            self._match(
                kind,
                value,
                lambda number: self.emit(f"{self.slots.at(slots[0], 'u32')} = {number}"),
                lambda payload, inner: self.flat(payload, inner, slots[1:]),
            )
        else:
            self._put(indices, "u32", self._word(kind, value))

    def store(self, kind: ValType, value: str, pointer: str, offset: int) -> None:
        """Lower into memory at ``pointer + offset``, whose bounds were checked."""
        at = f"{pointer} + {offset}" if offset else pointer
        if isinstance(kind, Primitive) and kind.name != "string":
            self.emit(f"p_{SCALARS[kind.name].code}(mem, {at}, {self._scalar(kind.name, value)})")
        elif isinstance(kind, ListOf | Primitive):
            start, length = self._sequence(kind, value)
            self.emit(f"p_II(mem, {at}, {start}, {length})")
        elif (fields := fields_of(kind)) is not None:
            whole = self._whole(kind, value, len(fields))
            for name, field in fields:
                offset = align_to(offset, alignment(field))
                self.store(field, f"{whole}[{name!r}]", pointer, offset)
                offset += size(field)
        elif (cases := cases_of(kind)) is not None:
            pack = self._pack(discriminant_size(cases))
            inside = offset + payload_offset(cases)
            self._match(
                kind,
                value,
                lambda number: self.emit(f"{pack}(mem, {at}, {number})"),
                lambda payload, inner: self.store(payload, inner, pointer, inside),
            )
        else:
            pack = self._pack(flags_size(kind) if isinstance(kind, Flags) else 4)
            self.emit(f"{pack}(mem, {at}, {self._word(kind, value)})")

    @staticmethod
    def _pack(width: int) -> str:
        return f"p_{ {1: 'B', 2: 'H', 4: 'I'}[width] }"

    def _put(self, indices: list[int], word: str, value: str) -> None:
        self.emit(f"{self.slots.at(indices.pop(0), word)} = {value}")

    def _named(self, value: str) -> str:
        name = self.fresh()
        self.emit(f"{name} = {value}")
        return name

    def _whole(self, kind: ValType, value: str, count: int) -> str:
        whole = self._named(value)
        if isinstance(kind, Tuple):
            self.emit(f"if type({whole}) is not tuple or len({whole}) != {count}: {whole} = as_tuple({whole}, {count})")
        return whole

    def _scalar(self, name: str, value: str) -> str:
        if name == "bool":
            return f"BOOLS[{value}]"
        if name == "char":
            return f"char_code({value})"
        if name in ("u8", "s8", "u16", "s16"):
            number = self._named(value)
            low, high = SCALARS[name].low, SCALARS[name].high
            self.emit(f"if not {low} <= {number} <= {high}: raise out_of_range({number}, {name!r})")
            return number
        if name == "f32":
            number = self._named(value)
            return f"{number} if -F32_END < {number} < F32_END else odd_f32({number})"
        if name == "f64":
            number = self._named(value)
            return f"{number} if {number} == {number} else NAN"
        return value

    def _word(self, kind: ValType, value: str) -> str:
        if isinstance(kind, Flags):
            bits = self.constant({label: 1 << bit for bit, label in enumerate(kind.labels)})
            return f"flag_bits({bits}, {value})"
        assert isinstance(kind, Own | Borrow)
        return self.handles.lower(isinstance(kind, Own), value, self.constant(kind.resource))

    def _allocate(self, align: int, length: str) -> str:
        """Have the guest allocate; its answer must be aligned and in bounds, whatever its realloc does."""
        pointer = self.fresh()
        self.emit(f"{pointer} = yield {align}, {length}")
        self.bounds(pointer, length, align)
        return pointer

    def _sequence(self, kind: ListOf | Primitive, value: str) -> tuple[str, str]:
        return self._list(kind.element, value) if isinstance(kind, ListOf) else self._string(value)

    def _string(self, value: str) -> tuple[str, str]:
        if self.transcode is not None:
            pointer, units = self.fresh(), self.fresh()
            self.emit(f"{pointer}, {units} = yield from {self.constant(self.transcode)}(cur, {self.memory}, {value})")
            self.emit(f"mem = cur.mem{self.memory}")
            return pointer, units
        data, length = self.fresh(), self.fresh()
        if self.encoding == "utf8":
            self.emit(f"{data} = {value}.encode(); {length} = len({data})")
            units, align = length, 1
        elif self.encoding == "utf16":
            self.emit(f"{data} = {value}.encode('utf-16-le'); {length} = len({data})")
            units, align = f"{length} >> 1", 2
        else:
            units, align = self.fresh(), 2
            self.emit(f"{data} = {value}")
            with self.block("try:"):
                self.emit(f"{data} = {data}.encode('latin-1'); {length} = {units} = len({data})")
            with self.block("except UnicodeEncodeError:"):
                self.emit(f"{data} = {data}.encode('utf-16-le'); {length} = len({data})")
                self.emit(f"{units} = {length} >> 1 | 0x80000000")
        pointer = self._allocate(align, length)
        self.emit(f"mem[{pointer}:{pointer} + {length}] = {data}")
        return pointer, units

    def _list(self, element: ValType, value: str) -> tuple[str, str]:
        width, align = size(element), alignment(element)
        items, count = self._named(value), self.fresh()
        name = element.name if isinstance(element, Primitive) else ""
        length = count if width == 1 else f"{count} * {width}"
        if name == "u8":
            with self.block(f"if type({items}) is Fill:"):
                self.emit(f"{count} = {items}.n")
                pointer = self._allocate(align, length)
                with self.block(f"with mem[{pointer}:{pointer} + {count}] as window:"):
                    self.emit(f"{count} = fill_window(window, {items})")
            with self.block("else:"):
                self.emit(f"if type({items}) is not bytes: {items} = as_bytes({items})")
                self.emit(f"{count} = len({items})")
                again = self._allocate(align, length)
                self.emit(f"{pointer} = {again}")
                self.emit(f"mem[{pointer}:{pointer} + {count}] = {items}")
            return pointer, count
        if name in NUMBERS:  # packed first: what does not fit is found before the guest has allocated
            self.emit(f"{items} = pack_numbers({SCALARS[name].code!r}, {width}, {items})")
            self.emit(f"{count} = len({items}) // {width}")
            pointer = self._allocate(align, length)
            self.emit(f"mem[{pointer}:{pointer} + {length}] = {items}")
        else:  # a copy: while the guest allocates, other code of the host may change the list
            self.emit(f"{items} = as_list({items}); {count} = len({items})")
            pointer = self._allocate(align, length)
            at, item = self.fresh(), self.fresh()
            with self.block(
                f"for {at}, {item} in zip(range({pointer}, {pointer} + {length}, {width}), {items}, strict=True):"
            ):
                self.store(element, item, at, 0)
        return pointer, count

    def _match(
        self,
        kind: ValType,
        value: str,
        discriminate: Callable[[str], None],
        write_payload: Callable[[ValType, str], None],
    ) -> None:
        chosen = self._named(value)
        cases = cases_of(kind) or ()
        numbers = {label: number for number, (label, _) in enumerate(cases)}
        if isinstance(kind, Enum):
            discriminate(f"{self.constant(numbers)}[{chosen}]")
            return
        if not isinstance(kind, Option | Result):
            self.emit(f"if type({chosen}) is not tuple or len({chosen}) != 2: {chosen} = as_tuple({chosen}, 2)")
            found = self._named(f"{self.constant(numbers)}[{chosen}[0]]")
            discriminate(found)
            self.choose(found, len(cases), lambda case: self._payload(cases[case][1], f"{chosen}[1]", write_payload))
            return
        word = "if"
        for number, (_, payload) in enumerate(cases):
            if isinstance(kind, Option):
                test = f"{chosen} is {'not ' if number else ''}None"
                inner = chosen
                if number and isinstance(kind.payload, Option):
                    test, inner = f"type({chosen}) is Some", f"{chosen}.value"
            else:
                test, inner = f"type({chosen}) is {'Err' if number else 'Ok'}", f"{chosen}.value"
            with self.block(f"{word} {test}:"):
                discriminate(str(number))
                if number or isinstance(kind, Result):
                    self._payload(payload, inner, write_payload)
            word = "elif"
        self.emit(f"else: raise out_of_range({chosen}, 'case of this type')")

    def _payload(self, payload: ValType | None, value: str, write_payload: Callable[[ValType, str], None]) -> None:
        if payload is not None:
            write_payload(payload, value)
        else:
            self.emit(f"if {value} is not None: raise out_of_range({value}, 'payload of this case')")
