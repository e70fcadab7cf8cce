"""Wrong variants of the rules for values, by name: how they lie, how they are lifted and lowered."""

from __future__ import annotations

from tests.differential.planting import Planted

__all__ = ("PLANTED_IN_VALUES",)

_LAYOUT, _LIFT, _LOWER, _RULES = "abi/layout.py", "abi/lift.py", "abi/lower.py", "abi/rules.py"

_LAYOUTS = (
    Planted(
        "a record's fields are not aligned in its size", "catch", _LAYOUT,
        "total = align_to(total, alignment(field)) + size(field)", "total = total + size(field)",
    ),
    Planted(
        "a record's size is not rounded up", "catch raw", _LAYOUT,
        "return align_to(total, alignment(kind))", "return total",
    ),
    Planted(
        "a record is aligned as its first field", "catch raw", _LAYOUT,
        "return max((alignment(field) for _, field in fields), default=1)",
        "return [alignment(field) for _, field in fields][0]",
    ),
    Planted(
        "a variant's payload is not aligned", "catch raw", _LAYOUT,
        "return align_to(discriminant_size(cases), max(", "return max(discriminant_size(cases), 0 and max(",
    ),
    Planted(
        "a variant's size is not rounded up", "catch raw", _LAYOUT,
        "return align_to(payload_offset(cases) + largest, alignment(kind))", "return payload_offset(cases) + largest",
    ),
    Planted(
        "a variant's size is that of its last payload", "catch raw", _LAYOUT,
        "largest = max((size(payload) for _, payload in cases if payload), default=0)",
        "largest = [0, *(size(payload) for _, payload in cases if payload)][-1]",
    ),
    Planted(
        "a variant is aligned as its discriminant", "catch raw", _LAYOUT,
        "return max([discriminant_size(cases), *(alignment(payload) for _, payload in cases if payload)])",
        "return discriminant_size(cases)",
    ),
    Planted(
        "256 cases need two bytes", "catch raw", _LAYOUT, "1 if count <= 1 << 8 else", "1 if count < 1 << 8 else",
    ),
    Planted("512 cases need one byte", "catch raw", _LAYOUT, "1 if count <= 1 << 8 else", "1 if count <= 1 << 9 else"),
    Planted("8 flags need two bytes", "catch raw", _LAYOUT, "1 if count <= 8 else", "1 if count < 8 else"),
    Planted("16 flags need four bytes", "catch raw", _LAYOUT, "2 if count <= 16 else", "2 if count < 16 else"),
    Planted("17 flags need two bytes", "catch raw", _LAYOUT, "2 if count <= 16 else", "2 if count <= 17 else"),
    Planted(
        "strings are aligned to 8", "catch raw", _LAYOUT,
        'return 4 if kind.name == "string"', 'return 8 if kind.name == "string"',
    ),
    Planted(
        "lists and handles are aligned to 1", "catch raw", _LAYOUT,
        "return 4  # lists, own, borrow", "return 1  # lists",
    ),
    Planted("chars have two bytes", "catch raw", _LAYOUT, '"char": Scalar(4, "I"', '"char": Scalar(2, "H"'),
    Planted("s16 has no sign in memory", "raw pass", _LAYOUT, '"s16": Scalar(2, "h"', '"s16": Scalar(2, "H"'),
    Planted("s8 has no sign in memory", "raw pass", _LAYOUT, '"s8": Scalar(1, "b"', '"s8": Scalar(1, "B"'),
    Planted(
        "i32 and f32 join to i64", "pass catch", _LAYOUT,
        'return "i32" if {one, other} == {"i32", "f32"} else "i64"', 'return "i64"',
    ),
    Planted(
        "f64 and i64 join to f64", "pass catch", _LAYOUT,
        'return "i32" if {one, other} == {"i32", "f32"} else "i64"',
        'return "i32" if {one, other} == {"i32", "f32"} else "f64" if {one, other} == {"i64", "f64"} else "i64"',
    ),
    Planted("17 core values are passed", "pass echo catch", _LAYOUT, "MAX_FLAT_PARAMS = 16", "MAX_FLAT_PARAMS = 17"),
    Planted("only 15 core values are passed", "pass catch", _LAYOUT, "MAX_FLAT_PARAMS = 16", "MAX_FLAT_PARAMS = 15"),
    Planted("two core values are returned", "pass catch", _LAYOUT, "MAX_FLAT_RESULTS = 1", "MAX_FLAT_RESULTS = 2"),
    Planted(
        "the pointer for the result comes first", "pass raw", _LAYOUT,
        'else ((*params, "i32"), ())', 'else (("i32", *params), ())',
    ),
)  # fmt: skip

_LIFTS = (
    Planted("flat s8 and s16 have no sign", "raw pass", _LIFT, "^ {half:#x}) - {half:#x}", "^ {half:#x}) ^ {half:#x}"),
    Planted(
        "upper bits of flat u8 and u16 count",
        "raw", _LIFT, 'return f"{value} & {SCALARS[name].high:#x}"', "return value",
    ),
    Planted("flat s32 has no sign", "pass raw", _LIFT, '"s32": "i32"', '"s32": "u32"'),
    Planted("only 1 is true", "raw", _LIFT, 'return f"{value} != 0"', 'return f"{value} == 1"'),
    Planted(
        "the discriminant's bound is one too high", "raw", _LIFT,
        "if {discriminant} >= {len(cases)}:", "if {discriminant} > {len(cases)}:",
    ),
    Planted(
        "the discriminant's bound is one too low", "pass raw", _LIFT,
        "if {discriminant} >= {len(cases)}:", "if {discriminant} >= {max(1, len(cases) - 1)}:",
    ),
    Planted("ok and error change places", "pass raw", _LIFT, "'Err' if number else 'Ok'", "'Ok' if number else 'Err'"),
    Planted(
        "some of none is none", "pass raw", _LIFT, "isinstance(kind.payload, Option)", "isinstance(kind.payload, int)",
    ),
    Planted(
        "flags are read from the top", "pass raw", _LIFT,
        "(label, 1 << bit) for bit", "(label, 1 << (len(kind.labels) - 1 - bit)) for bit",
    ),
    Planted(
        "fields are not aligned when they are read", "raw echo", _LIFT,
        "offset = align_to(offset, alignment(field))", "offset = align_to(offset, 1)",
    ),
    Planted(
        "a payload is read right after the discriminant", "raw echo", _LIFT,
        "inside = offset + payload_offset(cases)", "inside = offset + discriminant_size(cases)",
    ),
    Planted(
        "a discriminant is read as one byte", "raw echo", _LIFT,
        "self._unsigned(discriminant_size(cases), at)", "self._unsigned(1, at)",
    ),
    Planted(
        "a list's end is not looked at", "raw", _LIFT,
        "self.bounds(pointer, length, alignment(element))", "self.bounds(pointer, 0, alignment(element))",
    ),
    Planted(
        "a list's alignment is not looked at", "raw", _LIFT,
        "self.bounds(pointer, length, alignment(element))", "self.bounds(pointer, length)",
    ),
    Planted(
        "a string's end is not looked at", "raw", _LIFT,
        "self.bounds(pointer, length, width)", "self.bounds(pointer, 0, width)",
    ),
    Planted(
        "a string's alignment is not looked at", "raw", _LIFT,
        "self.bounds(pointer, length, width)", "self.bounds(pointer, length)",
    ),
    Planted(
        "a latin1 string's alignment is not looked at", "raw", _LIFT,
        'self.emit(f"if {pointer} & 1: raise unaligned({pointer})")', "pass",
    ),
    Planted(
        "latin1 and utf16 change places", "raw pass", _LIFT, 'f"if {length} >> 31:"', 'f"if not {length} >> 31:"',
    ),
    Planted("the utf16 tag counts as length", "raw pass", _LIFT, "&= 0x7fffffff", "&= 0xffffffff"),
    Planted("utf16 is big-endian when it is read", "raw pass", _LIFT, '"utf-16-le"', '"utf-16-be"', 2),
    Planted("a lone surrogate passes in utf16", "raw", _LIFT, "{codec!r})", "{codec!r}, 'replace')"),
    Planted("latin1 is read as cp1252", "raw pass", _LIFT, '1, "latin-1")', '1, "cp1252")'),
    Planted(
        "utf16 lengths are bytes", "raw pass", _LIFT,
        'length = units if width == 1 else f"{width} * {units}"', "length = units",
    ),
    Planted(
        "a NaN's bits are kept when it is lifted", "raw", _LIFT,
        'return f"({number} if {number} == {number} else NAN)"', 'return f"({number})"',
    ),
    Planted(
        "NaNs keep their bits in lists", "raw", _RULES,
        "return [x if x == x else NAN for x in values] if any(map(math.isnan, values)) else values", "return values",
    ),
    Planted("surrogates are chars", "raw", _RULES, "or 0xD800 <= code <= 0xDFFF", "or 0xD800 < code < 0xDFFF"),
    Planted("chars end one later", "raw", _RULES, "code >= 0x110000", "code > 0x110000"),
    Planted("chars end one earlier", "raw pass", _RULES, "code >= 0x110000", "code >= 0x10FFFF"),
)  # fmt: skip

_LOWERS = (
    Planted("true is 2", "catch", _RULES, "BOOLS = {False: 0, True: 1}", "BOOLS = {False: 0, True: 2}"),
    Planted("negative s8 has no sign", "catch pass", _LOWER, '"s8": "i32"', '"s8": "u32"'),
    Planted(
        "what a shorter payload leaves free is not cleared", "catch pass", _LOWER,
        "for slot in slots[1:]:", "for slot in slots[:0]:",
    ),
    Planted(
        "fields are not aligned when they are written", "catch echo", _LOWER,
        "offset = align_to(offset, alignment(field))", "offset = align_to(offset, 1)",
    ),
    Planted(
        "a payload is written right after the discriminant", "catch echo", _LOWER,
        "inside = offset + payload_offset(cases)", "inside = offset + discriminant_size(cases)",
    ),
    Planted(
        "a discriminant is written as one byte", "catch raw", _LOWER,
        "self._pack(discriminant_size(cases))", "self._pack(1)",
    ),
    Planted(
        "flags are written from the top", "catch", _LOWER,
        "{label: 1 << bit for", "{label: 1 << (len(kind.labels) - 1 - bit) for",
    ),
    Planted(
        "utf16 lengths are written as bytes", "pass catch", _LOWER,
        'units, align = f"{length} >> 1", 2', "units, align = length, 2",
    ),
    Planted("utf16 is big-endian when it is written", "pass catch", _LOWER, "'utf-16-le'", "'utf-16-be'", 2),
    Planted("utf16 is not tagged", "pass catch", _LOWER, ">> 1 | 0x80000000", ">> 1"),
    Planted("everything is latin1 or an error", "pass catch", _LOWER, "except UnicodeEncodeError:", "except KeyError:"),
    Planted("realloc is asked for alignment 1", "pass echo", _LOWER, "yield {align}, {length}", "yield 1, {length}"),
    Planted(
        "realloc's pointer may lie outside", "catch pass", _LOWER,
        "self.bounds(pointer, length, align)\n        return pointer", "return pointer",
    ),
    Planted(
        "realloc's pointer may be unaligned", "catch", _LOWER,
        "self.bounds(pointer, length, align)\n        return pointer",
        "self.bounds(pointer, length)\n        return pointer",
    ),
    Planted(
        "a NaN's bits are kept when it is lowered", "catch", _LOWER,
        'return f"{number} if {number} == {number} else NAN"', "return number",
    ),
    Planted(
        "an f32 NaN's sign is kept when it is lowered", "catch", _RULES,
        "return NAN\n", "return number\n",
    ),
    Planted("chars lose their upper bits", "pass catch", _RULES, "return code", "return code & 0xFFFF"),
    Planted(
        "lists are as long as their bytes", "catch pass", _LOWER,
        "return pointer, count\n\n    def _match", "return pointer, length\n\n    def _match",
    ),
)  # fmt: skip

PLANTED_IN_VALUES = (*_LAYOUTS, *_LIFTS, *_LOWERS)
