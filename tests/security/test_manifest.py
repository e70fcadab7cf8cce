"""Component.toml: what is read, and that every mistake is reported with its place and a remedy."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import tomli
from airssys_security.errors import ManifestInvalid, PackageInvalid, PatternInvalid, Problem
from airssys_security.limits import LIMITS, QUOTAS
from airssys_security.manifest.beside import open_beside, read_bounded
from airssys_security.manifest.parse import (
    MAX_MANIFEST_BYTES,
    Ceilings,
    Limits,
    Manifest,
    MessageRule,
    Quotas,
    Supervision,
    load_manifest,
    parse_manifest,
)
from airssys_security.requests import GRANTABLE
from airssys_security.text import first_hidden
from airssys_security.toml.source import locate
from hypothesis import given
from hypothesis import strategies as st

EXAMPLE = Path(__file__).parents[2] / "Component.toml.example"

LEAST = """\
schema = 1
[component]
name = "weather"
version = "1.2.0"
wasm = "weather.wasm"
"""


def mistakes(text: str, ceilings: Ceilings | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ManifestInvalid) as raised:
        parse_manifest(text, "c.toml", ceilings)
    return raised.value.problems


def mistake(more: str, ceilings: Ceilings | None = None) -> Problem:
    (problem,) = mistakes(LEAST + more, ceilings)
    return problem


def test_the_least_manifest_asks_for_nothing() -> None:
    manifest = parse_manifest(LEAST)
    assert not manifest.required
    assert not manifest.optional
    assert (manifest.limits, manifest.quotas, manifest.supervision) == (Limits(), Quotas(), Supervision())
    assert manifest.digest == hashlib.sha256(LEAST.encode()).hexdigest()
    assert not manifest.required.bind("weather")


def test_the_example_is_a_manifest_and_states_the_defaults() -> None:
    manifest = load_manifest(EXAMPLE)
    assert (manifest.limits, manifest.quotas, manifest.supervision) == (Limits(), Quotas(), Supervision())


def test_the_example_shows_every_key() -> None:
    shown = tomli.loads(EXAMPLE.read_text())
    assert set(shown) >= {"schema", "component", "capabilities", "optional-capabilities", "messages", "rationale"}
    assert set(shown["component"]) == {"name", "version", "wasm", "description", "authors", "license", "repository"}
    custom = shown["capabilities"].pop("custom")
    assert custom
    assert all(custom.values())
    assert {kind: tuple(actions) for kind, actions in shown["capabilities"].items()} == GRANTABLE
    assert set(shown["limits"]) == set(LIMITS)
    assert set(shown["quotas"]) == set(QUOTAS)
    assert len(shown["supervision"]) == len(Supervision.__struct_fields__)
    assert set(shown["messages"]["gateway"]) == {"content", "max_bytes"}


def test_every_limit_and_quota_has_a_key() -> None:
    assert {unit.field for unit in LIMITS.values()} == set(Limits.__struct_fields__)
    assert {unit.field for unit in QUOTAS.values()} == set(Quotas.__struct_fields__)


def test_values_are_read_with_their_units() -> None:
    manifest = parse_manifest(
        LEAST
        + """
[capabilities.filesystem]
read = ["/data/{a,b}/*"]
[capabilities.storage]
write = ["component:<id>:*"]
[capabilities.messaging]
receive = ["gateway", "sensor-*"]
[optional-capabilities.process]
env = ["TZ"]
[messages.gateway]
content = "json"
max_bytes = "64KiB"
[messages."*"]
content = "text"
[rationale]
"filesystem.read" = "why not"
"limits.memory" = "Python"
[limits]
memory = "64MiB"
call_timeout = "2min"
guest_time = "1500ms"
cpu = "250ms/s"
open_files = 0
[quotas]
storage = "0B"
messages = "30/min"
log = "1KiB/s"
[supervision]
restart = "transient"
intensity = 0
period = "1h"
backoff = "10ms"
shutdown = "0s"
"""
    )
    assert manifest.required.patterns("filesystem", "read") == ("/data/{a,b}/*",)
    assert manifest.optional.patterns("process", "env") == ("TZ",)
    assert manifest.limits == Limits(
        memory_bytes=64 << 20, call_timeout_s=120.0, guest_time_s=1.5, cpu=0.25, open_files=0
    )
    assert manifest.quotas == Quotas(storage_bytes=0, messages_per_s=0.5, log_bytes_per_s=1024)
    assert manifest.supervision == Supervision(
        restart="transient", intensity=0, period_s=3600.0, backoff_s=0.01, shutdown_s=0.0
    )
    assert manifest.rule_for("gateway") == MessageRule("gateway", "json", 65536)
    assert manifest.rule_for("sensor-1") == MessageRule("*", "text", None)
    bound = manifest.required.bind("other")
    assert bound.matcher("storage", "write")("component:other:k") == "component:<id>:*"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "Weather", "../x", "a/b", "<id>", "a\n"])
def test_capabilities_are_bound_to_proper_ids_alone(name: str) -> None:
    manifest = parse_manifest(LEAST + '[capabilities.storage]\nread = ["component:<id>:*"]\n')
    with pytest.raises(PatternInvalid):
        manifest.required.bind(name)


def test_all_mistakes_are_reported_together_in_the_order_of_the_file() -> None:
    text = """\
schema = 2
[component]
nam = "weather"
version = "1.2"
wasm = "../weather.wasm"
[capabilities.filesystem]
read = ["/ok/**", "relative",
        "/a/../b"]
[limits]
memory = "1KB"
open_files = true
[supervision]
restart = "always"
"""
    problems = mistakes(text)
    assert [(problem.line, problem.column, problem.key) for problem in problems] == [
        (1, 1, "schema"),
        (2, 2, "component.name"),
        (3, 1, "component.nam"),
        (4, 1, "component.version"),
        (5, 1, "component.wasm"),
        (7, 19, "capabilities.filesystem.read[1]"),
        (8, 9, "capabilities.filesystem.read[2]"),
        (10, 1, "limits.memory"),
        (11, 1, "limits.open_files"),
        (13, 1, "supervision.restart"),
    ]
    assert all(problem.what and problem.remedy for problem in problems)
    with pytest.raises(ManifestInvalid) as raised:
        parse_manifest(text, "some/Component.toml")
    written = str(raised.value).splitlines()
    assert len(written) == len(problems)
    assert written[2] == "some/Component.toml:3:1: component.nam: there is no such key; did you mean 'name'?"


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        ("colour = 1\n", "component.colour", "no such key"),
        ("[capability]\n", "capability", "did you mean 'capabilities'"),
        ("[capabilities.files]\n", "capabilities.files", "no such key"),
        ("[capabilities.filesystem]\nexecute = []\n", "capabilities.filesystem.execute", "read, write"),
        ("[capabilities.filesystem]\nread = '/data'\n", "capabilities.filesystem.read", "write a list"),
        ("[capabilities.filesystem]\nread = [7]\n", "capabilities.filesystem.read[0]", "write text"),
        ("[capabilities.filesystem]\nread = [['/a']]\n", "capabilities.filesystem.read[0]", "write text"),
        ("[capabilities.filesystem]\nread = ['/a', '/a']\n", "capabilities.filesystem.read[1]", "twice"),
        ("[capabilities]\nfilesystem = 1\n", "capabilities.filesystem", "write a table"),
        ("[[capabilities.filesystem]]\nread = []\n", "capabilities.filesystem", "write a table"),
        ("[capabilities.network]\nconnect = ['example.com']\n", "capabilities.network.connect[0]", "scheme nor a port"),
        ("[capabilities.storage]\nread = ['a::b']\n", "capabilities.storage.read[0]", "empty"),
        ("[capabilities.messaging]\nsend = ['A']\n", "capabilities.messaging.send[0]", "component's name"),
        ("[capabilities.messaging]\npublish = ['a b']\n", "capabilities.messaging.publish[0]", "topic"),
        ("[capabilities.process]\nenv = ['A=B']\n", "capabilities.process.env[0]", "variable's name"),
        ("[optional-capabilities.filesystem]\nread = ['x']\n", "optional-capabilities.filesystem.read[0]", "relative"),
        ("[messages.gateway]\n", "messages.gateway", "nothing is received from it"),
        ("[messages.'A B']\n", 'messages."A B"', "not a component's name"),
        ("[messages.'*']\ncontent = 'xml'\n", 'messages."*".content', "text, binary, json, any"),
        ("[messages.'*']\nmax_bytes = 10\n", 'messages."*".max_bytes', "MiB"),
        ("[messages.'*']\nmax_bytes = '2MiB'\n", 'messages."*".max_bytes', "limits.message (1MiB)"),
        ("[messages.'*']\nsize = 1\n", 'messages."*".size', "no such key"),
        ("[rationale]\n'filesystem.read' = 'why'\n", 'rationale."filesystem.read"', "no such thing"),
        ("[rationale]\n'limits.memory' = 7\n", 'rationale."limits.memory"', "write text"),
        ("[rationale]\n'limits.memory' = 'a\u202eb'\n", 'rationale."limits.memory"', "invisible"),
        ("[limits]\nmemroy = '4MiB'\n", "limits.memroy", "did you mean 'memory'"),
        ("[limits]\nmemory = 4194304\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '4 megabytes'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '4MB'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '-4MiB'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '4.5MiB'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '04MiB'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '\uff14MiB'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '99999999999999999999GiB'\n", "limits.memory", "MiB"),
        ("[limits]\nmemory = '100KiB'\n", "limits.memory", "at least 512KiB"),
        ("[limits]\nmemory = '8GiB'\n", "limits.memory", "at most 1GiB"),
        ("[limits]\nmemory = true\n", "limits.memory", "true or false"),
        ("[limits]\ncall_timeout = '30'\n", "limits.call_timeout", "ms, s, min, h, d"),
        ("[limits]\ncall_timeout = '0s'\n", "limits.call_timeout", "at least 1ms"),
        ("[limits]\ncall_timeout = '1d'\n", "limits.call_timeout", "at most 10min"),
        ("[limits]\ncpu = '250ms'\n", "limits.cpu", "250ms/s"),
        ("[limits]\ncpu = '2s/s'\n", "limits.cpu", "at most 1s/s"),
        ("[limits]\nopen_files = '64'\n", "limits.open_files", "whole number"),
        ("[limits]\nopen_files = 3.0\n", "limits.open_files", "whole number"),
        ("[limits]\nopen_files = -1\n", "limits.open_files", "at least 0"),
        ("[limits]\nopen_files = 5000\n", "limits.open_files", "at most 1024"),
        ("[limits]\nhandles = true\n", "limits.handles", "whole number"),
        ("[limits]\nhandles = 2026-01-01\n", "limits.handles", "date"),
        ("[limits]\nstack = '1KiB'\n", "limits.stack", "at least 64KiB"),
        ("[limits]\nstack = '1GiB'\n", "limits.stack", "at most 8MiB"),
        ("[limits]\nsockets = '3'\n", "limits.sockets", "whole number"),
        ("[limits]\nsockets = 2000\n", "limits.sockets", "at most 1024"),
        ("[quotas]\nnetwork = '1MiB'\n", "quotas.network", "64KiB/s"),
        ("[quotas]\nnetwork = '2GiB/s'\n", "quotas.network", "at most 1GiB/s"),
        ("[quotas]\nstorage_keys = '1'\n", "quotas.storage_keys", "whole number"),
        ("[quotas]\nstorage_keys = -1\n", "quotas.storage_keys", "at least 0"),
        ("[quotas]\nmessages = '1000'\n", "quotas.messages", "1000/s"),
        ("[quotas]\nmessages = '0/s'\n", "quotas.messages", "1000/s"),
        ("[quotas]\nlog = '64KiB/min'\n", "quotas.log", "64KiB/s"),
        ("[quotas]\nmailbox = 0\n", "quotas.mailbox", "at least 1"),
        ("[supervision]\nisolation = 'none'\n", "supervision.isolation", "shared, process"),
        ("[supervision]\nisolation = 1\n", "supervision.isolation", "write text"),
        ("[supervision]\nintensity = 1000\n", "supervision.intensity", "at most 20"),
        ("[supervision]\nperiod = '1ms'\n", "supervision.period", "at least 1s"),
        ("[supervision]\nbackoff = '1min'\n", "supervision.backoff", "more than backoff_max"),
        ("[supervision]\nbackoff = '0s'\n", "supervision.backoff", "at least 10ms"),
        ("[supervision]\nstrategy = 'one_for_one'\n", "supervision.strategy", "no such key"),
    ],
)
def test_mistake_is_named_with_a_remedy(more: str, key: str, text: str) -> None:
    problem = mistake(more)
    assert problem.key == key
    assert text in f"{problem.what}; {problem.remedy}"
    assert problem.line > 5
    assert str(problem).isprintable()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[
            ("name", value)
            for value in ("", "Weather", "9a", "a_b", "a" * 64, "a b", "../a", "\u0430", "a\\u202e", "a\\n")
        ],
        *[
            ("version", value)
            for value in ("", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3+", "1.2.3-01")
        ],
        *[
            ("wasm", value)
            for value in (
                "",
                "/etc/passwd",
                "..",
                "../x.wasm",
                "a/../../x.wasm",
                "a/..",
                "./x.wasm",
                "a//x.wasm",
                "a/",
                "..\\\\x.wasm",
                "x\\u0000.wasm",
                "x\\u2028.wasm",
                "a" * 1025,
            )
        ],
    ],
)
def test_component_that_could_name_something_else_is_refused(key: str, value: str) -> None:
    lines = [f'{key} = "{value}"' if line.startswith(key) else line for line in LEAST.splitlines()]
    (problem,) = mistakes("\n".join(lines))
    assert problem.key == f"component.{key}"
    assert str(problem).isprintable()


@pytest.mark.parametrize("version", ["0.0.0", "1.2.3", "1.2.3-rc.1", "1.2.3+build.5", "1.2.3-a-b.0+c", "10.20.30"])
def test_semantic_versions_are_read(version: str) -> None:
    assert parse_manifest(LEAST.replace("1.2.0", version)).component.version == version


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("", (1, 1), "schema"),
        ("schema = 1\n", (1, 1), "component"),
        ("schema = '1'\n" + LEAST[11:], (1, 1), "schema 1 only"),
        ("schema = true\n" + LEAST[11:], (1, 1), "schema 1 only"),
        ("x = \n", (1, 5), "not TOML"),
        (LEAST + "name = 'again'\n", (6, 15), "not TOML"),
        ("\ufeff" + LEAST, (1, 1), "byte order mark"),
        ("x = " + "[" * 5000, (1, 1), "nested"),
        ("x = " + "9" * 5000, (1, 1), "cannot be read"),
        ("x = '\udcff'", (1, 1), "not Unicode"),
        ("#" + "x" * MAX_MANIFEST_BYTES, (1, 1), "longer than 1MiB"),
        ("component = 3\nschema = 1\n", (1, 1), "whole number"),
        ("component = []\nschema = 1\n", (1, 1), "list"),
    ],
)
def test_text_that_is_no_manifest_is_refused_with_its_place(text: str, place: tuple[int, int], what: str) -> None:
    problems = mistakes(text)
    assert (problems[0].line, problems[0].column) == place
    assert any(what in str(problem) for problem in problems)


def test_what_strangers_wrote_is_shown_harmlessly() -> None:
    text = (
        LEAST + '"\\u001b[2J\\u202e" = 1\n[limits]\nmemory = "\\u001b[31m"\n[capabilities.filesystem]\nread = ["\\n"]\n'
    )
    for problem in mistakes(text):
        assert str(problem).isprintable()
        assert str(problem).isascii()


def test_a_flood_of_mistakes_is_cut() -> None:
    problems = mistakes(LEAST + "\n".join(f"x{number} = 1" for number in range(500)))
    assert len(problems) == 101
    assert "400 mistakes more" in problems[-1].what


def test_short_text_that_stands_for_many_patterns_is_stopped_by_the_ceiling() -> None:
    bombs = ", ".join(f'"/{number}' + "{a,b}" * 8 + '"' for number in range(200))
    problem = mistake(f"[capabilities.filesystem]\nread = [{bombs}]\n")
    assert "more patterns than the host allows" in problem.what


def test_ceilings_hold_over_all_lists_together() -> None:
    text = "[capabilities.filesystem]\nread = ['/a', '/b']\nwrite = ['/c']\n"
    problem = mistake(text, Ceilings(patterns=2))
    assert problem.key == "capabilities.filesystem.write"
    assert parse_manifest(LEAST + text, ceilings=Ceilings(patterns=3)).required


def test_the_hosts_ceilings_are_the_operators() -> None:
    text = "[limits]\nmemory = '64MiB'\n"
    problem = mistake(text, Ceilings(limits=Limits(memory_bytes=32 << 20)))
    assert "at most 32MiB" in problem.remedy


def test_defaults_stay_within_the_default_ceilings() -> None:
    most = Ceilings()
    for unit in LIMITS.values():
        assert unit.least <= getattr(Limits(), unit.field) <= getattr(most.limits, unit.field)
    for unit in QUOTAS.values():
        assert unit.least <= getattr(Quotas(), unit.field) <= getattr(most.quotas, unit.field)


# Where keys stand.


def test_keys_are_located_in_every_form_that_toml_has() -> None:
    text = '''# a comment with [brackets] = "and quotes"
plain = 1
"quoted key".'other'.bare = "text # no comment"
multi = """
[not.a.table]
x = 1 \\"""
"""  # after
literal = \'\'\'
y = 2
\'\'\'
list = [ 1, # one
  "two", [ 3, 4 ],
  { five = 5, six.seven = [8] },
]
date = 1979-05-27 07:32:00Z
inline = { a = 1, "b c" = { d = 2 } }

[table . "sub table"]
key = 1
[[array]]
x = 1
[[array]]
x = 2
  [array.inner]
  y = 3
'''
    tomli.loads(text)
    places = locate(text)
    expected = {
        ("plain",): (2, 1),
        ("quoted key", "other", "bare"): (3, 1),
        ("multi",): (4, 1),
        ("literal",): (8, 1),
        ("list",): (11, 1),
        ("list", 0): (11, 10),
        ("list", 1): (12, 3),
        ("list", 2, 1): (12, 15),
        ("list", 3, "five"): (13, 5),
        ("list", 3, "six", "seven", 0): (13, 28),
        ("date",): (15, 1),
        ("inline", "b c", "d"): (16, 29),
        ("table", "sub table"): (18, 2),
        ("table", "sub table", "key"): (19, 1),
        ("array", 0, "x"): (21, 1),
        ("array", 1, "x"): (23, 1),
        ("array", 1, "inner", "y"): (25, 3),
    }
    assert {path: places.of(*path) for path in expected} == expected
    assert places.of("list", 9) == (11, 1)
    assert places.of("nowhere") == (1, 1)


def test_lines_are_counted_with_carriage_returns() -> None:
    (problem,) = mistakes((LEAST + "x = 1\n").replace("\n", "\r\n"))
    assert (problem.line, problem.column) == (6, 1)


SCALARS = st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.floats(allow_nan=False))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
)


def as_toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" if not 0xD800 <= ord(c) < 0xE000 else "?" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(key)} = {as_toml(entry)}" for key, entry in value.items()) + "}"
    return repr(value) if isinstance(value, int) or "e" not in repr(value) else "0.5"


KNOWN = st.sampled_from(
    [
        "schema",
        "component",
        "capabilities",
        "optional-capabilities",
        "messages",
        "rationale",
        "limits",
        "quotas",
        "supervision",
    ]
)


@given(st.dictionaries(KNOWN, VALUES))
def test_any_document_is_read_or_refused_with_places_inside_it(document: dict[str, object]) -> None:
    text = "".join(f"{key} = {as_toml(value)}\n" for key, value in document.items())
    try:
        assert isinstance(parse_manifest(text), Manifest)
    except ManifestInvalid as error:
        for problem in error.problems:
            assert 1 <= problem.line <= max(1, text.count("\n"))
            assert first_hidden(str(problem)) is None


# Files.


def test_manifest_is_read_through_a_link_that_the_operator_named(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(LEAST)
    (tmp_path / "Component.toml").symlink_to("real.toml")
    assert load_manifest(tmp_path / "Component.toml").component.name == "weather"


def test_manifest_file_that_cannot_be_taken_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bytes").write_bytes(b"schema = 1 # \xff")
    (tmp_path / "large").write_bytes(b"#" * (MAX_MANIFEST_BYTES + 1))
    for name, what in (("fifo", "regular"), ("bytes", "UTF-8"), ("large", "longer"), ("missing", "cannot be read")):
        with pytest.raises(ManifestInvalid, match=what) as raised:
            load_manifest(tmp_path / name)
        assert name in str(raised.value)
    with pytest.raises(ManifestInvalid):
        load_manifest(tmp_path)


def test_nothing_beside_a_manifest_is_taken_through_links_or_from_what_is_no_file(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.wasm").write_bytes(b"\0asm")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.wasm").symlink_to(outside / "x.wasm")
    (inside / "folder").symlink_to(outside)
    (inside / "sub").mkdir()
    os.mkfifo(inside / "fifo.wasm")
    (inside / "large.wasm").write_bytes(b"x" * 100)
    for name in ("link.wasm", "folder/x.wasm", "large.wasm/x", "../outside/x.wasm"):
        with pytest.raises(PackageInvalid, match=name.split("/")[0]):
            open_beside(inside, name)
    for name in ("fifo.wasm", "sub"):
        with pytest.raises(PackageInvalid, match="regular"):
            read_bounded(open_beside(inside, name), 99)
    with pytest.raises(FileNotFoundError):
        open_beside(inside, "missing.wasm")
    assert read_bounded(open_beside(inside, "large.wasm"), 99) is None
    assert read_bounded(open_beside(inside, "large.wasm"), 100) == b"x" * 100
