"""Component.toml, family by family: what a stranger might write so that two readers differ, and who refuses it."""

from __future__ import annotations

import itertools

import pytest
from airssys_security.errors import ManifestInvalid, Problem
from airssys_security.manifest.parse import parse_manifest

HEAD = 'schema = 1\n[component]\nname = "w"\nversion = "1.0.0"\nwasm = "w.wasm"\n'


def escaped(text: str) -> str:
    return '"' + "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else _code(c) for c in text) + '"'


def _code(character: str) -> str:
    return f"\\U{ord(character):08x}"


def wishes(kind: str, action: str, *patterns: str) -> str:
    return f"{HEAD}[capabilities.{kind}]\n{action} = [{', '.join(map(escaped, patterns))}]\n"


def mistakes(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ManifestInvalid) as raised:
        parse_manifest(text)
    return raised.value.problems


def refused(text: str) -> Problem:
    (problem,) = mistakes(text)
    assert str(problem).isprintable()
    assert problem.what
    assert problem.remedy
    return problem


# Characters that a reviewer cannot see for what they are: in every place where text can stand.

HIDDEN = {
    "NUL": "\0",
    "bell": "\a",
    "escape": "\x1b",
    "delete": "\x7f",
    "C1": "\x9b",
    "line feed": "\n",
    "carriage return": "\r",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "left-to-right mark": "\u200e",
    "right-to-left override": "\u202e",
    "first strong isolate": "\u2068",
    "soft hyphen": "\u00ad",
    "combining joiner": "\u034f",
    "hangul filler": "\u3164",
    "variation selector": "\ufe0f",
    "tag": "\U000e0041",
    "private use": "\ue000",
    "unassigned": "\U000e1fff",
}
PLACES = {
    "name": lambda c: HEAD.replace('"w"', escaped(f"w{c}")),
    "version": lambda c: HEAD.replace('"1.0.0"', escaped(f"1.0.0-a{c}")),
    "wasm": lambda c: HEAD.replace('"w.wasm"', escaped(f"w{c}.wasm")),
    "description": lambda c: f"{HEAD}description = {escaped(f'x{c}y')}\n",
    "author": lambda c: f"{HEAD}authors = ['a', {escaped(f'x{c}y')}]\n",
    "license": lambda c: f"{HEAD}license = {escaped(f'x{c}y')}\n",
    "repository": lambda c: f"{HEAD}repository = {escaped(f'https://h/{c}')}\n",
    "path": lambda c: wishes("filesystem", "read", f"/data/a{c}b"),
    "host": lambda c: wishes("network", "connect", f"exam{c}ple.com:443"),
    "key": lambda c: wishes("storage", "read", f"component:<id>:a{c}b"),
    "sender": lambda c: wishes("messaging", "receive", f"gate{c}way"),
    "topic": lambda c: wishes("messaging", "publish", f"a.b{c}c"),
    "variable": lambda c: wishes("process", "env", f"A{c}B"),
    "custom": lambda c: wishes("custom.invoices", "refund", f"customer:{c}7"),
    "rationale": lambda c: (
        f'{wishes("filesystem", "read", "/a")}[rationale]\n"filesystem.read" = {escaped(f"x{c}y")}\n'
    ),
    "restart": lambda c: f"{HEAD}[supervision]\nrestart = {escaped(f'permanent{c}')}\n",
    "size": lambda c: f"{HEAD}[limits]\nmemory = {escaped(f'4MiB{c}')}\n",
}


@pytest.mark.parametrize(("place", "character"), list(itertools.product(PLACES, HIDDEN)))
def test_a_hidden_character_is_refused_wherever_it_stands(place: str, character: str) -> None:
    assert refused(PLACES[place](HIDDEN[character])).line > 1


@pytest.mark.parametrize("character", HIDDEN)
def test_a_hidden_character_in_a_key_is_refused_and_spelt_out(character: str) -> None:
    assert refused(f"{HEAD}{escaped(f'na{HIDDEN[character]}me')} = 1\n").key.isprintable()


# Paths, in patterns and of the component's own file.

PATHS = {
    "empty": "",
    "relative": "data/x",
    "dot": "./data",
    "home": "~/x",
    "up": "/data/../etc/passwd",
    "up at the end": "/data/..",
    "up behind a star": "/data/*/../../etc",
    "up in braces": "/data/{a,..}/x",
    "dot inside": "/data/./x",
    "two slashes": "/data//x",
    "two slashes at the start": "//etc/passwd",
    "slash at the end": "/data/",
    "empty alternative": "/data/{,x}/y",
    "backslash": "/data\\..\\etc",
    "glued stars": "/data/a**",
    "glued stars in front": "/data/**a",
    "three stars": "/data/***",
    "open class": "/data/[ab",
    "open brace": "/data/{a,b",
    "closing brace": "/data/a}",
    "one alternative": "/data/{a}",
    "class with a slash": "/data/[a/b]",
    "class and braces": "/data/{[a,b],c}",
    "bomb": "/" + "{a,b}" * 9,
    "deep braces": "/" + "{a," * 9 + "b" + "}" * 9,
    "too long": "/" + "a" * 4096,
    "URL": "file:///etc/passwd",
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("action", ["read", "write"])
def test_a_path_that_could_mean_two_things_is_refused(name: str, action: str) -> None:
    assert refused(wishes("filesystem", action, "/fine", PATHS[name])).key == f"capabilities.filesystem.{action}[1]"


FILES = ["/w.wasm", "../w.wasm", "a/../../w", "a/..", "..", ".", "./w", "a//w", "a/", "/", "", "a\\w", "..\\w", "//h/w"]


@pytest.mark.parametrize("file", FILES)
def test_the_components_file_may_not_leave_the_folder(file: str) -> None:
    assert refused(HEAD.replace('"w.wasm"', escaped(file))).key == "component.wasm"


@pytest.mark.parametrize("file", ["w.wasm", "sub/w.wasm", ".hidden", "a b", "...", "~w", "w..wasm", "\u00e9.wasm"])
def test_a_plain_file_below_the_folder_is_taken(file: str) -> None:
    assert parse_manifest(HEAD.replace('"w.wasm"', escaped(file))).component.wasm == file


# Hosts: numbers, addresses in two spellings, names that are not, and URLs that two parsers read differently.

HOSTS = [
    "2130706433:80",
    "0x7f000001:80",
    "0x7f.1:80",
    "017700000001:80",
    "127.1:80",
    "127.0.0.01:80",
    "0177.0.0.1:80",
    "127.0.0.1.:80",
    "\uff11\uff12\uff17.0.0.1:80",
    "127\u30020\u30020\u30021:80",
    "1.2.3.4.5:80",
    "256.1.1.1:80",
    "::1:80",
    "[::1",
    "[::1]443",
    "[0:0:0:0:0:0:0:1]:80",
    "[::0001]:80",
    "[fe80::1%eth0]:80",
    "[::ABCD]:80",
    "[127.0.0.1]:80",
    "[example.com]:80",
    "10.0.0.1/8:80",
    "10.0.0.0/33:80",
    "10.0.0.0/255.0.0.0:80",
    "[fd00::1/8]:80",
    "example.com",
    "10.0.0.1",
    "example.com:",
    "example.com:0",
    "example.com:65536",
    "example.com:-1",
    "example.com:080",
    "example.com:443-80",
    "example.com:80-",
    "example.com:80,443",
    "example.com:http",
    ":443",
    "*:443",
    "**.example.com:443",
    "a.*.com:443",
    "*example.com:443",
    "example.*:443",
    "*.10.0.0.1:443",
    ".example.com:443",
    "example..com:443",
    "example.com..:443",
    "-example.com:443",
    "example-.com:443",
    "exam ple.com:443",
    "exam%70le.com:443",
    "exam_ple.com@evil.com:443",
    "user@example.com:443",
    "https://user:pw@example.com",
    "https://example.com/path",
    "https://example.com?x=1",
    "https://example.com#x",
    "https://example.com\\@evil.com",
    "https:example.com",
    "https:/example.com",
    "https:///example.com",
    "https://",
    "HTTPS://example.com",
    "ftp://example.com",
    "file:///etc/passwd",
    "unix:///run/docker.sock",
    "javascript://example.com",
    "\u212aelvin.com:443",
    "\u00df\u2024com:443",
    "xn--a:443",
    "xn--zzzzzz999999:443",
    "a" * 64 + ".com:443",
    "a." * 130 + "com:443",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_two_parsers_could_read_differently_is_refused(host: str) -> None:
    assert refused(wishes("network", "connect", host)).key == "capabilities.network.connect[0]"


@pytest.mark.parametrize(
    ("kind", "action", "patterns"),
    [
        ("storage", "read", ["", ":", "a:", ":a", "a::b", "a*:b", "**:a", "a:**:b", "<id", "id>", "<other>:a"]),
        ("storage", "delete", ["a:b*", "*a", "a:***", ":".join("a" * 65), "a" * 4097]),
        ("messaging", "send", ["", "A", "1a", "a_b", "a.b", "*a", "a*b", "**", "a**", "-a", "a" * 64, "\u0430"]),
        ("messaging", "receive", ["<id>", "a b", "a:b", "a/b"]),
        ("messaging", "publish", ["", ".", "a.", ".a", "a..b", "a*", "*a.b", "**.a", "a b", "a/b", "<id>.a"]),
        ("messaging", "subscribe", ["a.**.b", "***", "\u0430.b", "a:b"]),
        ("process", "env", ["", "1A", "A=B", "A B", "*A", "A*B", "**", "A-B", "\u0391", "A" * 256]),
        ("custom.invoices", "refund", ["", "a::b", "a*b", "**:a", ":"]),
    ],
)
def test_a_pattern_that_names_nothing_clearly_is_refused(kind: str, action: str, patterns: list[str]) -> None:
    problems = mistakes(wishes(kind, action, *patterns))
    assert [problem.key for problem in problems] == [
        f"capabilities.{kind}.{action}[{index}]" for index in range(len(patterns))
    ]
    assert all(str(problem).isprintable() for problem in problems)


# Types and keys: each value of TOML in the place of each other.

VALUES = {
    "text": '"x"',
    "number": "7",
    "fraction": "1.5",
    "infinity": "inf",
    "truth": "true",
    "date": "2026-01-01",
    "time": "07:32:00",
    "list": "[1]",
    "nested": "[[[[]]]]",
    "table": "{ a = 1 }",
}
KEYS = [
    ("schema", {"number"}),
    ("component", set()),
    ("component.name", {"text"}),
    ("component.version", set()),
    ("component.wasm", {"text"}),
    ("component.description", {"text"}),
    ("component.authors", set()),
    ("capabilities", set()),
    ("capabilities.filesystem", set()),
    ("capabilities.filesystem.read", set()),
    ("capabilities.custom", set()),
    ("capabilities.custom.a", set()),
    ("optional-capabilities.storage.delete", set()),
    ("messages", set()),
    ("messages.a", set()),
    ("messages.a.content", set()),
    ("messages.a.max_bytes", set()),
    ("rationale", set()),
    ("limits", set()),
    ("limits.memory", set()),
    ("limits.sockets", {"number"}),
    ("limits.cpu", set()),
    ("quotas", set()),
    ("quotas.network", set()),
    ("quotas.storage_keys", {"number"}),
    ("supervision", set()),
    ("supervision.restart", set()),
    ("supervision.isolation", set()),
    ("supervision.intensity", {"number"}),
    ("supervision.period", set()),
]


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, right in KEYS for value in VALUES if value not in right]
)
def test_a_value_of_the_wrong_type_is_refused_where_it_stands(key: str, value: str) -> None:
    problems = mistakes(f"{key} = {VALUES[value]}\n")
    first = problems[0]
    assert first.line == 1
    assert all(str(problem).isprintable() for problem in problems)
    assert any(problem.key.startswith(key) or key.startswith(problem.key) for problem in problems)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "[component]\nname = 'x'\n",
        HEAD + "name = 'x'\n",
        HEAD + "[limits]\nmemory = '4MiB'\nmemory = '5MiB'\n",
        HEAD + "[limits]\nmemory = '4MiB'\n\"memory\" = '5MiB'\n",
        HEAD + "[limits]\n[limits]\n",
        HEAD + "[capabilities.filesystem]\nread = []\n[capabilities]\nfilesystem.read = ['/**']\n",
        HEAD + "[messages.a]\n['messages'.'a']\n",
        HEAD + "limits = {}\nlimits.memory = '4MiB'\n[limits]\n",
    ],
)
def test_what_is_said_twice_is_refused(text: str) -> None:
    (problem,) = mistakes(text)
    assert "not TOML" in problem.what


@pytest.mark.parametrize(
    "version", ["1.0", "1", "v1.0.0", "1.0.0.0", "1.0.0-", "1.0.0+", "01.0.0", "1.00.0", "1.0.0-01"]
)
@pytest.mark.parametrize("suffix", ["", " ", "\\n"])
def test_a_version_that_is_not_semantic_is_refused(version: str, suffix: str) -> None:
    assert refused(HEAD.replace('"1.0.0"', f'"{version}{suffix}"')).key == "component.version"


def test_a_manifest_with_mistakes_everywhere_reports_each_once_and_in_order() -> None:
    text = """\
schema = 1
colour = "red"
[component]
name = "Weather"
version = "1.2"
wasm = "/w.wasm"
authors = ["a", 7]
licence = "MIT"
[capabilities.filesystem]
read = ["/ok", "no", "/a/../b"]
execute = ["/bin/sh"]
[capabilities.network]
connect = ["10.1:80"]
resolve = ["example.com"]
[capabilities.custom.X]
y = ["z"]
[capabilities.teleport]
[optional-capabilities.process]
env = ["A=B", "A=B"]
[messages.gateway]
content = "xml"
max_bytes = 7
[rationale]
"network.bind" = "why"
[limits]
memory = "4MB"
stack = -1
[quotas]
network = "1GiB"
storage_keys = 1e3
[supervision]
isolation = "none"
period = "0s"
intensity = 99
"""
    problems = mistakes(text)
    assert [(problem.line, problem.key) for problem in problems] == [
        (2, "colour"),
        (4, "component.name"),
        (5, "component.version"),
        (6, "component.wasm"),
        (7, "component.authors[1]"),
        (8, "component.licence"),
        (10, "capabilities.filesystem.read[1]"),
        (10, "capabilities.filesystem.read[2]"),
        (11, "capabilities.filesystem.execute"),
        (13, "capabilities.network.connect[0]"),
        (14, "capabilities.network.resolve"),
        (15, "capabilities.custom.X"),
        (17, "capabilities.teleport"),
        (19, "optional-capabilities.process.env[0]"),
        (19, "optional-capabilities.process.env[1]"),
        (20, "messages.gateway"),
        (21, "messages.gateway.content"),
        (22, "messages.gateway.max_bytes"),
        (24, 'rationale."network.bind"'),
        (26, "limits.memory"),
        (27, "limits.stack"),
        (29, "quotas.network"),
        (30, "quotas.storage_keys"),
        (32, "supervision.isolation"),
        (33, "supervision.period"),
        (34, "supervision.intensity"),
    ]
