"""Manifests made to cost the host more than they cost their author, and hosts stricter than the defaults."""

from __future__ import annotations

import difflib
import tracemalloc
from collections.abc import Sequence

import pytest
from airssys_security.errors import ManifestInvalid, Problem
from airssys_security.limits import LIMITS, QUOTAS, Ceilings, Limits, Quotas
from airssys_security.manifest.parse import parse_manifest
from airssys_security.manifest.values import Supervision
from airssys_security.patterns import names as name_patterns
from airssys_security.toml.source import locate
from hypothesis import assume, given
from hypothesis import strategies as st

HEAD = 'schema = 1\n[component]\nname = "w"\nversion = "1.0.0"\nwasm = "w.wasm"\n'


def mistakes(text: str, ceilings: Ceilings | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ManifestInvalid) as raised:
        parse_manifest(text, "Component.toml", ceilings)
    return raised.value.problems


@pytest.mark.parametrize(
    "line",
    [
        "memory = 0x" + "f" * 5000,
        "memory = 0b" + "1" * 20_000,
        "call_timeout = -9" + "9" * 4000,
        "handles = 0x" + "f" * 5000,
        "memory = inf",
        "cpu = nan",
        "memory = true",
        "memory = 1e400",
        "memory = 1979-05-27",
        "memory = ['4MiB']",
        "memory = '4MiB\\u0000'",
        "memory = ' 4MiB'",
        "memory = '\uff14MiB'",
        "memory = '4mib'",
        "memory = '1e3B'",
        "memory = '-1B'",
        "memory = '99999999999999GiB'",
    ],
)
def test_a_limit_that_is_no_limit_is_refused_where_it_stands(line: str) -> None:
    (problem,) = mistakes(f"{HEAD}[limits]\n{line}\n")
    assert (problem.line, problem.column) == (7, 1)
    assert problem.key == f"limits.{line.split()[0]}"
    assert str(problem).isprintable()


@pytest.mark.parametrize(
    "key", [".".join("a" * 900), " . ".join("a" * 900), ".".join(['"a"'] * 900), ".".join(['"\\"a."'] * 200)]
)
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "[[{}]]", "x = {{ {} = 1 }}", "x = {{y = 1,{} = 1 }}"])
def test_a_key_without_end_is_refused_before_it_is_read(form: str, key: str) -> None:
    (problem,) = mistakes(HEAD + form.format(key))
    assert problem.line == 6
    assert "100 parts" in problem.what


def test_dots_in_values_are_not_keys() -> None:
    topic = ".".join("a" * 64)
    manifest = parse_manifest(f'{HEAD}description = "{topic}"\n[capabilities.messaging]\npublish = ["{topic}"]\n')
    assert manifest.component.description == topic


@pytest.mark.parametrize("tail", ["x" * 200_000, "/x" * 100_000])
def test_braces_before_a_long_tail_do_not_multiply_it(tail: str) -> None:
    text = f'{HEAD}[capabilities.filesystem]\nread = ["/{"{a,b}" * 8}{tail}"]\n'
    tracemalloc.start()
    try:
        (problem,) = mistakes(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "longer" in problem.what
    assert peak < 20 * len(text)


def test_senders_are_looked_up_in_patterns_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = name_patterns.NamePatterns.__init__

    def counted(self: name_patterns.NamePatterns, patterns: tuple[str, ...], kind: name_patterns.NameKind) -> None:
        made.append(1)
        original(self, patterns, kind)

    monkeypatch.setattr(name_patterns.NamePatterns, "__init__", counted)
    received = ", ".join(f'"a{number}"' for number in range(300))
    sections = "".join(f"[messages.a{number}]\n" for number in range(300))
    manifest = parse_manifest(f"{HEAD}[capabilities.messaging]\nreceive = [{received}]\n{sections}")
    assert len(manifest.messages) == 300
    assert len(made) < 5


def test_what_an_unknown_key_was_meant_to_be_is_guessed_for_a_few_and_not_for_a_flood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def guess(word: str, possibilities: Sequence[str], n: int) -> list[str]:
        asked.append(word)
        return []

    monkeypatch.setattr(difflib, "get_close_matches", guess)
    problems = mistakes(HEAD + "".join(f"k{number} = 1\n" for number in range(1000)))
    assert len(asked) <= 100
    assert "900 mistakes more" in problems[-1].what


def test_a_limit_left_out_is_the_hosts_ceiling_where_that_is_below_the_default() -> None:
    limits = Limits(1 << 20, 10, 1.0, 0.5, 0.1, 1, 16, 100, 100, 10, 100)
    quotas = Quotas(1000, 2, 3.0, 100)
    strict = Ceilings(
        limits, quotas, intensity=1, period_min_s=120.0, backoff_min_s=1.0, backoff_max_s=2.0, shutdown_s=1
    )
    manifest = parse_manifest(HEAD, ceilings=strict)
    assert manifest.limits == limits
    assert manifest.quotas == quotas
    assert manifest.supervision == Supervision("permanent", "shared", 1, 120.0, 1.0, 2.0, 1)


def test_under_wide_ceilings_what_is_left_out_is_the_default() -> None:
    manifest = parse_manifest(HEAD)
    assert (manifest.limits, manifest.quotas, manifest.supervision) == (Limits(), Quotas(), Supervision())


def test_every_quantity_belongs_to_a_field_and_every_field_to_a_quantity() -> None:
    assert {unit.field for unit in LIMITS.values()} == set(Limits.__struct_fields__)
    assert {unit.field for unit in QUOTAS.values()} == set(Quotas.__struct_fields__)


# Where keys stand. The reader of places must keep up with whatever the reader of values accepts.

PIECES = st.sampled_from(
    [
        "a",
        "b",
        "=",
        "1",
        '"',
        "'",
        '"""',
        "'''",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ",",
        ".",
        "\n",
        "\r\n",
        " ",
        "#",
        "\\",
        "a = 1\n",
        "[a]\n",
        "[[a]]\n",
        "b = [1, 2]\n",
        "c = {d = 1}\n",
        '"q.r" = 1\n',
        "t = 1979-05-27 07:32:00\n",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_refused_with_a_place_inside_it(text: str) -> None:
    for problem in mistakes(text):  # none of these is a manifest
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1
        assert "a value cannot be read" not in problem.what, "the places were lost"


KEYS = st.sampled_from(["k", '"k.k"', "'k]'", '"\\"#"', "k . m", "k.'m\"'"])
VALUES = st.recursive(
    st.sampled_from(["1", '"a]b#"', "'''x\n'y'''", '"""q"\n\\""""', "1979-05-27 07:32:00", "[]", "{}", "-inf", "0x1F"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: "[ # ]\n" + ",\n".join(values) + "]"),
        inner.map(lambda value: "{z = " + value + "}"),
    ),
    max_leaves=5,
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=4))
def test_a_key_is_found_on_its_line_whatever_stands_before_it(entries: list[tuple[str, str]]) -> None:
    before = "".join(f"[s{number}]\n{key} = {value}\n" for number, (key, value) in enumerate(entries))
    text = f"{before}\n  [last] # here\n   wanted = [1,\n     2]\n"
    assume("{z = [ #" not in text)
    assume("{z = '''" not in text)
    places = locate(text)
    line = text[: text.index("[last]")].count("\n") + 1
    assert places.of("last") == (line, 4)
    assert places.of("last", "wanted") == (line + 1, 4)
    assert places.of("last", "wanted", 1) == (line + 2, 6)
