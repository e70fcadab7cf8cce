"""Normalising: what has one meaning gets one spelling, what has two is refused, and the check believes neither."""

from __future__ import annotations

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, Request, SecurityContext, normalise
from airssys_security.errors import RequestInvalid
from airssys_security.forms import request_fault
from airssys_security.requests import (
    bind_to,
    connect_to,
    custom,
    publish_to,
    read_file,
    read_key,
    resolve_name,
    send_to,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        # Decimal, octal, hexadecimal, short, full-width, ideographic dots: as inet_aton reads them.
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("2130706433:80", "127.0.0.1:80"),
        ("0x7f000001:80", "127.0.0.1:80"),
        ("0X7F000001:80", "127.0.0.1:80"),
        ("017700000001:80", "127.0.0.1:80"),
        ("0x7f.0.0.1:80", "127.0.0.1:80"),
        ("0177.0.0.01:80", "127.0.0.1:80"),
        ("127.1:80", "127.0.0.1:80"),
        ("127.0.1:80", "127.0.0.1:80"),
        ("127.65535:80", "127.0.255.255:80"),
        ("127.16777215:80", "127.255.255.255:80"),
        ("1.2.65535:80", "1.2.255.255:80"),
        ("0:80", "0.0.0.0:80"),
        ("4294967295:80", "255.255.255.255:80"),
        ("127.0.0.1.:80", "127.0.0.1:80"),
        ("\uff11\uff12\uff17.0.0.1:80", "127.0.0.1:80"),
        ("127\u30020\u30020\u30021:80", "127.0.0.1:80"),
        ("127\uff0e0\uff610\u30021:80", "127.0.0.1:80"),
        ("\uff10x7f.1:80", "127.0.0.1:80"),
        # IPv6 in its one spelling.
        ("[::1]:80", "[::1]:80"),
        ("[0:0:0:0:0:0:0:1]:80", "[::1]:80"),
        ("[2001:DB8::0001]:80", "[2001:db8::1]:80"),
        ("[::FFFF:10.0.0.1]:80", "[::ffff:a00:1]:80"),
        ("[64:ff9b::10.0.0.1]:80", "[64:ff9b::a00:1]:80"),
        # Names: capitals, the dot at the end, A-labels.
        ("EXAMPLE.com.:443", "example.com:443"),
        ("b\u00fccher.example:443", "xn--bcher-kva.example:443"),
        ("B\u00fccher.example:443", "xn--bcher-kva.example:443"),
        ("XN--BCHER-KVA.example:443", "xn--bcher-kva.example:443"),
        ("fa\u00df.de:443", "xn--fa-hia.de:443"),
        ("LOCALHOST:1", "localhost:1"),
        # URLs: the scheme's port, no path.
        ("https://a.com", "https://a.com:443"),
        ("HTTPS://A.com/", "https://a.com:443"),
        ("http://a.com/x?y#z", "http://a.com:80"),
        ("ws://a.com", "ws://a.com:80"),
        ("wss://a.com:8443/x", "wss://a.com:8443"),
        ("https://a.com/@b.com", "https://a.com:443"),
        ("https://a.com?x", "https://a.com:443"),
        ("https://a.com#x", "https://a.com:443"),
        ("https://0x7f.1/", "https://127.0.0.1:443"),
        ("https://[::1]/", "https://[::1]:443"),
    ],
)
def test_a_host_in_any_spelling_is_the_host_that_is_reached(written: str, meant: str) -> None:
    assert normalise(connect_to(written)) == connect_to(meant)


@pytest.mark.parametrize(
    "written",
    [
        # Numbers that are no address.
        "08.0.0.1:80",
        "0x:80",
        "0xg.1:80",
        "256.0.0.1:80",
        "1.2.3.256:80",
        "1.2.65536:80",
        "127.16777216:80",
        "4294967296:80",
        "1.2.3.4.5:80",
        "1..2:80",
        "a.1:80",
        "99999999999999999999999:80",
        "\u0661\u0662\u0667.0.0.1:80",
        "\u2460.0.0.1:80",
        # IPv6.
        "::1:80",
        "[::1:80",
        "[::1]80",
        "[::1]",
        "[fe80::1%eth0]:80",
        "[fe80::1%25eth0]:80",
        "[127.0.0.1]:80",
        "[example.com]:80",
        "[::ffff:256.0.0.1]:80",
        "[]:80",
        # User information, and what readers disagree about.
        "user@a.com:443",
        "https://user@a.com",
        "https://user:secret@a.com",
        "https://a.com@evil.com",
        "https://a.com#@evil.com",
        "https://a.com?@evil.com",
        "https://a.com\\@evil.com",
        "https://a.com\\evil",
        "https:\\\\a.com",
        "https:/a.com",
        "https:a.com",
        "https:///a.com",
        "https://",
        "https://:443",
        "//a.com:443",
        "://a.com",
        "ftp://a.com",
        "file:///etc/passwd",
        "javascript://a.com",
        "\u017fhttp://a.com",
        "unix:/run/x",
        # Spaces, controls and what cannot be seen.
        " a.com:443",
        "a.com:443 ",
        "a.com:443\n",
        "a\t.com:443",
        "https://a.com/\r\nHost: evil.com",
        "a\u00ad.com:443",
        "a\u200b.com:443",
        "a\u202e.com:443",
        "a.com\0:443",
        "\udcff.com:443",
        # Names that none is, and homoglyphs that IDNA 2008 does not allow.
        "a..com:443",
        ".a.com:443",
        "a.com..:443",
        "-a.com:443",
        "a-.com:443",
        "a_b.com:443",
        "%61.com:443",
        "a%2ecom:443",
        "ab--c.com:443",
        "xn--a:443",
        "*.a.com:443",
        "\u212aelvin.com:443",
        "\uff41.com:443",
        "\u2024a.com:443",
        "a\u2215b.com:443",
        "\u2102.com:443",
        "\u0430\u0301.com:443" + "\u0301",
        f"{'a' * 64}.com:443",
        f"{'.'.join(['a' * 60] * 5)}:443",
        # Ports.
        "a.com",
        "a.com:",
        "https://a.com:",
        "a.com:0",
        "a.com:65536",
        "a.com:0443",
        "a.com:+443",
        "a.com:-1",
        "a.com:4 43",
        "a.com:https",
        "a.com:443:443",
        "a.com:\u0664\u0664\u0663",
        "a.com:443/x",
        "",
    ],
)
def test_a_host_with_two_readings_or_none_is_refused(written: str) -> None:
    with pytest.raises(RequestInvalid) as raised:
        normalise(connect_to(written))
    assert raised.value.reason
    assert raised.value.reason.isprintable()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.1:80", "127.0.0.1:80"),
        ("0:80", "0.0.0.0:80"),
        ("[0::0]:80", "[::]:80"),
        ("[::1]:0", "[::1]:0"),
    ],
)
def test_an_address_to_listen_on_gets_its_one_spelling(written: str, meant: str) -> None:
    assert normalise(bind_to(written)) == bind_to(meant)


@pytest.mark.parametrize(
    "written", ["localhost:80", "a.com:80", "http://127.0.0.1", "127.0.0.1", ":80", "*:80", "0.0.0.0:x"]
)
def test_nobody_listens_on_a_name(written: str) -> None:
    with pytest.raises(RequestInvalid):
        normalise(bind_to(written))


@pytest.mark.parametrize(("written", "meant"), [("A.com.", "a.com"), ("b\u00fccher.example", "xn--bcher-kva.example")])
def test_a_name_to_look_up_gets_its_one_spelling(written: str, meant: str) -> None:
    assert normalise(resolve_name(written)) == resolve_name(meant)


@pytest.mark.parametrize(
    "written", ["127.1", "0x7f", "[::1]", "::1", "\uff11", "a.com:80", "https://a.com", "", ".", "a b", "u@a.com"]
)
def test_an_address_is_not_looked_up_nor_is_anything_else(written: str) -> None:
    with pytest.raises(RequestInvalid):
        normalise(resolve_name(written))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/a//b", "/a/b"),
        ("/a/./b/", "/a/b"),
        ("//", "/"),
        ("/.", "/"),
        ("/a", "/a"),
        ("/...", "/..."),
        ("/a/..b", "/a/..b"),
    ],
)
def test_a_path_loses_what_says_nothing(written: str, meant: str) -> None:
    assert normalise(read_file(written)) == read_file(meant)


@pytest.mark.parametrize(
    "written",
    [
        "/ok/../etc/passwd",
        "/..",
        "..",
        "a",
        "",
        "./a",
        "/a\0b",
        "/\udc80",
        "/" + "a" * 4096,
        "/a/.//../b",
        "~/a",
        "file:///a",
    ],
)
def test_a_path_that_only_the_system_could_resolve_is_refused(written: str) -> None:
    with pytest.raises(RequestInvalid):
        normalise(read_file(written))


@pytest.mark.parametrize(
    "request_", [send_to("billing"), read_key("a:b"), publish_to("a.b"), custom("crm", "read", "customer:7")]
)
def test_other_requests_are_left_as_they_are(request_: Request) -> None:
    assert normalise(request_) is request_


@pytest.mark.parametrize(
    "request_",
    [
        send_to("Billing"),
        read_key("a::b"),
        publish_to("a.*"),
        custom("Crm", "read", "x"),
        Request("files", "read", "/x"),
        Request("filesystem", "execute", "/x"),
        Request("network", "listen", "127.0.0.1:80"),
        Request("filesystem", "read", b"/x"),  # type: ignore[arg-type]
        Request(None, "read", "/x"),  # type: ignore[arg-type]
    ],
)
def test_what_has_no_form_is_refused_and_not_mended(request_: Request) -> None:
    with pytest.raises(RequestInvalid):
        normalise(request_)


class Sly(str):
    """Is one text when it is compared, and another when it is used."""

    __slots__ = ()


def test_a_text_that_is_more_than_text_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="not text"):
        normalise(read_file(Sly("/data")))


REQUESTS = st.builds(
    Request,
    st.sampled_from(["filesystem", "network", "storage", "messaging", "process", "custom.crm", "other"]),
    st.sampled_from(["read", "write", "connect", "bind", "resolve", "send", "publish", "subscribe", "env"]),
    st.one_of(
        st.text("/.abA", max_size=12),
        st.text("abA.:0x127[]@#?\\%\u3002\uff11/-*", max_size=14),
        st.text("abA.:0x127\u3002\uff11", max_size=10).map(lambda text: f"{text}:80"),
        st.text("abA.:0x127[]", max_size=10).map(lambda text: f"HTTPS://{text}/x"),
        st.ip_addresses(v=6).map(lambda address: f"[{address.exploded}]:80"),
        st.ip_addresses(v=4).map(lambda address: f"{int(address)}:80"),
        st.text(max_size=8),
    ),
)


@given(REQUESTS)
def test_normalising_twice_changes_nothing_and_what_is_normal_is_taken(request_: Request) -> None:
    try:
        once = normalise(request_)
    except RequestInvalid:
        return
    assert normalise(once) == once
    assert not request_fault(once.kind, once.action, once.resource)


@given(REQUESTS)
def test_the_check_takes_nothing_that_normalising_would_change(request_: Request) -> None:
    everything = CapabilitySet(
        {
            ("filesystem", "read"): ["/**"],
            ("filesystem", "write"): ["/**"],
            ("network", "connect"): [
                "0.0.0.0/0:*",
                "127.0.0.0/8:*",
                "0.0.0.0/8:*",
                "[::/3]:*",
                "*.a:*",
                "*.b:*",
                "a:*",
            ],
            ("network", "bind"): ["0.0.0.0/0:*", "[::/0]:*"],
        }
    )
    decision = CapabilityService(MemorySink()).check(SecurityContext("w", everything), request_)
    if decision.granted:
        assert normalise(request_) == request_
