"""The operators' commands as they are typed, from a key to a component that may start, with their exit statuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airssys_security.text import first_hidden

from airssys_actors.hosting.state_folder import StateFolder

MANIFEST = 'schema = 1\n[component]\nname = "weather"\nversion = "1.0.0"\nwasm = "weather.wasm"\n'
WISHES = '[capabilities.filesystem]\nread = ["/data/**"]\n[rationale]\n"filesystem.read" = "the forecasts"\n'
PROGRAM = [sys.executable, "-c", "from airssys_actors.cli.main import main; main()"]

Done = subprocess.CompletedProcess[str]


class Shell:
    """A folder in which commands are typed, with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        (folder / "Host.toml").write_text(f'schema = 1\nsingle_operator = true\nstate_folder = "{folder}/state/own"\n')

    def __call__(self, *arguments: str, status: int = 0) -> Done:
        done = subprocess.run(
            [*PROGRAM, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        for line in (done.stdout + done.stderr).splitlines():
            assert first_hidden(line) is None, line
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def own(self, *arguments: str, status: int = 0) -> Done:
        """On the state folder of a machine with a single operator."""
        return self(*arguments, "--host", "Host.toml", status=status)

    def approval(self) -> str:
        """Give the id of the last approval of the single operator's machine."""
        return str(self.json("approvals", "list", "--host", "Host.toml")[-1]["id"])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def component(tmp_path: Path) -> Path:
    place = tmp_path / "weather"
    place.mkdir()
    (place / "Component.toml").write_text(MANIFEST + WISHES)
    (place / "weather.wasm").write_bytes(b"\0asm\x0d\0\x01\0")
    return place


# -- keys -------------------------------------------------------------------------------------------------------------


def test_key_is_made_once_and_only_its_owner_can_read_it(shell: Shell) -> None:
    shell("keygen", "author")
    assert stat.S_IMODE((shell.folder / "author").stat().st_mode) == 0o600
    public = (shell.folder / "author.pub").read_text()
    assert public.startswith("ed25519:")
    before = (shell.folder / "author").read_bytes()
    assert "never written over" in shell("keygen", "author", status=1).stderr
    assert (shell.folder / "author").read_bytes() == before
    assert "PRIVATE" not in shell("keygen", "other").stdout


def test_signature_verifies_until_a_byte_changes(shell: Shell, component: Path) -> None:
    shell("keygen", "author")
    shell("keygen", "other")
    assert "nobody has signed it" in shell("verify", "weather", status=1).stderr
    shell("sign", "weather/Component.toml", "--key", "author")
    assert "signed by ed25519:" in shell("verify", "weather/Component.toml").stdout
    shell("verify", "weather", "--key", "author.pub")
    shell("verify", "weather", "--key", (shell.folder / "author.pub").read_text().strip())
    assert "and not by" in shell("verify", "weather", "--key", "other.pub", status=1).stderr
    (component / "weather.wasm").write_bytes(b"evil")
    assert "not valid" in shell("verify", "weather", status=1).stderr


def test_what_cannot_be_looked_at_has_a_status_of_its_own(shell: Shell, component: Path) -> None:
    shell("verify", "absent", status=2)
    shell("verify", "weather", "--key", "no-such-key", status=2)
    (component / "Component.toml").write_text("schema = 2\n")
    shell("verify", "weather", status=2)
    shell("sign", "weather", "--key", "absent", status=2)


def test_key_that_others_can_read_does_not_sign(shell: Shell, component: Path) -> None:
    shell("keygen", "author")
    (shell.folder / "author").chmod(0o644)
    assert "others could use it" in shell("sign", "weather", "--key", "author", status=1).stderr
    assert not (component / "Component.toml.sig").exists()


# -- from a folder and from a repository ------------------------------------------------------------------------------


def test_component_is_installed_reviewed_approved_and_revoked(shell: Shell, component: Path) -> None:
    assert "it waits for approval" in shell.own("install", "weather").stdout
    approval = shell.approval()
    assert "pending" in shell.own("approvals", "list").stdout
    shown = shell.own("approvals", "show", approval).stdout
    assert "may read /data and everything in it" in shown
    assert "the author says: the forecasts" in shown
    assert "may start" in shell.own("approvals", "approve", approval, "--expires", "30d", "--once").stdout
    assert "it may start" in shell.own("install", "weather").stdout
    shell.own("approvals", "revoke", approval, "--reason", "enough")
    assert "enough" in shell.own("install", "weather", status=1).stderr
    shell.own("approvals", "reopen", approval)
    shell.own("approvals", "deny", approval, "--reason", "no need")
    assert "no need" in shell.own("install", "weather", status=1).stderr
    states = [each["state"] for each in shell.json("approvals", "list", "--host", "Host.toml")]
    assert states == ["denied"]
    assert "weather" in shell.own("installed").stdout
    shell.own("uninstall", "weather")
    shell.own("uninstall", "weather", status=1)


def test_requester_is_not_the_approver_without_a_word_for_it(shell: Shell, component: Path) -> None:
    shell("install", "weather")
    approval = shell.json("approvals", "list")[0]["id"]
    assert "somebody else must decide it" in shell("approvals", "approve", approval, status=1).stderr


def test_approval_grants_less_where_the_reviewer_says_so(shell: Shell, component: Path) -> None:
    shell.own("install", "weather")
    approval = shell.approval()
    less = "filesystem.read=/data/weather/**"
    assert "less than it asked for" in shell.own("approvals", "approve", approval, "--only", less).stdout
    shell.own("approvals", "approve", approval, "--only", "nonsense", status=2)
    shell.own("approvals", "approve", approval, "--expires", "soon", status=2)


def test_component_is_installed_from_a_commit_that_was_fetched(shell: Shell, component: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], cwd=component, env=shell.environment, check=True)
    shell("trust", "add-repo", "team", f"file://{component}", "--ref", "main", "--max", "filesystem.read=/data/**")
    outcome = shell.json("install", f"git+file://{component}@main")
    assert (outcome["may_start"], outcome["trusted_as"]) == (True, "team")
    assert len(outcome["version"]) == 40
    assert outcome["source"] == f"git:file://{component}"
    assert "came from" in shell("install", "weather", status=1).stderr


def test_mistakes_and_refusals_have_their_statuses(shell: Shell, component: Path) -> None:
    shell("install", status=2)
    shell("install", "absent", status=1)
    shell("install", "ext::sh -c id", status=1)
    shell("install", "--", "-x", status=1)
    shell("install", "weather", "--host", "absent.toml", status=2)
    shell("install", "weather", "--id", "../x", status=1)
    shell("approvals", "list", "--in", "maybe", "--state", "absent", status=1)
    shell("approvals", "show", "absent", status=1)
    shell("ps", status=1)
    assert not (shell.folder / "absent").exists()


def test_what_strangers_wrote_is_shown_harmless(shell: Shell, tmp_path: Path) -> None:
    place = tmp_path / "we\x1b[2J\u202eather"
    place.mkdir()
    (place / "Component.toml").write_text(MANIFEST)
    (place / "weather.wasm").write_bytes(b"\0asm")
    shell("install", str(place), status=1)
    (place / "Component.toml").write_text(MANIFEST + '"\x1b]0;owned\x07" = 1\n[rationale]\n"a\u202e" = "\u200b"\n')
    shell("install", str(place / "Component.toml"), status=1)
    shell("approvals", "show", "\x1b[2J", "--state", str(tmp_path), status=1)
    shell("trust", "remove", "\u202e", "--state", str(tmp_path), status=1)
    shell("verify", str(place), status=2)


# -- trust ------------------------------------------------------------------------------------------------------------


def test_sources_are_added_listed_and_removed(shell: Shell, component: Path) -> None:
    shell("keygen", "author")
    shell("trust", "add-key", "ada", "author.pub", "--max", "filesystem.read=/data/**")
    shell("trust", "add-folder", "here", "weather", "--before", "ada")
    shell("trust", "add-repo", "team", "https://h.example/team/*", "--ref", "v1.*")
    lines = shell("trust", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "here", "ada", "team"]
    assert f"{shell.folder}/weather" in lines[1]
    shell("trust", "remove", "here")
    assert [each["name"] for each in shell.json("trust", "list")["sources"]] == ["ada", "team"]
    shell("trust", "add-key", "eve", "ed25519:AAAA", status=2)
    shell("trust", "add-repo", "team", "https://h.example/other/*", status=1)
    shell("trust", "add-folder", "x", "/srv", "--level", "maybe", status=2)
    shell("trust", "add-folder", "x", "/srv", "--max", "nonsense", status=2)


def test_signed_component_of_a_trusted_key_starts_at_once(shell: Shell, component: Path) -> None:
    shell("keygen", "author")
    shell("sign", "weather", "--key", "author")
    shell("trust", "add-key", "ada", "author.pub", "--max", "filesystem.read=/data/**")
    assert "it may start" in shell("install", "weather").stdout
    (component / "weather.wasm").write_bytes(b"evil")
    assert "signature is not valid" in shell("install", "weather", status=1).stderr


# -- who holds the folder ---------------------------------------------------------------------------------------------


def test_folder_that_another_process_holds_is_said_to_be_held_and_by_whom(shell: Shell, component: Path) -> None:
    (shell.folder / "state").mkdir()
    holder = StateFolder(shell.folder / "state" / "airssys")
    try:
        assert f"process {os.getpid()} holds the state folder" in shell("install", "weather", status=1).stderr
    finally:
        holder.close()
    shell("install", "weather")


@pytest.fixture
def running(shell: Shell, guest: Callable[[str], Path]) -> Iterator[subprocess.Popen[str]]:
    """Run a host with one component that is trusted and one that is not."""
    for name in ("good", "unknown"):
        place = shell.folder / name
        place.mkdir()
        shutil.copyfile(guest("crasher"), place / "weather.wasm")
        (place / "Component.toml").write_text(MANIFEST)
    shell.own("trust", "add-folder", "good", "good")
    with (shell.folder / "Host.toml").open("a") as file:
        file.write('[[component]]\nid = "good"\npath = "good"\n[[component]]\nid = "unknown"\npath = "unknown"\n')
    host = subprocess.Popen(
        [*PROGRAM, "run", "Host.toml"], cwd=shell.folder, env=shell.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield host
    finally:
        host.kill()
        host.communicate()


def test_host_runs_what_it_may_takes_commands_and_ends_when_told(shell: Shell, running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    assert running.stdout.readline() == "good runs\n"
    waiting = running.stdout.readline()
    assert waiting.startswith("unknown waits for approval ")
    assert "the host runs in" in running.stdout.readline()
    assert {each["id"]: each["state"] for each in shell.json("ps", "--host", "Host.toml")} == {"good": "running"}
    approval = shell.approval()
    assert approval in waiting
    shell.own("approvals", "approve", approval)
    assert running.stdout.readline() == "unknown runs\n", "what waited starts when it is approved"
    shell.own("install", "unknown", "--id", "third")
    shell("run", "Host.toml", status=125)
    running.send_signal(signal.SIGTERM)
    assert running.stdout.read() == "the host ends\n"
    assert running.wait() == 0
    assert not (shell.folder / "state" / "own" / "admin.sock").exists()
    shell.own("ps", status=1)


def test_host_that_was_killed_leaves_nothing_in_the_way(shell: Shell, running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    while not running.stdout.readline().startswith("the host runs in"):
        pass
    running.kill()
    running.wait()
    assert (shell.folder / "state" / "own" / "admin.sock").is_socket()
    assert shell.approval()


def test_running_a_wasm_file_alone_is_refused_with_a_way_to_do_it(shell: Shell) -> None:
    assert "[[component]]" in shell("run", "weather.wasm", status=2).stderr
    shell("run", "absent.toml", status=2)
