"""A small writer of Python source: lines, indentation, fresh names, constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ("Constants", "Source")


class Constants(dict[str, object]):
    """What the bodies of one source text name: values by name, and how many fresh names they have used up."""

    def __init__(self) -> None:
        super().__init__()
        self.used = 0


class Source:
    """Lines of one function body under construction, with the constants they name."""

    def __init__(self, constants: Constants) -> None:
        self.lines: list[str] = []
        self.constants = constants
        self._indent = 0

    def emit(self, line: str) -> None:
        self.lines.append("    " * self._indent + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.emit(head)
        self._indent += 1
        yield
        self._indent -= 1

    def choose(self, number: str, count: int, arm: Callable[[int], None], first: int = 0) -> None:
        """Emit what ``arm`` emits for each number of ``count`` from ``first`` on; ``number`` says which of it runs.

        Which one is found by halving: going through thousands of cases for each of thousands of elements takes seconds.
        """
        if count == 1:
            arm(first)
            return
        half = count // 2
        with self.block(f"if {number} < {first + half}:"):
            self.choose(number, half, arm, first)
        with self.block("else:"):
            self.choose(number, count - half, arm, first + half)

    def fresh(self) -> str:
        """A name that nothing else has; shared by all bodies that share the constants."""
        self.constants.used += 1
        return f"v{self.constants.used}"

    def constant(self, value: object) -> str:
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def text(self, indent: int) -> str:
        return "".join(" " * indent + line + "\n" for line in self.lines or ["pass"])
