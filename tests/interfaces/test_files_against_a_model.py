"""Thousands of random paths in a folder full of traps, against a model that asks Python's own realpath."""

from __future__ import annotations

import errno
import fnmatch
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airssys_actors.engine.values import Err, Ok
from airssys_actors.files import space
from airssys_actors.files.mounts import Mount
from airssys_actors.files.resolve import Missing, Reached, WouldBlock, resolve

TYPES = "wasi:filesystem/types#"
FOLLOW = frozenset({"symlink-follow"})
READ = frozenset({"read"})
NONE: frozenset[str] = frozenset()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """Make a granted folder, a second one, one that is not granted, and every kind of way between them."""
    for name in ("data/deep/er", "data/locked-names", "second/sub", "secret/sub"):
        (tmp_path / name).mkdir(parents=True)
    files = ("data/a", "data/deep/b", "data/deep/er/c", "data/locked-names/x.key", "data/locked-names/x.txt")
    for name in (*files, "second/s", "second/sub/t", "secret/k", "secret/sub/l", "single"):
        (tmp_path / name).write_text(f"contents of {name}")
    data = tmp_path / "data"
    links = {
        "to-a": "a",
        "to-deep": "deep",
        "to-er": "deep/er",
        "deep/up": "..",
        "deep/er/top": "../..",
        "chain1": "chain2",
        "chain2": "to-deep/up/a",
        "self": ".",
        "loop1": "loop2",
        "loop2": "loop1",
        "dangling": "no-such",
        "dangling-below": "a/no-such",
        "out": "../secret/k",
        "out-folder": "../secret",
        "out-dangling": "../secret/no-such",
        "out-absent": "../no-such/at-all",
        "out-up": "..",
        "deep/far-up": "../..",
        "abs": str(data / "a"),
        "abs-folder": str(data / "deep"),
        "abs-out": str(tmp_path / "secret" / "k"),
        "abs-dangling": str(tmp_path / "secret" / "gone"),
        "second": str(tmp_path / "second"),
        "second-relative": "../second/sub",
        "second-gone": "../second/gone",
        "proc-root": "/proc/self/root",
        "proc-cwd": "/proc/self/cwd",
        "proc-fd": "/proc/self/fd/0",
        "etc": "/etc/passwd",
        "root": "/",
    }
    for name, target in links.items():
        (data / name).symlink_to(target)
    (tmp_path / "second" / "back").symlink_to("../data/deep")
    (tmp_path / "secret" / "back").symlink_to("../data/a")
    os.link(data / "a", data / "deep" / "hard")
    os.link(tmp_path / "secret" / "k", data / "hard-out")
    os.link(data / "a", tmp_path / "secret" / "hard-in")
    os.mkfifo(data / "fifo")
    (data / "to-fifo").symlink_to("fifo")
    os.mkfifo(tmp_path / "secret" / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(data / "socket"))
        yield tmp_path


class Model:
    """What a guest may read, told in the plainest way: the real path, a few patterns, and is it a regular file."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.patterns = [
            f"{root}/data/a", f"{root}/data/hard-out", f"{root}/data/deep/*", f"{root}/data/locked-names/*.txt",
            f"{root}/data/fifo", f"{root}/data/socket", f"{root}/second/*",
        ]  # fmt: skip
        self.grants = [
            *self.patterns[:2], f"{root}/data/deep/**", *self.patterns[3:6], f"{root}/second/**"
        ]  # fmt: skip

    def covered(self, real: str) -> bool:
        if real in (f"{self.root}/data/deep", f"{self.root}/second"):
            return True
        return any(fnmatch.fnmatchcase(real, pattern) for pattern in self.patterns)

    def climbs(self, path: str) -> bool:
        depth = 0
        for part in path.split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            if depth < 0:
                return True
        return False

    def contents(self, folder: str, path: str) -> bytes | None:
        """What reading the path gives; None if it gives nothing."""
        if not path or path.startswith("/") or "\0" in path or self.climbs(path):
            return None
        # A folder that is stepped out of is itself asked about.
        parts = path.split("/")
        for at, part in enumerate(parts):
            if part == ".." and at:
                before = os.path.realpath("/".join((folder, *parts[:at])))
                if not self.covered(before) and before not in (self.root, f"{self.root}/data", "/"):
                    ways = {os.path.dirname(grant) for grant in self.grants}
                    if not any((way + "/").startswith(before + "/") for way in ways):
                        return None
        full = f"{folder}/{path}"
        try:
            real = os.path.realpath(full, strict=True)
        except OSError:
            return None
        if real.startswith("/proc/") or not self.covered(real) or not os.path.isfile(real):
            return None
        if path.endswith(("/", "/.")):
            return None
        return Path(real).read_bytes()


def random_path(dice: random.Random, names: list[str]) -> str:
    if dice.random() < 0.02:
        return dice.choice(["", "/", "/etc/passwd", "a\0", "x" * 5000, "é" * 300, "x" * 256, "deep/" * 800 + "b"])
    parts = [dice.choice(names) for _ in range(dice.choice([1, 1, 2, 2, 3, 4, 6]))]
    path = "/".join(parts)
    if dice.random() < 0.1:
        path = path.replace("/", dice.choice(["//", "/./"]), 1)
    if dice.random() < 0.05:
        path += dice.choice(["/", "/.", "/.."])
    return path


async def walk(world: Any, trap: Path, turns: int, seed: int) -> None:
    model = Model(trap)
    dice = random.Random(seed)
    names = sorted({name for _, folders, files in os.walk(trap) for name in (*folders, *files)})
    names += ["..", ".", "..", "no-such", "proc", "self", "fd", "k", "b", "a", "deep"]
    starts = {name: one for one, name in await world.call("wasi:filesystem/preopens#get-directories")}
    assert set(starts) == {f"{trap}/data", f"{trap}/second"}
    descriptors = len(os.listdir("/proc/self/fd"))
    outcomes = {"read": 0, "refused": 0}
    for _ in range(turns):
        name = dice.choice(list(starts))
        path = random_path(dice, names)
        expected = model.contents(name, path)
        opened = await world.call(TYPES + "[method]descriptor.open-at", starts[name], FOLLOW, path, NONE, READ)
        about = await world.call(TYPES + "[method]descriptor.stat-at", starts[name], FOLLOW, path)
        found = None
        if isinstance(opened, Ok):
            kind = world.now(TYPES + "[method]descriptor.get-type", opened.value).value
            if kind == "regular-file":
                answer = await world.call(TYPES + "[method]descriptor.read", opened.value, 1000, 0)
                found = bytes(answer.value[0])
            assert about.value["type"] == kind, (name, path)
            world.guest.drop(opened.value)
        else:
            assert about == opened, (name, path)
        assert found == expected, (name, path, opened)
        outcomes["read" if found is not None else "refused"] += 1
    assert min(outcomes.values()) > turns // 100, outcomes
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_no_random_path_differs_from_the_model(make_world: Callable[..., Any], trap: Path) -> None:
    world = make_world({("filesystem", "read"): Model(trap).grants})
    await walk(world, trap, turns=6000, seed=1)


async def test_no_random_path_differs_where_everything_waits(
    make_world: Callable[..., Any], trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cold(mount: Mount, folder: int, path: str, *, follow: bool, wait: bool) -> Reached | Missing:
        if not wait:
            raise WouldBlock
        return resolve(mount, folder, path, follow=follow, wait=wait)

    def not_in_memory(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "not in memory")

    monkeypatch.setattr(space, "resolve", cold)
    monkeypatch.setattr(os, "preadv", not_in_memory)
    world = make_world({("filesystem", "read"): Model(trap).grants})
    await walk(world, trap, turns=2000, seed=2)


async def test_an_answer_never_depends_on_what_may_not_be_known(make_world: Callable[..., Any], trap: Path) -> None:
    """Ask everything twice, with other things outside of the grants: no answer may change."""
    world = make_world({("filesystem", "read"): Model(trap).grants})
    names = sorted({name for _, folders, files in os.walk(trap) for name in (*folders, *files)})
    names += ["..", ".", "no-such"]
    starts = {name: one for one, name in await world.call("wasi:filesystem/preopens#get-directories")}
    dice = random.Random(3)
    asked = [(dice.choice(list(starts)), random_path(dice, names)) for _ in range(3000)]

    async def ask() -> list[object]:
        answers: list[object] = []
        for name, path in asked:
            opened = await world.call(TYPES + "[method]descriptor.open-at", starts[name], FOLLOW, path, NONE, READ)
            if isinstance(opened, Ok):
                descriptor: Any = opened.value
                answers.append(descriptor.name)
                world.guest.drop(descriptor)
            else:
                answers.append(opened.value)
        return answers

    before = await ask()
    secret = trap / "secret"
    (secret / "no-such").write_text("now it is there")
    (secret / "gone").mkdir()
    (trap / "no-such").mkdir()
    (secret / "k").unlink()
    (secret / "k").mkdir()
    (secret / "sub" / "l").unlink()
    (secret / "sub" / "l").symlink_to("l")
    (trap / "single").unlink()
    after = await ask()
    assert [
        (asked[at], one, other) for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other
    ] == []


async def test_a_wish_to_write_meets_the_same_answer_everywhere(make_world: Callable[..., Any], trap: Path) -> None:
    world = make_world({("filesystem", "read"): Model(trap).grants})
    folder, _ = (await world.call("wasi:filesystem/preopens#get-directories"))[0]
    for path in ("a", "no-such", "out", "fifo", "socket", "../secret/k", "/etc/passwd", "", "etc"):
        flags = frozenset({"write"})
        assert await world.call(TYPES + "[method]descriptor.open-at", folder, FOLLOW, path, NONE, flags) == Err(
            "read-only"
        )
