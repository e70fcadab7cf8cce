"""Runs cases on both engines, compares, counts, and makes what differs small enough to read."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wasmtime import WasmtimeError, wat2wasm

from airssys_actors.engine.runtime import Runtime
from tests.differential.case import Call, Case, Event, Trapped
from tests.differential.compare import agree, is_broken, shown, trap_class
from tests.differential.components import VALUE_MAKERS
from tests.differential.composed import compose_case
from tests.differential.composed_handles import between_case, relay_case
from tests.differential.handles import handles_case
from tests.differential.lending import lending_case
from tests.differential.oracle import OracleRun
from tests.differential.ours import EngineRun, new_runtime
from tests.differential.reentering import reenter_case

__all__ = ("CATEGORIES", "Difference", "Tally", "run_cases")

CATEGORIES: dict[str, Callable[[random.Random], Case]] = {
    **VALUE_MAKERS,
    "handles": handles_case,
    "lending": lending_case,
    "compose": compose_case,
    "between": between_case,
    "relay": relay_case,
    "reenter": reenter_case,
}


@dataclass
class Difference:
    """``number`` makes the case again; ``calls`` are the fewest that were found to differ, the last one does."""

    category: str
    number: int
    text: str
    calls: list[Call]
    ours: list[Event]
    oracle: list[Event]

    def report(self) -> str:
        calls = "\n".join(
            f"  {call.name}{shown(call.arguments)}" + (f" host answers {shown(call.answers)}" if call.answers else "")
            for call in self.calls
        )
        return (
            f"{self.category} {self.number}: the engines differ\n"
            f"repeat: python -m tests.differential --only {self.category}:{self.number}\n"
            f"{self.text}\ncalls:\n{calls}\n"
            f"ours:     {_events(self.ours)}\nwasmtime: {_events(self.oracle)}\n"
        )


def _events(events: list[Event]) -> str:
    return "\n          ".join(shown(event) for event in events)


@dataclass
class Tally:
    """What was compared, by category."""

    components: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    traps: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.components += other.components
        self.calls += other.calls
        self.traps += other.traps
        self.differences += other.differences

    def __str__(self) -> str:
        lines = [f"{'category':10} {'components':>10} {'calls':>9} {'traps':>9}  of them"]
        for category in self.components:
            traps = {name: count for (of, name), count in sorted(self.traps.items()) if of == category}
            told = ", ".join(f"{name} {count}" for name, count in sorted(traps.items(), key=lambda each: -each[1]))
            lines.append(
                f"{category:10} {self.components[category]:10} {self.calls[category]:9} {sum(traps.values()):9}  {told}"
            )
        lines.append(
            f"{self.components.total()} components, {self.calls.total()} calls compared, "
            f"{self.traps.total()} of them traps; {len(self.differences)} differences"
        )
        return "\n".join(lines)


async def run_cases(cases: Iterable[tuple[str, int]], most_differences: int = 5, makes_small: bool = True) -> Tally:
    """Run (category, number) after (category, number), until so many differed."""
    tally, runtime = Tally(), new_runtime()
    try:
        for category, number in cases:
            await _run_case(category, number, runtime, tally, makes_small)
            if len(tally.differences) >= most_differences:
                break
    finally:
        runtime.close()
    return tally


def make_case(category: str, number: int) -> Case:
    return CATEGORIES[category](random.Random(f"{category} {number}"))


async def _run_case(category: str, number: int, runtime: Runtime, tally: Tally, makes_small: bool) -> None:
    case = make_case(category, number)
    tally.components[category] += 1
    found = await _first_difference(case, case.text(None), case.calls, runtime, tally)
    if found is None:
        return
    position, ours, oracle = found
    if not makes_small:
        tally.differences.append(Difference(category, number, "", case.calls[: position + 1], ours, oracle))
        return
    calls, text = await _made_small(case, position, runtime)
    again = await _first_difference(case, text, calls, runtime, Tally())
    if again is not None:
        _, ours, oracle = again
    tally.differences.append(Difference(category, number, text, calls, ours, oracle))


async def _first_difference(
    case: Case, text: str, calls: list[Call], runtime: Runtime, tally: Tally
) -> tuple[int, list[Event], list[Event]] | None:
    try:
        wasm = bytes(wat2wasm(text))
        oracle_run = OracleRun(case, wasm)
    except WasmtimeError as failure:
        raise AssertionError(f"a component that is no component: {failure}\n{text}") from None
    our_run = EngineRun(case, wasm, runtime)
    try:
        for position, call in enumerate(calls):
            oracle, ours = oracle_run.run(call), await our_run.run(call)
            tally.calls[case.category] += 1
            if isinstance(oracle[-1], Trapped):
                tally.traps[case.category, trap_class(oracle[-1].text)] += 1
            if is_broken(oracle):
                our_run.renew()
            elif not agree(ours, oracle, call.faults):
                return position, ours, oracle
    finally:
        our_run.renew()
    return None


async def _made_small(case: Case, position: int, runtime: Runtime) -> tuple[list[Call], str]:
    """Leave out calls, then functions, as long as something still differs."""
    calls = case.calls[: position + 1]
    for kept in ([calls[-1]], calls[-2:]):
        if await _first_difference(case, case.text(None), kept, runtime, Tally()):
            calls = kept
            break
    else:
        at = 0
        while len(calls) <= 200 and at < len(calls) - 1:
            kept = calls[:at] + calls[at + 1 :]
            if await _first_difference(case, case.text(None), kept, runtime, Tally()):
                calls = kept
            else:
                at += 1
    text = case.text({call.name for call in calls})
    small = Case(case.category, case.text, case.imports, case.exports, calls, case.resources)
    try:
        if await _first_difference(small, text, calls, runtime, Tally()):
            return calls, text
    except (AssertionError, LookupError):  # the functions need each other
        pass
    return calls, case.text(None)
