"""Component.toml: what only some hosts know or can enforce, and that the example keeps up with the schema."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli
from airssys_security.errors import ManifestInvalid, Problem
from airssys_security.limits import LIMITS, QUOTAS, Ceilings, Isolation
from airssys_security.manifest.enforced import unenforced
from airssys_security.manifest.parse import parse_manifest

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


def test_custom_kinds_are_read_with_their_own_actions() -> None:
    manifest = parse_manifest(
        LEAST
        + """
[capabilities.custom.invoices]
refund = ["customer:*"]
delete-all = ["<id>:*"]
[optional-capabilities.custom.mail-2]
send = ["*"]
[rationale]
"custom.invoices.refund" = "pays back"
"""
    )
    assert manifest.required.custom_actions() == (("custom.invoices", "refund"), ("custom.invoices", "delete-all"))
    assert manifest.optional.custom_actions() == (("custom.mail-2", "send"),)
    assert manifest.rationale == {"custom.invoices.refund": "pays back"}
    find = manifest.required.bind("shop").matcher("custom.invoices", "delete-all")
    assert find is not None
    assert find("shop:7") == "<id>:*"
    assert find("other:7") is None


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        ("[capabilities.custom.Invoices]\nrefund = ['a']\n", "capabilities.custom.Invoices", "custom kind"),
        ("[capabilities.custom.'a.b']\nrefund = ['a']\n", 'capabilities.custom."a.b"', "custom kind"),
        ("[capabilities.custom.'']\nrefund = ['a']\n", 'capabilities.custom.""', "custom kind"),
        ("[capabilities.custom." + "a" * 64 + "]\nx = ['a']\n", "capabilities.custom." + "a" * 64, "custom kind"),
        ("[capabilities.custom.a]\nRefund = ['a']\n", "capabilities.custom.a.Refund", "custom action"),
        ("[capabilities.custom.a]\n'x y' = ['a']\n", 'capabilities.custom.a."x y"', "custom action"),
        ("[capabilities.custom.a]\nrefund = 'a'\n", "capabilities.custom.a.refund", "write a list"),
        ("[capabilities.custom.a]\nrefund = [1]\n", "capabilities.custom.a.refund[0]", "write text"),
        ("[capabilities.custom.a]\nrefund = ['a::b']\n", "capabilities.custom.a.refund[0]", "empty"),
        ("[capabilities.custom.a]\nrefund = ['a', 'a']\n", "capabilities.custom.a.refund[1]", "twice"),
        ("[capabilities.custom.a]\nrefund = ['a\u200b']\n", "capabilities.custom.a.refund[0]", "invisible"),
        ("[capabilities]\ncustom = []\n", "capabilities.custom", "write a table"),
        ("[capabilities.custom]\na = 1\n", "capabilities.custom.a", "write a table"),
        ("[rationale]\n'custom.a.refund' = 'x'\n", 'rationale."custom.a.refund"', "no such thing"),
        ("[capabilities.'custom.a']\nrefund = ['a']\n", 'capabilities."custom.a"', "no such key"),
        ("[capabilities.network]\nresolve = ['a.b:1']\n", "capabilities.network.resolve", "connect includes looking"),
        ("[optional-capabilities.network]\nresolve = []\n", "optional-capabilities.network.resolve", "remove it"),
    ],
)
def test_mistake_in_what_a_host_may_not_know_is_named(more: str, key: str, text: str) -> None:
    problem = mistake(more)
    assert problem.key == key
    assert text in f"{problem.what}; {problem.remedy}"
    assert str(problem).isprintable()


def test_what_this_version_cannot_enforce_is_read_and_named() -> None:
    assert unenforced(parse_manifest(LEAST)) == ()
    assert unenforced(parse_manifest(LEAST + "[limits]\nstack = '512KiB'\n")) == ()
    wishes = parse_manifest(LEAST + "[limits]\nstack = '1MiB'\n[supervision]\nisolation = 'process'\n")
    isolation, stack = unenforced(wishes)
    assert isolation.startswith("supervision.isolation")
    assert stack.startswith("limits.stack")


@pytest.mark.parametrize(
    ("least", "asked", "given"),
    [
        ("shared", None, "shared"),
        ("shared", "shared", "shared"),
        ("shared", "process", "process"),
        ("process", None, "process"),
        ("process", "process", "process"),
    ],
)
def test_isolation_is_the_hosts_or_more(least: Isolation, asked: str | None, given: str) -> None:
    more = "" if asked is None else f"[supervision]\nisolation = '{asked}'\n"
    assert parse_manifest(LEAST + more, ceilings=Ceilings(isolation=least)).supervision.isolation == given


def test_isolation_below_the_hosts_is_refused() -> None:
    problem = mistake("[supervision]\nisolation = 'shared'\n", Ceilings(isolation="process"))
    assert problem.key == "supervision.isolation"
    assert '"process"' in problem.remedy


def test_a_key_that_the_example_does_not_show_would_be_found() -> None:
    def keys(value: object, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        if not isinstance(value, dict):
            return {path}
        return {path} | {found for key, inner in value.items() for found in keys(inner, (*path, key))}

    shown = keys(tomli.loads(EXAMPLE.read_text()))
    for section, units in (("limits", LIMITS), ("quotas", QUOTAS)):
        assert {(section, key) for key in units} <= shown
    # The remedy for an unknown key lists the keys of its table: all that the schema has, and so what must be shown.
    for path, text in (
        ((), "zzzzzzzz = 1\n" + LEAST),
        (("component",), LEAST + "zzzzzzzz = 1\n"),
        (("supervision",), LEAST + "[supervision]\nzzzzzzzz = 1\n"),
        (("messages", "*"), LEAST + "[messages.'*']\nzzzzzzzz = 1\n"),
    ):
        (problem,) = mistakes(text)
        listed = problem.remedy.removeprefix("the keys here are ").split(", ")
        shown_at = ("messages", "gateway") if path[:1] == ("messages",) else path
        assert {(*shown_at, key) for key in listed} <= shown


def test_a_flood_of_mistakes_is_counted_and_not_kept() -> None:
    problems = mistakes(LEAST + "authors = [" + "1," * 50_000 + "]\n")
    assert len(problems) == 101
    assert "49900 mistakes more" in problems[-1].what
