"""A log that was touched is told from one that was not, and where: lines changed, removed, swapped; tails cut."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from airssys_security import CapabilityService, CapabilitySet, SecurityContext
from airssys_security.audit.chain import Chain, parse_link
from airssys_security.audit.files import files_of
from airssys_security.audit.log import AuditLog
from airssys_security.audit.ocsf import Bodies
from airssys_security.audit.query import Follower, Query, newest, records, tail
from airssys_security.audit.seals import Head, SealKey, read_first_keys, read_heads, seal_line
from airssys_security.audit.verify import Report, verify_log
from airssys_security.requests import read_file

GRANTS = CapabilitySet({("filesystem", "read"): ["/data/**"]})


def context(name: str = "weather") -> SecurityContext:
    return SecurityContext(name, GRANTS, wasm_digest="ab" * 32, manifest_digest="cd" * 32)


def write(path: Path, count: int = 6) -> None:
    with AuditLog(path, heads=path.parent / "elsewhere.heads", seal_every=3) as log:
        service = CapabilityService(log)
        for number in range(count):
            service.authorize(context(), read_file(f"/data/{number}"))
        service.authorize(context("thief"), read_file("/etc/passwd"))
        service.record(context(), "stop")


def heads_of(path: Path) -> list[Head]:
    return read_heads((path.parent / "elsewhere.heads").read_bytes())[0]


def keys_of(path: Path) -> dict[str, SealKey]:
    return read_first_keys((path.parent / "audit.first-keys").read_text())


def verify(path: Path) -> Report:
    return verify_log(path, heads=heads_of(path), keys=keys_of(path))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    write(path)
    return path


def test_a_log_that_nobody_touched_is_good(log: Path) -> None:
    report = verify(log)
    assert report.is_good, report.findings
    assert report.seals >= 3
    assert len(report.chains) == 1


def test_a_log_that_several_hosts_wrote_one_after_the_other_is_one_chain(log: Path) -> None:
    write(log)
    write(log)
    report = verify(log)
    assert report.is_good, report.findings
    assert len(report.chains) == 1


def test_every_line_that_is_changed_is_found_where_it_is(log: Path) -> None:
    lines = log.read_bytes().split(b"\n")[:-1]
    for index, line in enumerate(lines):
        place = line.index(b'"time":1') + 8
        changed = line[:place] + (b"0" if line[place : place + 1] != b"0" else b"1") + line[place + 1 :]
        log.write_bytes(b"\n".join([*lines[:index], changed, *lines[index + 1 :]]) + b"\n")
        report = verify(log)
        assert not report.is_good, index
        assert report.findings[0].line == index + 1


def test_every_line_that_is_removed_is_found(log: Path) -> None:
    lines = log.read_bytes().split(b"\n")[:-1]
    for index in range(len(lines)):
        log.write_bytes(b"\n".join(lines[:index] + lines[index + 1 :]) + b"\n")
        assert not verify(log).is_good, index


def test_every_two_lines_that_are_swapped_are_found(log: Path) -> None:
    lines = log.read_bytes().split(b"\n")[:-1]
    for one in range(len(lines)):
        for other in range(one + 1, len(lines)):
            swapped = list(lines)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            log.write_bytes(b"\n".join(swapped) + b"\n")
            report = verify(log)
            assert not report.is_good
            assert report.findings[0].line == one + 1


def test_every_line_that_is_repeated_or_put_in_is_found(log: Path) -> None:
    lines = log.read_bytes().split(b"\n")[:-1]
    for index, line in enumerate(lines):
        for added in (line, b"{}", b""):
            log.write_bytes(b"\n".join([*lines[: index + 1], added, *lines[index + 1 :]]) + b"\n")
            assert not verify(log).is_good, (index, added)


def test_every_tail_that_was_cut_is_found_against_the_heads(log: Path) -> None:
    lines = log.read_bytes().split(b"\n")[:-1]
    for left in range(1, len(lines)):
        log.write_bytes(b"\n".join(lines[:left]) + b"\n")
        report = verify(log)
        assert not report.is_good, left
        assert any("cut" in finding.what for finding in report.findings)
        alone = verify_log(log)
        assert alone.is_good, "the chain alone cannot tell"
        assert any("heads" in note for note in alone.notes)


def test_a_log_that_was_replaced_by_another_is_found_against_the_heads(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "audit.jsonl"
    other.parent.mkdir()
    write(other)
    shutil.copyfile(other, log)
    report = verify(log)
    assert any("replaced" in finding.what for finding in report.findings)


def test_a_tail_that_a_crash_tore_is_told_from_one_that_was_cut(log: Path) -> None:
    whole = log.read_bytes()
    with log.open("ab") as file:
        file.write(whole.split(b"\n")[2][:100])
    torn = verify(log)
    assert torn.is_good
    assert any("crash" in note for note in torn.notes)
    write(log)
    after = verify(log)
    assert after.is_good, after.findings
    assert any("crash" in note for note in after.notes)


def test_a_torn_line_that_nobody_named_is_no_crash(log: Path) -> None:
    lines = log.read_bytes().split(b"\n")[:-1]
    log.write_bytes(b"\n".join([*lines[:3], lines[3][:50], *lines[3:]]) + b"\n")
    assert not verify(log).is_good


def test_files_that_were_rotated_are_one_log_and_a_missing_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(4):
        with AuditLog(path, heads=tmp_path / "elsewhere.heads", rotate_bytes=4000) as log:
            for number in range(8):
                CapabilityService(log).authorize(context(), read_file(f"/data/{number}"))
                assert log.flush(30)
    files = files_of(path)
    assert len(files) > 3
    assert verify(path).is_good, verify(path).findings
    files[1].unlink()
    assert not verify(path).is_good


def test_records_are_found_by_component_kind_decision_and_time(log: Path) -> None:
    assert [found.component for found in records(log, Query(decision="denied"))] == ["thief"]
    assert len(list(records(log, Query(component="weather", kind="filesystem")))) == 6
    assert len(list(records(log, Query(kind="filesystem.read", layer="capability")))) == 7
    assert not list(records(log, Query(until_ms=0)))
    assert "stop" in {found.operation for found in tail(log, 3)}
    assert len(tail(log, 3)) == 3


PROGRAM = """
    import os, sys
    from pathlib import Path
    from airssys_security import CapabilityService, CapabilitySet, SecurityContext
    from airssys_security.audit.log import AuditLog
    from airssys_security.requests import read_file

    folder = Path(sys.argv[1])
    done = os.open(folder / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = AuditLog(folder / "audit.jsonl")
    service = CapabilityService(log)
    context = SecurityContext("weather", CapabilitySet({("filesystem", "read"): ["/data/**"]}))
    print("ready", flush=True)
    number = 0
    while True:
        if service.authorize(context, read_file(f"/data/{number}")).granted:
            os.write(done, b"%d\\n" % number)
        number += 1
"""


@pytest.mark.parametrize("round_number", range(5))
def test_a_killed_host_has_every_check_in_the_log_whose_effect_took_place(tmp_path: Path, round_number: int) -> None:
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        done = tmp_path / "done"
        while done.stat().st_size < 2000 * (round_number + 1):
            os.sched_yield()
        running.send_signal(signal.SIGKILL)
    effects = {f"/data/{line}" for line in done.read_text().splitlines()}
    AuditLog(tmp_path / "audit.jsonl").close()  # the next start drains what was left
    written = {found.resource for found in records(tmp_path / "audit.jsonl", Query(decision="granted"))}
    assert len(effects) > 100
    assert effects <= written
    report = verify_log(tmp_path / "audit.jsonl")
    assert report.is_good, report.findings


def forged(log: Path, key: SealKey | None) -> bytes:
    """Write a log anew with another story, all its hashes right: what anybody can who owns the folder."""
    chain, out = Chain(), []
    bodies = Bodies()
    for number, event in enumerate(("audit-open", "start", "stop", "audit-close")):
        if event.startswith("audit-") and key is not None:
            body = bodies.own(event, key=key.id, epoch=key.epoch, every=1000)
            out.append(chain.add(seal_line(key, chain.head, chain.open_line(number, body))))
        else:
            out.append(chain.add(chain.open_line(number, bodies.own(event))))
    return b"".join(out)


def test_a_log_that_was_written_anew_without_the_key_is_found_by_its_seals(log: Path) -> None:
    keys = keys_of(log)
    (real,) = keys.values()
    log.write_bytes(forged(log, None))
    assert not verify_log(log, keys=keys).is_good
    log.write_bytes(forged(log, SealKey.first(b"x" * 32)))
    assert verify_log(log).is_good, "without keys nobody can tell"
    assert any("none of the keys" in finding.what for finding in verify_log(log, keys=keys).findings)
    log.write_bytes(forged(log, SealKey(real.id, 0, b"x" * 32)))
    assert any("written anew" in finding.what for finding in verify_log(log, keys=keys).findings)
    log.write_bytes(forged(log, real))
    assert verify_log(log, keys=keys).is_good, "who has the first key can: it belongs on another machine"


def test_who_reads_the_key_of_today_cannot_make_the_seals_of_yesterday(log: Path) -> None:
    (first,) = keys_of(log).values()
    with AuditLog(log):
        text = (log.parent / "audit.key").read_text()
    assert first.secret.hex() not in text
    assert first.next().secret.hex() in text
    assert (log.parent / "audit.key").stat().st_mode & 0o777 == 0o600
    assert (log.parent / "audit.first-keys").stat().st_mode & 0o777 == 0o600
    assert first.secret.hex() not in log.read_text()


def test_lines_written_anew_behind_a_true_beginning_are_found_by_the_seals_that_they_lack(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 100)
    lines = path.read_bytes().split(b"\n")[:-1]
    first = parse_link(lines[0])
    assert first is not None
    chain, bodies = Chain(first.chain, first.sequence, first.hash), Bodies()
    out = [chain.add(chain.open_line(number, bodies.own("start"))) for number in range(200)]
    path.write_bytes(lines[0] + b"\n" + b"".join(out))
    assert any("without a seal" in finding.what for finding in verify_log(path, keys=keys_of(path)).findings)


def test_every_byte_that_is_changed_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path, 1)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        for bit in (1, 0x20):
            changed = bytearray(content)
            changed[place] ^= bit
            path.write_bytes(changed)
            assert not verify(path).is_good, (place, bit, content[place - 20 : place + 20])


def test_every_cut_in_the_middle_of_a_line_is_found_against_the_heads(log: Path) -> None:
    content = log.read_bytes()
    for left in range(1, len(content), 97):
        log.write_bytes(content[:left])
        assert not verify(log).is_good, left


def test_two_kills_one_after_the_other_leave_two_pieces_that_the_next_start_names(log: Path) -> None:
    whole = log.read_bytes()
    with log.open("ab") as file:
        file.write(whole[:70] + b"\n" + whole[:30])
    write(log)
    report = verify(log)
    assert report.is_good, report.findings
    assert any("crash" in note for note in report.notes)


def test_a_host_that_starts_after_a_crash_names_the_torn_line_before_anything_is_recorded(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"time":1')
    with AuditLog(log, heads=log.parent / "elsewhere.heads") as audit:
        assert audit.flush(30)
        report = verify(log)
        assert report.is_good, report.findings
        assert any("said so" in note for note in report.notes)


def test_a_rotation_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write(path)
    path.rename(tmp_path / "audit.00000001.jsonl")  # and then the process was killed
    write(path)
    report = verify(path)
    assert report.is_good, report.findings
    assert len(report.chains) == 1
    assert [file.name for file in files_of(path)] == ["audit.00000001.jsonl", "audit.jsonl"]


def test_a_log_is_rotated_when_it_is_asked_for_and_by_name_the_files_sort(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path, heads=tmp_path / "elsewhere.heads") as log:
        for _ in range(12):
            CapabilityService(log).record(None, "start")
            assert log.rotate(30)
    files = files_of(path)
    assert len(files) == 13
    assert [file.name for file in files] == sorted(file.name for file in tmp_path.glob("*.jsonl"))
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert verify(path).is_good


def test_the_newest_are_found_first_and_lines_that_are_none_are_passed_over(log: Path) -> None:
    forwards = [found.line for found in records(log)]
    assert [found.line for found in newest(log)] == forwards[::-1]
    with log.open("ab") as file:
        file.write(b'\xff\xfe\n[[[\n{"time":"now"}\n{"time":1,"unmapped":[]}\n' + b"[" * 100_000 + b"\n{")
    assert [found.line for found in newest(log)][1:] == forwards[::-1]


def test_who_follows_a_log_sees_what_is_added_also_in_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with AuditLog(path) as log:
        service = CapabilityService(log)
        service.record(None, "start")
        assert log.flush(30)
        follower = Follower(path)
        seen: list[str] = []
        for event in ("trap", "stop", "restart"):
            service.record(None, event)
            assert log.rotate(30)
            seen += [found.operation for found in follower.read() if not found.operation.startswith("audit-")]
        follower.close()
    assert seen == ["trap", "stop", "restart"]
