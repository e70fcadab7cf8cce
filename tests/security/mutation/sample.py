"""Leaves of a cosmic-ray session a random part, without the mutants that only change an annotation.

``python sample.py SESSION NUMBER [SEED]`` keeps at most NUMBER mutants of each module. Annotations are not evaluated,
so that a changed one is no changed program.
"""

from __future__ import annotations

import ast
import random
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ("annotated", "main")


def annotated(source: str) -> set[tuple[int, int]]:
    """Return the places, line and column, that belong to annotations."""

    def annotations(tree: ast.AST) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign):
                yield node.annotation
            elif isinstance(node, ast.FunctionDef):
                arguments = node.args
                given = (
                    *arguments.posonlyargs,
                    *arguments.args,
                    *arguments.kwonlyargs,
                    arguments.vararg,
                    arguments.kwarg,
                )
                for argument in given:
                    if argument is not None and argument.annotation is not None:
                        yield argument.annotation
                if node.returns is not None:
                    yield node.returns

    return {
        (line, column)
        for node in annotations(ast.parse(source))
        if isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None
        for line in range(node.lineno, node.end_lineno + 1)
        for column in range(node.col_offset, node.end_col_offset + 1)
    }


def main(session: Path, number: int, seed: int = 0) -> None:
    """Remove from a session what is not in the sample."""
    choose = random.Random(seed)
    with sqlite3.connect(session) as connection:
        found: dict[str, list[str]] = {}
        rows = connection.execute("select job_id, module_path, start_pos_row, start_pos_col from mutation_specs")
        kept: dict[str, set[tuple[int, int]]] = {}
        for job, module, row, column in rows.fetchall():
            if module not in kept:
                kept[module] = annotated(Path(module).read_text())
            found.setdefault(module, [])
            if (row, column) not in kept[module]:
                found[module].append(job)
        sample = {job for jobs in found.values() for job in choose.sample(sorted(jobs), min(number, len(jobs)))}
        for table in ("mutation_specs", "work_items"):
            for (job,) in connection.execute(f"select job_id from {table}").fetchall():
                if job not in sample:
                    connection.execute(f"delete from {table} where job_id = ?", (job,))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
