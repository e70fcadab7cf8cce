"""Text of strangers, and quantities with units."""

from __future__ import annotations

import unicodedata

import pytest
from airssys_security import units
from airssys_security.text import first_hidden, is_unicode, visible
from hypothesis import given
from hypothesis import strategies as st

HIDDEN = [
    *"\0\t\n\r\x1b\x7f\x85\x9b",
    *"\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069",
    *"\u3164\ufe0f\ufeff\uffa0\ufff9\ud800\udfff\ue000",
    "\U000e0001",
    "\U000e0041",
    "\U000e0100",
    "\U0001d173",
]


@pytest.mark.parametrize("character", HIDDEN)
def test_hidden_characters_are_found_and_spelt(character: str) -> None:
    assert first_hidden(f"a{character}b") == character
    shown = visible(f"a{character}b")
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "plain", "\u00e9e\u0301", "\u65e5\u672c", "\U0001f600", "a b~", "\u05d0"])
def test_visible_text_stays_as_it_is(text: str) -> None:
    assert first_hidden(text) is None
    assert visible(text) == text


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_shown_text_never_moves_a_cursor_and_can_be_encoded(text: str) -> None:
    shown = visible(text)
    assert first_hidden(shown) is None
    assert is_unicode(shown)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)


def test_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 50, 10) == "xxxxxxxxxx... (50 characters)"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("1B", 1), ("512KiB", 524288), ("4MiB", 4194304), ("3GiB", 3 << 30), ("4 MiB", 4194304)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "4M",
        "4MB",
        "4mib",
        "MiB",
        "-4MiB",
        "+4MiB",
        "4.5MiB",
        "4e3B",
        "0x4B",
        " 4MiB",
        "4MiB ",
        "4MiB\n",
        "\u0664MiB",
        "4_0B",
    ],
)
def test_sizes_without_one_meaning_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64MiB"):
        units.parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), [("1ms", 0.001), ("30s", 30), ("2min", 120), ("1h", 3600), ("1d", 86400)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "30S", "30m", "1h30min", "inf", "nan", "1us", ""])
def test_times_without_one_meaning_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="30s"):
        units.parse_duration(text)


@pytest.mark.parametrize("text", ["1000", "1000/h", "/s", "0/s", "1.5/s", "-1/s", "1 /s", "1/s\n"])
def test_rates_without_one_meaning_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1000/s"):
        units.parse_rate(text)


@given(st.integers(0, 1 << 45))
def test_shown_size_is_read_back(size: int) -> None:
    assert units.parse_size(units.show_size(size)) == size
    assert units.parse_size_rate(units.show_size_rate(size)) == size


@given(st.integers(0, 10**12))
def test_shown_time_is_read_back(milliseconds: int) -> None:
    assert units.parse_duration(units.show_duration(milliseconds / 1000)) == milliseconds / 1000
    assert units.parse_share(units.show_share(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(1, 10**9), st.sampled_from(["s", "min"]))
def test_shown_rate_is_read_back(number: int, unit: str) -> None:
    rate = units.parse_rate(f"{number}/{unit}")
    assert units.parse_rate(units.show_rate(rate)) == pytest.approx(rate)
