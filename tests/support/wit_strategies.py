"""Hypothesis strategies for WIT packages, as text: every kind of type, resources, uses, names that need a %."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from airssys_actors.engine.wit.lexer import KEYWORDS

__all__ = ("packages",)

_PRIMITIVES = "bool s8 u8 s16 u16 s32 u32 s64 u64 f32 f64 char string"
_LABELS = [f"l{number}" for number in range(30)]
_LABELS += ["two-words", "HTTP", "a-HTTP-status", "x1-2", "stdin", "from", "type", "list", "since"]


@dataclass
class _Interface:
    """What is declared so far. ``values`` and ``resources`` are names of types as they are written here."""

    name: str
    lines: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    exported: list[tuple[str, bool]] = field(default_factory=list)
    """Names that others may use, and whether they are resources."""


def _written(label: str) -> str:
    return f"%{label}" if label in KEYWORDS else label


@st.composite
def packages(draw: st.DrawFn) -> str:
    """The text of one package with a few interfaces, and a world ``all`` that imports each of them."""
    interfaces: list[_Interface] = []
    for number in range(draw(st.integers(1, 3))):
        interfaces.append(_interface(draw, f"i{number}", interfaces))
    texts = [f"interface {each.name} {{\n" + "\n".join(each.lines) + "\n}" for each in interfaces]
    texts = draw(st.permutations(texts))
    imports = " ".join(f"import {each.name};" for each in interfaces)
    version = draw(st.sampled_from(["", "@1.2.3", "@0.1.0-draft"]))
    return f"package test:drawn{version};\n" + "\n".join(texts) + f"\nworld all {{ {imports} }}\n"


def _interface(draw: st.DrawFn, name: str, others: list[_Interface]) -> _Interface:
    made = _Interface(name)
    used: set[str] = set()
    for other in others:
        for used_name, is_resource in other.exported:
            if draw(st.integers(0, 3)) == 0:
                local = f"u{len(used)}-{used_name}"
                used.add(local)
                made.lines.append(f"use {other.name}.{{{used_name} as {local}}};")
                (made.resources if is_resource else made.values).append(local)
                made.exported.append((local, is_resource))
    for number in range(draw(st.integers(0, 2))):
        made.resources.append(f"r{number}")
        made.exported.append((f"r{number}", True))
    definitions = [_definition(draw, made, f"t{number}") for number in range(draw(st.integers(0, 5)))]
    resources = [_resource(draw, made, each) for each in made.resources if each.startswith("r")]
    functions = [f"{_function_name(number)}: {_function(draw, made)}" for number in range(draw(st.integers(1, 5)))]
    made.lines += draw(st.permutations(definitions + resources + functions))
    return made


def _function_name(number: int) -> str:
    return ["f0", "f1-x", "f2-HTTP", "%func", "%constructor"][number]


def _definition(draw: st.DrawFn, made: _Interface, name: str) -> str:
    kind = draw(st.sampled_from(["type", "record", "variant", "enum", "flags"]))
    if kind == "type":
        text = f"type {name} = {_type(draw, made)};"
    else:
        labels = [
            _written(each) for each in draw(st.lists(st.sampled_from(_LABELS), min_size=1, max_size=5, unique=True))
        ]
        if kind == "record":
            labels = [f"{label}: {_type(draw, made)}" for label in labels]
        if kind == "variant":
            labels = [label + (f"({_type(draw, made)})" if draw(st.booleans()) else "") for label in labels]
        text = f"{kind} {name} {{ {', '.join(labels)}{draw(st.sampled_from(['', ',']))} }}"
    made.values.append(name)
    made.exported.append((name, False))
    return text


def _resource(draw: st.DrawFn, made: _Interface, name: str) -> str:
    members = [
        f"{_function_name(number)}: {draw(st.sampled_from(['', 'static ']))}{_function(draw, made)}"
        for number in range(draw(st.integers(0, 3)))
    ]
    if draw(st.booleans()):
        members.append(f"constructor({_parameters(draw, made)});")
    return f"resource {name} {{ {' '.join(members)} }}" if members else f"resource {name};"


def _function(draw: st.DrawFn, made: _Interface) -> str:
    result = f" -> {_type(draw, made)}" if draw(st.booleans()) else ""
    return f"func({_parameters(draw, made)}){result};"


def _parameters(draw: st.DrawFn, made: _Interface) -> str:
    labels = draw(st.lists(st.sampled_from(_LABELS), max_size=4, unique=True))
    return ", ".join(f"{_written(each)}: {_type(draw, made, borrows=True)}" for each in labels)


def _type(draw: st.DrawFn, made: _Interface, depth: int = 0, borrows: bool = False) -> str:
    """Borrowed handles stand in parameters alone: a type with a name might be a result as well."""

    def inner() -> str:
        return _type(draw, made, depth + 1, borrows)

    kinds = ["primitive", "primitive"]
    if made.values:
        kinds.append("value")
    if made.resources:
        kinds += ["own", "handle"]
        if borrows:
            kinds.append("borrow")
    if depth < 3:
        kinds += ["list", "option", "result", "tuple"]
    match draw(st.sampled_from(kinds)):
        case "value":
            return draw(st.sampled_from(made.values))
        case "own":
            return f"own<{draw(st.sampled_from(made.resources))}>"
        case "handle":
            return draw(st.sampled_from(made.resources))
        case "borrow":
            return f"borrow<{draw(st.sampled_from(made.resources))}>"
        case "list" | "option" as around:
            return f"{around}<{inner()}>"
        case "tuple":
            return f"tuple<{', '.join(inner() for _ in range(draw(st.integers(1, 3))))}>"
        case "result":
            form = draw(st.sampled_from(["result", "result<{}>", "result<_, {}>", "result<{}, {}>"]))
            return form.format(*(inner() for _ in range(form.count("{}"))))
        case _:
            return draw(st.sampled_from(_PRIMITIVES.split()))
