"""Any bytes as lines of a batch: one answer each, of exactly the documented keys, and never an exception."""

from __future__ import annotations

import io
import json
from pathlib import Path

from airssys_security.explain import Explainer
from airssys_security.host_file import load_host_file
from airssys_security.manifest.parse import load_manifest
from airssys_security.requests import ACTIONS
from fuzzing import FUZZ
from hypothesis import given
from hypothesis import strategies as st

from airssys_actors.cli.batch import answer_lines

ROOT = Path(__file__).parents[3]
EXPLAINER = Explainer(
    load_manifest(ROOT / "Component.toml.example"), load_host_file(ROOT / "Host.toml.example").policy()
)

KINDS = st.sampled_from([*ACTIONS, "custom.invoices", "custom.", "", "x"])
ACTION_NAMES = st.sampled_from([*(action for actions in ACTIONS.values() for action in actions), "refund", "", "x"])
TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
RESOURCES = st.one_of(
    TEXT,
    st.lists(st.sampled_from(["/", "..", ".", "data", "weather", ":", "*", "443", "example.org", "\0", "@", "a"])).map(
        "".join
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
QUESTIONS = st.fixed_dictionaries(
    {
        "kind": st.one_of(KINDS, VALUES),
        "action": st.one_of(ACTION_NAMES, VALUES),
        "resource": st.one_of(RESOURCES, VALUES),
    }
).map(lambda value: json.dumps(value).encode())
WELL_FORMED = st.fixed_dictionaries({"kind": KINDS, "action": ACTION_NAMES, "resource": RESOURCES}).map(
    lambda value: json.dumps(value).encode()
)
LINES = st.one_of(
    st.binary(max_size=80),
    VALUES.map(lambda value: json.dumps(value).encode()),
    QUESTIONS,
    WELL_FORMED,
    st.tuples(WELL_FORMED, st.integers(0, 60), st.binary(max_size=4)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    ),
)


@FUZZ
@given(LINES)
def test_any_line_has_an_answer(line: bytes) -> None:
    found = EXPLAINER.decide_line(line)
    written = found.to_json()
    assert written.isascii()
    assert written.isprintable()
    assert list(json.loads(written)) == ["granted", "layer", "reason", "pattern", "resource", "hint"]
    assert found.reason
    assert found.layer == "capability" if found.granted else found.layer in ("request", "never", "deny", "capability")


@FUZZ
@given(st.lists(LINES.map(lambda line: line.replace(b"\n", b" ")), max_size=10))
def test_as_many_lines_come_out_as_went_in(lines: list[bytes]) -> None:
    answers = io.StringIO()
    answer_lines(EXPLAINER, io.BytesIO(b"".join(line + b"\n" for line in lines)), answers)
    assert answers.getvalue().splitlines() == [EXPLAINER.decide_line(line).to_json() for line in lines]
