"""Links of this machine, followed as an opening would follow them, and lexically from where nothing exists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from airssys_security.errors import RequestInvalid
from airssys_security.requests import Request

from airssys_actors.cli.links import resolve_links, resolve_path


@pytest.fixture
def tree(tmp_path: Path) -> str:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "file").write_text("")
    (tmp_path / "relative").symlink_to("real/deep")
    (tmp_path / "absolute").symlink_to(tmp_path / "real")
    (tmp_path / "chain").symlink_to("relative")
    (tmp_path / "dangling").symlink_to("nowhere/at/../all")
    (tmp_path / "up").symlink_to("real/deep/..")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "root").symlink_to("/")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    return str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/real/file", "/real/file"),
        ("/real//./file", "/real/file"),
        ("/real/deep/", "/real/deep"),
        ("/real/deep/../file", "/real/file"),
        ("/relative/x", "/real/deep/x"),
        ("/relative/../x", "/real/x"),
        ("/absolute/file", "/real/file"),
        ("/chain/x/y", "/real/deep/x/y"),
        ("/up/file", "/real/file"),
        ("/new/x/y", "/new/x/y"),
        ("/new/../x", "/new/../x"),
        ("/real/file/..", "/real/file/.."),
        ("/real/file/x", "/real/file/x"),
        ("/dangling", "/nowhere/at/../all"),
        ("/dangling/x", "/nowhere/at/../all/x"),
    ],
)
def test_a_path_is_followed_as_far_as_it_exists(tree: str, path: str, reached: str) -> None:
    assert resolve_path(tree + path) == tree + reached


def test_a_link_to_the_root_starts_there(tree: str) -> None:
    assert resolve_path(f"{tree}/root/etc") == os.path.realpath("/etc")
    assert resolve_path(f"{tree}/root") == "/"
    assert resolve_path("/../..") == "/"


@pytest.mark.parametrize("path", ["", "x", "./x", "~/x", "/a\0b"])
def test_what_is_no_absolute_path_is_left_to_the_check(path: str) -> None:
    assert resolve_path(path) == path


@pytest.mark.parametrize("path", ["/loop", "/loop/x", "/one", "/two/../x", "/" + "a" * 5000])
def test_what_cannot_be_followed_is_no_request(tree: str, path: str) -> None:
    with pytest.raises(RequestInvalid, match="cannot be resolved"):
        resolve_path(tree + path)


def test_requests_of_other_kinds_are_left_alone(tree: str) -> None:
    asked = Request("storage", "read", f"{tree}/relative")
    assert resolve_links(asked) is asked
    assert resolve_links(Request("filesystem", "read", f"{tree}/relative")).resource == f"{tree}/real/deep"
