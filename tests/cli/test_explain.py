"""airssys explain: one decision in plain text with its exit status, and lines in and out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airssys_security.explain import MAX_LINE_BYTES
from typer.testing import CliRunner

from airssys_actors.cli.batch import read_lines
from airssys_actors.cli.main import app

KEYS = ["granted", "layer", "reason", "pattern", "resource", "hint"]


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "Component.toml"
    path.write_text(
        'schema = 1\n[component]\nname = "w"\nversion = "1.0.0"\nwasm = "w.wasm"\n'
        f'[capabilities.filesystem]\nread = ["/data/**", "{tmp_path}/in/**"]\n'
        '[capabilities.messaging]\nsend = ["billing"]\n'
        '[optional-capabilities.network]\nconnect = ["https://api.example.com"]\n'
    )
    return str(path)


def explain(*arguments: str, given: bytes = b"") -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["explain", *arguments], input=given)
    return done.exit_code, done.stdout.splitlines()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from airssys_actors.cli.main import main; main()", "explain", *arguments]


def test_a_grant_names_its_pattern(manifest: str) -> None:
    status, lines = explain(manifest, "filesystem", "read", "/data//x/")
    assert status == 0
    assert lines == [
        "decision: granted",
        "request:  filesystem.read",
        "resource: /data/x",
        "layer:    capability",
        "pattern:  /data/**",
        "reason:   a grant covers it",
        "note:     the answer is lexical: links of this machine are not followed (--resolve follows them)",
    ]


def test_what_is_optional_counts_as_granted(manifest: str) -> None:
    status, lines = explain(manifest, "network", "connect", "https://API.example.com.")
    assert status == 0
    assert not any("lexical" in line for line in lines)


def test_a_denial_names_the_line_that_would_grant_it(manifest: str) -> None:
    status, lines = explain(manifest, "messaging", "send", "gateway")
    assert status == 1
    assert 'hint:     [capabilities.messaging] send = ["gateway"]' in lines


@pytest.mark.parametrize(
    ("kind", "action", "resource"),
    [
        ("teleport", "read", "/data/x"),
        ("filesystem", "execute", "/data/x"),
        ("filesystem", "read", "data/x"),
        ("filesystem", "read", ""),
        ("filesystem", "read", "/data/../etc/passwd"),
        ("filesystem", "read", "/data/\udcff"),
        ("network", "connect", "a b:80"),
    ],
)
def test_what_is_no_request_is_denied(manifest: str, kind: str, action: str, resource: str) -> None:
    status, lines = explain(manifest, kind, action, resource)
    assert status == 1
    assert "layer:    request" in lines
    assert all(line.isprintable() for line in lines)


def test_a_resource_may_begin_with_a_dash(manifest: str) -> None:
    status, lines = explain(manifest, "--", "messaging", "send", "--help")
    assert status == 1
    assert "resource: --help" in lines


def test_control_characters_of_a_resource_are_spelt_out(manifest: str) -> None:
    status, lines = explain(manifest, "filesystem", "read", "/data/\x1b[2J\u202e")
    assert status == 0
    assert "resource: /data/\\x1b[2J\\u202e" in lines


def test_a_hosts_lists_are_asked(manifest: str, tmp_path: Path) -> None:
    host = tmp_path / "Host.toml"
    host.write_text("schema = 1\n[deny.filesystem]\nread = ['/data/private/**']\n")
    status, lines = explain(manifest, "--host", str(host), "filesystem", "read", "/data/private/x")
    assert status == 1
    assert "layer:    deny" in lines
    assert "pattern:  /data/private/**" in lines


@pytest.mark.parametrize(
    "arguments",
    [
        ["{manifest}"],
        ["{manifest}", "filesystem"],
        ["{manifest}", "filesystem", "read"],
        ["{manifest}", "filesystem", "read", "/x", "more"],
        ["{manifest}", "filesystem", "read", "/x", "--batch", "-"],
        ["{manifest}", "--batch", "/nowhere/at/all"],
        ["{manifest}", "--batch", "/"],
        ["{manifest}", "--batch", ""],
        ["{manifest}", "filesystem", "read", "/x", "--host", "/nowhere"],
        ["{manifest}", "filesystem", "read", "/x", "--id", "../x"],
        ["{manifest}", "filesystem", "read", "/x", "--unknown"],
        ["/nowhere", "filesystem", "read", "/x"],
        ["/dev/null", "filesystem", "read", "/x"],
        [],
    ],
)
def test_input_that_cannot_be_used_is_a_usage_error(manifest: str, arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["explain", *(text.format(manifest=manifest) for text in arguments)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr


def test_links_are_followed_when_wanted(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "leads").symlink_to("../out")
    leads = f"{tmp_path}/in/leads/x"
    assert explain(manifest, "filesystem", "read", leads)[0] == 0
    status, lines = explain(manifest, "--resolve", "filesystem", "read", leads)
    assert status == 1
    assert f"resource: {tmp_path}/out/x" in lines
    assert not any("lexical" in line for line in lines)
    line = json.dumps({"kind": "filesystem", "action": "read", "resource": leads}).encode()
    status, lines = explain(manifest, "--resolve", "--batch", "-", given=line)
    assert status == 0
    assert json.loads(lines[0])["resource"] == f"{tmp_path}/out/x"


# Lines.


def question(kind: str, action: str, resource: str) -> bytes:
    return json.dumps({"kind": kind, "action": action, "resource": resource}).encode()


def test_each_line_has_its_answer_in_order(manifest: str) -> None:
    lines = [
        question("filesystem", "read", "/data/x"),
        b"",
        b"nonsense",
        question("messaging", "send", "billing"),
        b"\xff\xfe",
        question("messaging", "send", "\u202egateway"),
        question("process", "env", "PATH"),
    ]
    status, written = explain(manifest, "--batch", "-", given=b"\n".join(lines))
    assert status == 0
    answers = [json.loads(line) for line in written]
    assert [answer["granted"] for answer in answers] == [True, False, False, True, False, False, False]
    assert [answer["layer"] for answer in answers] == [
        "capability",
        "request",
        "request",
        "capability",
        "request",
        answers[5]["layer"],
        "capability",
    ]
    assert all(list(answer) == KEYS for answer in answers)
    assert all(line.isascii() and line.isprintable() for line in written)


def test_a_file_is_read_like_standard_input(manifest: str, tmp_path: Path) -> None:
    lines = question("messaging", "send", "billing") + b"\n" + question("messaging", "send", "x") + b"\n"
    (tmp_path / "lines").write_bytes(lines)
    assert explain(manifest, "--batch", str(tmp_path / "lines")) == explain(manifest, "--batch", "-", given=lines)
    (tmp_path / "empty").write_bytes(b"")
    assert explain(manifest, "--batch", str(tmp_path / "empty")) == (0, [])


@pytest.mark.parametrize("length", [0, 1, MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_of_any_length_is_one_line_and_never_kept_whole(length: int, end: bytes) -> None:
    stream = io.BytesIO(b"before\n" + b"x" * length + end + (b"after" if end else b""))
    lines = list(read_lines(stream))
    middle = [min(length, MAX_LINE_BYTES + 2)] if length or end else []
    assert [len(line) for line in lines[1:2]] == [
        each if each <= MAX_LINE_BYTES else pytest.approx(MAX_LINE_BYTES + 1, abs=1) for each in middle
    ]
    assert lines[0] == b"before"
    assert lines[2:] == ([b"after"] if end else [])


def test_a_long_line_is_refused_and_the_next_is_answered(manifest: str) -> None:
    long = question("filesystem", "read", "/data/" + "x" * (2 * MAX_LINE_BYTES))
    status, lines = explain(manifest, "--batch", "-", given=long + b"\n" + question("messaging", "send", "billing"))
    assert status == 0
    assert ["longer than 1MiB" in json.loads(line)["reason"] for line in lines] == [True, False]


def test_an_answer_is_out_before_the_next_question_is_asked(manifest: str) -> None:
    with subprocess.Popen(command(manifest, "--batch", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asked:
        assert asked.stdin is not None
        assert asked.stdout is not None
        for name in ("billing", "gateway", "billing"):
            asked.stdin.write(question("messaging", "send", name) + b"\n")
            asked.stdin.flush()
            assert json.loads(asked.stdout.readline())["granted"] is (name == "billing")
        asked.stdin.close()
        assert asked.stdout.read() == b""
    assert asked.returncode == 0


def test_who_stops_listening_is_not_answered_with_a_traceback(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes((question("messaging", "send", "billing") + b"\n") * 20_000)
    reading, writing = os.pipe()
    asking = command(manifest, "--batch", str(tmp_path / "lines"))
    with subprocess.Popen(asking, stdout=writing, stderr=subprocess.PIPE) as asked:
        os.close(writing)
        os.read(reading, 100)
        os.close(reading)
        assert asked.stderr is not None
        assert asked.stderr.read() == b""
    assert asked.returncode == 0


@pytest.mark.slow
def test_a_hundred_thousand_lines_are_answered(manifest: str, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    with lines.open("wb") as file:
        for number in range(100_000):
            file.write(question("filesystem", "read", f"/data/{number}" if number % 2 else f"/other/{number}") + b"\n")
    done = subprocess.run(command(manifest, "--batch", str(lines)), capture_output=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == 100_000
    assert json.loads(answers[-1])["resource"] == "/data/99999"
    assert sum(b'"granted": true' in answer for answer in answers) == 50_000


def test_the_commands_start_without_the_engine() -> None:
    program = (
        "import sys, airssys_actors.cli.check, airssys_actors.cli.explain, airssys_actors.cli.documents, "
        "airssys_security.explain; print('wasmtime' in sys.modules, 'airssys_actors.host' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
