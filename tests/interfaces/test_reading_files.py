"""Opening and reading files: what a guest gets, what it does not, and what it cannot find out."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airssys_security.limits import Limits

from airssys_actors.engine.values import Err, Ok
from airssys_actors.files import space
from airssys_actors.files.handles import Descriptor
from airssys_actors.files.mounts import Mount
from airssys_actors.files.resolve import Missing, Reached, WouldBlock, resolve

TYPES = "wasi:filesystem/types#"
STREAMS = "wasi:io/streams#"
FOLLOW = frozenset({"symlink-follow"})
READ = frozenset({"read"})
NONE: frozenset[str] = frozenset()
REFUSED = Err("not-permitted")
CLOSED = Err(("closed", None))


async def preopen(world: Any, folder: Path | str) -> Descriptor:
    directories = {name: one for one, name in await world.call("wasi:filesystem/preopens#get-directories")}
    found: Descriptor = directories[str(folder)]
    return found


async def open_at(world: Any, folder: Descriptor, path: str, **options: frozenset[str]) -> Any:
    outcome = await world.call(
        TYPES + "[method]descriptor.open-at",
        folder,
        options.get("follow", FOLLOW),
        path,
        options.get("open_flags", NONE),
        options.get("flags", READ),
    )
    assert isinstance(outcome, Ok | Err)
    return outcome


async def read_all(world: Any, descriptor: Descriptor) -> bytes:
    stream = world.now(TYPES + "[method]descriptor.read-via-stream", descriptor, 0).value
    collected = b""
    while True:
        outcome = await world.call(STREAMS + "[method]input-stream.blocking-read", stream, 4096)
        if outcome == CLOSED:
            world.guest.drop(stream)
            return collected
        collected += bytes(outcome.value)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("alpha")
    (folder / "deep" / "b.txt").write_text("beta")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    return folder


async def test_a_granted_file_is_read_through_a_stream_and_by_offset(
    make_world: Callable[..., Any], data: Path
) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    file = (await open_at(world, folder, "deep/b.txt")).value
    assert await read_all(world, file) == b"beta"
    contents, at_end = (await world.call(TYPES + "[method]descriptor.read", file, 100, 1)).value
    assert (bytes(contents), at_end) == (b"eta", False)
    contents, at_end = (await world.call(TYPES + "[method]descriptor.read", file, 100, 4)).value
    assert (bytes(contents), at_end) == (b"", True)
    assert [record.decision.request.resource for record in world.granted()] == [f"{data}/deep/b.txt"]


async def test_a_large_file_arrives_whole_in_bounded_pieces(make_world: Callable[..., Any], data: Path) -> None:
    contents = os.urandom(1_000_000)
    (data / "large").write_bytes(contents)
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    file = (await open_at(world, await preopen(world, data), "large")).value
    stream = world.now(TYPES + "[method]descriptor.read-via-stream", file, 10).value
    pieces = []
    while (outcome := await world.call(STREAMS + "[method]input-stream.read", stream, 2**63)) != CLOSED:
        pieces.append(bytes(outcome.value))
    assert max(map(len, pieces)) <= 256 * 1024
    assert b"".join(pieces) == contents[10:]


ESCAPES = [
    "/etc/passwd",
    "..",
    "../secret/key",
    "deep/../../secret/key",
    "deep/../../data/a.txt",
    "./../secret/key",
    "deep//..//..//secret/key",
    "",
    "a.txt\0",
    "\0",
    "x" * 4096,
    "a/" * 2048 + "b",
    "ü" * 2048,
]


@pytest.mark.parametrize("path", ESCAPES)
async def test_a_path_that_leaves_is_refused_and_recorded_as_an_attempt(
    make_world: Callable[..., Any], data: Path, path: str
) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    assert await open_at(world, folder, path) == REFUSED
    assert await world.call(TYPES + "[method]descriptor.stat-at", folder, FOLLOW, path) == REFUSED
    assert await world.call(TYPES + "[method]descriptor.readlink-at", folder, path) == REFUSED
    assert await world.call(TYPES + "[method]descriptor.metadata-hash-at", folder, FOLLOW, path) == REFUSED
    records = world.denied()
    assert [record.decision.layer for record in records] == ["attempt"] * 4
    assert all(record.evidence.startswith("asked for") for record in records)


async def test_a_link_to_the_outside_is_judged_by_what_it_reaches(make_world: Callable[..., Any], data: Path) -> None:
    (data / "out").symlink_to(data.parent / "secret" / "key")
    (data / "out-relative").symlink_to("../secret/key")
    (data / "out-folder").symlink_to("../secret")
    (data / "dangling").symlink_to(data.parent / "secret" / "nothing")
    (data / "loop").symlink_to("loop")
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    for path in ("out", "out-relative", "out-folder", "out-folder/key", "out-folder/nothing", "dangling"):
        assert await open_at(world, folder, path) == REFUSED, path
        assert await world.call(TYPES + "[method]descriptor.stat-at", folder, FOLLOW, path) == REFUSED, path
    assert all(str(data.parent / "secret") in record.decision.request.resource for record in world.denied())
    assert "asked for" in world.denied()[0].evidence
    assert await open_at(world, folder, "loop") == Err("loop")  # its name is covered, so it may know


async def test_a_link_to_a_second_granted_folder_is_followed(make_world: Callable[..., Any], data: Path) -> None:
    (data / "other").symlink_to(data.parent / "secret")
    world = make_world({("filesystem", "read"): [f"{data}/**", f"{data.parent}/secret/**"]})
    file = (await open_at(world, await preopen(world, data), "other/key")).value
    assert await read_all(world, file) == b"secret"
    assert file.name == str(data.parent / "secret" / "key")


async def test_links_of_proc_lead_nowhere(make_world: Callable[..., Any], data: Path) -> None:
    opened = os.open(data / "a.txt", os.O_RDONLY)
    try:
        (data / "magic").symlink_to(f"/proc/self/fd/{opened}")
        (data / "root").symlink_to("/proc/self/root")
        world = make_world({("filesystem", "read"): ["/**"]})
        folder = await preopen(world, "/")
        for path in (
            f"proc/self/fd/{opened}",
            f"dev/fd/{opened}",
            f"proc/self/root{data}/a.txt",
            f"{data}/magic"[1:],
            f"{data}/root{data}/a.txt"[1:],
            "proc/self/environ",
            "proc/self/cwd",
        ):
            assert await open_at(world, folder, path) == REFUSED, path
            assert await open_at(world, folder, path, follow=NONE) == REFUSED or path.endswith("magic"), path
            assert await world.call(TYPES + "[method]descriptor.readlink-at", folder, path) == REFUSED, path
    finally:
        os.close(opened)


async def test_what_may_not_be_known_gives_one_answer_whether_it_exists_or_not(
    make_world: Callable[..., Any], data: Path
) -> None:
    root = data.parent
    (root / "file").write_text("x")
    (root / "link").symlink_to("file")
    (root / "loop").symlink_to("loop")
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    for name, target in (
        ("exists", "../file"),
        ("absent", "../absent"),
        ("folder", "../secret"),
        ("below-file", "../file/x"),
        ("below-absent", "../absent/x"),
        ("into-loop", "../loop"),
        ("through-loop", "../loop/x"),
        ("long", "../" + "x" * 255),
        ("too-long", "../" + "x" * 256),
        ("slash", "../file/"),
        ("link", "../link"),
    ):
        (data / name).symlink_to(target)
        for path in (name, f"{name}/x", f"{name}/", f"{name}/../key"):
            assert await open_at(world, folder, path) == REFUSED, path
            assert await world.call(TYPES + "[method]descriptor.stat-at", folder, FOLLOW, path) == REFUSED, path


async def test_stepping_out_of_a_folder_does_not_tell_whether_it_exists(
    make_world: Callable[..., Any], data: Path
) -> None:
    (data / "hidden").mkdir()
    world = make_world({("filesystem", "read"): [f"{data}/a.txt", f"{data}/deep/**"]})
    folder = await preopen(world, data)
    assert await open_at(world, folder, "hidden/../a.txt") == REFUSED
    assert await open_at(world, folder, "absent/../a.txt") == REFUSED
    assert await open_at(world, folder, "a.txt/../a.txt") == Err("not-directory")
    assert isinstance(await open_at(world, folder, "deep/../a.txt"), Ok)
    assert await open_at(world, folder, "deep/absent/../b.txt") == Err("no-entry")


async def test_within_the_grants_the_truth_is_told(make_world: Callable[..., Any], data: Path) -> None:
    (data / "dangling").symlink_to("deep/nothing")
    (data / "locked").mkdir(mode=0)
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    assert await open_at(world, folder, "absent") == Err("no-entry")
    assert await open_at(world, folder, "absent/below") == Err("no-entry")
    assert await open_at(world, folder, "dangling") == Err("no-entry")
    assert await open_at(world, folder, "a.txt/below") == Err("not-directory")
    assert await open_at(world, folder, "a.txt/") == Err("not-directory")
    assert await open_at(world, folder, "x" * 256) == Err("name-too-long")
    assert await open_at(world, folder, "a.txt", open_flags=frozenset({"directory"})) == Err("not-directory")
    assert await open_at(world, folder, "dangling", follow=NONE) == Err("loop")
    if os.geteuid() != 0:
        assert await open_at(world, folder, "locked/x") == Err("access")


async def test_a_folder_on_the_way_to_a_grant_is_passed_and_tells_nothing_else(
    make_world: Callable[..., Any], data: Path
) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/*/b.txt"]})
    folder = await preopen(world, data)
    about = (await world.call(TYPES + "[method]descriptor.stat", folder)).value
    assert about["type"] == "directory"
    assert about["size"] == 0
    assert about["data-modification-timestamp"] is None
    deep = (await open_at(world, folder, "deep")).value
    assert await read_all(world, (await open_at(world, deep, "b.txt")).value) == b"beta"
    # A file where a folder could be is as absent as nothing.
    assert await open_at(world, folder, "a.txt") == Err("no-entry")
    assert await open_at(world, folder, "absent") == Err("no-entry")
    assert await open_at(world, deep, "other") == REFUSED


async def test_prefixes_are_not_confused(make_world: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("data", "data-evil"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    (tmp_path / "data" / "evil").symlink_to("../data-evil/f")
    world = make_world({("filesystem", "read"): [f"{tmp_path}/data/**"]})
    assert await open_at(world, await preopen(world, tmp_path / "data"), "evil") == REFUSED


async def test_special_files_are_refused_without_being_touched(make_world: Callable[..., Any], data: Path) -> None:
    os.mkfifo(data / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(data / "socket"))
        world = make_world({("filesystem", "read"): [f"{data}/**"]})
        folder = await preopen(world, data)
        for path in ("fifo", "socket"):
            assert await open_at(world, folder, path) == REFUSED
            assert await world.call(TYPES + "[method]descriptor.stat-at", folder, NONE, path) == REFUSED
    assert [record.decision.layer for record in world.denied()] == ["request"] * 4


async def test_a_removed_or_replaced_file_is_not_taken_for_its_name(make_world: Callable[..., Any], data: Path) -> None:
    (data / "gone (deleted)").write_text("an honest name")
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    assert isinstance(await open_at(world, folder, "gone (deleted)"), Ok)
    inner = (await open_at(world, folder, "deep")).value
    (data / "deep" / "b.txt").unlink()
    (data / "deep").rmdir()
    assert await open_at(world, inner, "b.txt") == Err("no-entry")
    assert await open_at(world, inner, ".") == REFUSED


async def test_a_folder_that_was_moved_out_is_outside(make_world: Callable[..., Any], data: Path) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    inner = (await open_at(world, await preopen(world, data), "deep")).value
    (data / "deep").rename(data.parent / "secret" / "deep")
    assert await open_at(world, inner, "b.txt") == REFUSED
    assert world.denied()[-1].decision.request.resource == str(data.parent / "secret" / "deep" / "b.txt")


async def test_names_that_are_not_unicode_are_refused(make_world: Callable[..., Any], data: Path) -> None:
    (data / os.fsdecode(b"\xff")).write_text("x")
    (data / "to-it").symlink_to(os.fsdecode(b"\xff"))
    (data / "to-no-such").symlink_to(os.fsdecode(b"\xfe"))
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    assert await open_at(world, folder, "to-it") == REFUSED
    assert await open_at(world, folder, "to-no-such") == REFUSED
    assert await world.call(TYPES + "[method]descriptor.readlink-at", folder, "to-it") == Err("illegal-byte-sequence")


async def test_nothing_is_written_and_each_wish_to_is_recorded(make_world: Callable[..., Any], data: Path) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"], ("filesystem", "write"): [f"{data}/**"]})
    folder = await preopen(world, data)
    file = (await open_at(world, folder, "a.txt")).value
    changes: list[tuple[str, tuple[object, ...]]] = [
        ("write-via-stream", (file, 0)),
        ("append-via-stream", (file,)),
        ("set-size", (file, 0)),
        ("set-times", (file, ("now", None), ("now", None))),
        ("write", (file, b"x", 0)),
        ("create-directory-at", (folder, "new")),
        ("set-times-at", (folder, FOLLOW, "a.txt", ("now", None), ("now", None))),
        ("link-at", (folder, NONE, "a.txt", folder, "b")),
        ("remove-directory-at", (folder, "deep")),
        ("rename-at", (folder, "a.txt", folder, "b")),
        ("symlink-at", (folder, "a.txt", "b")),
        ("unlink-file-at", (folder, "a.txt")),
        ("open-at", (folder, FOLLOW, "new", frozenset({"create"}), frozenset({"write"}))),
        ("open-at", (folder, FOLLOW, "a.txt", frozenset({"truncate"}), READ)),
        ("open-at", (folder, FOLLOW, "a.txt", NONE, frozenset({"read", "write"}))),
    ]
    before = sorted(os.listdir(data))
    for name, values in changes:
        count = len(world.denied())
        assert await world.call(f"{TYPES}[method]descriptor.{name}", *values) == Err("read-only"), name
        assert len(world.denied()) == count + 1, name
    assert await world.call(TYPES + "[method]descriptor.read-directory", folder) == Err("access")
    assert sorted(os.listdir(data)) == before
    assert (data / "a.txt").read_text() == "alpha"


async def test_reading_is_told_apart_from_knowing_of(make_world: Callable[..., Any], data: Path) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    file = (await open_at(world, folder, "a.txt", flags=NONE)).value
    assert world.now(TYPES + "[method]descriptor.get-flags", file) == Ok(NONE)
    assert await world.call(TYPES + "[method]descriptor.read", file, 10, 0) == Err("bad-descriptor")
    assert world.now(TYPES + "[method]descriptor.read-via-stream", file, 0) == Err("bad-descriptor")
    assert (await world.call(TYPES + "[method]descriptor.stat", file)).value["size"] == 5
    assert await world.call(TYPES + "[method]descriptor.read", folder, 10, 0) == Err("is-directory")
    assert await open_at(world, file, "x") == Err("not-directory")


async def test_status_hash_and_links_are_told(make_world: Callable[..., Any], data: Path) -> None:
    (data / "link").symlink_to("a.txt")
    (data / "absolute").symlink_to(data / "a.txt")
    os.link(data / "a.txt", data / "twin")
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    stat_at = TYPES + "[method]descriptor.stat-at"
    about = (await world.call(stat_at, folder, FOLLOW, "link")).value
    assert (about["type"], about["size"], about["link-count"]) == ("regular-file", 5, 2)
    assert about["data-modification-timestamp"]["seconds"] == int((data / "a.txt").stat().st_mtime)
    assert (await world.call(stat_at, folder, NONE, "link")).value["type"] == "symbolic-link"
    readlink = TYPES + "[method]descriptor.readlink-at"
    assert await world.call(readlink, folder, "link") == Ok("a.txt")
    assert await world.call(readlink, folder, "absolute") == REFUSED
    assert await world.call(readlink, folder, "a.txt") == Err("invalid")
    hash_at = TYPES + "[method]descriptor.metadata-hash-at"
    first = await world.call(hash_at, folder, FOLLOW, "a.txt")
    assert first == await world.call(hash_at, folder, FOLLOW, "link")
    assert first != await world.call(hash_at, folder, FOLLOW, "deep/b.txt")
    one, other = [(await open_at(world, folder, name)).value for name in ("a.txt", "twin")]
    assert await world.call(TYPES + "[method]descriptor.metadata-hash", one) == first
    assert world.now(TYPES + "[method]descriptor.is-same-object", one, other) is True
    assert world.now(TYPES + "[method]descriptor.is-same-object", one, folder) is False
    assert world.now(TYPES + "[method]descriptor.get-type", folder) == Ok("directory")
    assert world.now(TYPES + "[method]descriptor.sync", one) == Ok()
    assert world.now(TYPES + "[method]descriptor.advise", one, 0, 10, "sequential") == Ok()


async def test_revoking_reaches_open_files_and_streams(make_world: Callable[..., Any], data: Path) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    file = (await open_at(world, folder, "a.txt")).value
    stream = world.now(TYPES + "[method]descriptor.read-via-stream", file, 0).value
    assert isinstance(await world.call(STREAMS + "[method]input-stream.read", stream, 1), Ok)
    world.regrant({("filesystem", "read"): [f"{data}/deep/**"]})
    failed = await world.call(STREAMS + "[method]input-stream.read", stream, 1)
    case, failure = failed.value
    assert case == "last-operation-failed"
    assert world.now(TYPES + "filesystem-error-code", failure) == "bad-descriptor"
    assert await world.call(TYPES + "[method]descriptor.read", file, 1, 0) == Err("bad-descriptor")
    assert await world.call(TYPES + "[method]descriptor.stat", file) == Err("bad-descriptor")
    assert f"{data}/a.txt" in {record.decision.request.resource for record in world.denied()}


async def test_open_files_are_bounded_and_die_with_the_guest(make_world: Callable[..., Any], data: Path) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]}, limits=Limits(open_files=8))
    before = len(os.listdir("/proc/self/fd"))
    folder = await preopen(world, data)
    outcomes = [await open_at(world, folder, "a.txt") for _ in range(20)]
    opened = [outcome.value for outcome in outcomes if isinstance(outcome, Ok)]
    assert len(opened) == 7
    assert outcomes[-1] == Err("insufficient-memory")
    world.guest.drop(opened.pop())
    assert isinstance(await open_at(world, folder, "a.txt"), Ok)
    world.now(TYPES + "[method]descriptor.read-via-stream", opened[0], 0)
    assert len(os.listdir("/proc/self/fd")) == before + 8
    world.guest.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert world.guest.ledger.snapshot().open_files.used == 0


async def test_refused_and_failed_openings_leave_no_descriptor(make_world: Callable[..., Any], data: Path) -> None:
    (data / "out").symlink_to(data.parent / "secret" / "key")
    os.mkfifo(data / "fifo")
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    before = len(os.listdir("/proc/self/fd"))
    for path in (*ESCAPES, "out", "fifo", "absent", "a.txt/x", "deep/../out", "absent/../a.txt", "deep/../fifo"):
        assert isinstance(await open_at(world, folder, path), Err)
        await world.call(TYPES + "[method]descriptor.stat-at", folder, FOLLOW, path)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_volume_hides_where_it_lies_and_nothing_leaves_it(make_world: Callable[..., Any], data: Path) -> None:
    (data / "inside").symlink_to("deep/b.txt")
    (data / "deep" / "up").symlink_to("../a.txt")
    (data / "out").symlink_to("../secret/key")
    (data / "out-and-in").symlink_to("../data/a.txt")
    (data / "absolute").symlink_to(data / "a.txt")
    world = make_world({("filesystem", "read"): ["/mnt/**"]}, volumes=((str(data), "/mnt/weather"),))
    assert await world.call("wasi:filesystem/preopens#get-directories") == []  # /mnt itself is not the guest's
    world.regrant({("filesystem", "read"): ["/mnt/weather/**"]})
    folder = await preopen(world, "/mnt/weather")
    for path, contents in (("a.txt", b"alpha"), ("inside", b"beta"), ("deep/up", b"alpha")):
        file = (await open_at(world, folder, path)).value
        assert await read_all(world, file) == contents
        assert file.name.startswith("/mnt/weather/")
    deep = (await open_at(world, folder, "deep")).value
    assert await read_all(world, (await open_at(world, deep, "up")).value) == b"alpha"
    for path in ("out", "out-and-in", "absolute"):
        assert await open_at(world, folder, path) == REFUSED
        assert await world.call(TYPES + "[method]descriptor.stat-at", folder, FOLLOW, path) == REFUSED
    assert await open_at(world, folder, "absent") == Err("no-entry")
    assert str(data) not in repr([(record.decision, record.evidence) for record in world.audit.checks])


@pytest.fixture
def cold_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be in the kernel's memory: every look at a path waits on a thread."""

    def cold(mount: Mount, folder: int, path: str, *, follow: bool, wait: bool) -> Reached | Missing:
        if not wait:
            raise WouldBlock
        return resolve(mount, folder, path, follow=follow, wait=wait)

    monkeypatch.setattr(space, "resolve", cold)


@pytest.mark.usefixtures("cold_cache")
async def test_a_guest_killed_while_a_thread_opens_leaves_nothing(make_world: Callable[..., Any], data: Path) -> None:
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    file = (await open_at(world, folder, "a.txt")).value
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(60):
        if turn % 3 == 0:
            later = open_at(world, folder, "deep/b.txt")
        elif turn % 3 == 1:
            later = world.call(TYPES + "[method]descriptor.stat-at", folder, FOLLOW, "a.txt")
        else:
            later = world.call(TYPES + "[method]descriptor.stat", file)
        task = asyncio.ensure_future(later)
        for _ in range(turn % 5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and isinstance(found := task.result().value, Descriptor):
            world.guest.drop(found)
    world.guest.close()
    await world.guest.files.pool.aclose()
    assert len(os.listdir("/proc/self/fd")) == before - 2  # the folder and the file


@pytest.mark.usefixtures("cold_cache")
async def test_what_waits_on_a_thread_gives_the_same_answers(make_world: Callable[..., Any], data: Path) -> None:
    (data / "out").symlink_to("../secret/key")
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    folder = await preopen(world, data)
    file = (await open_at(world, folder, "deep/../deep/b.txt")).value
    assert await read_all(world, file) == b"beta"
    assert (await world.call(TYPES + "[method]descriptor.stat", file)).value["size"] == 4
    assert await open_at(world, folder, "out") == REFUSED
    assert await open_at(world, folder, "absent") == Err("no-entry")
    assert await open_at(world, folder, "../secret/key") == REFUSED


async def test_a_file_system_that_cannot_say_what_it_has_in_memory_is_read_on_a_thread(
    make_world: Callable[..., Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "preadv", unsupported)
    world = make_world({("filesystem", "read"): [f"{data}/**"]})
    file = (await open_at(world, await preopen(world, data), "a.txt")).value
    assert await read_all(world, file) == b"alpha"
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(20):
        task = asyncio.ensure_future(world.call(TYPES + "[method]descriptor.read", file, 5, 0))
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert len(os.listdir("/proc/self/fd")) == before
    world.guest.close()
    await world.guest.files.pool.aclose()
    assert file.thing is None
    assert world.guest.ledger.snapshot().open_files.used == 0
