"""What the decoder refuses: by name what the engine lacks, by place what is no component, and what would explode."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from airssys_actors.engine.binary import encode_u32
from airssys_actors.engine.decoder import decode
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported

HEADER = b"\0asm\x0d\x00\x01\x00"


def section(number: int, *items: bytes) -> bytes:
    content = encode_u32(len(items)) + b"".join(items)
    return bytes([number]) + encode_u32(len(content)) + content


def nested(component: bytes) -> bytes:
    return b"\x04" + encode_u32(len(component)) + component


def index(number: int) -> bytes:
    """Encode a type's number as the signed one that it is: bit 6 of the last byte must stay clear."""
    encoded = encode_u32(number)
    return encoded if encoded[-1] < 0x40 else encoded[:-1] + bytes([encoded[-1] | 0x80, 0])


def name(text: str) -> bytes:
    return encode_u32(len(text)) + text.encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('(import "f" (func async))', "asynchronous function types"),
        ("(type (stream u8))", "the type stream"),
        ("(type (future u8))", "the type future"),
        ("(type error-context)", "the type error-context"),
        ("(type (list u8 4))", "lists of a fixed length"),
        ("(type (map string u8))", "the type map"),
        ('(import "c" (component))', "the import of a component"),
        ('(import "i" (instance (export "c" (component))))', "an imported instance with component 'c' in it"),
        ('(import "f" (func $f)) (export "g" (func $f))', "an imported function exported again"),
        ("(core func (canon task.cancel))", "task.cancel"),
        ("(core func (canon backpressure.inc))", "backpressure.inc"),
        ("(core func (canon waitable-set.new))", "waitable-set.new"),
        ("(type $s u8) (core type $t (func)) (core func (canon subtask.drop))", "subtask.drop"),
        (
            """
            (core module $m (func (export "f"))) (core instance $i (instantiate $m))
            (func (canon lift (core func $i "f") async))
            """,
            "the canonical option async",
        ),
    ],
)
def test_what_the_engine_lacks_is_refused_by_name(text: str, said: str) -> None:
    component = bytes(wat2wasm(f"(component {text})"))
    with pytest.raises(ComponentUnsupported) as refusal:
        decode(component)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (section(9), "start sections"),
        (section(12), "value definitions"),
        (section(10, b"\x02" + name("a") + b"\x01\x00"), "names with attributes"),
        (section(7, b"\x3e\x7f\x00\x00"), "asynchronous destructor"),
        (section(3, b"\x5f\x00"), "garbage collection"),
    ],
)
def test_what_no_text_form_writes_is_refused_by_name_too(tail: bytes, said: str) -> None:
    with pytest.raises(ComponentUnsupported, match=said):
        decode(HEADER + tail)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"\x7fELF\x02\x01\x01\x00", "not WebAssembly"),
        (b"\0as", "not WebAssembly"),
        (b"\0asm", "not WebAssembly of a known version"),
        (b"\0asm\x01\x00\x00\x00", "wasm-tools component new"),
        (b"\0asm\x02\x00\x00\x00", "not WebAssembly of a known version"),
        (b"  (component)", "wasm-tools parse"),
        (b"(module)", "wasm-tools parse"),
    ],
)
def test_what_is_no_component_is_told_what_it_is(data: bytes, said: str) -> None:
    with pytest.raises(ComponentInvalid) as refusal:
        decode(data)
    assert said in str(refusal.value)


def test_another_version_of_the_binary_format_is_named() -> None:
    with pytest.raises(ComponentInvalid, match="version 12"):
        decode(b"\0asm\x0c\x00\x01\x00")


LOWEST = section(7, b"\x7d")  # type 0 is u8


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (b"\x07\x05", "bytes are announced"),
        (b"\x07\xff\xff\xff\xff\x7f", "more than 32 bits"),
        (b"\x07\x80\x80\x80\x80\x80\x00", "more than 32 bits"),
        (b"\x07\x05\xff\xff\xff\xff\x0f", "elements is announced"),
        (b"\x0d\x01\x00", "section 13 is not known"),
        (b"\x07\x03\x01\x7d\x7d", "longer than what is in it"),
        (section(7, b"\x01"), "is no type"),
        (section(7, b"\x70\x00"), "there is no type 0"),
        (section(7, b"\x70\x40"), "is no type"),
        (section(7, b"\x70\xff\x7f"), "there is no type -1"),
        (section(7, b"\x70\x80\x80\x80\x80\x80\x00"), "more than 33 bits"),
        (section(7, b"\x72\x00"), "a record without any part"),
        (section(7, b"\x6f\x00"), "a tuple without any part"),
        (section(7, b"\x72\x01" + name("a b") + b"\x7d"), "is not a label"),
        (section(7, b"\x72\x01" + name("") + b"\x7d"), "is not a label"),
        (section(7, b"\x72\x01\x01\xff\x7d"), "not UTF-8"),
        (section(7, b"\x72\x02" + (name("a") + b"\x7d") + (name("A") + b"\x7d")), "is there twice"),
        (section(7, b"\x6e\x21" + b"".join(name(f"f{i}") for i in range(33))), "more than 32 labels"),
        (section(7, b"\x71\x01" + name("a") + b"\x00\x01"), "end of a variant's case"),
        (section(7, b"\x6a\x02\x00"), "neither absent"),
        (LOWEST + section(7, b"\x69\x00"), "is not a resource"),
        (section(7, b"\x3f\x7f\x00", b"\x68\x00", b"\x40\x00\x00\x01"), "contains a borrowed handle"),
        (section(7, b"\x42\x01\x01\x3f\x7f\x00"), "a resource is defined inside a type"),
        (section(7, b"\x42\x01\x05"), "is no declarator"),
        (section(7, b"\x42\x01\x03\x00" + name("a") + b"\x03\x01"), "is no declarator"),
        (section(6, b"\x03\x02\x00\x00"), "there is no type 0 outside"),
        (section(6, b"\x03\x02\x01\x00"), "outside of the component"),
        (section(6, b"\x03\x02\xff\xff\xff\xff\x0f\x00"), "outside of the component"),
        (section(6, b"\x01\x02\x00\x00"), "an alias of a func outside"),
        (section(6, b"\x05\x00\x00" + name("a")), "there is no instance 0"),
        (section(6, b"\x00\x00\x01\x00" + name("a")), "there is no core instance 0"),
        (section(6, b"\x09\x02\x00\x00"), "an alias of no known sort"),
        (section(2, b"\x00\x00\x00"), "there is no core module 0"),
        (section(2, b"\x02"), "is no form of a core instance"),
        (section(5, b"\x00\x00\x00"), "there is no component 0"),
        (section(5, b"\x01\x01\x00" + name("a") + b"\x00\x12\x00"), "only a module stands"),
        (section(8, b"\x00\x00\x00\x00\x00"), "there is no core func 0"),
        (section(8, b"\x01\x00\x00\x00"), "there is no function 0"),
        (section(8, b"\x77"), "is no canonical function"),
        (LOWEST + section(10, b"\x00" + name("f") + b"\x01\x00"), "not a function's"),
        (LOWEST + section(10, b"\x00" + name("i") + b"\x05\x00"), "not an instance's"),
        (section(10, b"\x00" + name("") + b"\x03\x01"), "an empty name"),
        (section(10, *[b"\x00" + name("r") + b"\x03\x01"] * 2), "imported twice"),
        (section(10, b"\x00" + name("r") + b"\x03\x01") + section(8, b"\x02\x00"), "resource.new of a resource"),
        (LOWEST + section(11, *[b"\x00" + name("t") + b"\x03\x00\x00"] * 2), "exported twice"),
        (LOWEST + section(11, b"\x00" + name("t") + b"\x03\x00\x01\x05\x00"), "not an instance's"),
        (nested(b"\0asm\x01\x00\x00\x00") + section(5, b"\x00\x00\x00"), "begins otherwise"),
        (
            nested(HEADER + section(10, b"\x00" + name("x") + b"\x03\x01")) + section(5, b"\x00\x00\x00"),
            "is not given its import 'x'",
        ),
    ],
)
def test_invalid_bytes_are_refused_with_the_place(tail: bytes, said: str) -> None:
    with pytest.raises(ComponentInvalid) as refusal:
        decode(HEADER + tail)
    assert said in str(refusal.value)
    assert "at byte 0x" in str(refusal.value)


def test_a_type_that_doubles_with_each_definition_is_refused() -> None:
    doubling = [b"\x7d"] + [b"\x6f\x02" + encode_u32(i) * 2 for i in range(60)]
    with pytest.raises(ComponentInvalid, match="more than 2000 parts"):
        decode(HEADER + section(7, *doubling))


def test_a_type_nested_too_deep_is_refused() -> None:
    with pytest.raises(ComponentInvalid, match="nested more than 100 deep"):
        decode(HEADER + section(7, b"\x7d", *[b"\x70" + index(i) for i in range(5_000)]))


def test_components_nested_too_deep_are_refused() -> None:
    component = HEADER
    for _ in range(40):
        component = HEADER + nested(component) + section(5, b"\x00\x00\x00")
    with pytest.raises(ComponentInvalid, match="nested more than 32 deep"):
        decode(component)


def test_instance_types_nested_too_deep_are_refused() -> None:
    with pytest.raises(ComponentInvalid, match="nested more than 32 deep"):
        decode(HEADER + section(7, b"\x42\x01\x01" * 5_000 + b"\x42\x00"))


def test_components_that_instantiate_each_other_exponentially_are_refused() -> None:
    component = HEADER + section(7, *[b"\x7d"] * 100)
    for _ in range(30):
        component = HEADER + nested(component) + section(5, b"\x00\x00\x00", b"\x00\x00\x00")
    with pytest.raises(ComponentInvalid, match="repeated by nesting"):
        decode(component)


def test_instances_that_contain_each_other_exponentially_are_refused() -> None:
    def pair(i: int) -> bytes:
        inner = b"\x05" + encode_u32(i)
        return b"\x01\x02" + b"\x00" + name("a") + inner + b"\x00" + name("b") + inner

    instances = section(5, b"\x01\x00", *[pair(i) for i in range(30)])
    with pytest.raises(ComponentInvalid, match="more than 10000 exports"):
        decode(HEADER + instances + section(11, b"\x00" + name("x") + b"\x05\x1e\x00"))


def test_thousands_of_core_instances_are_refused() -> None:
    module = b"\x01\x08\0asm\x01\x00\x00\x00"
    with pytest.raises(ComponentInvalid, match="more than 1000 core instances"):
        decode(HEADER + module + section(2, *[b"\x00\x00\x00"] * 1_001))
    with pytest.raises(ComponentInvalid, match="more than 1000 core modules"):
        decode(HEADER + module * 1_001)


def test_many_functions_of_a_large_type_are_refused() -> None:
    large = (
        [b"\x7d"] + [b"\x6f\x02" + encode_u32(i) * 2 for i in range(9)] + [b"\x40\x01" + name("x") + b"\x09\x01\x00"]
    )
    function = b"\x00" + name("f") + b"\x01" + encode_u32(len(large) - 1)
    lowered = section(8, *[b"\x01\x00\x00\x00"] * 1_000)
    with pytest.raises(ComponentInvalid, match="types of all functions"):
        decode(HEADER + section(7, *large) + section(10, function) + lowered)
