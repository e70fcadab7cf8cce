"""Packages for a host: a built guest beside a manifest that the test writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

MakePackage = Callable[..., Path]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of compiled code that all tests of a worker share."""
    return tmp_path_factory.mktemp("compiled", numbered=True)


@pytest.fixture
def package(tmp_path: Path, guest: Callable[[str], Path]) -> MakePackage:
    """Return a function that makes a package of a guest; ``more`` is TOML behind the section [component]."""

    def make(name: str, more: str = "", folder: str = "") -> Path:
        place = tmp_path / (folder or f"package-{name}")
        place.mkdir()
        shutil.copyfile(guest(name), place / "guest.wasm")
        manifest = place / "Component.toml"
        called = name.replace("_", "-")
        manifest.write_text(
            f'schema = 1\n[component]\nname = "{called}"\nversion = "1.0.0"\nwasm = "guest.wasm"\n{more}\n'
        )
        return manifest

    return make
