"""Adding and removing sources: the rest of the file stays as its owner wrote it."""

from __future__ import annotations

import os

import pytest
from airssys_security.errors import TrustFileInvalid
from airssys_security.limits import Limits, Quotas
from airssys_security.manifest.values import CapabilityRequests
from airssys_security.trust.edit import add_source, remove_source
from airssys_security.trust.trust_file import TrustSource, parse_trust_file
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import KEY

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))

TEXT = """# Who may run here. Ask the operators before you change it.
schema = 1   # the only one

# the team's machines
[[source]]
name    = "first"     # by hand
folder  = '/srv/first'
level   = "trusted"
[source.max.filesystem]
read = [
    "/data/**",   # all of it
]

# the second one
# has two lines
[[source]]
name = "second"
level = "dev"
folder = "/srv/second"
  # kept to the end
"""

NEW = TrustSource("new", "trusted", folder="/srv/new")


def test_a_source_is_added_at_the_end_and_nothing_else_changes() -> None:
    text = add_source(TEXT, NEW)
    assert text.startswith(TEXT)
    assert text.removeprefix(TEXT) == '\n[[source]]\nname = "new"\nlevel = "trusted"\nfolder = "/srv/new"\n'


def test_a_source_is_added_before_another_and_that_ones_comments() -> None:
    text = add_source(TEXT, NEW, before="second")
    assert [source.name for source in parse_trust_file(text).sources] == ["first", "new", "second"]
    added = '[[source]]\nname = "new"\nlevel = "trusted"\nfolder = "/srv/new"\n'
    assert text.replace(added, "").replace("\n\n\n", "\n\n") == TEXT
    assert text.index(added) < text.index("# the second one") < text.index('"second"')


def test_a_file_is_begun_where_there_is_none() -> None:
    assert parse_trust_file(add_source("", NEW)).sources == (NEW,)


def test_a_removed_source_takes_its_own_lines_and_no_others() -> None:
    assert remove_source(TEXT, "first") == TEXT[: TEXT.index("[[source]]")] + TEXT[TEXT.index("# the second one") :]
    assert remove_source(TEXT, "second") == TEXT[: TEXT.rindex("[[source]]")] + "  # kept to the end\n"


def test_what_was_added_can_be_removed_again() -> None:
    assert remove_source(add_source(TEXT, NEW), "new").rstrip("\n") == TEXT.rstrip("\n")


def test_a_header_in_a_string_is_no_header() -> None:
    text = (
        'schema = 1\n[[source]]\nname = "a"\nlevel = "trusted"\nfolder = """\\\n\n  /srv/[[]source]]"""\n'
        + TEXT[TEXT.rindex("[[source]]") :]
    )
    assert [source.name for source in parse_trust_file(text).sources] == ["a", "second"]
    assert [source.name for source in parse_trust_file(remove_source(text, "a")).sources] == ["second"]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (TrustSource("first", "trusted", folder="/srv/new"), "name of two sources"),
        (TrustSource("new", "trusted", folder="/srv/first"), "nothing can reach it"),
        (TrustSource("new", "trusted", folder="srv"), "relative"),
        (TrustSource("new", "trusted"), "nothing says"),
        (TrustSource("n w", "trusted", folder="/srv/new"), "not a source's name"),
        (TrustSource("new", "dev", folder="/srv/new", limits=Limits(handles=99)), "without effect"),
        (TrustSource("new", "trusted", git="http://h/x"), "it is not https"),
    ],
)
def test_a_source_that_would_be_a_mistake_is_not_added(source: TrustSource, what: str) -> None:
    with pytest.raises(TrustFileInvalid, match=what):
        add_source(TEXT, source)


def test_a_file_with_mistakes_is_not_changed() -> None:
    wrong = TEXT.replace("folder  =", "foldre =")
    with pytest.raises(TrustFileInvalid, match="no such key"):
        add_source(wrong, NEW)
    with pytest.raises(TrustFileInvalid, match="no such key"):
        remove_source(wrong, "first")


def test_a_name_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(TrustFileInvalid, match="its sources are first, second"):
        remove_source(TEXT, "third")
    with pytest.raises(TrustFileInvalid, match="there is no source"):
        add_source(TEXT, NEW, before="third")
    with pytest.raises(TrustFileInvalid, match="its sources are none"):
        remove_source("schema = 1\n", "third")


def test_sources_between_brackets_are_left_to_their_owner() -> None:
    inline = 'schema = 1\nsource = [\n  { name = "a", level = "dev", folder = "/a" },\n]\n'
    assert len(parse_trust_file(inline).sources) == 1
    with pytest.raises(TrustFileInvalid, match="write each under"):
        add_source(inline, NEW)
    with pytest.raises(TrustFileInvalid, match="write each under"):
        remove_source(inline, "a")


NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
WORDS = st.text("abc.-_ \"'\\{é#", min_size=1, max_size=6).filter(lambda word: word.strip(".") == word)
SOURCES = st.builds(
    TrustSource,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True),
    level=st.just("trusted"),
    folder=st.lists(WORDS, min_size=1, max_size=3).map(lambda words: "/" + "/".join(words)),
    max=st.lists(
        st.sampled_from(
            [
                ("filesystem", "read", ("/data/**", "/a b")),
                ("network", "connect", ("https://example.org",)),
                ("storage", "read", ("component:<id>:*",)),
                ("custom.crm", "read", ("customer:*",)),
                ("custom.crm", "write", ("customer:<id>:*",)),
            ]
        ),
        unique=True,
    ).map(lambda wishes: CapabilityRequests(tuple(wishes))),
    limits=st.builds(Limits, memory_bytes=st.integers(1 << 20, 1 << 30), handles=st.integers(16, 99)),
    quotas=st.builds(Quotas, mailbox=st.integers(1, 99), messages_per_s=st.integers(1, 99).map(float)),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(SOURCES, max_size=5))
def test_what_is_added_is_read_back_and_what_is_removed_is_gone(sources: list[TrustSource]) -> None:
    text = TEXT
    expected = list(parse_trust_file(TEXT).sources)
    for source in sources:
        try:
            text = add_source(text, source)
        except TrustFileInvalid:
            continue
        expected.append(source)
        read = parse_trust_file(text).sources
        assert [each.name for each in read] == [each.name for each in expected]
        assert read[-1].limits == source.limits
        assert dict(_wishes(read[-1])) == dict(_wishes(source))
    comments = [line.strip() for line in TEXT.splitlines() if line.strip().startswith("#")]
    for source in list(expected):
        text = remove_source(text, source.name)
        expected.remove(source)
        assert [each.name for each in parse_trust_file(text).sources] == [each.name for each in expected]
        assert [line.strip() for line in text.splitlines() if line.strip().startswith("#")] == comments


def _wishes(source: TrustSource) -> list[tuple[tuple[str, str], tuple[str, ...]]]:
    return [((kind, action), patterns) for kind, action, patterns in source.max]


def test_a_signing_key_is_written_as_it_is_read() -> None:
    source = TrustSource("house", "dev", key=KEY.public)
    assert parse_trust_file(add_source("", source)).sources == (source,)
