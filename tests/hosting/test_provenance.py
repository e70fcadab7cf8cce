"""Where a component comes from, as the host finds out itself: from folders, and from real and hostile repositories."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from airssys_actors.errors import ManifestRefused, SourceRefused
from airssys_actors.hosting.git import GitLimits
from airssys_actors.hosting.provenance import Established, establish
from airssys_actors.hosting.sources import parse_source

MANIFEST = 'schema = 1\n[component]\nname = "weather"\nversion = "1.0.0"\nwasm = "weather.wasm"\n'
WASM = b"\0asm\x0d\0\x01\0"


def folder_with(place: Path, **files: bytes) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    (place / "Component.toml").write_text(MANIFEST)
    (place / "weather.wasm").write_bytes(WASM)
    for name, contents in files.items():
        (place / name).write_bytes(contents)
    return place


def refusal(source: object, limits: GitLimits | None = None) -> str:
    with pytest.raises(SourceRefused) as raised:
        establish(parse_source(str(source)), None, limits)
    return str(raised.value)


# -- folders ----------------------------------------------------------------------------------------------------------


def test_folder_is_resolved_and_its_files_are_read(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "real")
    (place / "notes.txt").write_text("counts for nothing")
    (tmp_path / "link").symlink_to(place)
    found = establish(parse_source(str(tmp_path / "link")))
    assert (found.origin.kind, found.origin.place, found.origin.source) == ("folder", str(place), f"folder:{place}")
    assert (found.files.manifest, found.files.wasm, found.files.signature) == (MANIFEST.encode(), WASM, None)
    assert found.manifest.component.name == "weather"
    assert found.wasm_digest == hashlib.sha256(WASM).hexdigest()


def test_digest_is_of_the_files_that_count_and_changes_with_each(tmp_path: Path) -> None:
    def digest() -> str:
        return establish(parse_source(str(tmp_path / "weather"))).origin.digest

    place = folder_with(tmp_path / "weather")
    digests = [digest()]
    (place / "notes.txt").write_text("counts for nothing")
    assert digest() == digests[0]
    (place / "weather.wasm").write_bytes(WASM + b"\0")
    digests.append(digest())
    (place / "Component.toml").write_text(MANIFEST + "# another\n")
    digests.append(digest())
    (place / "Component.toml.sig").write_bytes(b"a signature")
    digests.append(digest())
    assert len(set(digests)) == 4


def test_manifest_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "weather")
    (place / "Component.toml").rename(tmp_path / "elsewhere.toml")
    (place / "Component.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert "links are not followed" in refusal(place)


def test_wasm_and_signature_that_are_links_are_not_followed(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "weather")
    (place / "Component.toml.sig").symlink_to("/etc/passwd")
    assert "links are not followed" in refusal(place)
    (place / "Component.toml.sig").unlink()
    (place / "weather.wasm").unlink()
    (place / "weather.wasm").symlink_to("/etc/passwd")
    assert "links are not followed" in refusal(place)


def test_fifo_for_a_wasm_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "weather")
    (place / "weather.wasm").unlink()
    os.mkfifo(place / "weather.wasm")
    assert "not a regular file" in refusal(place)


def test_what_everybody_may_write_says_nothing_of_its_origin(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "weather")
    place.chmod(0o777)
    assert "everybody may write" in refusal(place)
    place.chmod(0o755)
    (place / "weather.wasm").chmod(0o666)
    assert "everybody may write" in refusal(place)


def test_folder_that_is_not_there_or_lacks_a_file_is_refused_by_name(tmp_path: Path) -> None:
    assert "it cannot be used" in refusal(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    assert "there is no Component.toml" in refusal(tmp_path / "empty")
    place = folder_with(tmp_path / "weather")
    (place / "weather.wasm").unlink()
    assert "there is no weather.wasm" in refusal(place)


def test_mistakes_of_a_manifest_are_all_named(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "weather")
    (place / "Component.toml").write_text(MANIFEST + 'unknown = "\x1b"\n')
    with pytest.raises(ManifestRefused, match=r"Component\.toml:"):
        establish(parse_source(str(place)))
    (place / "Component.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestRefused, match="not UTF-8"):
        establish(parse_source(str(place)))


# -- repositories -----------------------------------------------------------------------------------------------------

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


class Repository:
    """A real repository, made with the git program."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.place, env=ENVIRONMENT, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "HEAD")

    def commit_entries(self, *entries: tuple[str, bytes, str]) -> str:
        """Commit a tree that no work tree could hold: (mode, contents or a commit's id, name)."""
        lines = []
        for mode, contents, name in entries:
            if mode == "160000":
                lines.append(f"160000 commit {contents.decode()}\t{name}")
                continue
            blob = self.git("hash-object", "-w", "--literally", "-t", "blob", "--stdin", stdin=contents)
            lines.append(f"{mode} blob {blob}\t{name}")
        tree = self.git("mktree", "--missing", stdin="\n".join(lines).encode() + b"\n")
        commit = self.git("commit-tree", tree, "-m", "x")
        self.git("update-ref", "refs/heads/main", commit)
        return commit

    def at(self, version: str = "", inside: str = "") -> str:
        return f"git+file://{self.place}" + (f"@{version}" if version else "") + (f"#{inside}" if inside else "")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def found(source: str) -> Established:
    return establish(parse_source(source))


def test_component_is_read_at_a_branch_a_tag_and_a_commit(repository: Repository) -> None:
    folder_with(repository.place / "tools" / "weather")
    first = repository.commit()
    repository.git("tag", "v1")
    repository.git("tag", "-a", "v1-annotated", "-m", "x")
    (repository.place / "tools" / "weather" / "weather.wasm").write_bytes(b"changed")
    second = repository.commit()
    expected = {"": second, "main": second, "v1": first, "v1-annotated": first, first: first, second: second}
    for version, commit in expected.items():
        origin = found(repository.at(version, "tools/weather")).origin
        assert origin.commit == commit, version
        assert origin.ref == ("" if version in (first, second) else version)
        assert (origin.kind, origin.place, origin.path) == ("git", f"file://{repository.place}", "tools/weather")
    assert found(repository.at("v1", "tools/weather")).files.wasm == WASM
    assert found(repository.at("main", "tools/weather/Component.toml")).files.wasm == b"changed"


def test_commit_that_no_branch_ends_at_is_fetched_by_its_name(repository: Repository) -> None:
    folder_with(repository.place)
    first = repository.commit()
    (repository.place / "weather.wasm").write_bytes(b"changed")
    repository.commit()
    assert found(repository.at(first)).files.wasm == WASM


def test_repository_and_folder_with_the_same_files_have_the_same_digest(repository: Repository, tmp_path: Path) -> None:
    folder_with(repository.place)
    repository.commit()
    assert found(repository.at()).origin.digest == found(str(folder_with(tmp_path / "copy"))).origin.digest


def test_commit_that_is_not_of_the_repositorys_own_history_is_refused(repository: Repository) -> None:
    folder_with(repository.place)
    repository.commit()
    tree = repository.git("rev-parse", "HEAD^{tree}")
    stray = repository.git("commit-tree", tree, "-m", "of a stranger")
    for ref in ("refs/pull/1/head", "refs/remotes/fork/main"):
        repository.git("update-ref", ref, stray)
    assert "no branch and no tag of it leads to" in refusal(repository.at(stray))
    repository.git("config", "uploadpack.allowFilter", "true")
    assert "no branch and no tag of it leads to" in refusal(repository.at(stray))
    repository.git("tag", "taken", stray)
    assert found(repository.at(stray)).origin.commit == stray


def test_tag_object_is_no_commit_though_it_leads_to_one(repository: Repository) -> None:
    folder_with(repository.place)
    repository.commit()
    repository.git("tag", "-a", "v1", "-m", "x")
    assert "is not the commit" in refusal(repository.at(repository.git("rev-parse", "v1")))


def test_name_of_a_branch_and_a_tag_means_neither(repository: Repository) -> None:
    folder_with(repository.place)
    repository.commit()
    repository.git("tag", "main")
    assert "a branch and a tag" in refusal(repository.at("main"))
    assert found(repository.at("refs/heads/main")).files.wasm == WASM


def test_name_matches_whole_refs_only(repository: Repository) -> None:
    folder_with(repository.place)
    commit = repository.commit()
    repository.git("update-ref", "refs/remotes/x/refs/heads/hidden", commit)
    assert "no branch or tag hidden" in refusal(repository.at("hidden"))


def test_branch_that_is_named_like_an_option_is_never_given_to_git(repository: Repository) -> None:
    folder_with(repository.place)
    commit = repository.commit()
    repository.git("update-ref", "refs/heads/--upload-pack=touch", commit)
    assert "cannot be a commit" in refusal(repository.at("--upload-pack=touch"))
    assert found(repository.at("main")).files.wasm == WASM


def test_unknown_commit_and_unknown_repository_are_refused(repository: Repository, tmp_path: Path) -> None:
    folder_with(repository.place)
    repository.commit()
    assert "no branch and no tag of it leads to" in refusal(repository.at("1" * 40))
    assert "git ls-remote failed" in refusal(f"git+file://{tmp_path}/absent")


def test_link_for_a_wasm_file_is_refused(repository: Repository) -> None:
    folder_with(repository.place)
    (repository.place / "weather.wasm").unlink()
    (repository.place / "weather.wasm").symlink_to("/etc/passwd")
    repository.commit()
    assert "weather.wasm is a link" in refusal(repository.at())


def test_link_for_a_manifest_or_a_folder_is_refused(repository: Repository) -> None:
    folder_with(repository.place / "real")
    (repository.place / "alias").symlink_to("real")
    (repository.place / "Component.toml").symlink_to("real/Component.toml")
    repository.commit()
    assert "Component.toml is a link" in refusal(repository.at())
    assert "alias is a link" in refusal(repository.at("", "alias"))


def test_submodule_is_neither_fetched_nor_gone_through(repository: Repository) -> None:
    repository.commit_entries(
        ("100644", MANIFEST.encode(), "Component.toml"),
        ("160000", b"1" * 40, "weather.wasm"),
        ("160000", b"1" * 40, "inner"),
        ("100644", b'[submodule "inner"]\n\tpath = inner\n\turl = https://evil.example/x\n', ".gitmodules"),
    )
    assert "weather.wasm is a submodule" in refusal(repository.at())
    assert "inner is a submodule" in refusal(repository.at("", "inner/deep"))


def test_folder_for_a_wasm_file_is_refused(repository: Repository) -> None:
    folder_with(repository.place)
    (repository.place / "weather.wasm").unlink()
    (repository.place / "weather.wasm").mkdir()
    (repository.place / "weather.wasm" / "x").write_text("x")
    repository.commit()
    assert "weather.wasm is a folder" in refusal(repository.at())


def test_file_on_the_way_is_not_gone_through(repository: Repository) -> None:
    folder_with(repository.place)
    repository.commit()
    assert "weather.wasm is a file" in refusal(repository.at("", "weather.wasm/deep"))
    assert "there is no Component.toml" in refusal(repository.at("", "absent/deep"))


@pytest.mark.parametrize("name", ["../weather.wasm", "/etc/passwd", "a/../../x", ":(top)weather.wasm", ":/x"])
def test_manifest_cannot_lead_out_of_the_repository(repository: Repository, name: str) -> None:
    folder_with(repository.place / "inner")
    (repository.place / "weather.wasm").write_bytes(WASM)
    (repository.place / "inner" / "Component.toml").write_text(MANIFEST.replace("weather.wasm", name))
    repository.commit()
    with pytest.raises((ManifestRefused, SourceRefused)):
        found(repository.at("", "inner"))


@pytest.mark.parametrize("name", ["*.wasm", "weather[.]wasm", "weather.was?"])
def test_name_of_a_file_is_no_pattern(repository: Repository, name: str) -> None:
    folder_with(repository.place)
    (repository.place / "Component.toml").write_text(MANIFEST.replace("weather.wasm", name))
    repository.commit()
    with pytest.raises((ManifestRefused, SourceRefused)):
        found(repository.at())


def test_tree_with_names_that_lead_out_is_not_taken(repository: Repository) -> None:
    tree = repository.git(
        "hash-object",
        "-w",
        "--literally",
        "-t",
        "tree",
        "--stdin",
        stdin=b"40000 ..\0" + bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    )
    repository.git("mktree", stdin=b"")
    commit = repository.git("commit-tree", tree, "-m", "x")
    repository.git("update-ref", "refs/heads/main", commit)
    assert "hasDotdot" in refusal(repository.at())


def test_attributes_filters_and_hooks_of_a_repository_never_run(repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    folder_with(repository.place)
    (repository.place / "Component.toml").write_bytes(MANIFEST.encode() + b"# $Id$\n")
    repository.commit()
    (repository.place / ".gitattributes").write_text("* text eol=crlf ident\n*.wasm filter=evil diff=evil\n")
    repository.commit()
    repository.git("update-index", "--refresh")
    for key in ("filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "core.fsmonitor"):
        repository.git("config", key, f"touch {ran}")
    repository.git("config", "uploadpack.packObjectsHook", f"touch {ran}")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        script = repository.place / ".git" / "hooks" / hook
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch {ran}\n")
        script.chmod(0o755)
    read = found(repository.at())
    assert (read.files.manifest, read.files.wasm) == (MANIFEST.encode() + b"# $Id$\n", WASM)
    assert not ran.exists()


def test_environment_and_settings_of_the_operator_do_not_reach_git(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_with(repository.place)
    repository.commit()
    ran = tmp_path / "ran"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "file://{tmp_path}/evil"]\n\tinsteadOf = file://{repository.place}\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {ran}")
    monkeypatch.setenv("GIT_EXEC_PATH", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_TRACE", str(ran))
    assert found(repository.at()).files.wasm == WASM
    assert not ran.exists()


def test_huge_file_is_refused_by_its_size(repository: Repository) -> None:
    folder_with(repository.place)
    (repository.place / "Component.toml.sig").write_bytes(bytes(1 << 20))
    repository.commit()
    assert "Component.toml.sig is longer than 1KiB" in refusal(repository.at())


def test_huge_commit_is_stopped_while_it_is_fetched(repository: Repository) -> None:
    folder_with(repository.place)
    (repository.place / "noise").write_bytes(os.urandom(3 << 20))
    repository.commit()
    assert "larger than 1MiB" in refusal(repository.at(), GitLimits(bytes=1 << 20))


def test_remote_that_never_answers_is_left(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    ssh = tools / "ssh"
    ssh.write_text("#!/bin/sh\nexec cat /dev/zero > /dev/null\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    assert "took longer than 0.3 s" in refusal("git+ssh://h.example/r", GitLimits(time_s=0.3))


def test_remote_that_never_stops_talking_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    ssh = tools / "ssh"
    ssh.write_text("#!/bin/sh\nexec cat /dev/zero >&2\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    assert "than 1MiB" in refusal("git+ssh://h.example/r", GitLimits(bytes=1 << 20))


def test_what_a_remote_says_is_shown_harmless_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    ssh = tools / "ssh"
    ssh.write_text("#!/bin/sh\nprintf '\\033[2J\\033]0;owned\\007%05000d' 0 >&2\nexit 1\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    text = refusal("git+ssh://h.example/r")
    assert text.isprintable()
    assert len(text) < 1000


def test_pointer_of_git_lfs_is_named_as_such(repository: Repository) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 8\n"
    folder_with(repository.place)
    (repository.place / "weather.wasm").write_bytes(pointer)
    repository.commit()
    assert "Git LFS" in refusal(repository.at())


def test_nothing_is_left_of_what_was_fetched(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    folder_with(repository.place)
    repository.commit()
    found(repository.at())
    refusal(repository.at("absent"))
    assert list(scratch.iterdir()) == []


def test_machine_without_git_says_so(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "the git program is not installed" in refusal(repository.at())


def test_files_that_git_keeps_as_executable_are_taken(repository: Repository) -> None:
    folder_with(repository.place)
    wasm = repository.place / "weather.wasm"
    wasm.chmod(wasm.stat().st_mode | stat.S_IXUSR)
    repository.commit()
    assert found(repository.at()).files.wasm == WASM


def test_repository_that_names_its_objects_by_sha256_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "repository"
    place.mkdir()
    modern = Repository.__new__(Repository)
    modern.place = place
    modern.git("init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    folder_with(place)
    commit = modern.commit()
    assert len(commit) == 64
    assert found(modern.at(commit)).origin.commit == found(modern.at("main")).origin.commit == commit
