"""The page that lists the rules lists all of them."""

from __future__ import annotations

from pathlib import Path

from rules_table import readme


def test_the_page_is_what_the_tests_say() -> None:
    assert Path(__file__).with_name("README.md").read_text("utf-8") == readme(), "run tests/support/rules_table.py"
