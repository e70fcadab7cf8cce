"""A guest's trap is a signal of the process: whoever answers it first decides whether the host survives."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, faulthandler, sys
from wasmtime import wat2wasm
from airssys_actors.engine.engine import Engine
from airssys_actors.errors import GuestTrap, TrapsNotCaught

TEXT = '''(component
  (core module $m (func (export "f") unreachable))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f"))))'''

async def trap(engine):
    component = await engine.load(bytes(wat2wasm(TEXT)), [])
    try:
        await (await component.instantiate(None)).call("f")
    except (GuestTrap, TrapsNotCaught) as failure:
        print(type(failure).__name__)

async def main():
    if "before" in sys.argv:
        faulthandler.enable()
    engine = Engine()
    await trap(engine)
    if "after" in sys.argv:
        faulthandler.enable()
        await trap(engine)
        faulthandler.disable()
        await trap(engine)
    engine.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("when", "said"),
    [("never", ["GuestTrap"]), ("before", ["GuestTrap"]), ("after", ["GuestTrap", "TrapsNotCaught", "GuestTrap"])],
)
def test_no_guest_runs_while_a_faulthandler_that_came_later_would_take_its_trap_for_a_crash(
    when: str, said: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, when], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, said, "")
