"""The page that lists the rules: ``python tests/support/rules_table.py > tests/engine/rules/README.md`` writes it.

A rule is the name of its test. Where the specification has it, the comment ("Place: ...") above the test says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ("readme",)

_FOLDER = Path(__file__).parents[1] / "engine" / "rules"
_HEAD = """# The canonical ABI, rule by rule

Each test is one rule of the canonical ABI, or of what the engine does where that leaves it to the host. The places are
those of `design/mvp/CanonicalABI.md` in WebAssembly/component-model. A component made by the fixture `both` runs in the
engine and in wasmtime's component API, which must agree on each value and on each trap; where they may differ, a test
uses the engine `alone`. The name of a test is its rule with `test_` before and `_` between. This page is written by
`tests/support/rules_table.py`.
"""


def readme() -> str:
    """The whole page."""
    parts = [_HEAD]
    for file in sorted(_FOLDER.glob("test_*.py")):
        rules = list(_rules(file.read_text("utf-8")))
        if rules:
            parts.append(f"\n## {file.stem.removeprefix('test_').replace('_', ' ').capitalize()}\n")
            parts.append(f"\n| Rule, tested in `{file.name}` | Place |\n|---|---|\n")
            parts += [f"| {rule} | {place} |\n" for rule, place in rules]
    return "".join(parts)


def _rules(text: str) -> Iterator[tuple[str, str]]:
    place = "the host's own"
    for line in text.splitlines():
        if found := re.match(r"# Place: (.*)", line):
            place = found[1]
        elif found := re.match(r"(?:async )?def test_(\w+)", line):
            yield re.sub(r"(\w) s\b", r"\1's", found[1].replace("_", " ")), place


if __name__ == "__main__":
    print(readme(), end="")
