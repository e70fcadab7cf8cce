"""Plain words: one line for each grant, the risky first, and nothing in them that a terminal would obey."""

from __future__ import annotations

import pytest
from airssys_security.capabilities import CapabilitySet
from airssys_security.describe import GrantLine, describe, describe_manifest, describe_settings, render
from airssys_security.manifest.parse import parse_manifest
from airssys_security.requests import ACTIONS
from airssys_security.text import first_hidden
from airssys_security.words import RISKS, in_words
from hypothesis import given
from hypothesis import strategies as st

HEAD = 'schema = 1\n[component]\nname = "w"\nversion = "1.0.0"\nwasm = "w.wasm"\n'


@pytest.mark.parametrize(
    ("kind", "action", "pattern", "risk", "words"),
    [
        # Files: reach over everything, and into what makes the machine.
        ("filesystem", "read", "/**", "high", "every file and folder of this machine"),
        ("filesystem", "write", "/**", "high", "create, change and remove every file"),
        ("filesystem", "read", "/*/**", "high", "of the form"),
        ("filesystem", "read", "/**/*.pem", "high", "of the form"),
        ("filesystem", "read", "/{data,*}/x", "high", "of the form"),
        ("filesystem", "read", "/[d]ata/x", "high", "of the form"),
        ("filesystem", "read", "/etc/**", "high", "/etc and everything in it, at any depth"),
        ("filesystem", "read", "/home/*/notes", "high", "of the form"),
        ("filesystem", "read", "/root/**", "high", "/root and everything"),
        ("filesystem", "read", "/etc/hosts", "medium", "/etc/hosts, and nothing below it"),
        ("filesystem", "write", "/etc/x.conf", "high", "/etc/x.conf"),
        ("filesystem", "write", "/usr/local/bin/*", "high", "what lies in /usr/local/bin itself"),
        ("filesystem", "write", "/", "high", "create, change and remove /"),
        ("filesystem", "write", "/{data,etc}/x", "high", "of the form"),
        ("filesystem", "write", "/data/**", "medium", "/data and everything in it"),
        ("filesystem", "read", "/data/**", "low", "/data and everything in it"),
        ("filesystem", "read", "/data/*", "low", "not what is in its folders"),
        ("filesystem", "read", "/data/a[0-9].txt", "low", "of the form"),
        # Networks: raw connections anywhere, and what is inside.
        ("network", "connect", "0.0.0.0/0:*", "high", "every public address of IPv4, any port"),
        ("network", "connect", "[::/0]:443", "high", "every public address of IPv6, port 443"),
        ("network", "connect", "10.0.0.0/8:5432", "high", "10.0.0.0/8 (private)"),
        ("network", "connect", "192.168.1.7:80", "high", "the address 192.168.1.7 (private)"),
        ("network", "connect", "127.0.0.1:*", "high", "loopback"),
        ("network", "connect", "[::1]:80", "high", "loopback"),
        ("network", "connect", "169.254.169.254:80", "high", "link-local"),
        ("network", "connect", "[fd00::/8]:443", "high", "unique local"),
        ("network", "connect", "localhost:80", "high", "the host localhost"),
        ("network", "connect", "*.com:443", "high", "every host below com"),
        ("network", "connect", "*.example.org:*", "high", "every host below example.org, any port"),
        ("network", "connect", "*.example.org:443", "medium", "every host below example.org, port 443"),
        ("network", "connect", "93.184.216.34:443", "medium", "the address 93.184.216.34, port 443"),
        ("network", "connect", "93.184.216.0/24:1-99", "medium", "ports 1 to 99"),
        ("network", "connect", "http://example.com", "medium", "send HTTP requests to the host example.com"),
        ("network", "connect", "http://example.com", "medium", "without encryption"),
        ("network", "connect", "https://example.com", "low", "send HTTPS requests to the host example.com"),
        ("network", "connect", "https://b\u00fccher.example", "low", "xn--bcher-kva.example"),
        ("network", "bind", "0.0.0.0:80", "high", "from anywhere, port 80"),
        ("network", "bind", "[::]:80", "high", "from anywhere"),
        ("network", "bind", "10.0.0.1:80", "high", "at the address 10.0.0.1"),
        ("network", "bind", "127.0.0.1:8080", "medium", "at the address 127.0.0.1 (loopback), port 8080"),
        # Storage, messages, variables, custom kinds.
        ("storage", "read", "component:<id>:*", "low", "read all of its own keys"),
        ("storage", "delete", "component:<id>:*", "medium", "delete all of its own keys"),
        ("storage", "write", "component:<id>:cache:*", "low", "set its own keys cache:*"),
        ("storage", "read", "*", "high", "every key of every component"),
        ("storage", "delete", "**", "high", "delete every key of every component"),
        ("storage", "read", "component:*", "high", "not its own"),
        ("storage", "read", "component:other:*", "medium", "not its own"),
        ("storage", "write", "component:other:*", "high", "not its own"),
        ("messaging", "send", "*", "high", "send messages to every component"),
        ("messaging", "send", "bill*", "medium", "whose name begins with bill"),
        ("messaging", "send", "billing", "low", "send messages to billing"),
        ("messaging", "receive", "*", "medium", "be sent messages by every component"),
        ("messaging", "publish", "**", "high", "publish on every topic"),
        ("messaging", "subscribe", "**", "high", "hear what others publish on every topic"),
        ("messaging", "subscribe", "*.alerts", "medium", "on *.alerts"),
        ("messaging", "publish", "weather.*", "low", "publish on weather.*"),
        ("process", "env", "*", "high", "every environment variable"),
        ("process", "env", "DB_PASSWORD", "high", "DB_PASSWORD"),
        ("process", "env", "API_TOKEN*", "high", "begins with API_TOKEN"),
        ("process", "env", "WEATHER_*", "medium", "begins with WEATHER_"),
        ("process", "env", "TZ", "low", "the environment variable TZ"),
        ("custom.invoices", "refund", "*", "high", "refund of invoices with anything"),
        ("custom.invoices", "refund", "customer:*", "medium", "with customer:*"),
    ],
)
def test_a_grant_in_words(kind: str, action: str, pattern: str, risk: str, words: str) -> None:
    found, sentence = in_words(kind, action, pattern)
    assert found == risk, sentence
    assert words in sentence
    assert sentence.startswith("may ")


def test_its_own_id_is_known_when_the_grants_are_bound() -> None:
    assert in_words("storage", "read", "component:w:*", "w") == ("low", "may read all of its own keys")
    assert in_words("storage", "read", "component:w:*", "x")[0] == "medium"


@pytest.mark.parametrize("pattern", ["/data/\u0440assword", "/b\u00fccher/**"])
def test_letters_beyond_ascii_are_spelt_out_beside(pattern: str) -> None:
    assert ascii(pattern) in in_words("filesystem", "read", pattern)[1]


def test_what_cannot_be_read_is_the_highest_risk() -> None:
    for kind, action, pattern in (("filesystem", "read", "/{"), ("network", "connect", "x"), ("network", "bind", "")):
        assert in_words(kind, action, pattern)[0] == "high"


TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
KINDS = st.sampled_from(
    [*((kind, action) for kind, actions in ACTIONS.items() for action in actions), ("custom.a", "b")]
)


@given(KINDS, TEXT)
def test_any_text_is_described_on_one_harmless_line(key: tuple[str, str], pattern: str) -> None:
    risk, sentence = in_words(*key, pattern)
    assert risk in RISKS
    assert first_hidden(sentence) is None


def test_the_risky_come_first_and_the_required_before_the_optional() -> None:
    manifest = parse_manifest(
        HEAD
        + """
[capabilities.filesystem]
read = ["/data/a", "/**"]
write = ["/data/**"]
[optional-capabilities.process]
env = ["TZ", "*"]
[rationale]
"filesystem.read" = "looks around"
"""
    )
    lines = describe_manifest(manifest)
    assert [(line.optional, line.risk, line.pattern) for line in lines] == [
        (False, "high", "/**"),
        (False, "medium", "/data/**"),
        (False, "low", "/data/a"),
        (True, "high", "*"),
        (True, "low", "TZ"),
    ]
    assert [line.rationale for line in lines] == ["looks around", "", "looks around", "", ""]
    text = render(lines)
    assert text.index("It does not run without:") == 0
    assert "It runs without, and would use:" in text
    assert text[1].split() == ["high", *["may", "read", "every", "file", "and", "folder", "of", "this", "machine"]]
    assert "          filesystem.read  /**" in text


def test_sets_are_described_like_the_manifest_that_asked_for_them() -> None:
    manifest = parse_manifest(HEAD + '[capabilities.storage]\nread = ["component:<id>:*", "*"]\n')
    bound = describe(manifest.required.bind("w"), CapabilitySet({}), {"storage.read": "why\n\x1b[2J"})
    assert [line.sentence for line in bound] == [line.sentence for line in describe_manifest(manifest)]
    assert {line.rationale for line in bound} == {"why\\x0a\\x1b[2J"}
    assert describe(CapabilitySet({})) == ()


def test_what_asks_for_nothing_is_said_to_be_harmless() -> None:
    assert render(()) == ("It asks for no capability: it can compute, and nothing else.",)


def test_lines_made_of_hostile_text_stay_lines() -> None:
    line = GrantLine("low", "process", "env", "may see X", "X", False, "a")
    assert render([line]) == (
        "It does not run without:",
        "  low     may see X",
        "          process.env  X",
        "          the author says: a",
    )


def test_settings_beside_the_capabilities_are_said_where_they_are_not_the_defaults() -> None:
    assert describe_settings(parse_manifest(HEAD)) == ()
    manifest = parse_manifest(
        HEAD
        + """
[capabilities.messaging]
receive = ["gateway"]
[messages.gateway]
content = "json"
max_bytes = "1KiB"
[messages."*"]
content = "any"
[rationale]
"limits.memory" = "Python"
[limits]
memory = "64MiB"
handles = 20
[quotas]
network = "1MiB/s"
[supervision]
restart = "temporary"
isolation = "process"
"""
    )
    assert describe_settings(manifest) == (
        "limits.memory = 64MiB, and not 4MiB: Python",
        "limits.handles = 20, and not 1024",
        "quotas.network = 1MiB/s, and not 16MiB/s",
        "messages from gateway: json alone of at most 1KiB",
        "messages from everybody else: any content",
        "supervision.isolation = process: it runs in a process of its own",
        "supervision.restart = temporary",
    )
