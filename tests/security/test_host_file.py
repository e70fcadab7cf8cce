"""Host.toml: what is read, that its example shows every key, and that every mistake is reported with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import tomli
from airssys_security.errors import HostFileInvalid, ManifestInvalid, Problem
from airssys_security.host_file import (
    ApprovalSettings,
    AuditSettings,
    HostComponent,
    HostFile,
    load_host_file,
    parse_host_file,
)
from airssys_security.limits import Ceilings
from airssys_security.manifest.parse import parse_manifest
from airssys_security.requests import GRANTABLE

EXAMPLE = Path(__file__).parents[2] / "Host.toml.example"

MANIFEST = 'schema = 1\n[component]\nname = "w"\nversion = "1.0.0"\nwasm = "w.wasm"\n'


def mistakes(text: str) -> tuple[Problem, ...]:
    with pytest.raises(HostFileInvalid) as raised:
        parse_host_file(text, "Host.toml")
    return raised.value.problems


def test_the_least_file_has_the_defaults() -> None:
    host = parse_host_file("schema = 1\n", "/etc/airssys/Host.toml")
    assert host == HostFile(file="/etc/airssys/Host.toml", digest=host.digest)
    assert (host.production, host.single_operator) == (True, False)
    assert host.ceilings == Ceilings()
    assert not host.deny
    assert not host.never
    assert re.fullmatch("[0-9a-f]{64}", host.digest)


# The example.


def test_the_example_states_the_defaults() -> None:
    host = load_host_file(EXAMPLE)
    plain = HostFile()
    assert host.ceilings == plain.ceilings
    assert (host.production, host.single_operator) == (plain.production, plain.single_operator)
    assert (host.audit.rotate_bytes, host.audit.durability) == (plain.audit.rotate_bytes, plain.audit.durability)
    assert host.audit.volume_bytes_per_s == plain.audit.volume_bytes_per_s
    assert host.approvals == plain.approvals


def tables(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            yield from tables(inner, (*path, key))


@pytest.mark.parametrize(
    ("before", "path"),
    [
        ("", ()),
        *[(f"[{name}]\n", (name,)) for name in ("ceilings", "deny", "never", "network", "audit", "approvals")],
        *[(f"[ceilings.{name}]\n", ("ceilings", name)) for name in ("limits", "quotas", "supervision", "capabilities")],
        *[(f"[{layer}.{kind}]\n", (layer, kind)) for layer in ("deny", "never") for kind in GRANTABLE],
        ("[custom.invoices]\nactions = []\n", ("custom", "invoices")),
    ],
)
def test_the_example_shows_every_key_of_every_table(before: str, path: tuple[str, ...]) -> None:
    (problem,) = mistakes(f"{before}zzzzzzzz = 1\nschema = 1\n" if not path else f"schema = 1\n{before}zzzzzzzz = 1\n")
    listed = problem.remedy.removeprefix("the keys here are ").split(", ")
    shown = dict(tables(tomli.loads(EXAMPLE.read_text())))[path]
    assert set(listed) <= set(shown)


def test_the_example_shows_every_key_of_a_component() -> None:
    (problem,) = mistakes("schema = 1\n[[component]]\nid = 'a'\npath = 'a'\nzzzzzzzz = 1\n")
    listed = problem.remedy.removeprefix("the keys here are ").split(", ")
    components = tomli.loads(EXAMPLE.read_text())["component"]
    assert set(listed) == {key for component in components for key in component}


# What it gives.


def test_paths_are_relative_to_the_file_and_absolute_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "Host.toml").write_text(
        """
schema = 1
state_folder = "state"
cache_folder = "/var/cache/x"
trust = "../trust.toml"
[audit]
file = "a.jsonl"
heads = "/mnt/heads"
[volumes]
"/data" = "data"
[[component]]
id = "w"
path = "w/Component.toml"
volumes = { "/in" = "in" }
"""
    )
    host = load_host_file(folder / "Host.toml")
    assert (host.state_folder, host.cache_folder) == (folder / "state", Path("/var/cache/x"))
    assert host.trust == folder / "../trust.toml"
    assert (host.audit.file, host.audit.heads) == (folder / "a.jsonl", Path("/mnt/heads"))
    assert host.volumes == {"/data": folder / "data"}
    assert host.components == (HostComponent("w", folder / "w/Component.toml", volumes={"/in": folder / "in"}),)
    assert host.own_paths() == (
        str(folder / "state"),
        "/var/cache/x",
        str(tmp_path / "trust.toml"),
        str(folder / "a.jsonl"),
        "/mnt/heads",
        str(folder / "Host.toml"),
    )


def test_values_are_read_with_their_units() -> None:
    host = parse_host_file(
        """
schema = 1
production = false
single_operator = true
[network]
names_may_reach = ["10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1"]
[audit]
rotate = "1GiB"
durability = "durable"
volume = "2KiB/s"
[approvals]
expire_after = "90d"
[environment]
KEY = "-----BEGIN\\nline\\n"
EMPTY = ""
[custom.invoices]
actions = ["refund", "pay-out"]
[custom.mail]
actions = []
[[component]]
id = "a"
installed = "weather"
environment = { TZ = "UTC" }
arguments = ["--x", "", "y z"]
[[component]]
id = "b"
path = "b"
"""
    )
    assert (host.production, host.single_operator) == (False, True)
    assert host.names_may_reach == ("10.0.0.0/8", "192.168.1.7/32", "fd00::/8", "::1/128")
    assert host.audit == AuditSettings(rotate_bytes=1 << 30, durability="durable", volume_bytes_per_s=2048)
    assert host.approvals == ApprovalSettings(90 * 86400)
    assert host.environment == {"KEY": "-----BEGIN\nline\n", "EMPTY": ""}
    assert host.custom == {"invoices": ("refund", "pay-out"), "mail": ()}
    first, second = host.components
    assert (first.id, first.path, first.installed, first.arguments) == ("a", None, "weather", ("--x", "", "y z"))
    assert first.environment == {"TZ": "UTC"}
    assert (second.installed, second.path) == ("", Path.cwd() / "b")


def test_ceilings_bind_manifests() -> None:
    ceilings = parse_host_file(
        """
schema = 1
[ceilings.limits]
memory = "32MiB"
message = "8KiB"
[ceilings.quotas]
network = "1KiB/s"
[ceilings.supervision]
isolation = "process"
intensity = 1
period = "1min"
backoff = "1s"
backoff_max = "10s"
shutdown = "2s"
[ceilings.capabilities]
patterns = 2
segments = 50
"""
    ).ceilings
    assert (ceilings.intensity, ceilings.period_min_s, ceilings.backoff_min_s) == (1, 60.0, 1.0)
    assert (ceilings.backoff_max_s, ceilings.shutdown_s, ceilings.segments) == (10.0, 2.0, 50)
    manifest = parse_manifest(MANIFEST, ceilings=ceilings)
    assert manifest.limits.message_bytes == 8192
    assert manifest.quotas.network_bytes_per_s == 1024
    assert manifest.supervision.isolation == "process"
    for more, key in (
        ("[limits]\nmemory = '33MiB'\n", "limits.memory"),
        ("[messages.'*']\nmax_bytes = '9KiB'\n", 'messages."*".max_bytes'),
        ("[quotas]\nnetwork = '2KiB/s'\n", "quotas.network"),
        ("[supervision]\nisolation = 'shared'\n", "supervision.isolation"),
        ("[supervision]\nintensity = 2\n", "supervision.intensity"),
        ("[supervision]\nperiod = '59s'\n", "supervision.period"),
        ("[capabilities.process]\nenv = ['A', 'B', 'C']\n", "capabilities.process.env"),
    ):
        with pytest.raises(ManifestInvalid) as raised:
            parse_manifest(MANIFEST + more, ceilings=ceilings)
        assert [problem.key for problem in raised.value.problems] == [key]


def test_refusals_are_sets_and_the_policy_adds_the_hosts_own_files() -> None:
    host = parse_host_file(
        """
schema = 1
state_folder = "/srv/[state]"
[deny.filesystem]
read = ["/secret/**"]
[deny.custom.invoices]
refund = ["vip:*"]
[never.network]
connect = ["10.0.0.1:*"]
[network]
names_may_reach = ["10.0.0.0/8"]
""",
        "/etc/airssys/Host.toml",
    )
    assert host.deny.patterns("filesystem", "read") == ("/secret/**",)
    assert host.deny.patterns("custom.invoices", "refund") == ("vip:*",)
    policy = host.policy()
    assert policy.deny is host.deny
    assert policy.reachable_by_name == ("10.0.0.0/8",)
    assert "10.0.0.1:*" in policy.never.patterns("network", "connect")
    for action in ("read", "write"):
        find = policy.never.matcher("filesystem", action)
        assert find is not None
        for path in ("/srv/[state]", "/srv/[state]/db", "/etc/airssys/Host.toml", "/proc/1/mem"):
            assert find(path), path
        assert find("/srv/state") is None
        assert find("/etc/airssys/other") is None
    (other,) = (host.policy(["/elsewhere"]).never.matcher("filesystem", "read"),)
    assert other is not None
    assert other("/elsewhere/x")
    assert other("/srv/[state]") is None


# Mistakes.


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        ("colour = 1\n", "colour", "no such key"),
        ("produktion = true\n", "produktion", "did you mean 'production'"),
        ("production = 'yes'\n", "production", "write true or false"),
        ("production = 1\n", "production", "write true or false"),
        ("single_operator = 'true'\n", "single_operator", "write true or false"),
        ("state_folder = 1\n", "state_folder", "write text"),
        ("state_folder = ''\n", "state_folder", "empty"),
        ("state_folder = '~/x'\n", "state_folder", "whole path"),
        ("cache_folder = 'a\\b'\n", "cache_folder", "backslash"),
        ('trust = "a\\u0000"\n', "trust", "invisible"),
        ('trust = "a\\u202e"\n', "trust", "invisible"),
        ("trust = '" + "a" * 5000 + "'\n", "trust", "longer"),
        ("ceilings = 1\n", "ceilings", "write a table"),
        ("[ceilings.limit]\n", "ceilings.limit", "did you mean 'limits'"),
        ("[ceilings.limits]\nmemory = 1\n", "ceilings.limits.memory", "MiB"),
        ("[ceilings.limits]\nmemory = '1KiB'\n", "ceilings.limits.memory", "at least 512KiB"),
        ("[ceilings.limits]\nmemory = '99999999999GiB'\n", "ceilings.limits.memory", "more than"),
        ("[ceilings.limits]\nopen_files = -1\n", "ceilings.limits.open_files", "at least 0"),
        ("[ceilings.limits]\nhandles = 99999999999999999999\n", "ceilings.limits.handles", "more than"),
        ("[ceilings.quotas]\nmessages = 5\n", "ceilings.quotas.messages", "1000/s"),
        ("[ceilings.supervision]\nisolation = 'none'\n", "ceilings.supervision.isolation", "shared, process"),
        ("[ceilings.supervision]\nintensity = '1'\n", "ceilings.supervision.intensity", "whole number"),
        ("[ceilings.supervision]\nbackoff = '2h'\n", "ceilings.supervision.backoff", "more than backoff_max"),
        ("[ceilings.supervision]\nbackoff_max = '1ms'\n", "ceilings.supervision.backoff_max", "more than backoff_max"),
        ("[ceilings.capabilities]\npatterns = true\n", "ceilings.capabilities.patterns", "whole number"),
        ("[deny]\nfiles = {}\n", "deny.files", "no such key"),
        ("[deny.filesystem]\nread = '/a'\n", "deny.filesystem.read", "write a list"),
        ("[deny.filesystem]\nread = ['a']\n", "deny.filesystem.read[0]", "relative"),
        ("[deny.filesystem]\nread = ['/a/../b']\n", "deny.filesystem.read[0]", "'..'"),
        ("[deny.filesystem]\nread = ['/a/']\n", "deny.filesystem.read[0]", "slash"),
        ("[deny.filesystem]\nread = ['/a//b']\n", "deny.filesystem.read[0]", "'//'"),
        ("[deny.filesystem]\nexecute = []\n", "deny.filesystem.execute", "read, write"),
        ("[deny.network]\nconnect = ['10.0.0.1/8:*']\n", "deny.network.connect[0]", "not an address or a CIDR"),
        ("[deny.network]\nresolve = []\n", "deny.network.resolve", "connect includes looking"),
        ("[deny.storage]\nread = ['component:<id>:*']\n", "deny.storage.read[0]", "<id>"),
        ("[deny.custom.A]\nb = ['c']\n", "deny.custom.A", "custom kind"),
        ("[never.filesystem]\nread = ['/a', '/a']\n", "never.filesystem.read[1]", "twice"),
        ("[never.network]\nresolve = []\n", "never.network.resolve", "connect includes looking"),
        ("[never.process]\nenv = ['a b']\n", "never.process.env[0]", "variable's name"),
        ("[network]\nnames_may_reach = '10.0.0.0/8'\n", "network.names_may_reach", "write a list"),
        ("[network]\nnames_may_reach = ['10.0.0.1/8']\n", "network.names_may_reach[0]", "not an address or a CIDR"),
        ("[network]\nnames_may_reach = ['example.com']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['10.0.0.0/8:443']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['[::1]']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['0::/8']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['127.1']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['*']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['']\n", "network.names_may_reach[0]", "range of addresses"),
        ("[network]\nnames_may_reach = ['::/8', '::/8']\n", "network.names_may_reach[1]", "twice"),
        ("[audit]\nfile = []\n", "audit.file", "write text"),
        ("[audit]\nfile = 'a'\nheads = 'a'\n", "audit.heads", "the file itself"),
        ("[audit]\nrotate = '1B'\n", "audit.rotate", "at least 64KiB"),
        ("[audit]\nrotate = 7\n", "audit.rotate", "MiB"),
        ("[audit]\ndurability = 'none'\n", "audit.durability", "normal, durable"),
        ("[audit]\nvolume = '1MiB'\n", "audit.volume", "64KiB/s"),
        ("[approvals]\nexpire_after = 'soon'\n", "approvals.expire_after", "min, h, d"),
        ("[approvals]\nexpire_after = '1s'\n", "approvals.expire_after", "at least 1min"),
        ("[approvals]\nexpire = '1d'\n", "approvals.expire", "did you mean 'expire_after'"),
        ("[volumes]\ndata = '/srv'\n", "volumes.data", "absolute"),
        ("[volumes]\n'/a/../b' = '/srv'\n", 'volumes."/a/../b"', "'..'"),
        ("[volumes]\n'/a/' = '/srv'\n", 'volumes."/a/"', "plainest"),
        ("[volumes]\n'/a' = 7\n", 'volumes."/a"', "write text"),
        ('[volumes]\n"/a\\u202e" = "/srv"\n', 'volumes."/a\\u202e"', "invisible"),
        ("[environment]\n'A B' = 'x'\n", 'environment."A B"', "variable's name"),
        ("[environment]\n'A=B' = 'x'\n", 'environment."A=B"', "variable's name"),
        ("[environment]\nA = 1\n", "environment.A", "write text"),
        ('[environment]\nA = "x\\u0000"\n', "environment.A", "NUL"),
        ("[custom.a]\n", "custom.a", "actions are missing"),
        ("[custom]\na = ['x']\n", "custom.a", "write a table"),
        ("[custom.A]\nactions = ['x']\n", "custom.A", "custom kind"),
        ("[custom.a]\nactions = 'x'\n", "custom.a.actions", "write a list"),
        ("[custom.a]\nactions = ['X']\n", "custom.a.actions[0]", "custom action"),
        ("[custom.a]\nactions = ['x', 'x']\n", "custom.a.actions[1]", "twice"),
        ("component = 'a'\n", "component", "write a list"),
        ("[component]\nid = 'a'\n", "component", "write a list"),
        ("component = ['a']\n", "component[0]", "write a table"),
        ("[[component]]\npath = 'a'\n", "component[0]", "id is missing"),
        ("[[component]]\nid = 'a'\n", "component[0]", "one of the two"),
        ("[[component]]\nid = 'a'\npath = 'a'\ninstalled = 'a'\n", "component[0]", "one of the two"),
        ("[[component]]\nid = '../a'\npath = 'a'\n", "component[0].id", "component's name"),
        ("[[component]]\nid = 'a'\ninstalled = 'A'\n", "component[0].installed", "component's name"),
        ("[[component]]\nid = 'a'\npath = 'a'\narguments = 'x'\n", "component[0].arguments", "write a list"),
        ("[[component]]\nid = 'a'\npath = 'a'\narguments = [1]\n", "component[0].arguments[0]", "write text"),
        ('[[component]]\nid = "a"\npath = "a"\narguments = ["\\u0000"]\n', "component[0].arguments[0]", "NUL"),
        ("[[component]]\nid = 'a'\npath = 'a'\nvolumes = { x = 'y' }\n", "component[0].volumes.x", "absolute"),
        ("[[component]]\nid = 'a'\npath = 'a'\nenvironment = []\n", "component[0].environment", "write a table"),
        (
            "[[component]]\nid = 'a'\npath = 'a'\n[[component]]\nid = 'a'\npath = 'b'\n",
            "component[1].id",
            "started twice",
        ),
    ],
)
def test_mistake_is_named_with_a_remedy(more: str, key: str, text: str) -> None:
    (problem,) = mistakes("schema = 1\n" + more)
    assert problem.key == key
    assert text in f"{problem.what}; {problem.remedy}"
    assert problem.line > 1
    assert str(problem).isprintable()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "schema: it is missing"),
        ("schema = 2\n", "schema 1 only"),
        ("schema = '1'\n", "schema 1 only"),
        ("schema = \n", "not TOML"),
        ("\ufeffschema = 1\n", "byte order mark"),
        ("x = '\udcff'", "not Unicode"),
        ("x = " + "[" * 5000, "nested"),
        ("#" * ((1 << 20) + 1), "longer than 1MiB"),
    ],
)
def test_text_that_is_no_host_file_is_refused(text: str, what: str) -> None:
    (problem,) = mistakes(text)
    assert what in str(problem)


def test_all_mistakes_are_reported_together_in_the_order_of_the_file() -> None:
    problems = mistakes(
        """\
production = "no"
[ceilings.limits]
memory = "1"
[deny.filesystem]
read = ["x", "/y/"]
[custom.a]
actions = ["B"]
[[component]]
id = "C"
"""
    )
    assert [(problem.line, problem.key) for problem in problems] == [
        (1, "production"),
        (1, "schema"),
        (3, "ceilings.limits.memory"),
        (5, "deny.filesystem.read[0]"),
        (5, "deny.filesystem.read[1]"),
        (7, "custom.a.actions[0]"),
        (8, "component[0]"),
        (9, "component[0].id"),
    ]


def test_a_file_that_cannot_be_read_is_a_mistake_too(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# \xe9\n")
    for name, what in (("none", "No such file"), (".", "not a regular file"), ("latin", "not UTF-8"), ("a\0", "name")):
        with pytest.raises(HostFileInvalid, match=what):
            load_host_file(tmp_path / name)


def test_a_flood_of_patterns_is_stopped() -> None:
    bombs = ", ".join(f'"/{number}' + "{a,b}" * 8 + '"' for number in range(400))
    (problem,) = mistakes(f"schema = 1\n[deny.filesystem]\nread = [{bombs}]\n")
    assert "more patterns than the host allows" in problem.what
