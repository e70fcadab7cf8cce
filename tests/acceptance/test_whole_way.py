"""Real components in ordinary languages, through the front door to the files and back."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airssys_actors import ActorRef, HandlerError, Host, HostConfig, trust_folders
from airssys_actors.engine.compiler import CompileLimits
from airssys_actors.errors import CompileRefused

PATHS = 4000
EVERYTHING = trust_folders(Path("/"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a granted folder, ``data``, with every kind of way out of it and back."""
    for name in ("data/deep/er", "secret/sub"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("data/a", "data/.hidden", "data/deep/b", "data/deep/er/c", "secret/k", "secret/sub/l"):
        (tmp_path / name).write_text(f"contents of {name}")
    links = {
        "data/to-a": "a",
        "data/to-er": "deep/er",
        "data/deep/up": "..",
        "data/deep/er/top": "../..",
        "data/chain": "deep/up/to-a",
        "data/self": ".",
        "data/loop": "loop",
        "data/dangling": "no-such",
        "data/absolute": str(tmp_path / "data" / "deep" / "b"),
        "data/out": "../secret/k",
        "data/out-folder": "../secret",
        "data/out-absent": "../secret/no-such",
        "data/out-absolute": str(tmp_path / "secret" / "k"),
        "data/etc": "/etc/passwd",
        "data/root": "/",
        "data/proc": "/proc/self/root",
        "secret/back": "../data/a",
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    os.link(tmp_path / "data" / "a", tmp_path / "data" / "deep" / "twice")
    os.mkfifo(tmp_path / "data" / "fifo")
    (tmp_path / "data" / "to-fifo").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "data" / "socket"))
        yield tmp_path


@pytest.fixture
def config(tmp_path: Path) -> HostConfig:
    return HostConfig(
        trust=EVERYTHING,
        state_folder=tmp_path / "state",
        cache_folder=tmp_path / "cache",
        compile_limits=CompileLimits(wall_s=60.0),
    )


def packaged(built: Path, place: Path, name: str, more: str = "") -> Path:
    """Put a built guest beside a manifest of the test's own."""
    place.mkdir()
    shutil.copyfile(built, place / "guest.wasm")
    manifest = place / "Component.toml"
    manifest.write_text(f'schema = 1\n[component]\nname = "{name}"\nversion = "1.0.0"\nwasm = "guest.wasm"\n{more}\n')
    return manifest


def may_read(root: Path, path: str) -> bytes | None:
    """The model, told in the plainest way: is the real file a regular one below ``data``, and was no folder that is
    none of the guest's business stepped out of on the way?"""
    data = str(root / "data")
    on_the_way = {data, str(root), *map(str, root.parents)}
    parts = path.split("/")
    depth = 0
    for at, part in enumerate(parts):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return None
        if part == "..":
            before = os.path.realpath("/".join((data, *parts[:at])))
            if before not in on_the_way and not before.startswith(data + "/"):
                return None
    try:
        os.stat(f"{data}/{path}")  # the kernel's own word: realpath steps out of files as if they were folders
        real = os.path.realpath(f"{data}/{path}", strict=True)
    except OSError:
        return None
    if not real.startswith(data + "/") or not os.path.isfile(real):
        return None
    return Path(real).read_bytes()


def random_path(dice: random.Random, names: list[str]) -> str:
    path = "/".join(dice.choice(names) for _ in range(dice.choice([1, 1, 2, 2, 3, 4, 6])))
    if dice.random() < 0.1:
        path = path.replace("/", dice.choice(["//", "/./"]), 1)
    return path + (dice.choice(["/", "/.", "/.."]) if dice.random() < 0.05 else "")


async def read(reader: ActorRef, way: str, path: str) -> bytes | None:
    try:
        found = await reader.ask(f"{way} {path}")
    except HandlerError:
        return None
    assert isinstance(found, bytes)
    return found


async def test_a_guest_in_c_reads_what_the_model_says_by_whatever_path_a_message_tells_it(
    folder: Path, config: HostConfig, guest: Callable[[str], Path]
) -> None:
    more = f'[capabilities.filesystem]\nread = ["{folder}/data/**"]\n[limits]\nmemory = "8MiB"'
    manifest = packaged(guest("reader"), folder / "package", "reader", more)
    dice = random.Random(3)
    names = sorted({name for _, folders, files in os.walk(folder / "data") for name in (*folders, *files)})
    names += ["..", ".", "..", "no-such", "secret", "k", "back", "data", "a", "b", "deep"]
    outcomes = {True: 0, False: 0}
    async with Host(config) as host:
        reader = await host.spawn(manifest)
        await reader.ask("raw a")
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(PATHS):
            path = random_path(dice, names)
            expected = may_read(folder, path)
            way = dice.choice(["raw", "open", "fopen"])
            found = await read(reader, way, path if way == "raw" else f"{folder}/data/{path}")
            assert found == expected, (way, path)
            outcomes[found is not None] += 1
        assert len(os.listdir("/proc/self/fd")) <= descriptors  # an earlier test may still be closing its own
        (statistics,) = host.children()
    assert min(outcomes.values()) > PATHS // 50, outcomes
    assert statistics.restarts == 0
    assert statistics.granted
    assert statistics.denied


async def test_a_component_made_to_explode_the_compiler_is_refused_and_the_host_goes_on(
    tmp_path: Path, config: HostConfig, guest: Callable[[str], Path]
) -> None:
    limits = HostConfig(
        trust=EVERYTHING,
        state_folder=config.state_folder,
        cache_folder=config.cache_folder,
        compile_limits=CompileLimits(wall_s=2.0),
    )
    bomb = packaged(guest("compiler_bomb"), tmp_path / "bomb", "bomb")
    harmless = packaged(guest("spinner"), tmp_path / "harmless", "harmless")
    async with Host(limits) as host:
        with pytest.raises(CompileRefused, match="longer than 2 s"):
            await host.spawn(bomb)
        assert await (await host.spawn(harmless)).ask("hello") == "still here"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_ordinary_python_program_reads_its_file_and_keeps_its_results(
    tmp_path: Path, config: HostConfig, guest: Callable[[str], Path]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "observations.json").write_text(json.dumps({"Oslo": [1.0, 2.0, 3.0]}), "utf-8")
    manifest = guest("forecast").parent / "Component.toml"
    volumes = {"/data/forecast": tmp_path / "data"}
    async with Host(config) as host:
        forecast = await host.spawn(manifest, volumes=volumes)
        with pytest.raises(HandlerError, match="nothing is known of Oslo"):
            await forecast.ask("Oslo")
        with pytest.raises(HandlerError, match="cannot read the observations"):
            await forecast.ask("load /etc/passwd")
        assert await forecast.ask("load /data/forecast/observations.json") == "1 cities"
        assert await forecast.ask("Oslo") == "Oslo: 4.0 °C tomorrow"
    async with Host(config) as host:
        forecast = await host.spawn(manifest, volumes=volumes)
        assert await forecast.ask("Oslo") == "Oslo: 4.0 °C tomorrow", "kept, and answered without its file"
