"""How far a component is trusted follows from where it came from, and from nothing that it says."""

from __future__ import annotations

import pytest
from airssys_security.errors import DevModeRefused, MatchTooCostly, RequestInvalid
from airssys_security.manifest.parse import parse_manifest
from airssys_security.manifest.values import Manifest
from airssys_security.trust.assess import Assessment, assess
from airssys_security.trust.keys import PublicKey
from airssys_security.trust.origin import Identity, Origin, parse_git_url
from airssys_security.trust.trust_file import TrustPolicy, parse_trust_file
from signing import KEY, STRANGER

MANIFEST = """schema = 1
[component]
name = "weather"
version = "1.0.0"
wasm = "w.wasm"
"""

WISHES = """[capabilities.filesystem]
read = ["/data/a/**"]
[capabilities.storage]
write = ["component:<id>:*"]
[optional-capabilities.process]
env = ["LANG"]
"""

FOLDER = Origin("folder", "/srv/weather", digest="d" * 64)
GIT = Origin("git", "https://git.example.org/team/weather", "sub", "v1.2", "c" * 40, "d" * 64)


def policy(*sources: str) -> TrustPolicy:
    return parse_trust_file("\n".join(("schema = 1", *sources)))


def source(selector: str, name: str = "s", level: str = "trusted", rest: str = "") -> str:
    return f'[[source]]\nname = "{name}"\nlevel = "{level}"\n{selector}\n{rest}'


def judged(
    trust: TrustPolicy,
    origin: Origin = FOLDER,
    signer: PublicKey | None = None,
    text: str = MANIFEST,
    *,
    production: bool = True,
) -> Assessment:
    manifest: Manifest = parse_manifest(text)
    required, optional = manifest.required.bind("weather-1"), manifest.optional.bind("weather-1")
    return assess(trust, origin, signer, manifest, required, optional, production=production)


def test_nothing_is_trusted_without_a_trust_file() -> None:
    verdict = judged(TrustPolicy(), text=MANIFEST + WISHES)
    assert (verdict.level, verdict.source, verdict.source_name) == ("unknown", "folder:/srv/weather", "")
    assert verdict.must_wait
    assert not verdict.required
    assert not verdict.optional
    assert verdict.excess_required.patterns("filesystem", "read") == ("/data/a/**",)
    assert verdict.excess.patterns("process", "env") == ("LANG",)


def test_an_unknown_component_waits_also_if_it_asks_for_nothing() -> None:
    assert judged(TrustPolicy()).must_wait


def test_the_first_source_that_matches_decides() -> None:
    narrow = source('folder = "/srv/weather"', "narrow")
    wide = source('folder = "/srv/**"', "wide", rest='[source.max.filesystem]\nread = ["/**"]\n')
    verdict = judged(policy(narrow, wide), text=MANIFEST + WISHES)
    assert verdict.source_name == "narrow"
    assert verdict.must_wait
    assert verdict.policy_revision == policy(narrow, wide).revision


MAX = """[source.max.filesystem]
read = ["/data/**"]
[source.max.storage]
write = ["component:<id>:*"]
"""


def test_what_a_source_allows_is_granted_at_once_and_the_rest_is_named() -> None:
    verdict = judged(policy(source('folder = "/srv/*"', rest=MAX)), text=MANIFEST + WISHES)
    assert verdict.level == "trusted"
    assert not verdict.must_wait
    assert verdict.needs_review
    assert verdict.required.patterns("filesystem", "read") == ("/data/a/**",)
    assert verdict.required.patterns("storage", "write") != ()
    assert verdict.required.component_id == "weather-1"
    assert not verdict.excess_required
    assert verdict.excess_optional.patterns("process", "env") == ("LANG",)
    assert not verdict.optional


def test_a_required_wish_beyond_a_source_waits() -> None:
    narrow = '[source.max.filesystem]\nread = ["/data/a/**"]\n'
    verdict = judged(policy(source('folder = "/srv/*"', rest=narrow)), text=MANIFEST + WISHES)
    assert verdict.must_wait
    assert verdict.required.patterns("filesystem", "read") == ("/data/a/**",)
    assert [key for key, _ in verdict.excess_required.items()] == [("storage", "write")]


def test_a_source_without_max_grants_nothing_and_lets_start_what_asks_for_nothing() -> None:
    trust = policy(source('folder = "/srv/*"'))
    assert judged(trust, text=MANIFEST + WISHES).must_wait
    assert not judged(trust).needs_review


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ('[limits]\nmemory = "8MiB"\n', "limits.memory: 8MiB is asked for, and 4MiB is allowed"),
        ('[limits]\ncall_timeout = "31s"\n', "limits.call_timeout: 31s is asked for, and 30s is allowed"),
        ("[quotas]\nmailbox = 1025\n", "quotas.mailbox: 1025 is asked for, and 1024 is allowed"),
    ],
)
def test_a_limit_above_a_source_waits_and_is_named(asked: str, named: str) -> None:
    verdict = judged(policy(source('folder = "/srv/*"')), text=MANIFEST + asked)
    assert verdict.must_wait
    assert verdict.limit_excess == (named,)


def test_a_source_can_allow_more_than_the_default_limits() -> None:
    trust = policy(source('folder = "/srv/*"', rest='[source.limits]\nmemory = "8MiB"\n'))
    assert not judged(trust, text=MANIFEST + '[limits]\nmemory = "8MiB"\n').needs_review


def test_a_developers_source_grants_everything_and_is_refused_in_production() -> None:
    trust = policy(source('folder = "/srv/*"', level="dev"), source('folder = "/srv/**"', "t"))
    verdict = judged(trust, text=MANIFEST + WISHES, production=False)
    assert (verdict.level, verdict.source_name, verdict.needs_review) == ("dev", "s", False)
    assert verdict.required.patterns("filesystem", "read") == ("/data/a/**",)
    with pytest.raises(DevModeRefused, match="production = true"):
        judged(trust, text=MANIFEST + WISHES)


def test_development_is_by_source_and_not_for_all() -> None:
    trust = policy(source('folder = "/srv/other"', level="dev"))
    assert judged(trust, production=False).level == "unknown"


def test_a_verified_key_is_the_source_wherever_the_files_lay() -> None:
    trust = policy(source(f'key = "{KEY.public}"'))
    for origin in (FOLDER, GIT):
        assert judged(trust, origin, KEY.public).source == f"key:{KEY.public.id}"
        assert judged(trust, origin, KEY.public).level == "trusted"
        assert judged(trust, origin, STRANGER.public).level == "unknown"
        assert judged(trust, origin, None).level == "unknown"


def test_a_key_that_is_not_listed_leaves_the_place_to_decide() -> None:
    verdict = judged(policy(source('folder = "/srv/*"')), FOLDER, STRANGER.public)
    assert (verdict.level, verdict.source) == ("trusted", "folder:/srv/weather")


TEAM = 'git = "https://git.example.org/team/*"'


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (TEAM, True),
        ('git = "https://git.example.org/team/weather"', True),
        ('git = "https://git.example.org:443/**"', True),
        ('git = "https://git.example.org/*"', False),
        ('git = "https://git.example.org/team/weather.git"', False),
        ('git = "https://example.org/team/*"', False),
        ('git = "https://git.example.org.evil.test/team/*"', False),
        ('git = "ssh://git.example.org/team/*"', False),
        ('git = "https://git.example.org:444/team/*"', False),
        (TEAM + '\nref = "v1.*"', True),
        (TEAM + '\nref = "v1"', False),
        (TEAM + '\nref = "main"', False),
        (TEAM + f'\ncommit = "{"c" * 40}"', True),
        (TEAM + f'\ncommit = "{"d" * 40}"', False),
        (TEAM + f'\nref = "v2"\ncommit = "{"c" * 40}"', False),
        ('folder = "/**"', False),
    ],
)
def test_a_repository_matches_by_url_ref_and_commit_together(selector: str, matches: bool) -> None:
    verdict = judged(policy(source(selector)), GIT)
    assert (verdict.level == "trusted") == matches
    assert verdict.source == "git:https://git.example.org/team/weather#sub"


def test_a_fetch_that_named_no_ref_matches_no_pattern_of_refs() -> None:
    origin = Origin("git", "https://git.example.org/team/weather", commit="c" * 40)
    assert judged(policy(source(TEAM)), origin).level == "trusted"
    assert judged(policy(source(TEAM + '\nref = "*"')), origin).level == "unknown"


def test_a_folder_is_not_taken_for_a_repository_of_the_same_name() -> None:
    origin = Origin("git", "file:///srv/weather", commit="c" * 40)
    assert judged(policy(source('folder = "/srv/weather"')), origin).level == "unknown"
    assert judged(policy(source('git = "file:///srv/weather"')), FOLDER).level == "unknown"
    assert judged(policy(source('git = "file:///srv/weather"')), origin).level == "trusted"


def test_a_source_that_cannot_be_told_in_bounded_time_refuses_and_does_not_leave_it_to_the_next() -> None:
    costly = "/**" + "/*a*/**" * 12 + "/b"
    trust = policy(source(f'folder = "{costly}"', "costly"), source('folder = "/x/**"', "next", level="dev"))
    with pytest.raises(MatchTooCostly):
        judged(trust, Origin("folder", "/x" + "/aaaa" * 400), production=False)


@pytest.mark.parametrize(
    ("written", "spelt"),
    [
        ("https://Git.Example.org/a/B.git", "https://git.example.org/a/B.git"),
        ("https://h.example:443/a", "https://h.example/a"),
        ("https://h.example:8443/a", "https://h.example:8443/a"),
        ("ssh://git@h.example:22/a", "ssh://git@h.example/a"),
        ("file:///srv/git/a", "file:///srv/git/a"),
    ],
)
def test_a_repository_has_one_spelling(written: str, spelt: str) -> None:
    assert str(parse_git_url(written)) == spelt
    assert str(parse_git_url(spelt)) == spelt


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/",
        "https://h.example/a/",
        "https://h.example/a//b",
        "https://h.example/a/./b",
        "https://h.example/a/../b",
        "https://h.example/a%2fb",
        "https://h.example/a?x",
        "https://h.example/a#x",
        "https://h.example/a*",
        "https://h.example/{a,b}",
        "https://h.example/a\\b",
        "https://h.example/a b",
        "https://h..example/a",
        "https://-h.example/a",
        "https://h.example./a",
        "https://h.example\n/a",
        "https://h.example/a\n",
        "https:///a",
        "ssh://GIT@h.example/a",
        "ssh://-oProxyCommand=x@h.example/a",
        "ssh://-oProxyCommand=x/a",
        "ext::sh -c x",
        "HTTPS://h.example/a",
        "https://h.example/" + "a" * 3000,
        "",
    ],
)
def test_a_url_that_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        parse_git_url(text)


def test_people_are_shown_by_name_and_number() -> None:
    assert (str(Identity(7, "ada")), str(Identity(7))) == ("ada (7)", "uid (7)")


def test_a_source_for_everything_grants_all_that_is_asked_for() -> None:
    verdict = judged(policy(source('folder = "/srv/*"\nmax = "everything"')), text=MANIFEST + WISHES)
    assert (verdict.level, verdict.needs_review) == ("trusted", False)
    assert verdict.required.patterns("filesystem", "read") == ("/data/a/**",)
