"""The child process that validates and compiles: it limits itself, then answers requests from its standard input.

A component may be built to make a compiler explode, or to break it. So this runs with little memory, little time and
nothing else: no environment, no files to write, lowest priority; and it dies with its parent. It reads frames and
writes frames; ``compiler.py`` is the other end.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import struct
import sys
from typing import BinaryIO, Final

from wasmtime import Engine, Module, WasmtimeError
from wasmtime.component import Component

from airssys_actors.engine.engine_config import fingerprint, new_engine
from airssys_actors.engine.skeleton import skeleton_of
from airssys_actors.errors import ComponentInvalid, ComponentUnsupported

__all__ = (
    "ANSWER_FAILED",
    "ANSWER_INVALID",
    "ANSWER_OK",
    "ANSWER_UNSUPPORTED",
    "FRAME",
    "REQUEST_COMPILE",
    "REQUEST_VALIDATE",
    "judge",
    "limit_this_process",
    "main",
)

FRAME: Final = struct.Struct("<cQ")
"""A frame's kind and length; the content follows."""
REQUEST_VALIDATE, REQUEST_COMPILE = b"v", b"c"
ANSWER_OK, ANSWER_INVALID, ANSWER_UNSUPPORTED, ANSWER_FAILED = b"o", b"i", b"u", b"f"

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_MOST_TEXT = 2_000
# How wasmtime says that a feature is switched off, or valid and not there, in the several voices of its parts.
_SWITCHED_OFF = re.compile(
    r"not (?:enabled|active|implemented|supported)|must be enabled"
    r"|without the .{1,40} feature|requires? the .{1,60} (?:feature|proposal)"
)


def main(memory_bytes: int, cpu_s: int) -> None:
    """Serve until the standard input ends."""
    limit_this_process(memory_bytes, cpu_s)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _answer(answers, ANSWER_OK, fingerprint().encode())
    engine = new_engine()
    while head := requests.read(FRAME.size):
        kind, length = FRAME.unpack(head)
        content = requests.read(length)
        try:
            _answer(answers, ANSWER_OK, _compiled(engine, content) if kind == REQUEST_COMPILE else judge(content))
        except ComponentInvalid as error:
            _answer(answers, ANSWER_INVALID, str(error).encode())
        except ComponentUnsupported as error:
            _answer(answers, ANSWER_UNSUPPORTED, str(error).encode())
        except (WasmtimeError, MemoryError) as error:
            text = str(error) or "out of memory"
            invalid = ANSWER_UNSUPPORTED if _SWITCHED_OFF.search(text) else ANSWER_INVALID
            _answer(answers, ANSWER_FAILED if kind == REQUEST_COMPILE else invalid, text[:_MOST_TEXT].encode())


def limit_this_process(memory_bytes: int, cpu_s: int) -> None:
    """Give up what compiling does not need. Nothing gives it back."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    os.nice(10)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def judge(component: bytes) -> bytes:
    """Validate a component: its types with no code in it, and each core module whole. Raise what is wrong."""
    skeleton, modules = skeleton_of(component)
    engine = new_engine(validating=True)
    for module in modules:
        Module.validate(engine, module)
    Component(engine, skeleton)
    return b""


def _compiled(engine: Engine, module: bytes) -> bytes:
    return bytes(Module(engine, module).serialize())


def _answer(answers: BinaryIO, kind: bytes, content: bytes) -> None:
    answers.write(FRAME.pack(kind, len(content)))
    answers.write(content)
    answers.flush()
