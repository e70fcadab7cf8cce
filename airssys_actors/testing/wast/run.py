"""Run scripts, each with a runner of its own, on one engine."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from airssys_actors.engine.engine import Engine
from airssys_actors.testing.wast.convert import Assembler, read_script
from airssys_actors.testing.wast.report import Finding, ScriptReport, Verdict
from airssys_actors.testing.wast.runner import DEFAULT_TIMEOUT_S, Runner
from airssys_actors.testing.wast.script import ScriptUnreadable
from airssys_actors.testing.wast.shared_compiler import SharedCompiler

__all__ = ("run_scripts",)


async def run_scripts(
    paths: Iterable[Path], *, strict_text: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S
) -> AsyncIterator[ScriptReport]:
    """Run ``.wast`` files, and ``.json`` files that were made of them; yield a report as each is done.

    ``timeout_s`` bounds each call, and the making of each instance.
    """
    with tempfile.TemporaryDirectory(prefix="wast-") as scratch:
        compiler = SharedCompiler()
        # The cache saves compiling again what scripts define once and make many instances of.
        engine = Engine(Path(scratch) / "cache", compiler=compiler)
        assembler = Assembler()
        try:
            for number, path in enumerate(paths):
                folder = Path(scratch) / str(number)
                folder.mkdir()
                try:
                    script = read_script(path, folder, assembler)
                except ScriptUnreadable as error:
                    yield ScriptReport(str(path), (Finding(0, Verdict.FAILED, str(error)),))
                    continue
                runner = Runner(engine, assembler, strict_text=strict_text, timeout_s=timeout_s)
                yield ScriptReport(script.source, await runner.run(script))
        finally:
            await compiler.aclose()
            engine.close()
