"""Two processes that decide on one file: each decision is made once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from airssys_security.approval.states import State
from airssys_security.trust.origin import Identity
from approvals import book_at, candidate

ROOT = Path(__file__).parents[3]

PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from airssys_security.errors import AlreadyDecided
    from airssys_security.trust.origin import Identity
    from approvals import book_at

    me = Identity(int(sys.argv[2]))
    book = book_at(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    for approval in book.all():
        try:
            book.begin_review(approval.id, me)
            book.approve(approval.id, me, uses=1)
        except AlreadyDecided:
            print("lost", approval.id)
        else:
            print("won", approval.id)
    """
)


def test_each_request_is_decided_by_one_of_two_processes(tmp_path: Path) -> None:
    path = tmp_path / "approvals.db"
    book = book_at(path)
    ids = [book.request(candidate(f"c{number}")).id for number in range(60)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/security:{ROOT}/tests/support"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path), str(uid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for uid in (2001, 2002)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = {}
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for uid, process in zip((2001, 2002), processes, strict=True):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        said[uid] = {line.split()[1] for line in output.splitlines() if line.startswith("won")}
    assert said[2001] | said[2002] == set(ids)
    assert not said[2001] & said[2002]
    book.refresh()
    for uid, won in said.items():
        for each in won:
            assert book.get(each).state is State.APPROVED
            assert book.get(each).reviewer == Identity(uid)
    book.close()
