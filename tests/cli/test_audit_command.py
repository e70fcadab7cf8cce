"""``airssys audit`` as it is typed: what it prints, that nothing in a log moves a cursor, and its exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from airssys_security import CapabilityService, CapabilitySet, SecurityContext
from airssys_security.audit.log import AuditLog
from airssys_security.requests import read_file
from airssys_security.text import first_hidden

PROGRAM = [sys.executable, "-c", "from airssys_actors.cli.main import main; main()", "audit"]
GRANTS = CapabilitySet({("filesystem", "read"): ["/data/**"]})

Done = subprocess.CompletedProcess[str]
Audit = Callable[..., Done]


def write(path: Path) -> None:
    with AuditLog(path) as log:
        service, who = CapabilityService(log), SecurityContext("weather", GRANTS)
        service.record(who, "start")
        service.authorize(who, read_file("/data/x"))
        service.authorize(who, read_file("/etc/\x1b[2J\u202epasswd"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "audit.jsonl")
    return tmp_path


@pytest.fixture
def audit(folder: Path) -> Audit:
    def run(*arguments: str, status: int = 0) -> Done:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        done = subprocess.run([*PROGRAM, *arguments], cwd=folder, env=environment, capture_output=True, check=False)
        output, errors = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == status, (output, errors)
        assert "Traceback" not in errors
        for line in (output + errors).splitlines():
            assert first_hidden(line) is None, line
        return Done(done.args, done.returncode, output, errors)

    return run


def test_a_log_is_verified_with_what_lies_beside_it(audit: Audit) -> None:
    assert "it is what was written" in audit("verify", "audit.jsonl").stdout
    assert "it is what was written" in audit("verify", "--state", ".").stdout


def test_a_log_that_was_touched_is_told_with_its_place(audit: Audit, folder: Path) -> None:
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"/data/x", b"/data/y"))
    done = audit("verify", "--state", ".", status=1)
    assert "audit.jsonl:3: record 3: " in done.stdout
    assert "NOT" in done.stdout


def test_a_tail_that_was_cut_is_found_by_heads_that_are_kept_elsewhere(audit: Audit, folder: Path) -> None:
    path, elsewhere = folder / "audit.jsonl", folder / "kept"
    (folder / "audit.heads").rename(elsewhere)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert "nobody can tell" in audit("verify", "--state", ".").stdout
    assert "its tail was cut" in audit("verify", "--state", ".", "--heads", str(elsewhere), status=1).stdout


def test_what_cannot_be_used_is_neither_good_nor_bad(audit: Audit, folder: Path) -> None:
    (folder / "broken").write_bytes(b"no key, no head\n\x1b[2J\n")
    for arguments in (
        ("verify", "missing.jsonl"),
        ("verify", "--state", ".", "--heads", "missing"),
        ("verify", "--state", ".", "--key", "missing"),
        ("verify", "--state", ".", "--heads", "broken"),
        ("verify", "--state", ".", "--key", "broken"),
        ("query", "--state", ".", "--decision", "perhaps"),
        ("query", "--state", ".", "--since", "yesterday"),
        ("tail", "--log", "missing"),
    ):
        assert audit(*arguments, status=2).stderr.startswith("airssys: ")


def test_heads_that_strangers_wrote_cannot_move_a_cursor(audit: Audit, folder: Path) -> None:
    head = {"time": 1, "chain": "\x1b[2J", "sequence": 1, "hash": "\u202e", "event": "", "file": "\x1b[31mx"}
    (folder / "audit.heads").write_text(json.dumps(head) + "\n")
    audit("verify", "--state", ".", status=1)


def test_records_are_found_and_shown_as_a_table_or_as_lines_of_json(audit: Audit) -> None:
    denied = audit("query", "--state", ".", "--component", "weather", "--decision", "denied").stdout.splitlines()
    assert denied[0].split()[:3] == ["TIME", "COMPONENT", "OPERATION"]
    assert len(denied) == 2
    assert "filesystem.read" in denied[1]
    found = audit("query", "--state", ".", "--kind", "filesystem", "--layer", "capability", "--json").stdout
    assert [json.loads(line)["action_id"] for line in found.splitlines()] == [1, 2]
    newest = audit("query", "--state", ".", "--kind", "filesystem", "--newest-first", "--json").stdout
    assert newest.splitlines() == found.splitlines()[::-1]
    assert audit("query", "--state", ".", "--until", "2001-01-01T00:00:00Z").stdout == ""


def test_the_last_records_are_shown_the_newest_last(audit: Audit) -> None:
    rows = audit("tail", "--state", ".", "-n", "2").stdout.splitlines()
    assert len(rows) == 3
    assert "audit-close" in rows[-1]


def test_a_log_that_somebody_spoilt_cannot_move_a_cursor(audit: Audit, folder: Path) -> None:
    with (folder / "audit.jsonl").open("ab") as file:
        file.write('{"time":1,"unmapped":{"event":"\u202e\x7f","component_id":"\\u001b[2J"}}\n'.encode())
        file.write(b"\x1b[2J\n")
    audit("tail", "--state", ".")
    audit("tail", "--state", ".", "--json")
    audit("query", "--state", ".")


def test_a_log_can_be_followed_until_it_is_interrupted(folder: Path) -> None:
    program = [*PROGRAM, "tail", "--log", str(folder / "audit.jsonl"), "-n", "1", "--follow", "--json"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "audit-close" in running.stdout.readline()
        write(folder / "audit.jsonl")
        events = [json.loads(running.stdout.readline())["unmapped"].get("event") for _ in range(2)]
        running.send_signal(signal.SIGINT)
        assert running.wait() in (130, -signal.SIGINT)
    assert events == ["audit-open", "start"]
