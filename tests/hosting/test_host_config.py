"""What an operator may write, and what a wrong value is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from airssys_security.audit.records import MemorySink

from airssys_actors import ConfigInvalid, HostConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state_folder", "state"),
        ("cache_folder", 3),
        ("audit_file", b"audit"),
        ("volumes", {"data": Path("/srv")}),
        ("volumes", {"/data/": Path("/srv")}),
        ("volumes", {"/data/../x": Path("/srv")}),
        ("volumes", {"/data": "/srv"}),
        ("environment", {"A=B": "x"}),
        ("environment", {"": "x"}),
        ("environment", {"A": 1}),
        ("environment", {"A": "\0"}),
        ("arguments", ["a"]),
        ("arguments", "abc"),
        ("arguments", (1,)),
        ("ask_timeout_s", 0),
        ("ask_timeout_s", float("nan")),
        ("ask_timeout_s", float("inf")),
        ("mailbox_bytes", 0),
        ("mailbox_bytes", True),
        ("close_within_s", -1),
        ("file_threads", "4"),
    ],
)
def test_wrong_value_is_refused_naming_field_and_remedy(field: str, value: object) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        HostConfig(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert str(caught.value).startswith(f"HostConfig.{field}: ")
    assert caught.value.remedy in str(caught.value)


def test_two_places_for_the_audit_are_refused() -> None:
    with pytest.raises(ConfigInvalid, match="audit_file too"):
        HostConfig(audit=MemorySink(), audit_file=Path("audit.jsonl"))


def test_defaults_need_nothing() -> None:
    assert HostConfig().state_folder is None
