"""What docs/authority.md shows is true: its trust file is one, and says what stands beside it."""

from __future__ import annotations

import re
from pathlib import Path

from airssys_security.trust.trust_file import parse_trust_file

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "authority.md").read_text("utf-8")


def test_the_trust_file_of_the_page_is_valid() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    key, folder, working = parse_trust_file(text).sources
    assert key.key is not None
    assert {(kind, action): patterns for kind, action, patterns in key.max}["filesystem", "read"] == ("/data/**",)
    assert folder.unlimited
    assert working.level == "dev"
