"""WIT as we read it is WIT as wasm-tools reads it: the same types, and the same texts accepted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wit_strategies import packages

from airssys_actors.engine.decoder import decode
from airssys_actors.engine.host import OWN_PACKAGES, HostFunction, HostInterface
from airssys_actors.engine.offer import Offer
from airssys_actors.engine.plan import Plan
from airssys_actors.engine.type_difference import difference
from airssys_actors.engine.types import ResourceType
from airssys_actors.engine.wit.packages import WitPackages, read_wit
from airssys_actors.engine.wit.resolve import WitInterface
from airssys_actors.errors import WitInvalid
from airssys_actors.interfaces import all_interfaces

_TOOLS = Path(sysconfig.get_path("scripts")) / "wasm-tools"
_ADAPTER = OWN_PACKAGES.parents[1] / "examples/guests/adapters/wasi_snapshot_preview1.reactor.wasm"
_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_TOOLS, "component", *arguments], capture_output=True, text=True, check=False)


def component_of(world: Path, name: str, work: Path) -> Plan:
    """Let wasm-tools make a component that imports all of a world, and decode it."""
    embedded, made = work / "embedded.wasm", work / "made.wasm"
    for done in (
        run("embed", "--dummy", "--all-features", "--world", name, world, "-o", embedded),
        run("new", embedded, "-o", made),
    ):
        assert done.returncode == 0, done.stderr
    return decode(made.read_bytes())


def everything(packages: WitPackages) -> dict[str, WitInterface]:
    found = {}
    for full in packages.names():
        name, _, version = full.partition("@")
        found[full] = packages.interface(name, (version,) if version else ())
    return found


def declared(found: dict[str, WitInterface]) -> set[tuple[str, str]]:
    return {(full, name) for full, each in found.items() for name in (*each.functions, *each.resources)}


def same_by_name(mine: ResourceType, yours: ResourceType) -> bool:
    return mine.imported == yours.imported


def test_our_packages_have_the_types_that_wasm_tools_finds_in_them(tmp_path: Path) -> None:
    found = {name: each for name, each in everything(read_wit(OWN_PACKAGES)).items() if "/handler" not in name}
    (tmp_path / "wit").mkdir()
    imports = " ".join(f"import {name};" for name in found)
    (tmp_path / "wit" / "world.wit").write_text(f"package test:all; world all {{ {imports} }}")
    shutil.copytree(OWN_PACKAGES, tmp_path / "wit" / "deps", ignore=shutil.ignore_patterns("*.md"))
    plan = component_of(tmp_path / "wit", "all", tmp_path)
    assert set(plan.imports) == declared(found)
    Offer(all_interfaces()).require(plan)


def test_our_packages_of_wasi_are_those_that_the_adapter_was_built_against() -> None:
    done = run("wit", "--all-features", _ADAPTER)
    theirs = {name: each for name, each in everything(read_wit(done.stdout)).items() if name.startswith("wasi:")}
    ours = everything(read_wit(OWN_PACKAGES))
    assert {name for name in ours if re.fullmatch(r"wasi:.*@0\.2\.12", name)} == set(theirs)
    # The adapter leaves out what it does not use.
    missing = {full for full in declared(ours) - declared(theirs) if full[0] in theirs}
    assert missing == {("wasi:sockets/network@0.2.12", "network-error-code")}
    for name, each in theirs.items():
        for function, type_ in each.functions.items():
            assert difference(type_, ours[name].functions[function], same_by_name) is None, f"{name}#{function}"
        for type_name, named in each.types.items():
            assert difference(named, ours[name].types[type_name], same_by_name) is None, f"{name}#{type_name}"


@settings(_SETTINGS, max_examples=15)
@given(packages())
def test_any_package_has_the_types_that_wasm_tools_finds_in_it(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    work = tmp_path_factory.mktemp("wit")
    world = work / "world.wit"
    world.write_text(text)
    plan = component_of(world, "all", work)
    found = everything(read_wit(text))
    assert set(plan.imports) == declared(found)
    interfaces = []
    for full, each in found.items():
        name, _, version = full.partition("@")
        functions = {function: HostFunction(lambda *values: None) for function in each.functions}
        resources = dict.fromkeys(each.resources)
        interfaces.append(HostInterface(name, (version,) if version else (), functions, resources, wit=text))
    Offer(interfaces).require(plan)


_TOKEN = re.compile(r"\s+|->|%?[\w-]+|.")
_SIGNS = ["", ";", ",", "{", "}", "(", ")", "<", ">", ":", "_", "->", "@since(version = 1.0.0)", "/// x\n", "/*"]
_WORDS = """
    u8 list r0 t0 own borrow func %type type resource record static constructor use A-b a_b 1 interface async stream
"""
# What wasm-tools takes and this engine does not, by name.
_LATER = re.compile("is not supported by this engine")


@settings(_SETTINGS, max_examples=40)
@example("package a:b; interface i { f: func(); }", [])
@given(
    packages(),
    st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([*_SIGNS, *_WORDS.split()])), min_size=1, max_size=2),
)
def test_any_text_is_accepted_or_refused_as_wasm_tools_does(
    tmp_path_factory: pytest.TempPathFactory, text: str, changes: list[tuple[int, str]]
) -> None:
    # The world is read over: what is wrong in it concerns no host.
    text = text.partition("\nworld ")[0]
    tokens = _TOKEN.findall(text)
    for place, replacement in changes:
        tokens[place % len(tokens)] = replacement
    text = "".join(tokens)
    file = tmp_path_factory.mktemp("wit") / "it.wit"
    file.write_text(text)
    theirs = run("wit", "--all-features", file)
    try:
        everything(read_wit(text))
    except WitInvalid as refused:
        ours = str(refused)
    else:
        ours = ""
    assert bool(ours) == bool(theirs.returncode) or _LATER.search(ours), f"{text}\n{ours}\n{theirs.stderr}"
