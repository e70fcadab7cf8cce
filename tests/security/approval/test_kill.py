"""A process that is killed at any moment loses no decision that it acknowledged, and leaves no half of one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from airssys_security.approval.states import State
from airssys_security.approval.store import ApprovalStore

ROOT = Path(__file__).parents[3]
RUNS = max(1, int(os.environ.get("FUZZ_EXAMPLES", "200")) // 25)

PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from approvals import BOB, book_at, candidate

    record = open(sys.argv[2], "a", buffering=1)
    book = book_at(Path(sys.argv[1]), lambda event, facts: print(event, facts.get("approval"), file=record))
    print("ready", flush=True)
    for number in range(200):
        wanted = book.request(candidate(f"c{number}", wasm="%x" % (number % 16)))
        book.begin_review(wanted.id, BOB)
        book.approve(wanted.id, BOB, uses=2)
        print(wanted.id, flush=True)
    """
)


@pytest.mark.parametrize("seed", range(RUNS))
def test_no_acknowledged_decision_is_lost_to_a_kill(tmp_path: Path, seed: int) -> None:
    path, record = tmp_path / "approvals.db", tmp_path / "audit"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/security:{ROOT}/tests/support"}
    chance = random.Random(seed)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), str(record)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged = []
        wanted = chance.randrange(0, 199)
        for line in process.stdout:
            acknowledged.append(line.strip())
            if len(acknowledged) >= wanted:
                break
        for _ in range(chance.randrange(40_000)):  # anywhere inside the decisions that come next
            continue
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout]
    store = ApprovalStore(path)
    approvals = store.snapshot().approvals
    store.close()
    lost = [each for each in acknowledged if approvals[each].state is not State.APPROVED]
    assert not lost
    assert all(approvals[each].uses_left == 2 for each in acknowledged)
    recorded = {line.split()[1] for line in record.read_text().splitlines() if line.startswith("approval-approved ")}
    approved = {each for each, approval in approvals.items() if approval.state is State.APPROVED}
    assert approved <= recorded  # no decision without its record, whether or not it was acknowledged
    assert approved - set(acknowledged) <= {list(approvals)[-1]}
    for approval in approvals.values():
        assert bool(approval.required) == (approval.state is State.APPROVED)
