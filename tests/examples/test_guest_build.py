"""The guests' build: what it builds again, what it leaves alone, and what it refuses."""

from __future__ import annotations

import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from examples.guests import build as builder

MODULE = '(module (func (export "answer") (result i32) (i32.const {})))'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a guest of text, and a build folder of its own."""
    source = tmp_path / "sources" / "tiny"
    source.mkdir(parents=True)
    (source / "guest.toml").write_text('kind = "wat"\nsource = "tiny.wat"\n')
    (source / "tiny.wat").write_text(MODULE.format(1))
    monkeypatch.setattr(builder, "OUT", tmp_path / "out")
    monkeypatch.setattr(builder, "find_sources", lambda: {"tiny": source})
    return source


def test_a_guest_is_built_with_its_manifest_beside_it(folder: Path) -> None:
    (folder / "Component.toml").write_text("schema = 1\n")
    built = builder.build("tiny")
    assert built.read_bytes().startswith(b"\0asm\1\0\0\0")
    assert (built.parent / "Component.toml").read_text() == "schema = 1\n"


def test_nothing_is_built_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = builder.build("tiny")

    def run(*arguments: object) -> None:
        raise AssertionError("a tool was called")

    monkeypatch.setattr(builder, "_run", run)
    assert builder.build("tiny") == built


def test_a_touched_source_is_not_a_changed_one(folder: Path) -> None:
    before = builder.build("tiny").stat().st_mtime_ns
    (folder / "tiny.wat").write_text(MODULE.format(1))
    assert builder.build("tiny").stat().st_mtime_ns == before


@pytest.mark.parametrize("changed", ["tiny.wat", "Component.toml", "another.txt"])
def test_a_changed_input_is_built_anew(folder: Path, changed: str) -> None:
    builder.build("tiny")
    stamp = builder.OUT / "tiny" / ".digest"
    before = stamp.read_text()
    (folder / changed).write_text(MODULE.format(2))
    builder.build("tiny")
    assert stamp.read_text() != before


def test_a_guest_that_went_missing_is_built_anew(folder: Path) -> None:
    builder.build("tiny").unlink()
    assert builder.build("tiny").is_file()


def test_what_a_failed_build_left_is_not_taken_for_built(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    builder.build("tiny")
    (folder / "tiny.wat").write_text("(module (func $broken")
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            builder.build("tiny")
    assert "$broken" in capfd.readouterr().err, "what the tool said is shown"


def test_several_at_once_build_it_once(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        built = set(pool.map(builder.build, ["tiny"] * 8))
    assert len(built) == 1
    assert capfd.readouterr().err.count("building guest tiny") == 1


def test_an_unknown_key_of_a_description_is_refused(folder: Path) -> None:
    (folder / "guest.toml").write_text('kind = "wat"\nsource = "tiny.wat"\nwrold = "w"\n')
    with pytest.raises(msgspec.ValidationError, match="wrold"):
        builder.build("tiny")


def test_two_guests_of_one_name_are_refused(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "same").mkdir(parents=True)
        (tmp_path / parent / "same" / "guest.toml").write_text("")
    with pytest.raises(ValueError, match="two guests are called same"):
        builder.find_sources([tmp_path / "a", tmp_path / "b"])


def test_every_guest_has_a_description_that_is_right_and_a_source() -> None:
    for name, folder in builder.find_sources().items():
        source = msgspec.toml.decode((folder / "guest.toml").read_bytes(), type=builder.GuestSource)
        if source.kind == "composed":
            assert {source.source, *source.plugs} <= builder.find_sources().keys(), name
        else:
            assert (folder / source.source).is_file(), name
        assert not source.world or (folder / "world.wit").is_file(), name


def test_the_adapters_are_the_files_that_their_readme_names() -> None:
    readme = (builder.ADAPTER.parent / "README.md").read_text("utf-8")
    for adapter in builder.ADAPTER.parent.glob("*.wasm"):
        assert hashlib.sha256(adapter.read_bytes()).hexdigest() in readme
    assert builder.ADAPTER_SHA256 in readme


def test_another_adapter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "adapter.wasm"
    other.write_bytes(b"\0asm\1\0\0\0")
    monkeypatch.setattr(builder, "ADAPTER", other)
    builder._adapter.cache_clear()
    with pytest.raises(ValueError, match="not the file that this build trusts"):
        builder._adapter()
