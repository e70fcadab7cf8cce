"""``trust.toml``: what it can say, and every mistake in it by its place."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
from airssys_security.errors import Problem, TrustFileInvalid
from airssys_security.limits import Limits, Quotas
from airssys_security.trust.trust_file import MAX_SOURCES, TrustPolicy, load_trust_file, parse_trust_file
from signing import KEY, STRANGER

WHOLE = f"""schema = 1

# our own
[[source]]
name = "house"
key = "{KEY.public}"
level = "trusted"
[source.max.filesystem]
read = ["/data/**"]
write = ["/data/<id>"]
[source.max.storage]
read = ["component:<id>:*"]
[source.max.custom.crm]
read = ["customer:*"]
[source.limits]
memory = "64MiB"
handles = 2048
[source.quotas]
messages = "30/min"

[[source]]
name = "team"
git = "https://git.example.org/team/*"
ref = "v1.*"
level = "trusted"

[[source]]
name = "pinned"
git = "ssh://git@git.example.org:2222/team/**"
commit = "{"a1" * 20}"
level = "trusted"

[[source]]
name = "workbench"
folder = "/home/*/components/**"
level = "dev"
"""


def mistakes(text: str) -> tuple[Problem, ...]:
    with pytest.raises(TrustFileInvalid) as raised:
        parse_trust_file(text)
    assert str(raised.value).replace("\n", "").isprintable()
    return raised.value.problems


def test_a_whole_file_says_what_is_in_it() -> None:
    policy = parse_trust_file(WHOLE)
    house, team, pinned, workbench = policy.sources
    assert (house.name, house.level, house.key, house.git, house.folder) == ("house", "trusted", KEY.public, "", "")
    assert house.max.patterns("filesystem", "read") == ("/data/**",)
    assert house.max.patterns("custom.crm", "read") == ("customer:*",)
    assert house.limits == Limits(memory_bytes=64 << 20, handles=2048)
    assert house.quotas == Quotas(messages_per_s=0.5)
    assert (team.git, team.ref, team.commit) == ("https://git.example.org/team/*", "v1.*", "")
    assert not team.max
    assert team.limits == Limits()
    assert (pinned.git, pinned.commit) == ("ssh://git@git.example.org:2222/team/**", "a1" * 20)
    assert (workbench.level, workbench.folder) == ("dev", "/home/*/components/**")
    assert policy.revision == hashlib.sha256(WHOLE.encode()).hexdigest()


def test_a_file_without_sources_trusts_nothing() -> None:
    assert parse_trust_file("schema = 1\n").sources == TrustPolicy().sources == ()


def source(*lines: str, name: str = "s", level: str = "trusted") -> str:
    return "\n".join(("[[source]]", f'name = "{name}"', f'level = "{level}"', *lines, ""))


def one(*lines: str) -> str:
    return "schema = 1\n" + source(*lines)


GIT = 'git = "https://h.example/team/{}"'
FOLDER = 'folder = "/srv/a"'
BAD = {
    "no schema": (source(FOLDER), 1, "schema", "missing"),
    "schema 2": ("schema = 2\n" + source(FOLDER), 1, "schema", "schema 1 only"),
    "schema true": ("schema = true\n" + source(FOLDER), 1, "schema", "schema 1 only"),
    "an unknown section": ("schema = 1\nsources = []\n", 2, "sources", "no such key"),
    "an unknown key": (one(FOLDER, "trusted = true"), 6, "source[0].trusted", "no such key"),
    "a misspelt key": (one('foldr = "/srv/a"', FOLDER), 5, "source[0].foldr", "no such key"),
    "no name": ('schema = 1\n[[source]]\nlevel = "dev"\nfolder = "/a"\n', 2, "source[0].name", "missing"),
    "no level": ('schema = 1\n[[source]]\nname = "s"\nfolder = "/a"\n', 2, "source[0].level", "missing"),
    "a level that is none": ("schema = 1\n" + source(FOLDER, level="root"), 4, "source[0].level", "not one of"),
    "unknown cannot be written": ("schema = 1\n" + source(FOLDER, level="unknown"), 4, "source[0].level", "not one of"),
    "a name with spaces": ("schema = 1\n" + source(FOLDER, name="a b"), 3, "source[0].name", "not a source's name"),
    "an empty name": ("schema = 1\n" + source(FOLDER, name=""), 3, "source[0].name", "not a source's name"),
    "a hidden name": ("schema = 1\n" + source(FOLDER, name="a\u202eb"), 3, "source[0].name", "invisible"),
    "no selector": (one(), 2, "source[0]", "nothing says what comes from it"),
    "two selectors": (one(FOLDER, f'key = "{KEY.public}"'), 6, "source[0].key", "it has folder and key"),
    "ref beside a folder": (one(FOLDER, 'ref = "main"'), 6, "source[0].ref", "beside git only"),
    "commit beside a key": (
        one(f'key = "{KEY.public}"', f'commit = "{"a" * 40}"'),
        6,
        "source[0].commit",
        "beside git",
    ),
    "a key without its algorithm": (one(f'key = "{str(KEY.public)[8:]}"'), 5, "source[0].key", "does not begin"),
    "half a key": (one('key = "ed25519:AAAA"'), 5, "source[0].key", "base64"),
    "a key anybody can sign for": (one(f'key = "ed25519:AQ{"A" * 41}="'), 5, "source[0].key", "anybody could sign"),
    "a key that is no text": (one("key = 1"), 5, "source[0].key", "whole number"),
    "http": (one('git = "http://h.example/a"'), 5, "source[0].git", "it is not https://"),
    "the git protocol": (one('git = "git://h.example/a"'), 5, "source[0].git", "it is not https://"),
    "no scheme": (one('git = "h.example/a"'), 5, "source[0].git", "it is not https://"),
    "the form of scp": (one('git = "git@h.example:a/b"'), 5, "source[0].git", "it is not https://"),
    "no path": (one('git = "https://h.example"'), 5, "source[0].git", "it is not https://"),
    "a pattern for the host": (one('git = "https://*.example/a"'), 5, "source[0].git", "host"),
    "a pattern for the scheme": (one('git = "*://h.example/a"'), 5, "source[0].git", "it is not https://"),
    "a user of https": (one('git = "https://me@h.example/a"'), 5, "source[0].git", "user"),
    "a password": (one('git = "ssh://me:pw@h.example/a"'), 5, "source[0].git", "user"),
    "two at signs": (one('git = "ssh://a@b@h.example/a"'), 5, "source[0].git", "user"),
    "a host of file": (one('git = "file://h.example/a"'), 5, "source[0].git", "no host"),
    "a port of words": (one('git = "https://h.example:x/a"'), 5, "source[0].git", "port"),
    "a port too high": (one('git = "https://h.example:65536/a"'), 5, "source[0].git", "port"),
    "an empty port": (one('git = "https://h.example:/a"'), 5, "source[0].git", "port"),
    "an IPv6 host": (one('git = "https://[::1]/a"'), 5, "source[0].git", "host"),
    "a host of another alphabet": (one('git = "https://ex\u0430mple.org/a"'), 5, "source[0].git", "ASCII"),
    "dots in a git path": (one('git = "https://h.example/a/../b"'), 5, "source[0].git", "'..'"),
    "glued stars in a git path": (one('git = "https://h.example/a**"'), 5, "source[0].git", "glued"),
    "an empty segment": (one('git = "https://h.example//a"'), 5, "source[0].git", "empty segment"),
    "an empty ref": (one(GIT.format("a"), 'ref = ""'), 6, "source[0].ref", "empty"),
    "a ref with dots": (one(GIT.format("a"), 'ref = "a/../b"'), 6, "source[0].ref", "'..'"),
    "a ref with a slash first": (
        one(GIT.format("a"), 'ref = "/main"'),
        6,
        "source[0].ref",
        "empty",
    ),
    "a short commit": (one(GIT.format("a"), 'commit = "a1b2c3d"'), 6, "source[0].commit", "whole commit"),
    "a commit in capitals": (
        one(GIT.format("a"), f'commit = "{"A" * 40}"'),
        6,
        "source[0].commit",
        "whole",
    ),
    "a commit and a newline": (
        one(GIT.format("a"), f'commit = "{"a" * 40}\\n"'),
        6,
        "source[0].commit",
        "",
    ),
    "a relative folder": (one('folder = "components"'), 5, "source[0].folder", "relative"),
    "dots in a folder": (one('folder = "/srv/../etc"'), 5, "source[0].folder", "'..'"),
    "a folder with a slash at its end": (one('folder = "/srv/"'), 5, "source[0].folder", "slash"),
    "an empty folder": (one('folder = ""'), 5, "source[0].folder", "empty"),
    "an unclosed class": (one('folder = "/srv/[a"'), 5, "source[0].folder", "never closed"),
    "a bad pattern in max": (
        one(FOLDER, "[source.max.filesystem]", 'read = ["data"]'),
        7,
        "source[0].max.filesystem.read[0]",
        "relative",
    ),
    "an unknown kind in max": (one(FOLDER, "[source.max.gpu]", 'use = ["*"]'), 6, "source[0].max.gpu", "no such key"),
    "an unknown action in max": (
        one(FOLDER, "[source.max.filesystem]", 'execute = ["/a"]'),
        7,
        "source[0].max.filesystem.execute",
        "no such key",
    ),
    "a limit without a unit": (one(FOLDER, "[source.limits]", "memory = 1"), 7, "source[0].limits.memory", "unit"),
    "a limit below the least": (
        one(FOLDER, "[source.limits]", 'memory = "1B"'),
        7,
        "source[0].limits.memory",
        "less than",
    ),
    "an unknown quota": (one(FOLDER, "[source.quotas]", "gold = 1"), 7, "source[0].quotas.gold", "no such key"),
    "max of dev": (
        "schema = 1\n" + source(FOLDER, "[source.max.filesystem]", 'read = ["/a"]', level="dev"),
        6,
        "source[0].max",
        "without effect",
    ),
    "limits of dev": (
        "schema = 1\n" + source(FOLDER, "[source.limits]", level="dev"),
        6,
        "source[0].limits",
        "without effect",
    ),
    "a name twice": (one(FOLDER) + source('folder = "/srv/b"'), 7, "source[1].name", "the name of two sources"),
    "sources that are no tables": ("schema = 1\nsource = [1]\n", 2, "source[0]", "whole number"),
    "a source that is one table": ('schema = 1\n[source]\nname = "s"\n', 2, "source", "a table"),
    "not TOML": ("schema = 1\n[[source]\n", 2, "", "not TOML"),
    "a byte order mark": ("\ufeffschema = 1\n", 1, "", "byte order mark"),
    "a lone surrogate": ("schema = 1 # \ud800\n", 1, "", "Unicode"),
}


@pytest.mark.parametrize(("text", "line", "key", "what"), BAD.values(), ids=BAD)
def test_a_mistake_is_named_where_it_stands(text: str, line: int, key: str, what: str) -> None:
    (problem,) = mistakes(text)
    assert (problem.line, problem.key) == (line, key)
    assert what in problem.what
    assert problem.remedy


def test_all_mistakes_are_reported_together_in_the_order_of_the_file() -> None:
    text = one('folder = "srv"', 'colour = "red"') + source('key = "x"', name="t") + source(name="t", level="x")
    problems = mistakes(text)
    assert [problem.key for problem in problems] == [
        "source[0].folder",
        "source[0].colour",
        "source[1].key",
        "source[2]",
        "source[2].level",
    ]
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


SHADOWED = {
    "the same folder": (FOLDER, FOLDER),
    "the same key": (f'key = "{KEY.public}"', f'key = "{KEY.public}"'),
    "a folder below": ('folder = "/srv/**"', FOLDER),
    "folders below": ('folder = "/srv/**"', 'folder = "/srv/a/b/**"'),
    "a folder that a star takes": ('folder = "/srv/*"', FOLDER),
    "the same repository": (GIT.format("a"), GIT.format("a")),
    "a repository below": (GIT.format("**"), GIT.format("a/b")),
    "a host in capitals": (GIT.format("a"), 'git = "https://H.Example/team/a"'),
    "a port that is the scheme's": (GIT.format("a"), 'git = "https://h.example:443/team/a"'),
    "a ref of what was taken whole": (GIT.format("a"), GIT.format("a") + '\nref = "v1"'),
    "a ref that a pattern takes": (GIT.format("a") + '\nref = "v*"', GIT.format("a") + '\nref = "v1"'),
    "a commit of what was taken whole": (GIT.format("*"), GIT.format("a") + f'\ncommit = "{"a" * 40}"'),
}


@pytest.mark.parametrize(("earlier", "later"), SHADOWED.values(), ids=SHADOWED)
def test_a_source_that_nothing_can_reach_is_a_mistake(earlier: str, later: str) -> None:
    (problem,) = mistakes(one(earlier) + source(later, name="t"))
    assert problem.key == "source[1]"
    assert "nothing can reach it: 's' stands before it" in problem.what


REACHED = {
    "two keys": (f'key = "{KEY.public}"', f'key = "{STRANGER.public}"'),
    "two folders": (FOLDER, 'folder = "/srv/b"'),
    "the narrow first": (FOLDER, 'folder = "/srv/**"'),
    "one folder and all below": ('folder = "/srv/*"', 'folder = "/srv/**"'),
    "a star and a folder below": ('folder = "/srv/*"', 'folder = "/srv/a/**"'),
    "a key and a folder": (f'key = "{KEY.public}"', FOLDER),
    "a folder and a repository": ('folder = "/**"', 'git = "file:///srv/a"'),
    "two schemes": (GIT.format("**"), 'git = "ssh://h.example/team/a"'),
    "two hosts": (GIT.format("**"), 'git = "https://i.example/team/a"'),
    "two ports": (GIT.format("**"), 'git = "https://h.example:444/team/a"'),
    "two users": ('git = "ssh://a@h.example/x"', 'git = "ssh://b@h.example/x"'),
    "the ref first": (GIT.format("a") + '\nref = "v1"', GIT.format("a")),
    "two refs": (GIT.format("a") + '\nref = "v1"', GIT.format("a") + '\nref = "v2"'),
    "the commit first": (GIT.format("a") + f'\ncommit = "{"a" * 40}"', GIT.format("a")),
}


@pytest.mark.parametrize(("earlier", "later"), REACHED.values(), ids=REACHED)
def test_a_source_that_something_can_reach_is_none(earlier: str, later: str) -> None:
    assert len(parse_trust_file(one(earlier) + source(later, name="t")).sources) == 2


def test_a_flood_of_sources_is_refused_before_they_are_compared() -> None:
    text = "schema = 1\n" + "".join(
        source(f'folder = "/{index}"', name=f"s{index}") for index in range(MAX_SOURCES + 1)
    )
    (problem,) = mistakes(text)
    assert f"at most {MAX_SOURCES}" in problem.what


def test_braces_are_counted_before_they_are_expanded() -> None:
    braces = "{a,b}" * 8
    lines = "".join(source(f'folder = "/{index}{braces}"', name=f"s{index}") for index in range(200))
    problems = mistakes("schema = 1\n" + lines)
    assert "more patterns than the host allows" in problems[0].what


def test_a_file_is_read_with_its_name_in_every_mistake(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(WHOLE)
    assert load_trust_file(path) == parse_trust_file(WHOLE)
    path.write_text("schema = 3\n")
    with pytest.raises(TrustFileInvalid, match=re.escape(f"{path}:1:1: schema")):
        load_trust_file(path)
    with pytest.raises(TrustFileInvalid, match="cannot be read"):
        load_trust_file(tmp_path / "nothing")


def test_a_file_that_anybody_can_write_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(WHOLE)
    os.chmod(path, 0o646)
    with pytest.raises(TrustFileInvalid, match="another user could have written it"):
        load_trust_file(path)


def test_a_file_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(WHOLE)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "stat", lambda _path: os.stat_result((0o100644, 1, 1, 1, owner + 1, 0, 0, 0, 0, 0)))
    with pytest.raises(TrustFileInvalid, match="another user could have written it"):
        load_trust_file(path)
