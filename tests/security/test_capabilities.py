"""Sets of capabilities: bound to one component, closed to change, and read the same way by grants and by denials."""

from __future__ import annotations

import pytest
from airssys_security import CapabilityService, CapabilitySet, MemorySink, SecurityContext
from airssys_security.capabilities import check_pattern
from airssys_security.errors import PatternInvalid
from airssys_security.requests import GRANTABLE, Request
from hypothesis import given
from hypothesis import strategies as st

KEYS = [(kind, action) for kind, actions in GRANTABLE.items() for action in actions]


def test_an_empty_set_covers_nothing_and_says_so() -> None:
    empty = CapabilitySet({})
    assert not empty
    assert repr(empty) == "<CapabilitySet empty>"
    assert not empty.could_reach("/")
    assert empty.preopen_folders() == ()
    for kind, action in KEYS:
        assert empty.matcher(kind, action) is None
        assert empty.denier(kind, action) is None
        assert empty.patterns(kind, action) == ()
        assert not empty.declares(kind)


@pytest.mark.parametrize("key", KEYS)
def test_a_list_without_patterns_is_no_capability(key: tuple[str, str]) -> None:
    assert CapabilitySet({key: []}) == CapabilitySet({})
    assert not CapabilitySet({key: []}).declares(key[0])


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("pattern", ["", "x*y", "\0", "a\nb", "\udcff", "::", "\u202e"])
def test_a_pattern_that_is_none_is_refused_for_every_kind(key: tuple[str, str], pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        check_pattern(*key, pattern)


@pytest.mark.parametrize("name", ["Weather", "a b", "../x", "a:b", "-a", "1a", "a" * 64, "\u0430", "a\n", "*"])
def test_a_set_is_bound_to_the_id_of_a_component_and_to_nothing_else(name: str) -> None:
    with pytest.raises(PatternInvalid, match="component's id"):
        CapabilitySet({}, component_id=name)


def test_own_keys_are_those_of_the_bound_component_alone() -> None:
    one = CapabilitySet({("storage", "read"): ["component:<id>:*"]}, component_id="one")
    find = one.matcher("storage", "read")
    assert find is not None
    assert find("component:one:k") == "component:<id>:*"
    assert find("component:one:k:deeper") == "component:<id>:*"
    for other in ("component:two:k", "component:on:k", "component:one2:k", "component:<id>:k", "component:one"):
        assert find(other) is None
    assert one != CapabilitySet({("storage", "read"): ["component:<id>:*"]}, component_id="two")


def test_own_keys_of_nobody_are_refused() -> None:
    with pytest.raises(PatternInvalid):
        CapabilitySet({("storage", "read"): ["component:<id>:*"]})


def test_a_set_does_not_follow_the_list_it_was_made_of() -> None:
    patterns = ["/data/*"]
    source = {("filesystem", "read"): patterns}
    made = CapabilitySet(source)
    patterns.append("/**")
    source["filesystem", "write"] = ["/**"]
    assert made.patterns("filesystem", "read") == ("/data/*",)
    assert made.matcher("filesystem", "write") is None
    with pytest.raises(AttributeError):
        made.other = 1  # type: ignore[attr-defined]


def test_one_bad_pattern_spoils_the_set_and_is_not_left_out() -> None:
    with pytest.raises(PatternInvalid):
        CapabilitySet({("filesystem", "read"): ["/data/*", "data", "/x"]})


def test_folders_to_start_from_say_what_may_be_done_there() -> None:
    made = CapabilitySet({("filesystem", "read"): ["/data/**", "/logs/*.txt"], ("filesystem", "write"): ["/data/**"]})
    assert [(folder.path, folder.read, folder.write) for folder in made.preopen_folders()] == [
        ("/data", True, True),
        ("/logs", True, False),
    ]
    assert made.could_reach("/")
    assert made.could_reach("/logs")
    assert not made.could_reach("/etc")


@given(st.sampled_from([("filesystem", "read"), ("filesystem", "write")]), st.sampled_from(["/d/x", "/d", "/", "/e/y"]))
def test_reading_and_writing_are_granted_apart(key: tuple[str, str], path: str) -> None:
    context = SecurityContext("w", CapabilitySet({key: ["/**"]}))
    service = CapabilityService(MemorySink())
    for action in ("read", "write"):
        decision = service.check(context, Request("filesystem", action, path))
        assert decision.granted == (action == key[1])
        assert decision.reason == ("a grant covers it" if decision.granted else "the action was never granted")


NAMES = st.from_regex(r"[a-c]{1,3}", fullmatch=True)


@given(st.lists(NAMES | NAMES.map(lambda name: name + "*"), max_size=4), st.lists(NAMES, max_size=4), NAMES)
def test_a_merged_set_covers_exactly_what_either_covers(one: list[str], other: list[str], name: str) -> None:
    def covers(made: CapabilitySet) -> bool:
        find = made.matcher("messaging", "send")
        return find is not None and find(name) is not None

    first, second = (CapabilitySet({("messaging", "send"): names}) for names in (one, other))
    assert covers(first.union(second)) == (covers(first) or covers(second))
    assert covers(first) == any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in one)
