"""What an operator may write to say where a component comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from airssys_actors.errors import SourceRefused
from airssys_actors.hosting.sources import FolderSource, GitSource, Source, parse_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".", FolderSource(Path("."))),
        ("weather/", FolderSource(Path("weather"))),
        ("weather/Component.toml", FolderSource(Path("weather"))),
        ("weather/other.toml", FolderSource(Path("weather"), "other.toml")),
        ("git+https://h.example/r", GitSource("https://h.example/r")),
        ("git+https://h.example/r@main", GitSource("https://h.example/r", "main")),
        ("git+https://h.example/r@feature/x", GitSource("https://h.example/r", "feature/x")),
        ("git+https://h.example/r@refs/tags/v1", GitSource("https://h.example/r", "refs/tags/v1")),
        (f"git+https://h.example/r@{COMMIT}", GitSource("https://h.example/r", commit=COMMIT)),
        ("git+https://h.example/r#a/b", GitSource("https://h.example/r", path="a/b")),
        ("git+https://h.example/r@v1#a/b/", GitSource("https://h.example/r", "v1", path="a/b")),
        ("git+https://h.example/r#a/o.toml", GitSource("https://h.example/r", path="a", manifest="o.toml")),
        ("git+https://H.Example:443/r", GitSource("https://h.example/r")),
        ("git+https://h.example:8443/r", GitSource("https://h.example:8443/r")),
        ("git+ssh://git@h.example/r@main", GitSource("ssh://git@h.example/r", "main")),
        ("git+ssh://git@h.example/r", GitSource("ssh://git@h.example/r")),
        ("git+file:///srv/r", GitSource("file:///srv/r")),
    ],
)
def test_source_is_read(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-rf",
        "--upload-pack=x",
        "a\x1b[2J",
        "a\u202eb",
        "a\0b",
        "x" * 5000,
        "https://h.example/r",
        "http://h.example/r",
        "ext::sh -c id",
        "git+ext::sh -c id",
        "git+ext::sh://x/y",
        "git+http://h.example/r",
        "git+git://h.example/r",
        "git+ftp://h.example/r",
        "git+https:/h.example/r",
        "git+https:///r",
        "git+https://h.example",
        "git+https://h.example/",
        "git+https://-h.example/r",
        "git+https://user@h.example/r",
        "git+https://user:secret@h.example/r",
        "git+https://good.example@evil.example/r",
        "git+ssh://-oProxyCommand=id/r",
        "git+ssh://-oProxyCommand=id@h.example/r",
        "git+ssh://git:secret@h.example/r",
        "git+ssh://git@-oProxyCommand=id/r",
        "git+file://host/r",
        "git+file://-r",
        "git+https://h.example/a/../r",
        "git+https://h.example/a/./r",
        "git+https://h.example//r",
        "git+https://h.example/%2e%2e/r",
        "git+https://h.example/r?x=y",
        "git+https://h.example\\@evil.example/r",
        "git+https://h\u3002example/r",
        "git+https://h.example:0/r",
        "git+https://h.example:99999/r",
        "git+https://h.example/r@",
        "git+https://h.example/r@--upload-pack=id",
        "git+https://h.example/r@-x",
        "git+https://h.example/r@a..b",
        "git+https://h.example/r@a b",
        "git+https://h.example/r@a:b",
        "git+https://h.example/r@+a",
        "git+https://h.example/r@^a",
        "git+https://h.example/r@a~1",
        "git+https://h.example/r@a@{1}",
        "git+https://h.example/r@/a",
        "git+https://h.example/r@a/",
        "git+https://h.example/r@a.lock",
        "git+https://h.example/r@a/.b",
        "git+https://h.example/r@refs/pull/1/head",
        "git+https://h.example/r@refs/merge-requests/1/head",
        "git+https://h.example/r#../x",
        "git+https://h.example/r#a/../../x",
        "git+https://h.example/r#/etc",
        "git+https://h.example/r#a//b",
        "git+https://h.example/r#.git/config",
        "git+https://h.example/r#a/.GIT",
        "git+https://h.example/r#a\\..\\b",
        "git+https://h.example/r#" + "/".join("a" * 33),
    ],
)
def test_what_could_mean_two_things_or_reach_an_option_is_refused(text: str) -> None:
    with pytest.raises(SourceRefused) as raised:
        parse_source(text)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1500


def test_folder_that_is_called_like_a_manifest_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "weather.toml"
    folder.mkdir()
    assert parse_source(str(folder)) == FolderSource(folder)
