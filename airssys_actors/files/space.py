"""A component's files: opening, looking and reading, each with the check between the name and the use.

Resolving (which has no effect) may wait on a thread; deciding happens on the event loop, on the name of what was
reached; opening takes the proof. What a guest may not read and what does not exist give one answer:

* where no grant covers a name and none lies below it: ``not-permitted``, whatever is there;
* where a grant lies below it, there is either a folder on the way, which may be passed, or ``no-entry``;
* where a grant covers it, the operating system's own word.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from airssys_security.decisions import Denied, Granted
from airssys_security.requests import read_file, write_file
from airssys_security.text import visible

from airssys_actors.engine.values import Err, Ok
from airssys_actors.files.facts import REFUSED, error_code, error_code_of, metadata_hash, status, target
from airssys_actors.files.handles import Descriptor, OpenThing
from airssys_actors.files.mounts import Mount
from airssys_actors.files.paths import above, flaw, join, lexical
from airssys_actors.files.resolve import Missing, Reached, WouldBlock, resolve

if TYPE_CHECKING:
    from airssys_security.quotas import Reservation
    from airssys_security.requests import Request

    from airssys_actors.files.pool import FilePool
    from airssys_actors.interfaces.guest import Guest

__all__ = ("READ_MAX_BYTES", "Answered", "FileSpace", "Later")

Outcome: TypeAlias = Reached | Missing
Answered: TypeAlias = Ok | Err
Later: TypeAlias = Answered | Coroutine[Any, Any, Answered]
_Say: TypeAlias = Callable[[int, os.stat_result, bool], Answered]

_LAST_OFFSET: Final = (1 << 62) - 1
READ_MAX_BYTES: Final = 256 * 1024
"""The most that one read carries: some 20 us of copying on the event loop."""


class _Wanted:
    """What an opening shall become, and its place among the component's open files."""

    __slots__ = ("folder", "readable", "slot")

    def __init__(self, slot: Reservation, *, want_folder: bool, readable: bool) -> None:
        self.slot, self.folder, self.readable = slot, want_folder, readable


class FileSpace:
    """Where a component's paths lead. Made once for each component; open while any of its incarnations lives."""

    def __init__(self, pool: FilePool, volumes: tuple[tuple[str, str], ...] = ()) -> None:
        """Open the roots. ``volumes`` are (host folder, guest folder); without any, guest paths are host paths.

        Raises OSError when a volume's folder cannot be opened.
        """
        self.pool = pool
        self._key = secrets.token_bytes(32)
        self._mounts: list[Mount] = []
        try:
            for host, guest in volumes:
                self._mounts.append(Mount(host, guest, closed=True))
            if not volumes:
                self._mounts.append(Mount())
        except OSError:
            self.close()
            raise
        # The longest guest name first: a volume within a volume hides what lies under it.
        self._mounts.sort(key=lambda mount: -len(mount.guest))

    def close(self) -> None:
        for mount in self._mounts:
            mount.close()

    # -- what an interface asks -------------------------------------------------------------------------------------

    def open_at(
        self, guest: Guest, folder: Descriptor, path: str, *, follow: bool, want_folder: bool, readable: bool
    ) -> Later:
        """Open a regular file for reading, or a folder."""
        refused = self._refuse_letters(guest, folder, path)
        if refused is not None:
            return refused
        slot = guest.ledger.reserve("open_files")
        if slot is None:
            reason = f"it holds {guest.limits.open_files} open files, as many as it may"
            guest.over_quota(read_file(lexical(folder.name, path)), "open_files", reason)
            return Err("insufficient-memory")
        wanted = _Wanted(slot, want_folder=want_folder, readable=readable)
        try:
            found = self._look_now(folder, path, follow=follow)
        except WouldBlock:
            return self._open_later(guest, folder, path, follow, wanted)
        return self._open(guest, folder, path, found, wanted, slow=False)

    def stat_at(self, guest: Guest, folder: Descriptor, path: str, *, follow: bool) -> Later:
        """Say what is known of a file, a folder or (without following) a link."""
        return self._about(guest, folder, path, follow=follow, say=self._status)

    def hash_at(self, guest: Guest, folder: Descriptor, path: str, *, follow: bool) -> Later:
        """Make the metadata hash of what a path reaches."""
        return self._about(guest, folder, path, follow=follow, say=self._hash)

    def readlink_at(self, guest: Guest, folder: Descriptor, path: str) -> Later:
        """Read where a link leads, if that is a relative path: an absolute one may be the host's own."""
        return self._about(guest, folder, path, follow=False, say=self._target)

    def stat(self, guest: Guest, descriptor: Descriptor) -> Later:
        """Say what is known of an open file or folder."""
        return self._about_open(guest, descriptor, self._status)

    def hash(self, guest: Guest, descriptor: Descriptor) -> Later:
        """Make the metadata hash of an open file or folder."""
        return self._about_open(guest, descriptor, self._hash)

    def refuse_change(self, guest: Guest, name: str, what: str) -> Err:
        """Refuse what would change something: the same for every path, since nothing can be changed yet."""
        guest.refuse(write_file(name), f"{what} is not offered by this version", layer="request")
        return Err("read-only")

    async def preopens(self, guest: Guest, folders: tuple[str, ...]) -> list[Descriptor]:
        """Open the folders that a guest starts from; those that are not there, or not to be passed, are left out."""
        opened: list[Descriptor] = []
        for name in folders:
            mount, way = self._mount_of(name)
            # One below another of the same mount is reached through it; the folders come sorted.
            if mount is None or any(one.mount is mount and name.startswith(join(one.name, "")) for one in opened):
                continue

            def look(mount: Mount = mount, way: str = way) -> Outcome:
                return resolve(mount, mount.root, way, follow=True, wait=True)

            try:
                outcome = resolve(mount, mount.root, way, follow=True, wait=False)
            except WouldBlock:
                outcome = await self.pool.run(look, _close)
            if not isinstance(outcome, Reached):
                continue
            covered = guest.may(read_file(outcome.name))
            may_open = stat.S_ISDIR(outcome.status.st_mode) and (covered or self._may_pass(guest, outcome.name))
            slot = guest.ledger.reserve("open_files") if may_open else None
            if slot is not None:
                wanted = _Wanted(slot, want_folder=True, readable=True)
                opened.append(self._descriptor(guest, mount, outcome, wanted, covered=covered, slow=True))
            else:
                outcome.close()
        return opened

    # -- looking ----------------------------------------------------------------------------------------------------

    def _mount_of(self, guest_name: str) -> tuple[Mount, str] | tuple[None, str]:
        for mount in self._mounts:
            way = mount.relative(guest_name)
            if way is not None:
                return mount, way
        return None, ""

    def _look_now(self, folder: Descriptor, path: str, *, follow: bool) -> list[Outcome]:
        assert folder.thing is not None  # who calls has asked
        return self._look(folder.mount, folder.thing.number, path, follow=follow, wait=False)

    def _look(self, mount: Mount, folder: int, path: str, *, follow: bool, wait: bool) -> list[Outcome]:
        """Resolve what ``..`` steps out of, and the path itself, last. Raises WouldBlock if not to wait."""
        found: list[Outcome] = []
        try:
            for way, last in (*((beginning, False) for beginning in above(path)), (path, True)):
                outcome = resolve(mount, folder, way, follow=follow or not last, wait=wait)
                found.append(outcome)
        except BaseException:
            _close_all(found)
            raise
        return found

    async def _look_later(self, folder: Descriptor, path: str, follow: bool) -> list[Outcome]:
        thing = folder.thing
        if thing is None:
            return [Missing(None, errno.EBADF)]
        thing.acquire()  # the guest may be stopped meanwhile, and its handles closed

        def look() -> list[Outcome]:
            return self._look(folder.mount, thing.number, path, follow=follow, wait=True)

        return await self.pool.run(look, _close_all, thing.release)

    # -- deciding ---------------------------------------------------------------------------------------------------

    def _refuse_letters(self, guest: Guest, folder: Descriptor, path: str) -> Err | None:
        if folder.thing is None:
            return Err("bad-descriptor")
        if not folder.is_folder:
            return Err("not-directory")
        wrong = flaw(path)
        if wrong is None:
            return None
        # As evidence, not as the resource: it names nothing, and it is the guest's own text.
        guest.refuse(read_file(folder.name), wrong, layer="attempt", evidence=f"asked for {visible(path, 512)}")
        return Err(REFUSED)

    def _may_pass(self, guest: Guest, name: str) -> bool:
        """Tell whether a grant lies below the name, and no never-list or deny list stands before it."""
        decision = guest.capabilities.check(guest.context, read_file(name))
        return decision.layer in ("capability", "mask") and guest.context.grants.could_reach(name)

    def _ask(self, guest: Guest, folder: Descriptor, path: str, outcome: Outcome) -> Granted | Err | None:
        """Decide about what was reached, or would have been. None: a folder that may only be passed."""
        asked = lexical(folder.name, path)
        if outcome.name is None:
            left = outcome.error == errno.EXDEV
            reason = "the path leads out of the component's folders" if left else "what the path reaches has no name"
            evidence = f"asked for {visible(path, 512)}"
            guest.refuse(read_file(asked), reason, layer="attempt" if left else "error", evidence=evidence)
            return Err(REFUSED)
        request = read_file(outcome.name)
        evidence = "" if outcome.name == asked else f"asked for {visible(asked, 512)}"
        if isinstance(outcome, Missing):
            decided = guest.authorize(request, evidence=f"{evidence}; absent" if evidence else "absent")
            if isinstance(decided, Granted):
                return Err(error_code_of(outcome.error))
            return Err("no-entry" if self._may_pass(guest, outcome.name) else REFUSED)
        mode = outcome.status.st_mode
        if stat.S_ISDIR(mode) and not guest.may(request) and self._may_pass(guest, outcome.name):
            return None
        decided = guest.authorize(request, evidence=evidence)
        if isinstance(decided, Denied):
            return Err("no-entry" if self._may_pass(guest, outcome.name) else REFUSED)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            guest.refuse(request, "it is neither a file nor a folder", layer="request", evidence=evidence)
            return Err(REFUSED)
        return decided

    def _ask_all(self, guest: Guest, folder: Descriptor, path: str, found: list[Outcome]) -> Granted | Err | None:
        for beginning, outcome in zip(above(path), found, strict=False):
            decided = self._ask(guest, folder, beginning, outcome)
            if isinstance(decided, Err):
                return decided
        return self._ask(guest, folder, path, found[-1])

    # -- opening ----------------------------------------------------------------------------------------------------

    async def _open_later(self, guest: Guest, folder: Descriptor, path: str, follow: bool, wanted: _Wanted) -> Answered:
        try:
            found = await self._look_later(folder, path, follow)
        except BaseException:
            wanted.slot.release()
            raise
        return self._open(guest, folder, path, found, wanted, slow=True)

    def _open(
        self, guest: Guest, folder: Descriptor, path: str, found: list[Outcome], wanted: _Wanted, *, slow: bool
    ) -> Answered:
        try:
            proof = self._ask_all(guest, folder, path, found)
            if isinstance(proof, Err):
                return proof
            outcome = found[-1]
            assert isinstance(outcome, Reached)
            mode = outcome.status.st_mode
            if stat.S_ISLNK(mode):
                return Err("loop")
            if wanted.folder and not stat.S_ISDIR(mode):
                return Err("not-directory")
            if wanted.readable and stat.S_ISREG(mode):
                assert proof is not None  # only a folder is passed without one
                try:
                    outcome = _open_for_reading(proof, outcome)
                except OSError as error:
                    return Err(error_code(error))
            else:
                found.pop()  # the O_PATH descriptor itself is kept
            covered = proof is not None
            return Ok(self._descriptor(guest, folder.mount, outcome, wanted, covered=covered, slow=slow))
        finally:
            wanted.slot.release()  # unless a descriptor took it
            _close_all(found)

    def _descriptor(
        self, guest: Guest, mount: Mount, reached: Reached, wanted: _Wanted, *, covered: bool, slow: bool
    ) -> Descriptor:
        descriptor = Descriptor(
            OpenThing(reached.descriptor, slow=slow, slot=wanted.slot),
            name=reached.name,
            mount=mount,
            status=reached.status,
            readable=wanted.readable,
            covered=covered,
        )
        guest.hold(descriptor)
        return descriptor

    # -- telling ----------------------------------------------------------------------------------------------------

    def _about(self, guest: Guest, folder: Descriptor, path: str, *, follow: bool, say: _Say) -> Later:
        refused = self._refuse_letters(guest, folder, path)
        if refused is not None:
            return refused
        try:
            found = self._look_now(folder, path, follow=follow)
        except WouldBlock:
            return self._about_later(guest, folder, path, follow, say)
        return self._tell(guest, folder, path, found, say)

    async def _about_later(self, guest: Guest, folder: Descriptor, path: str, follow: bool, say: _Say) -> Answered:
        found = await self._look_later(folder, path, follow)
        return self._tell(guest, folder, path, found, say)

    def _tell(self, guest: Guest, folder: Descriptor, path: str, found: list[Outcome], say: _Say) -> Answered:
        try:
            proof = self._ask_all(guest, folder, path, found)
            if isinstance(proof, Err):
                return proof
            reached = found[-1]
            assert isinstance(reached, Reached)
            return say(reached.descriptor, reached.status, proof is not None)
        except OSError as error:
            return Err(error_code(error))
        finally:
            _close_all(found)

    def _status(self, descriptor: int, found: os.stat_result, covered: bool) -> Answered:
        return status(found, covered=covered)

    def _hash(self, descriptor: int, found: os.stat_result, covered: bool) -> Answered:
        return metadata_hash(self._key, found, covered=covered)

    def _target(self, descriptor: int, found: os.stat_result, covered: bool) -> Answered:
        return target(descriptor, found)

    def _about_open(self, guest: Guest, descriptor: Descriptor, say: _Say) -> Later:
        thing = descriptor.thing
        if thing is None:
            return Err("bad-descriptor")
        if thing.slow:
            return self._about_open_later(descriptor, thing, say)
        return say(thing.number, os.fstat(thing.number), descriptor.covered)

    async def _about_open_later(self, descriptor: Descriptor, thing: OpenThing, say: _Say) -> Answered:
        thing.acquire()

        def ask() -> Answered:
            try:
                return say(thing.number, os.fstat(thing.number), descriptor.covered)
            except OSError as error:
                return Err(error_code(error))

        answer = await self.pool.run(ask, finally_=thing.release)
        return answer if descriptor.thing is thing else Err(REFUSED)  # taken back meanwhile

    # -- reading ----------------------------------------------------------------------------------------------------

    def lost(self, guest: Guest, descriptor: Descriptor) -> Request | None:
        """Say what an open thing was opened by, if that is not granted any more."""
        request = read_file(descriptor.name)
        if guest.may(request) or (not descriptor.covered and self._may_pass(guest, descriptor.name)):
            return None
        return request

    def read(self, guest: Guest, descriptor: Descriptor, count: int, offset: int) -> Later:
        """Read at most ``count`` bytes; fewer only at the end, or where more would wait. Nothing: it is the end."""
        thing = descriptor.thing
        if thing is None:
            return Err("bad-descriptor")
        if descriptor.is_folder:
            return Err("is-directory")
        if not descriptor.readable:
            return Err("bad-descriptor")
        count = min(count, READ_MAX_BYTES, guest.limits.list_bytes)
        if count == 0 or offset > _LAST_OFFSET:
            return Ok(b"")
        try:
            found = thing.read_cached(count, offset)
        except OSError as error:
            return Err(error_code(error))
        return self._read_later(guest, descriptor, thing, count, offset) if found is None else Ok(found)

    async def _read_later(
        self, guest: Guest, descriptor: Descriptor, thing: OpenThing, count: int, offset: int
    ) -> Answered:
        thing.acquire()

        def read() -> Answered:
            try:
                return Ok(thing.read_waiting(count, offset))
            except OSError as error:
                return Err(error_code(error))

        answer = await self.pool.run(read, finally_=thing.release)
        # It may have been taken back during the wait, and then the bytes are not given away.
        return answer if descriptor.thing is thing else Err(REFUSED)


def _open_for_reading(proof: Granted, reached: Reached) -> Reached:
    """Open the very thing that the proof is about, through its O_PATH descriptor. Raises OSError.

    O_NONBLOCK: a lease that another program holds must not make us wait for it.
    """
    if proof.request != read_file(reached.name):
        raise RuntimeError("the proof is about something else")
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    number = os.open(f"/proc/self/fd/{reached.descriptor}", flags)
    return Reached(number, reached.name, reached.status)


def _close(outcome: Outcome) -> None:
    outcome.close()


def _close_all(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        outcome.close()
