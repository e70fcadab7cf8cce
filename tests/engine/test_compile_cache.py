"""The cache loads what this host wrote, whole and under its own name, and nothing else."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from airssys_actors.engine import compile_cache
from airssys_actors.engine.compile_cache import Blob, CompileCache
from airssys_actors.errors import CacheRefused

DIGEST = b"d" * 32
BLOBS = [Blob("module/0", b"first code"), Blob("glue", b""), Blob("module/1", b"\0" * 50)]


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", level="WARNING")
    yield lines
    logger.remove(sink)


def stored(tmp_path: Path) -> tuple[CompileCache, Path]:
    cache = CompileCache(tmp_path / "cache")
    assert cache.store(DIGEST, BLOBS)
    (entry,) = (tmp_path / "cache").glob("*.code")
    return cache, entry


def test_what_is_stored_comes_back_in_order(tmp_path: Path) -> None:
    cache, _ = stored(tmp_path)
    loaded = cache.load(DIGEST)
    assert loaded == BLOBS
    assert cache.load(b"another") is None


def test_another_instance_of_the_same_host_finds_the_entry(tmp_path: Path) -> None:
    stored(tmp_path)
    assert CompileCache(tmp_path / "cache").load(DIGEST) == BLOBS


def test_an_empty_entry_is_an_entry(tmp_path: Path) -> None:
    cache = CompileCache(tmp_path)
    tmp_path.chmod(0o700)
    assert cache.store(DIGEST, [])
    assert cache.load(DIGEST) == []


def test_no_folder_is_no_entry_and_no_warning(tmp_path: Path, warnings: list[str]) -> None:
    assert CompileCache(tmp_path / "none" / "cache").load(DIGEST) is None
    assert warnings == []


def test_folder_key_and_entries_are_the_owners_alone(tmp_path: Path) -> None:
    _, entry = stored(tmp_path)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (entry.parent, entry, entry.parent / "key")}
    assert list(modes.values()) == [0o700, 0o600, 0o600]
    assert sorted(path.name for path in entry.parent.iterdir()) == sorted([entry.name, "key"])


def test_every_flipped_bit_of_an_entry_is_found(tmp_path: Path, warnings: list[str]) -> None:
    cache, entry = stored(tmp_path)
    good = entry.read_bytes()
    for place in range(len(good)):
        for bit in (0x01, 0x80):
            entry.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
            assert cache.load(DIGEST) is None, place
            assert not entry.exists()
    assert len(warnings) == 2 * len(good)
    entry.write_bytes(good)
    assert cache.load(DIGEST) == BLOBS


def test_every_truncation_and_any_addition_is_found(tmp_path: Path) -> None:
    cache, entry = stored(tmp_path)
    good = entry.read_bytes()
    for content in [*(good[:length] for length in range(len(good))), good + b"\0"]:
        entry.write_bytes(content)
        assert cache.load(DIGEST) is None
        assert not entry.exists()


def test_an_entry_under_another_entrys_name_is_not_loaded(tmp_path: Path) -> None:
    cache, first = stored(tmp_path)
    assert cache.store(b"other", [Blob("x", b"other code")])
    (other,) = set(first.parent.glob("*.code")) - {first}
    other.replace(first)
    assert cache.load(DIGEST) is None
    assert not first.exists()


def test_an_entry_of_another_key_is_not_loaded(tmp_path: Path) -> None:
    cache, entry = stored(tmp_path)
    (entry.parent / "key").write_bytes(b"k" * 32)
    assert cache.load(DIGEST) is None


def test_another_configuration_has_other_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, entry = stored(tmp_path)
    monkeypatch.setattr(compile_cache, "fingerprint", lambda: "another")
    assert cache.load(DIGEST) is None
    assert entry.exists()


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    cache, entry = stored(tmp_path)
    entry.parent.chmod(mode)
    for use in (lambda: cache.load(DIGEST), lambda: cache.store(DIGEST, BLOBS)):
        with pytest.raises(CacheRefused, match=r"others can write it; chmod 700"):
            use()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    cache, entry = stored(tmp_path)
    (entry.parent / "key").chmod(mode)
    with pytest.raises(CacheRefused, match="others can use it"):
        cache.load(DIGEST)


@pytest.mark.parametrize("content", [b"", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_refused(tmp_path: Path, content: bytes) -> None:
    cache, entry = stored(tmp_path)
    (entry.parent / "key").write_bytes(content)
    with pytest.raises(CacheRefused, match="not a key"):
        cache.load(DIGEST)


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, _ = stored(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CacheRefused, match="belongs to user"):
        cache.load(DIGEST)


@pytest.mark.parametrize("name", ["key", "entry"])
def test_a_link_is_not_followed(tmp_path: Path, name: str, warnings: list[str]) -> None:
    cache, entry = stored(tmp_path)
    path = entry if name == "entry" else entry.parent / "key"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert cache.load(DIGEST) is None
    assert len(warnings) == 1


def test_a_pipe_in_an_entrys_place_does_not_block(tmp_path: Path) -> None:
    cache, entry = stored(tmp_path)
    entry.unlink()
    os.mkfifo(entry)
    assert cache.load(DIGEST) is None
    assert cache.store(DIGEST, BLOBS)
    assert cache.load(DIGEST) == BLOBS


def test_the_entries_used_longest_ago_make_room(tmp_path: Path) -> None:
    cache = CompileCache(tmp_path / "cache", max_bytes=3_000)
    digests = [b"a", b"b", b"c"]
    for age, digest in enumerate(digests):
        known = set((tmp_path / "cache").glob("*.code"))
        assert cache.store(digest, [Blob("m", digest * 800)])
        (entry,) = set((tmp_path / "cache").glob("*.code")) - known
        os.utime(entry, (1_000 + age, 1_000 + age))
    assert cache.load(b"a") is not None  # now the youngest
    assert cache.store(b"d", [Blob("m", b"d" * 800)])
    assert [cache.load(digest) is not None for digest in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.code")) <= 3_000


def test_an_entry_larger_than_the_cache_is_not_stored_and_evicts_nothing(tmp_path: Path, warnings: list[str]) -> None:
    cache = CompileCache(tmp_path / "cache", max_bytes=1_000)
    assert cache.store(b"a", [Blob("m", b"a" * 500)])
    assert not cache.store(b"b", [Blob("m", b"b" * 1_000)])
    assert cache.load(b"a") is not None
    assert "exceed" in warnings[0]


def test_files_left_by_a_process_that_died_are_swept(tmp_path: Path) -> None:
    cache, entry = stored(tmp_path)
    old, young = entry.parent / ".new-old", entry.parent / ".new-young"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (1_000, 1_000))
    assert cache.store(b"next", [])
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("failing", ["open", "rename", "link", "mkdir", "write"])
def test_a_full_or_unwritable_disk_costs_only_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str], failing: str
) -> None:
    cache = CompileCache(tmp_path / "cache")

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        match failing:
            case "mkdir":
                patch.setattr(Path, "mkdir", fail)
            case "write":
                patch.setattr(compile_cache, "_write", fail)
            case _:
                patch.setattr(os, failing, fail)
        assert not cache.store(DIGEST, BLOBS)
        assert cache.load(DIGEST) is None
    assert "going on without" in warnings[0]
    assert "No space left on device" in warnings[0]
    assert list((tmp_path / "cache").glob(".new-*")) == []
    assert cache.store(DIGEST, BLOBS)
    assert cache.load(DIGEST) == BLOBS


def test_a_file_in_the_folders_place_costs_only_the_cache(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "cache").write_bytes(b"")
    cache = CompileCache(tmp_path / "cache")
    assert not cache.store(DIGEST, BLOBS)
    assert cache.load(DIGEST) is None
    assert len(warnings) == 2


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from airssys_actors.engine.compile_cache import Blob, CompileCache\n"
        "cache = CompileCache(Path(sys.argv[1]))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for i in range(30):\n"
        "    assert cache.store(b'same', [Blob('m', b'code' * 1000)])\n"
        "    assert cache.load(b'same') == [Blob('m', b'code' * 1000)]\n"
        "    assert cache.store(sys.argv[2].encode() + bytes([i]), [Blob('m', sys.argv[2].encode())])\n"
    )
    folder = tmp_path / "cache"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(folder), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("one", "two")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.communicate(b"go\n")
    assert [process.returncode for process in processes] == [0, 0]
    cache = CompileCache(folder)
    assert cache.load(b"one\x05") == [Blob("m", b"one")]
    assert cache.load(b"two\x1d") == [Blob("m", b"two")]
    assert list(folder.glob(".new-*")) == []
