"""The end of a process, and its beginning by a fork, with guests in every state. Each runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]

_PREPARED = """
import asyncio, gc, os, signal, sys, threading
from pathlib import Path
from border import border_component, border_instance, border_interface
from airssys_actors.engine.engine import Engine

# Not left as inherited: a shell begins its background jobs with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
engine = Engine(Path("build/compile-cache"))

async def never(_owner, _x):
    await asyncio.get_running_loop().create_future()

async def begin():
    "Guests in every state: idle, spinning, waiting, and one that holds something."
    component = await border_component(engine, border_interface(later=never))
    held = [await component.instantiate("owner") for _ in range(4)]
    await held[0].call("keep", 1)
    tasks = [asyncio.ensure_future(held[1].call("spin", 1 << 60)), asyncio.ensure_future(held[2].call("laters", 1, 1))]
    for _ in range(20):
        await asyncio.sleep(0)
    return held, tasks
"""


def _run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'tests' / 'support'}"}
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", *options, "-c", _PREPARED + program],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


_ENDINGS = {
    "the program ends with everything alive": """
async def main():
    globals()["alive"] = await begin()
asyncio.run(main())
print("done")
""",
    "the loop is dropped without being closed": """
loop = asyncio.new_event_loop()
alive = loop.run_until_complete(begin())
print("done")
""",
    "all is collected and the engine is never closed": """
async def main():
    await begin()
asyncio.run(main())
gc.collect()
print("done")
""",
    "the loop runs in a daemon thread": """
ready = threading.Event()
async def main():
    globals()["alive"] = await begin()
    ready.set()
    await asyncio.sleep(3600)
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
ready.wait()
print("done", flush=True)
""",
    "a host function ends the program": """
def number(_owner, _x):
    sys.exit(0)
async def main():
    globals()["alive"] = await begin()
    instance = await border_instance(engine, border_interface(number=number))
    print("done")
    await instance.call("numbers", 1, 1)
    print("not reached")
asyncio.run(main())
""",
    "the engine is closed by an exit handler": """
import atexit
atexit.register(engine.close)
async def main():
    globals()["alive"] = await begin()
asyncio.run(main())
print("done")
""",
}


@pytest.mark.parametrize("ending", _ENDINGS)
def test_a_process_ends_quietly_when(ending: str) -> None:
    ended = _run(_ENDINGS[ending])
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    for word in ("Fatal", "Segmentation", "panicked", "never awaited"):
        assert word not in ended.stderr


def test_an_interrupt_ends_asyncio_run_while_guests_compute() -> None:
    """As Ctrl-C does: once, with one traceback, and the process lives on."""
    ended = _run("""
async def main():
    globals()["alive"] = await begin()
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    await asyncio.sleep(3600)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
print(engine.statistics().queued)
engine.close()
print(tuple(engine.statistics()))
""")
    assert ended.stderr == ""
    assert ended.stdout == "interrupted\n0\n(0, 0, 0, 0, False)\n"


def test_an_interrupt_without_asyncio_s_handler_is_raised_once_and_the_loop_can_go_on() -> None:
    ended = _run("""
loop = asyncio.new_event_loop()
held, tasks = loop.run_until_complete(begin())
for _ in range(10):
    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print("interrupted")
    if tasks[0].done():
        tasks[0] = loop.create_task(loop.run_until_complete(border_instance(engine)).call("spin", 1 << 60))
print(loop.run_until_complete(loop.run_until_complete(border_instance(engine)).call("texts", "alive", 2)))
print({type(task.exception()).__name__ for task in tasks if task.done()} <= {"KeyboardInterrupt"})
engine.close()
for task in tasks:
    task.cancel()
loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
loop.close()
print(tuple(engine.statistics()))
""")
    assert ended.stdout == "interrupted\n" * 10 + "alive\nTrue\n(0, 0, 0, 0, False)\n", ended.stderr


@pytest.mark.parametrize("in_host_call", [False, True])
def test_a_forked_process_ends_quietly_and_may_have_an_engine_of_its_own(in_host_call: bool) -> None:
    """The parent's is of no use to it: the ticker's thread did not come along, and the loop is the parent's."""
    ended = _run(f"""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forks in processes with threads
alive = []

async def again():
    other = Engine(Path("build/compile-cache"))
    try:
        await alive[3].call("numbers", 1, 1)
    except RuntimeError as failure:
        assert "event loop" in str(failure), failure
    else:
        raise AssertionError("the parent's engine was used")
    instance = await border_instance(other)
    assert await instance.call("spin-between", 2_000_000, 1) == 2
    other.close()

def fork():
    child = os.fork()
    if child == 0:
        asyncio.events._set_running_loop(None)
        thread = threading.Thread(target=lambda: asyncio.run(again()))
        thread.start()
        thread.join()
        os._exit(0 if not failed else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

failed = []
threading.excepthook = lambda arguments: failed.append(arguments) or sys.__excepthook__(*arguments[:3])

def number(_owner, x):
    fork()
    return x + 1

async def main():
    held, tasks = await begin()
    alive.extend(held)
    if {in_host_call}:
        instance = await border_instance(engine, border_interface(number=number))
        assert await instance.call("numbers", 1, 1) == 2
    else:
        fork()
    assert await held[3].call("numbers", 1, 5) == 6
    engine.close()
    print("done")
asyncio.run(main())
""")
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
