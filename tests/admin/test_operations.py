"""What operators do: each decision is somebody's, is recorded, and reaches what runs; nobody approves what they ask."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airssys_security.approval.states import State
from airssys_security.errors import AuditUnavailable
from airssys_security.trust.keys import generate_key
from airssys_security.trust.origin import Identity
from airssys_security.trust.signature import sign_component
from airssys_security.trust.trust_file import load_trust_file

from airssys_actors.admin.commands import (
    AddTrust,
    ApprovalList,
    ApprovalReview,
    Approve,
    Command,
    Deny,
    Done,
    Failure,
    Install,
    InstalledList,
    InstallOutcome,
    ListApprovals,
    ListInstalled,
    ListTrust,
    Remove,
    RemoveTrust,
    Reopen,
    Revoke,
    ShowApproval,
    Status,
    StatusList,
    TrustList,
    Wish,
    expect,
)
from airssys_actors.hosting.provenance import establish
from airssys_actors.hosting.sources import parse_source

ADA, BOB = Identity(1000, "ada"), Identity(0, "root")
MakeDesk = Callable[..., Any]
Component = Callable[..., Path]


def failure(desk: Any, by: Identity, command: Command, kind: str = "refused") -> str:
    answer = desk.operations.perform(by, command)
    assert isinstance(answer, Failure), answer
    assert answer.kind == kind, answer
    return answer.message


def installed(desk: Any, place: Path, **more: Any) -> InstallOutcome:
    return expect(desk.operations.perform(ADA, Install(source=str(place), **more)), InstallOutcome)


def done(desk: Any, by: Identity, command: Command) -> str:
    return expect(desk.operations.perform(by, command), Done).message


# -- installing -------------------------------------------------------------------------------------------------------


def test_unknown_component_is_stored_and_waits(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    outcome = installed(desk, component())
    assert (outcome.id, outcome.level, outcome.may_start, outcome.approval_state) == (
        "weather",
        "unknown",
        False,
        "pending",
    )
    assert set(outcome.waits_for) == {"filesystem.read /data/**", "filesystem.read /etc/weather/*.toml"}
    assert desk.store.find("weather").origin.source == outcome.source
    assert desk.events() == ["approval-requested", "install"]


def test_installing_again_is_the_same_request(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    assert installed(desk, component()).approval_id == installed(desk, component()).approval_id


def test_what_a_trusted_folder_may_do_starts_at_once(make_desk: MakeDesk, component: Component) -> None:
    desk, place = make_desk(), component()
    most = (Wish("filesystem", "read", "/data/**"), Wish("filesystem", "read", "/etc/weather/**"))
    done(desk, ADA, AddTrust(name="here", folder=str(place), max=most))
    outcome = installed(desk, place)
    assert (outcome.level, outcome.trusted_as, outcome.may_start, outcome.waits_for) == ("trusted", "here", True, ())


def test_another_source_under_the_same_id_is_refused_and_not_stored(
    make_desk: MakeDesk, component: Component, tmp_path: Path
) -> None:
    desk, place = make_desk(), component()
    done(desk, ADA, AddTrust(name="all", folder=f"{tmp_path}/**", max=(Wish("filesystem", "read", "/**"),)))
    before = installed(desk, place)
    other = component(wasm=b"evil", name="elsewhere")
    assert "came from" in failure(desk, ADA, Install(source=str(other)))
    assert desk.store.find("weather").wasm_digest == before.wasm_digest
    assert installed(desk, other, id="weather-two").may_start


def test_signature_over_other_bytes_refuses_and_never_falls_through(make_desk: MakeDesk, component: Component) -> None:
    desk, place = make_desk(), component()
    found = establish(parse_source(str(place)))
    key = generate_key()
    done(desk, ADA, AddTrust(name="here", folder=str(place), max=(Wish("filesystem", "read", "/**"),)))
    (place / "Component.toml.sig").write_bytes(sign_component(key, "0" * 64, found.manifest.digest))
    assert "signature is not valid" in failure(desk, ADA, Install(source=str(place)))
    (place / "Component.toml.sig").write_bytes(b"")
    assert "signature is not valid" in failure(desk, ADA, Install(source=str(place)))
    assert desk.store.all() == ()


def test_claimed_key_proves_nothing_and_a_signature_of_it_does(make_desk: MakeDesk, component: Component) -> None:
    desk, place = make_desk(), component()
    found = establish(parse_source(str(place)))
    key, other = generate_key(), generate_key()
    done(desk, ADA, AddTrust(name="author", key=str(key.public), max=(Wish("filesystem", "read", "/**"),)))
    signature = sign_component(other, found.wasm_digest, found.manifest.digest)
    forged = signature.replace(str(other.public).encode(), str(key.public).encode())
    (place / "Component.toml.sig").write_bytes(forged)
    assert "did not sign" in failure(desk, ADA, Install(source=str(place)))
    (place / "Component.toml.sig").write_bytes(signature)
    assert installed(desk, place).level == "unknown"
    (place / "Component.toml.sig").write_bytes(sign_component(key, found.wasm_digest, found.manifest.digest))
    assert installed(desk, place, id="signed").trusted_as == "author"


def test_new_version_waits_beside_the_one_in_use(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    first = installed(desk, component())
    done(desk, BOB, Approve(id=first.approval_id))
    second = installed(desk, component(wasm=b"newer"))
    assert not second.may_start
    assert desk.store.find("weather").wasm_digest == first.wasm_digest
    done(desk, BOB, Approve(id=second.approval_id))
    assert desk.store.find("weather").wasm_digest == second.wasm_digest


def test_what_was_denied_is_not_stored_again(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    outcome = installed(desk, component())
    done(desk, BOB, Deny(id=outcome.approval_id, reason="reads too much"))
    assert "reads too much" in failure(desk, ADA, Install(source=str(component())))


def test_nothing_is_stored_that_cannot_be_written_down(
    make_desk: MakeDesk, component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk()

    def broken(event: str, facts: object) -> None:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(desk.operations, "_record", broken)
    assert "disk is full" in failure(desk, ADA, Install(source=str(component())), "failed")
    assert desk.store.all() == ()


def test_installed_components_are_listed_and_removed(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    installed(desk, component())
    (line,) = expect(desk.operations.perform(ADA, ListInstalled()), InstalledList).components
    assert (line.id, line.version, line.is_signed, line.installed_by) == ("weather", "1.0.0", False, "ada (1000)")
    done(desk, ADA, Remove(id="weather"))
    assert "nothing is installed" in failure(desk, ADA, Remove(id="weather"))
    assert desk.events()[-1] == "remove"


def test_damaged_record_can_be_removed(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    installed(desk, component())
    (desk.store.path / "current" / "weather.json").write_text("{")
    assert "its record" in failure(desk, ADA, ListInstalled(), "failed")
    done(desk, ADA, Remove(id="weather"))
    assert expect(desk.operations.perform(ADA, ListInstalled()), InstalledList).components == ()


@pytest.mark.parametrize("source", ["", "-x", "ext::sh -c id", "https://h.example/x", "/absent", "a\x1b[2J"])
def test_source_that_cannot_be_is_refused_and_shown_harmless(make_desk: MakeDesk, source: str) -> None:
    assert failure(make_desk(), ADA, Install(source=source)).isprintable()


@pytest.mark.parametrize("name", ["..", "A", "a/b", "x" * 64, "a\n"])
def test_id_that_is_none_is_refused(make_desk: MakeDesk, component: Component, name: str) -> None:
    desk = make_desk()
    failure(desk, ADA, Install(source=str(component()), id=name))
    assert desk.store.all() == ()


# -- approvals --------------------------------------------------------------------------------------------------------


def test_requester_never_approves_denies_or_reopens(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    for command in (Approve(id=approval), Deny(id=approval, reason="x")):
        assert "somebody else must decide it" in failure(desk, ADA, command)
    done(desk, BOB, Deny(id=approval, reason="x"))
    assert "somebody else must decide it" in failure(desk, ADA, Reopen(id=approval))
    assert desk.running.calls == ["weather"]


def test_only_the_uid_counts_and_not_the_name(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    assert "somebody else" in failure(desk, Identity(1000, "root"), Approve(id=approval))


def test_single_operator_approves_what_they_asked_for(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk(single_operator=True)
    done(desk, ADA, Approve(id=installed(desk, component()).approval_id))
    assert desk.records[-1][1]["single_operator"] is True


def test_approval_reaches_what_runs_after_it_is_recorded(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    done(desk, BOB, Approve(id=approval))
    assert desk.running.calls == ["weather"]
    assert desk.events()[-1] == "approval-approved"
    done(desk, ADA, Revoke(id=approval, reason="not needed"))
    assert desk.running.calls == ["weather", "weather"]
    done(desk, BOB, Reopen(id=approval))
    assert desk.book.get(approval).state is State.PENDING


def test_approval_may_be_narrower_and_is_never_wider(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    only = (Wish("filesystem", "read", "/data/weather/**"), Wish("filesystem", "write", "/**"))
    assert "less than it asked for" in done(desk, BOB, Approve(id=approval, only=only))
    granted = desk.book.get(approval).required
    assert granted.patterns("filesystem", "read") == ("/data/weather/**",)
    assert granted.patterns("filesystem", "write") == ()


@pytest.mark.parametrize(
    "wish", [Wish("filesystem", "read", "data"), Wish("nothing", "read", "/x"), Wish("filesystem", "fly", "/x")]
)
def test_narrowing_by_what_is_no_pattern_decides_nothing(make_desk: MakeDesk, component: Component, wish: Wish) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    failure(desk, BOB, Approve(id=approval, only=(wish,)), "invalid")
    assert desk.book.get(approval).state is State.PENDING


def test_approval_expires_after_the_time_given_or_the_hosts_own(make_desk: MakeDesk, component: Component) -> None:
    now = [1000.0]
    desk = make_desk(clock=lambda: now[0], expire_after_s=100.0)
    first = installed(desk, component()).approval_id
    done(desk, BOB, Approve(id=first))
    assert desk.book.get(first).expires_at == 1100.0
    second = installed(desk, component(wasm=b"newer")).approval_id
    done(desk, BOB, Approve(id=second, expires_in_s=5.0, once=True))
    assert (desk.book.get(second).expires_at, desk.book.get(second).uses_left) == (1005.0, 1)
    now[0] = 1006.0
    listed = expect(desk.operations.perform(ADA, ListApprovals()), ApprovalList).approvals
    assert [each.state for each in listed] == ["superseded", "expired"]


def test_decided_twice_is_refused(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    done(desk, BOB, Approve(id=approval))
    for command in (Approve(id=approval), Deny(id=approval, reason="x"), Reopen(id=approval)):
        failure(desk, BOB, command)
    assert desk.book.get(approval).state is State.APPROVED


def test_review_of_another_reviewer_is_not_decided(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    desk.book.begin_review(approval, Identity(7, "eve"))
    assert "eve" in failure(desk, BOB, Approve(id=approval))


def test_list_shows_one_state_or_all(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    installed(desk, component())
    assert len(expect(desk.operations.perform(ADA, ListApprovals(state="pending")), ApprovalList).approvals) == 1
    assert expect(desk.operations.perform(ADA, ListApprovals(state="denied")), ApprovalList).approvals == ()
    assert "the states are" in failure(desk, ADA, ListApprovals(state="maybe"), "invalid")


def test_review_shows_what_is_asked_for_and_what_is_new(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    first = installed(desk, component('[capabilities.filesystem]\nread = ["/data/**"]\n')).approval_id
    done(desk, BOB, Approve(id=first))
    second = installed(desk, component()).approval_id
    shown = expect(desk.operations.perform(BOB, ShowApproval(id=second)), ApprovalReview)
    assert any("NEW" in line and "/etc/weather" in line for line in shown.text)
    assert not any("NEW" in line and "/data" in line for line in shown.text)
    assert desk.book.get(second).state is State.PENDING


@pytest.mark.parametrize("command", [ShowApproval(id="x"), Approve(id="x"), Revoke(id="x"), Deny(id="x", reason="y")])
def test_unknown_approval_is_refused(make_desk: MakeDesk, command: Command) -> None:
    assert "no approval" in failure(make_desk(), BOB, command)


def test_denying_needs_a_reason(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    approval = installed(desk, component()).approval_id
    assert "say why" in failure(desk, BOB, Deny(id=approval, reason=" "), "invalid")
    failure(desk, BOB, Deny(id=approval, reason="x" * 4000), "invalid")


# -- trust ------------------------------------------------------------------------------------------------------------


def test_source_is_added_listed_and_removed(make_desk: MakeDesk) -> None:
    desk = make_desk()
    done(desk, ADA, AddTrust(name="team", git="https://h.example/team/*", ref="main"))
    done(desk, ADA, AddTrust(name="first", folder="/srv/x", before="team"))
    listed = expect(desk.operations.perform(ADA, ListTrust()), TrustList)
    assert [(each.name, each.comes_from) for each in listed.sources] == [
        ("first", "/srv/x"),
        ("team", "https://h.example/team/*@main"),
    ]
    done(desk, ADA, RemoveTrust(name="first"))
    assert [source.name for source in load_trust_file(desk.trust_file).sources] == ["team"]
    assert desk.running.calls == ["policy"] * 3
    assert desk.events() == ["policy"] * 3


def test_file_keeps_its_comments_its_mode_and_its_link(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk()
    real = tmp_path / "real.toml"
    real.write_text("# mine\nschema = 1\n")
    real.chmod(0o640)
    desk.trust_file.symlink_to(real)
    done(desk, ADA, AddTrust(name="x", folder="/srv/x"))
    assert desk.trust_file.is_symlink()
    assert real.read_text().startswith("# mine\n")
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real.toml", "state"]


@pytest.mark.parametrize(
    "command",
    [
        AddTrust(name="x"),
        AddTrust(name="x", folder="/srv", git="https://h.example/r"),
        AddTrust(name="x", key="ed25519:AAAA"),
        AddTrust(name="x", git="http://h.example/r"),
        AddTrust(name="x", git="https://user@h.example/r"),
        AddTrust(name="x", folder="relative"),
        AddTrust(name="", folder="/srv"),
        AddTrust(name="x\x1b", folder="/srv"),
        AddTrust(name="x", folder="/srv", ref="main"),
        AddTrust(name="x", folder="/srv", before="absent"),
        AddTrust(name="x", folder="/srv", level="dev", max=(Wish("filesystem", "read", "/x"),)),
        RemoveTrust(name="absent"),
    ],
)
def test_change_that_would_not_be_right_changes_nothing(make_desk: MakeDesk, command: Command) -> None:
    desk = make_desk()
    assert "\x1b" not in failure(desk, ADA, command)
    assert not desk.trust_file.exists()
    assert (desk.records, desk.running.calls) == ([], [])


def test_pattern_of_a_max_that_is_none_is_invalid(make_desk: MakeDesk) -> None:
    command = AddTrust(name="x", folder="/srv", max=(Wish("filesystem", "read", "x"),))
    failure(make_desk(), ADA, command, "invalid")


def test_broken_file_is_neither_changed_nor_believed(make_desk: MakeDesk, component: Component) -> None:
    desk = make_desk()
    desk.trust_file.write_text("schema = 2\n")
    failure(desk, ADA, AddTrust(name="x", folder="/srv"))
    failure(desk, ADA, Install(source=str(component())))
    assert desk.trust_file.read_text() == "schema = 2\n"


def test_change_that_somebody_else_made_meanwhile_is_not_lost(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk()
    theirs = 'schema = 1\n\n[[source]]\nname = "theirs"\nlevel = "trusted"\nfolder = "/srv/theirs"\n'
    sync = os.fsync

    def race(descriptor: int) -> None:
        desk.trust_file.write_text(theirs)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", race)
    assert "changed by somebody else" in failure(desk, ADA, AddTrust(name="x", folder="/srv"))
    assert desk.trust_file.read_text() == theirs


def test_source_of_development_warns_in_production_and_is_refused_at_install(
    make_desk: MakeDesk, component: Component
) -> None:
    desk, place = make_desk(), component()
    assert "not by a host in production" in done(desk, ADA, AddTrust(name="x", folder=str(place), level="dev"))
    assert "production" in failure(desk, ADA, Install(source=str(place)))


def test_application_that_says_itself_whom_it_trusts_is_not_changed(make_desk: MakeDesk) -> None:
    desk = make_desk(trust_file=None)
    assert "the application says itself" in failure(desk, ADA, AddTrust(name="x", folder="/srv"))


def test_status_says_that_a_host_runs(make_desk: MakeDesk) -> None:
    assert expect(make_desk().operations.perform(ADA, Status()), StatusList) == StatusList(is_running=True)
