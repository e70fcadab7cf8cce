"""Fetches one commit of a repository that is not trusted, and reads files out of it by path.

Never a checkout: the files are read as the objects that they are, so attributes, filters, hooks, submodules and links
of the repository mean nothing here. The git program runs in a fresh folder, with an environment and a configuration of
its own, one transport, and limits on time, memory and bytes. All of this blocks; call it from a thread.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
from airssys_security.text import visible
from airssys_security.trust.origin import COMMIT
from airssys_security.units import show_size

from airssys_actors.errors import SourceRefused
from airssys_actors.hosting.sources import GitSource

__all__ = ("FetchedCommit", "GitLimits")

_MAX_SHOWN: Final = 500
_MAX_LISTING: Final = 16 << 20
_KEPT: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE")
"""What decides how this machine reaches the network, and nothing of what git does with what it gets."""
_SSH: Final = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oForwardAgent=no -oClearAllForwardings=yes"
_HELD: Final = {
    "core.hooksPath": "/dev/null",
    "core.symlinks": "false",
    "core.fsmonitor": "false",
    "core.bigFileThreshold": "1m",  # larger ones are never inflated in memory
    "credential.helper": "",
    "fetch.fsckObjects": "true",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",  # one pack, so that one file's size bounds what is fetched
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",  # what was named is what is fetched from
    "maintenance.auto": "false",
    "pack.threads": "1",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
    "transfer.fsckObjects": "true",
}
_LIMITED: Final = 'ulimit -c 0; ulimit -f "$0"; ulimit -v "$1"; shift; exec "$@"'
_REGULAR: Final = ("100644", "100755")
_OTHERS: Final = {"120000": "a link", "160000": "a submodule", "040000": "a folder"}
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_FETCHED: Final = "refs/airssys/fetched"
_OWN: Final = ("refs/heads/*", "refs/tags/*")
_FETCH: Final = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--force")


class GitLimits(msgspec.Struct, frozen=True):
    """What fetching one commit may take."""

    time_s: float = 180.0
    """For each run of git; of those that use the network there are three at most."""
    bytes: int = 512 << 20
    """For the commit with all of its files, compressed."""
    memory_bytes: int = 4 << 30


class FetchedCommit:
    """``with FetchedCommit(source) as commit: commit.read("a/b", 1 << 20)``: what was fetched is removed at the end."""

    def __init__(self, source: GitSource, limits: GitLimits | None = None) -> None:
        """Fetch.

        Raises:
            SourceRefused: if there is no git, or the commit cannot be had within the limits; the text says why.
        """
        self._source = source
        self._limits = limits or GitLimits()
        git = shutil.which("git")
        if git is None:
            raise self._refused("the git program is not installed", "install it, or give a folder")
        self._git = os.path.realpath(git)
        self._folder = Path(tempfile.mkdtemp(prefix="airssys-git-"))
        try:
            self.commit = self._fetch()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FetchedCommit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was fetched."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def read(self, path: str, limit: int) -> bytes | None:
        """Read a regular file of the commit; None if there is none at that path.

        Raises:
            SourceRefused: if it is something else, or longer than the limit.
        """
        entry = self._entry(path)
        if entry is None:
            self._explain_absence(path)
            return None
        mode, name = entry
        if mode not in _REGULAR:
            raise self._refused(f"{visible(path)} is {_OTHERS.get(mode, 'no file')}", "only regular files are taken")
        size = int(self._run("cat-file", "-s", name, most=32))
        if size > limit:
            raise self._refused(f"{visible(path)} is longer than {show_size(limit)}", "give a smaller file")
        contents = self._run("cat-file", "blob", name, most=limit)
        # Git has checked the way from the commit to this name; that these are the bytes of that name is seen here.
        made = hashlib.new("sha1" if len(name) == 40 else "sha256", usedforsecurity=False)
        made.update(b"blob %d\0" % len(contents))
        made.update(contents)
        if made.hexdigest() != name:
            raise self._refused(f"git gave other bytes for {visible(path)} than the commit names", "fetch it again")
        if contents.startswith(_LFS):
            raise self._refused(f"{visible(path)} is kept in Git LFS, which is not used here", "commit the file itself")
        return contents

    def _entry(self, path: str) -> tuple[str, str] | None:
        """Give (mode, object) of exactly this path."""
        listing = self._run("ls-tree", "-z", "--full-tree", self.commit, "--", path, most=_MAX_LISTING)
        for line in listing.split(b"\0"):
            facts, _, name = line.partition(b"\t")
            if name == path.encode():
                mode, _, object_name = facts.decode("ascii", "replace").split(" ")
                return mode, object_name
        return None

    def _explain_absence(self, path: str) -> None:
        """Raise if the way to a path leads through something that is no folder."""
        segments = path.split("/")
        for count in range(1, len(segments)):
            above = "/".join(segments[:count])
            entry = self._entry(above)
            if entry is None:
                return
            if entry[0] != "040000":
                kind = _OTHERS.get(entry[0], "a file")
                raise self._refused(f"{visible(above)} is {kind}, and is not gone through", "name a path of folders")

    def _fetch(self) -> str:
        """Fetch what the source names and nothing else, and give the commit."""
        source = self._source
        if source.commit:
            self._hold_own(source.commit)
            ref, tip = "", source.commit
        else:
            ref, tip = self._find_ref()
        self._init(self._repository, tip)
        self._run("fetch", *_FETCH, "--depth=1", "--end-of-options", source.url, f"{ref or tip}:{_FETCHED}")
        commit = self._run("rev-parse", "--verify", "--end-of-options", f"{_FETCHED}^{{commit}}", most=128)
        name = commit.decode("ascii", "replace").strip()
        if not COMMIT.fullmatch(name) or (source.commit and name != source.commit):
            raise self._refused(f"what was fetched is not the commit {source.commit}", "name a commit, not a tag")
        return name

    def _init(self, repository: Path, tip: str) -> None:
        hashes = "sha1" if len(tip) == 40 else "sha256"
        self._run("init", "--quiet", "--bare", "--template=", f"--object-format={hashes}", str(repository))

    def _hold_own(self, commit: str) -> None:
        """Refuse a commit to which no branch and no tag leads.

        A forge that keeps forks in one store hands out the commits of all of them under the URL of each: by its name
        alone, a stranger's commit would pass for the repository's own.
        """
        listing = self._run("ls-remote", "--quiet", "--end-of-options", self._source.url, *_OWN, most=_MAX_LISTING)
        if any(line.startswith(f"{commit}\t".encode()) for line in listing.splitlines()):
            return
        history = self._folder / "history.git"
        self._init(history, commit)
        refs = [f"{pattern}:{pattern}" for pattern in _OWN]
        options = (*_FETCH, "--filter=tree:0", "--end-of-options")  # the commits alone, where the remote can do that
        self._run("fetch", *options, self._source.url, *refs, repository=history)
        try:
            own = self._run("for-each-ref", "--count=1", "--contains", commit, most=_MAX_LISTING, repository=history)
        except SourceRefused:
            own = b""  # it is not even there
        shutil.rmtree(history, ignore_errors=True)
        if not own:
            what = f"no branch and no tag of it leads to the commit {commit}"
            raise self._refused(what, "name a commit of its own history")

    def _find_ref(self) -> tuple[str, str]:
        """Find the one ref that is meant: a name that is a branch and a tag means neither."""
        asked = self._source.ref or "HEAD"
        names = (
            [asked] if asked == "HEAD" or asked.startswith("refs/") else [f"refs/heads/{asked}", f"refs/tags/{asked}"]
        )
        listing = self._run("ls-remote", "--quiet", "--end-of-options", self._source.url, *names, most=_MAX_LISTING)
        found: dict[str, str] = {}
        for line in listing.decode("utf-8", "replace").splitlines():
            tip, _, name = line.partition("\t")
            if name in names and COMMIT.fullmatch(tip):  # patterns match tails of other names too
                found[name] = tip
        if not found:
            raise self._refused(f"there is no branch or tag {visible(asked)}", "name one that is there, or a commit")
        if len(found) > 1:
            raise self._refused(f"{visible(asked)} is a branch and a tag", f"name {names[0]} or {names[1]}")
        return next(iter(found.items()))

    @property
    def _repository(self) -> Path:
        return self._folder / "repository.git"

    def _run(self, command: str, *arguments: str, most: int = 0, repository: Path | None = None) -> bytes:
        """Run one git command and give what it printed, which may be ``most`` bytes.

        Output goes to files: a remote that never stops talking meets the limit on a file's size, not our memory.
        """
        held = [part for key, value in _HELD.items() for part in ("-c", f"{key}={value}")]
        where = [] if command in ("init", "ls-remote") else [f"--git-dir={repository or self._repository}"]
        blocks, kilobytes = str(self._limits.bytes // 512 + 1), str(self._limits.memory_bytes // 1024)
        line = ["/bin/sh", "-c", _LIMITED, blocks, kilobytes]
        line += [self._git, "--no-pager", "--literal-pathspecs", *held, *where, command, *arguments]
        with tempfile.TemporaryFile(dir=self._folder) as out, tempfile.TemporaryFile(dir=self._folder) as said:
            process = subprocess.Popen(
                line,
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=said,
                start_new_session=True,
            )
            in_time = _ended_within(process, self._limits.time_s)
            status = _end(process)
            if not in_time:
                raise self._refused(
                    f"git {command} took longer than {self._limits.time_s:g} s", "try again, or give a folder"
                )
            out.seek(0)
            said.seek(0)
            if status in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
                raise self._refused(f"git {command} printed more than {show_size(self._limits.bytes)}")
            if status != 0:
                raise self._failed(command, status, said.read(4 * _MAX_SHOWN))
            printed = out.read(most + 1)
        if len(printed) > most and most:
            raise self._refused(f"git {command} printed more than {show_size(most)}")
        return printed

    def _environment(self) -> dict[str, str]:
        scheme = self._source.url.partition(":")[0]
        found = os.environ.get("PATH", os.defpath).split(os.pathsep)
        environment = {
            "PATH": os.pathsep.join(folder for folder in found if folder.startswith("/")),
            "HOME": str(self._folder / "nobody"),
            "XDG_CONFIG_HOME": str(self._folder / "nobody"),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": scheme,
            "GIT_SSH_COMMAND": _SSH,
            "GIT_SSH_VARIANT": "ssh",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACECOMMITS": "1",
            "GIT_CEILING_DIRECTORIES": str(self._folder),
        }
        kept = (*_KEPT, "SSH_AUTH_SOCK") if scheme == "ssh" else _KEPT
        environment.update((name, os.environ[name]) for name in kept if name in os.environ)
        return environment

    def _failed(self, command: str, status: int, said: bytes) -> SourceRefused:
        if self._is_full():
            return self._refused(
                f"it is larger than {show_size(self._limits.bytes)} with all of its files", "keep it smaller"
            )
        reason = visible(" ".join(said.decode("utf-8", "replace").split()), _MAX_SHOWN)
        return self._refused(f"git {command} failed: {reason or f'status {status}'}")

    def _is_full(self) -> bool:
        """Tell whether a file met the limit: what git says of that, or leaves unsaid, differs with its version."""
        files = (Path(folder) / name for folder, _, names in os.walk(self._folder) for name in names)
        return any(file.lstat().st_size >= self._limits.bytes for file in files)

    def _refused(self, what: str, remedy: str = "") -> SourceRefused:
        return SourceRefused(self._source.url, what, remedy)


def _ended_within(process: subprocess.Popen[bytes], time_s: float) -> bool:
    """Wait for git without reaping it: as long as it is not reaped, its number is nobody else's."""
    descriptor = os.pidfd_open(process.pid)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(time_s * 1000))
    except BaseException:
        _end(process)
        raise
    finally:
        os.close(descriptor)


def _end(process: subprocess.Popen[bytes]) -> int:
    """End git with all that it started, since a transport that hangs would outlive it, and give its exit status."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
