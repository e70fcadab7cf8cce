"""Hosts and ports spelt so that one reader takes them for something else than another."""

from __future__ import annotations

import pytest
from airssys_security.errors import PatternInvalid
from airssys_security.patterns import network


@pytest.mark.parametrize(
    "pattern",
    [
        "\u2460\u2461\u2466.0.0.1:80",
        "example.\uff10x7f:80",
        "\u0661\u0662\u0667.\u0660.\u0660.\u0661:80",
        "\uff11:80",
        "0x:80",
        "08:80",
        "a.1:80",
        "*.1:80",
        "1.2.3.4.5:80",
        "127.0.0.1..:80",
        "\uff45xample.com:80",
        "example\u3002com:80",
        "ex\u2024ample.com:80",
        "\u2010a.com:80",
        "\u0130.com:80",
        "\u017f.com:80",
        "xn--a:443",
        "ab--c.com:80",
        "exa_mple.com:443",
        "example.com:\u0668\u0660",
        "example.com:+80",
        "example.com:1-*",
        "https://example.com:443:443",
        "http:example.com:80",
        "//example.com:80",
        "[1.2.3.4/8]:1",
        "[::1%25lo]:80",
        "[v1.x]:80",
        ".".join(["a" * 60] * 5) + ":1",
    ],
)
def test_host_with_two_readings_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        network.parse(pattern)


@pytest.mark.parametrize("spelling", ["fa\u00df.de", "xn--fa-hia.de", "XN--FA-HIA.de", "Fa\u00df.DE."])
def test_spellings_of_one_name_are_one_name(spelling: str) -> None:
    assert network.parse(f"{spelling}:443").host == "xn--fa-hia.de"


@pytest.mark.parametrize("host", ["0xg.example", "1e3", "0b1", "7.example.com"])
def test_names_that_merely_begin_like_numbers_are_names(host: str) -> None:
    assert network.parse(f"{host}:80").kind == "name"
