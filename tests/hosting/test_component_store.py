"""The store of installed components: what was stored is what is loaded, and whatever was changed is refused by name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from airssys_security.limits import Ceilings, Limits
from airssys_security.trust.origin import Identity, Origin

from airssys_actors.errors import ConfigInvalid, ManifestRefused, SourceRefused, StoreDamaged
from airssys_actors.hosting.component_store import ComponentStore, Installed
from airssys_actors.hosting.provenance import ComponentFiles, Established, digest_of, read_manifest_text

MANIFEST = b'schema = 1\n[component]\nname = "weather"\nversion = "1.2.0"\nwasm = "weather.wasm"\n'
FILES = ComponentFiles(MANIFEST, b"wasm", b"signature")
OPERATOR = Identity(1000, "ada")
ORIGIN = Origin("folder", "/srv/weather", digest=digest_of(FILES.digests))


@pytest.fixture
def store(tmp_path: Path) -> ComponentStore:
    return ComponentStore(tmp_path)


def put(store: ComponentStore, component_id: str = "weather", files: ComponentFiles = FILES) -> Installed:
    found = Established(ORIGIN, files, read_manifest_text(files.manifest, "Component.toml"))
    return store.put(component_id, found, OPERATOR, now=5.0)


def stored(store: ComponentStore, name: str) -> Path:
    return next(store.path.glob(f"files/*/{name}"))


def test_what_was_stored_is_loaded_byte_for_byte(store: ComponentStore, tmp_path: Path) -> None:
    record = put(store)
    assert store.load("weather") == (record, FILES)
    assert ComponentStore(tmp_path).load("weather") == (record, FILES)
    assert (record.version, record.origin, record.installed_by, record.installed_at) == ("1.2.0", ORIGIN, OPERATOR, 5.0)


def test_component_without_a_signature_has_none(store: ComponentStore) -> None:
    put(store, files=ComponentFiles(MANIFEST, b"wasm"))
    loaded = store.load("weather")
    assert loaded is not None
    assert loaded[1].signature is None


def test_manifest_is_read_within_the_ceilings_of_now(store: ComponentStore) -> None:
    put(store)
    manifest = read_manifest_text(MANIFEST, "x")
    assert store.load_established("weather") == Established(ORIGIN, FILES, manifest, "weather (installed)")
    assert store.load_established("absent") is None
    put(store, files=ComponentFiles(MANIFEST + b'[limits]\nmemory = "64MiB"\n', b"wasm"))
    with pytest.raises(ManifestRefused, match="memory"):
        store.load_established("weather", Ceilings(limits=Limits(memory_bytes=4 << 20)))


def test_everything_is_its_owners_alone(store: ComponentStore) -> None:
    put(store)
    for path in (store.path, *store.path.rglob("*")):
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("name", ["manifest", "wasm", "signature"])
def test_file_that_was_changed_is_refused_by_name(store: ComponentStore, name: str) -> None:
    put(store)
    place = stored(store, name)
    place.write_bytes(place.read_bytes()[:-1] + b"X")
    with pytest.raises(StoreDamaged, match=f"{name} in the store is not what was installed"):
        store.load("weather")


@pytest.mark.parametrize("name", ["manifest", "wasm", "signature"])
def test_file_that_is_gone_or_a_link_or_too_long_is_refused_by_name(
    store: ComponentStore, name: str, tmp_path: Path
) -> None:
    put(store)
    place = stored(store, name)
    copy = tmp_path / "copy"
    place.rename(copy)
    with pytest.raises(StoreDamaged, match=f"{name} in the store cannot be read"):
        store.load("weather")
    place.symlink_to(copy)
    with pytest.raises(StoreDamaged, match=f"{name} in the store cannot be read"):
        store.load("weather")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(StoreDamaged, match=f"{name} in the store cannot be read"):
        store.load("weather")


def test_signature_cannot_be_dropped_by_removing_its_file(store: ComponentStore) -> None:
    put(store)
    stored(store, "signature").unlink()
    with pytest.raises(StoreDamaged, match="signature"):
        store.load("weather")


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b"\xff", b'{"id": "weather"}', b"x" * 100_000, b"[" * 10_000])
def test_record_that_cannot_be_read_is_refused(store: ComponentStore, contents: bytes) -> None:
    put(store)
    (store.path / "current" / "weather.json").write_bytes(contents)
    with pytest.raises(StoreDamaged, match="its record"):
        store.load("weather")


def test_record_of_another_id_is_not_taken(store: ComponentStore) -> None:
    put(store, "gateway")
    (store.path / "current" / "gateway.json").rename(store.path / "current" / "weather.json")
    with pytest.raises(StoreDamaged, match="of something else"):
        store.load("weather")


@pytest.mark.parametrize("field", ["../../etc/passwd", "manifest/../wasm"])
def test_record_cannot_name_files_outside(store: ComponentStore, field: str) -> None:
    put(store)
    place = store.path / "current" / "weather.json"
    place.write_text(place.read_text().replace('"wasm"', f'"{field}"'))
    with pytest.raises(StoreDamaged, match="of something else"):
        store.load("weather")


def test_storing_again_mends_what_was_damaged(store: ComponentStore) -> None:
    put(store)
    stored(store, "wasm").write_bytes(b"evil")
    record = put(store)
    assert store.load("weather") == (record, FILES)
    assert [path.name for path in store.path.iterdir() if path.name.startswith("tmp-")] == []


def test_id_means_the_last_that_was_put_under_it(store: ComponentStore) -> None:
    put(store)
    newer = ComponentFiles(MANIFEST, b"newer")
    record = put(store, files=newer)
    assert store.load("weather") == (record, newer)


def test_two_ids_share_the_files_and_keep_them(store: ComponentStore) -> None:
    put(store)
    second = put(store, "weather-two")
    assert len(list((store.path / "files").iterdir())) == 1
    assert store.remove("weather")
    assert store.load("weather") is None
    assert store.load("weather-two") == (second, FILES)
    assert store.remove("weather-two")
    assert list((store.path / "files").iterdir()) == []
    assert not store.remove("weather-two")


def test_damaged_record_can_be_removed_and_keeps_the_files_of_others(store: ComponentStore) -> None:
    put(store)
    other = put(store, "gateway")
    (store.path / "current" / "weather.json").write_text("{")
    assert store.remove("weather")
    assert store.all() == (other,)
    assert store.load("gateway") == (other, FILES)


def test_all_are_listed_by_id(store: ComponentStore) -> None:
    put(store, "weather")
    put(store, "gateway")
    assert [record.id for record in store.all()] == ["gateway", "weather"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "A", "a\n", "a" * 64, "-a", ".json"])
def test_what_is_no_id_names_nothing(store: ComponentStore, name: str) -> None:
    with pytest.raises(SourceRefused, match="no id"):
        put(store, name)
    assert store.find(name) is None
    assert store.load(name) is None
    assert not store.remove(name)


def test_failed_write_changes_nothing(store: ComponentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = put(store)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            put(store, files=ComponentFiles(MANIFEST, b"newer"))
    assert store.load("weather") == (record, FILES)
    assert sorted(path.name for path in store.path.iterdir()) == ["current", "files", "waiting"]


def test_leftovers_of_a_killed_host_are_removed(store: ComponentStore, tmp_path: Path) -> None:
    put(store)
    (store.path / "tmp-abc").mkdir()
    (store.path / "tmp-abc" / "wasm").write_bytes(b"half")
    (store.path / "tmp-link").symlink_to(store.path / "files")
    again = ComponentStore(tmp_path)
    again.clear_leftovers()
    assert sorted(path.name for path in again.path.iterdir()) == ["current", "files", "waiting"]
    assert again.load("weather") is not None


def test_store_that_others_can_enter_is_refused(store: ComponentStore, tmp_path: Path) -> None:
    (store.path / "current").chmod(0o755)
    with pytest.raises(ConfigInvalid, match="its owner alone"):
        ComponentStore(tmp_path)


def test_store_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "components").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigInvalid, match="its owner alone"):
        ComponentStore(tmp_path)


# -- versions that wait -----------------------------------------------------------------------------------------------

NEWER = ComponentFiles(MANIFEST.replace(b"1.2.0", b"1.3.0"), b"newer")


def put_waiting(store: ComponentStore, files: ComponentFiles = NEWER) -> Installed:
    found = Established(ORIGIN, files, read_manifest_text(files.manifest, "Component.toml"))
    return store.put("weather", found, OPERATOR, now=6.0, waits=True)


def test_version_that_waits_leaves_the_one_in_use(store: ComponentStore) -> None:
    used = put(store)
    newer = put_waiting(store)
    assert (store.find("weather"), store.waiting("weather")) == (used, newer)
    assert store.load("weather") == (used, FILES)


def test_version_that_waits_is_in_use_once_it_is_promoted(store: ComponentStore) -> None:
    put(store)
    newer = put_waiting(store)
    assert not store.promote("weather", newer.wasm_digest, "0" * 64)
    assert store.promote("weather", newer.wasm_digest, newer.manifest_digest)
    assert not store.promote("weather", newer.wasm_digest, newer.manifest_digest)
    assert (store.load("weather"), store.waiting("weather")) == ((newer, NEWER), None)


def test_first_version_is_in_use_though_it_waits(store: ComponentStore) -> None:
    newer = put_waiting(store)
    assert (store.find("weather"), store.waiting("weather")) == (newer, None)


def test_version_that_need_not_wait_replaces_one_that_waits(store: ComponentStore) -> None:
    put(store)
    put_waiting(store)
    record = put(store)
    assert (store.find("weather"), store.waiting("weather")) == (record, None)


def test_files_of_a_version_that_waits_are_kept_and_go_with_it(store: ComponentStore) -> None:
    put(store)
    put_waiting(store)
    put(store, "gateway")
    assert store.remove("gateway")
    assert len(list((store.path / "files").iterdir())) == 2
    assert store.remove("weather")
    assert list((store.path / "files").iterdir()) == []


def test_damaged_record_does_not_keep_a_new_version_out(store: ComponentStore) -> None:
    put(store)
    (store.path / "current" / "weather.json").write_text("{")
    newer = put_waiting(store)
    assert store.load("weather") == (newer, NEWER)
