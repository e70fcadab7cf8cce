"""The WIT reader: what is written becomes types, and what is wrong is said with its place and its remedy."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airssys_actors.engine.host import OWN_PACKAGES
from airssys_actors.engine.types import (
    Borrow,
    Enum,
    Flags,
    FuncType,
    ListOf,
    Option,
    Own,
    Primitive,
    Record,
    ResourceType,
    Result,
    Tuple,
    Variant,
)
from airssys_actors.engine.wit.lexer import KEYWORDS
from airssys_actors.engine.wit.packages import WitPackages, read_wit
from airssys_actors.engine.wit.resolve import WitInterface
from airssys_actors.errors import WitInvalid

ROOT = Path(__file__).resolve().parents[3]
U8, STRING = Primitive("u8"), Primitive("string")


def interface(declarations: str, beside: str = "") -> WitInterface:
    text = f"package test:it; {beside} interface it {{\n{declarations}\n}}"
    return read_wit(text).interface("test:it/it", ())


def everything(packages: WitPackages) -> dict[str, WitInterface]:
    found = {}
    for name in packages.names():
        plain, _, version = name.partition("@")
        found[name] = packages.interface(plain, (version,) if version else ())
    return found


def test_every_package_of_ours_is_read_and_every_interface_in_it_resolves() -> None:
    found = everything(read_wit(OWN_PACKAGES))
    assert len(found) == len(list(OWN_PACKAGES.rglob("*.wit"))) - 1  # one file has worlds
    assert "wasi:filesystem/types@0.2.12" in found


@pytest.mark.parametrize(
    "path",
    sorted(path for folder in ("tests", "examples", "perf") for path in (ROOT / folder).rglob("*.wit")),
    ids=lambda path: path.parent.name,
)
def test_every_world_of_a_guest_is_read(path: Path) -> None:
    everything(read_wit(path))


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("u8", U8),
        ("list<u8>", ListOf(U8)),
        ("option<string>", Option(STRING)),
        ("tuple<u8, string>", Tuple((U8, STRING))),
        ("tuple<u8,>", Tuple((U8,))),
        ("result", Result(None, None)),
        ("result<u8>", Result(U8, None)),
        ("result<_, u8>", Result(None, U8)),
        ("result<u8, string>", Result(U8, STRING)),
        ("list<option<result<_, tuple<u8>>>>", ListOf(Option(Result(None, Tuple((U8,)))))),
        ("later", Option(Record((("x", U8),)))),
    ],
)
def test_type_is_read_where_it_is_used(written: str, type_: object) -> None:
    found = interface(f"f: func() -> {written}; type later = option<inner>; record inner {{ x: u8 }}")
    assert found.functions["f"] == FuncType((), type_)  # type: ignore[arg-type]


def test_named_types_are_read() -> None:
    found = interface(
        "record r { a: u8, %record: string, } variant v { a, b(u8) } enum e { a, b, } flags f { a } type t = list<v>;"
    )
    assert found.types == {
        "r": Record((("a", U8), ("record", STRING))),
        "v": Variant((("a", None), ("b", U8))),
        "e": Enum(("a", "b")),
        "f": Flags(("a",)),
        "t": ListOf(Variant((("a", None), ("b", U8)))),
    }


def test_resource_has_its_constructor_methods_and_statics_as_functions() -> None:
    found = interface(
        "resource r { constructor(a: u8); m: func(x: borrow<r>) -> r; s: static func() -> own<r>; } f: func(r: r);"
    )
    resource = found.types["r"]
    assert isinstance(resource, ResourceType)
    assert resource.imported == ("test:it/it", "r")
    assert found.resources == {"r"}
    assert found.functions == {
        "f": FuncType((("r", Own(resource)),), None),
        "[constructor]r": FuncType((("a", U8),), Own(resource)),
        "[method]r.m": FuncType((("self", Borrow(resource)), ("x", Borrow(resource))), Own(resource)),
        "[static]r.s": FuncType((), Own(resource)),
    }


def test_constructor_may_fail() -> None:
    found = interface("resource r { constructor() -> result<r, string>; }")
    assert found.functions["[constructor]r"].result == Result(Own(found.types["r"]), STRING)  # type: ignore[arg-type]


def test_used_type_is_the_other_interfaces_own() -> None:
    found = interface(
        "use other.{r as mine, n}; use local.{n as m}; f: func(r: mine) -> n;",
        "use test:it/other as local; interface other { resource r; type n = u8; }",
    )
    mine = found.types["mine"]
    assert isinstance(mine, ResourceType)
    assert mine.imported == ("test:it/other", "r")
    assert found.functions["f"] == FuncType((("r", Own(mine)),), U8)
    assert (found.types["m"], found.resources) == (U8, frozenset())


def test_use_crosses_packages_in_one_text() -> None:
    text = """
    package test:it@1.0.0;
    package test:other@2.0.0-draft { interface o { type t = u8; } }
    interface it { use test:other/o@2.0.0-draft.{t}; f: func() -> t; }
    """
    assert read_wit(text).interface("test:it/it", ("0.9.0", "1.0.0")).functions["f"].result == U8


@pytest.mark.parametrize(
    ("wanted", "there"),
    [("0.2.0", True), ("0.2.12", True), ("0.2.13", False), ("0.3.0", False), ("0.1.0", False), ("0.2.0-rc", False)],
)
def test_use_of_our_packages_finds_a_later_compatible_release(wanted: str, there: bool) -> None:
    text = f"package test:it; interface it {{ use wasi:io/poll@{wanted}.{{pollable}}; }}"
    if there:
        assert "pollable" in read_wit(text).interface("test:it/it", ()).types
    else:
        with pytest.raises(WitInvalid, match=r"no interface wasi:io/poll@.*; write wasi:io/poll@0\.2\.12"):
            read_wit(text).interface("test:it/it", ())


def test_comments_and_gates_say_nothing() -> None:
    found = interface("""
        /// What it is. `}`
        // } and /* this opens nothing
        /* one /* in */ another } */
        @since(version = 0.2.1) @deprecated(version = 0.2.3-rc.1+x)
        f: func(); // the end
        @unstable(feature = some-thing)
        g: func();
    """)
    assert set(found.functions) == {"f", "g"}


def test_world_is_read_over_and_what_it_imports_by_itself_is_kept() -> None:
    packages = read_wit("""
        package test:it@1.0.0;
        interface other { type t = u8; }
        world one {
            include two;
            include test:it/two@1.0.0 with { a as b, c as d }
            use other.{t};
            enum e { a }
            import wasi:io/poll@0.2.0;
            import other;
            import f: func(x: t) -> e;
            import inline: interface { use other.{t}; g: func() -> t; }
            export other;
            export h: func();
            export i: interface { j: func(); }
        }
    """)
    assert packages.interface("", ()).functions == {"f": FuncType((("x", U8),), Enum(("a",)))}
    assert packages.interface("inline", ()).functions == {"g": FuncType((), U8)}


def test_folder_has_a_package_for_each_folder_in_it(tmp_path: Path) -> None:
    (tmp_path / "deps" / "other").mkdir(parents=True)
    (tmp_path / "a.wit").write_text("package test:it; interface a { use b.{t}; }")
    (tmp_path / "b.wit").write_text("interface b { use test:other/o.{t}; }")
    (tmp_path / "deps" / "other" / "o.wit").write_text("package test:other; interface o { type t = u8; }")
    (tmp_path / "deps" / "single.wit").write_text("package test:single; interface s { }")
    (tmp_path / "deps" / "another.wit").write_text("package test:another; interface s { }")
    names = {"test:it/a", "test:it/b", "test:other/o", "test:single/s", "test:another/s"}
    assert set(everything(read_wit(tmp_path))) == names


@pytest.mark.parametrize("keyword", sorted(KEYWORDS))
def test_keyword_is_a_name_with_a_percent_sign_alone(keyword: str) -> None:
    assert set(interface(f"%{keyword}: func();").functions) == {keyword}
    with pytest.raises(WitInvalid):
        interface(f"{keyword}: func();")


@pytest.mark.parametrize(
    ("declarations", "text"),
    [
        ("f: async func();", "2:4: an asynchronous function is not supported"),
        ("f: func() -> future<u8>;", "2:14: the type future is not supported"),
        ("f: func() -> stream;", "the type stream is not supported"),
        ("f: func() -> error-context;", "the type error-context is not supported"),
        ("f: func() -> map<u8, u8>;", "the type map is not supported"),
        ("f: func() -> list<u8, 4>;", "2:21: a list of a fixed length is not supported"),
        ("f: func() -> (a: u8);", "named results are no longer part of WIT; return a record or a tuple"),
        ("f: func() -> result<_>;", "`>` stands where a `result` without an ok type needs `,`"),
        ("f: func() -> float32;", "`float32` is the former name of a type; write `f32`"),
        ("f: func() -> nowhere;", "2:14: there is no type `nowhere` here; define it, or `use` it"),
        ("f: func()", "stands where a function needs `;`; write `;` here"),
        ("f: func(a u8);", "`u8` stands where a parameter needs `:`"),
        ("f: func(a: u8, a: u8);", "2:16: `a` is there twice"),
        ("resource r { m: func(self: u8); }", "`self` is there twice"),
        ("resource r { m: func(); m: static func(); }", "2:25: `m` is there twice"),
        ("resource r { r: func(); }", "`r` is there twice"),
        ("resource r { constructor(); constructor(); }", "`constructor()` is there twice"),
        ("resource r { constructor() -> u8; }", "the constructor of `r` returns something else"),
        ("f: func(); F: func();", "2:12: `F` is there twice"),
        ("type t = u8; record t { a: u8 }", "`t` is there twice"),
        ("record t { }", "`t` has no part; give a record one part at least"),
        ("type t = tuple<>;", "a tuple without any part"),
        ("type t = t;", "the type `t` contains itself"),
        ("type a = option<b>; record b { a: a }", "contains itself"),
        ("type t = u8; f: func(x: borrow<t>);", "`borrow<t>` is of no resource; write `t` alone"),
        ("resource r; f: func() -> list<borrow<r>>;", "a function's result contains a borrowed handle"),
        (f"flags f {{ {', '.join(f'l{n}' for n in range(33))} }}", "flags with more than 32 labels; make two of them"),
        ("use it.{t};", "uses itself in a circle"),
        ("use other.{t};", "there is no interface test:it/other"),
        ("use wasi:io/poll@0.2.0.{pollabel};", "has no type `pollabel`; it has: `pollable`"),
        ("use a:b:c/d.{t};", "nested namespace is not supported"),
        ("two_words: func();", "2:1: `two_words` is no name; write words of one case, joined by hyphens"),
        ("Mixed: func();", "`Mixed` is no name"),
        ("f: func();; ", "`;` stands where a function's name is wanted"),
        ("func: func();", "`func` is a word of WIT and cannot be a function's name as it is; write `%func`"),
        ("f: func() -> interface;", "`interface` is no type"),
        ("@since(feature = a) f: func();", "@since says no `feature`; write `version = ...`"),
        ("@since(version = 1.2) f: func();", "`1` is no version; write it as 1.2.3"),
        ("@until(version = 1.2.3) f: func();", "@until is no gate; write one of: @since"),
        ("@deprecated(version = 1.2.3) f: func();", "@deprecated stands alone"),
        ("f: func(); /* open", "2:12: a comment does not end; close it with */"),
        ("f: func(); \x00", "'\\x00' has no meaning in WIT here"),
        ("f: func() \u2192 u8;", "'\u2192' has no meaning in WIT here"),
    ],
)  # fmt: skip
def test_mistake_is_said_with_its_place_and_its_remedy(declarations: str, text: str) -> None:
    with pytest.raises(WitInvalid) as caught:
        interface(declarations)
    assert text in str(caught.value)
    assert caught.value.source == "the given WIT"


def test_mistake_in_a_file_is_said_with_the_files_name_and_line(tmp_path: Path) -> None:
    path = tmp_path / "it.wit"
    path.write_text("package test:it;\n\ninterface it {\n    f: func() -> u9;\n}\n")
    with pytest.raises(WitInvalid) as caught:
        read_wit(path).interface("test:it/it", ())
    assert str(caught.value).startswith(f"{path}:4:18: there is no type `u9` here; ")
    assert (caught.value.source, caught.value.line, caught.value.column) == (str(path), 4, 18)


def test_mistake_is_said_again_when_the_same_text_is_offered_again() -> None:
    for _ in range(2):
        with pytest.raises(WitInvalid, match="there is no type `again` here"):
            interface("f: func() -> again; type t = option<again>;")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("interface it { }", "the text names no package; begin it with `package"),
        ("interface it { } package test:it;", "a package is named in the middle of a file"),
        ("package test:it; interface a { } interface a { }", "test:it has two interfaces `a`"),
        ("package test:it; use a; use b as a;", "`a` is used twice"),
        ("package test:it; package a:b { package c:d { } }", "a package inside a nested package"),
        ("package test:it; import x;", "`import` begins nothing here"),
        ("package test:it; world w { f: func(); }", "`f` begins nothing in a world"),
        ("package test:it; world w { import a: interface { } import a: interface { } }", "`a` is imported twice"),
        ("package test:it; world w { import a: b; }", "an interface under another name, or a nested namespace"),
        ("package test", "the end of the text stands where a package's name needs `:`"),
    ],
)
def test_mistake_outside_of_interfaces_is_said(text: str, said: str) -> None:
    with pytest.raises(WitInvalid) as caught:
        read_wit(text)
    assert said in str(caught.value)


def test_files_of_one_package_must_agree_on_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.wit").write_text("package test:a;")
    (tmp_path / "b.wit").write_text("package test:b;")
    with pytest.raises(WitInvalid, match="the package is test:b here and test:a in a file beside it"):
        read_wit(tmp_path)


def test_file_that_is_no_text_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "it.wit").write_bytes(b"package test:it; // \xff")
    with pytest.raises(WitInvalid, match=r"it\.wit:1:1: the file is not UTF-8; save it as UTF-8"):
        read_wit(tmp_path)


def test_mistake_in_one_interface_leaves_the_others_right() -> None:
    packages = read_wit("package test:it; interface bad { f: func() -> nowhere; } interface good { g: func() -> u8; }")
    for _ in range(3):
        with pytest.raises(WitInvalid, match="no type `nowhere`"):
            packages.interface("test:it/bad", ())
        assert set(packages.interface("test:it/good", ()).functions) == {"g"}


def test_folder_without_wit_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(WitInvalid, match=r"0 \.wit files are in this folder"):
        read_wit(tmp_path)


def test_size_of_everything_is_bounded() -> None:
    doubling = "type t0 = u8; " + " ".join(f"type t{n + 1} = tuple<t{n}, t{n}>;" for n in range(60))
    chain = " ".join(f"type c{n} = list<c{n + 1}>;" for n in range(200)) + " type c200 = u8;"
    uses = "".join(f"interface i{n} {{ use i{n + 1}.{{t}}; }}" for n in range(200)) + "interface i200 { type t = u8; }"
    for text, said in (
        (f"interface i {{ {doubling} }}", "more than 10000 parts when written out"),
        (f"interface i {{ {chain} }}", "nested more than 100 deep"),
        (f"interface i {{ f: func() -> {'list<' * 5000}u8{'>' * 5000}; }}", "nested more than 100 deep"),
        (f"interface i {{ use i0.{{t}}; }} {uses}", "more than 100 interfaces use each other in a row"),
        ("/*" * 500_000, "a comment does not end"),
        (" " * (1 << 20), "the text has more than 1 MiB"),
    ):
        with pytest.raises(WitInvalid) as caught:
            read_wit(f"package test:it; {text}").interface("test:it/i", ())
        assert said in str(caught.value)


_SIGNS = "{ } ( ) < > , ; : = @ . / * _ -> 0.2.0 1 a b c % // /* */ since version"
_WORDS = st.sampled_from([*KEYWORDS, *_SIGNS.split(), "\n"])


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, max_size=40).map(" ".join) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for beginning in ("", "package test:it; interface it {", "package test:it; world w {"):
        with suppress(WitInvalid):
            everything(read_wit(beginning + text))
