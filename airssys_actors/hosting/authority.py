"""Who may do what in one host: the trusted sources, the approvals, the lists, and what a change of them reaches.

A change is published first, and then carried to what runs: open handles, what waits, queued messages. Who lost the word
on which it was let in is stopped.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from airssys_security.approval.book import ApprovalBook, Audit
from airssys_security.approval.states import State
from airssys_security.approval.store import ApprovalStore
from airssys_security.capabilities import CapabilitySet
from airssys_security.errors import ApprovalStoreInvalid, TrustFileInvalid
from airssys_security.never import as_pattern, never_list
from airssys_security.policy import Policy
from airssys_security.trust.origin import Identity
from airssys_security.trust.sources import TrustPolicy
from loguru import logger

from airssys_actors.admin.operations import Operations
from airssys_actors.admin.running import Running
from airssys_actors.admin.settings import APPROVALS_NAME, TRUST_NAME, OperatorSettings, load_policy
from airssys_actors.config import HostConfig
from airssys_actors.errors import ConfigInvalid
from airssys_actors.hosting.admission import Admission, Admissions
from airssys_actors.hosting.component_store import ComponentStore
from airssys_actors.hosting.provenance import Established
from airssys_actors.hosting.revocation import apply_context
from airssys_actors.hosting.statistics import ActorStatistics
from airssys_actors.hosting.unit import Unit

__all__ = ("Authority",)

_LONGEST_WAIT_S = 60.0  # a clock that was set forward is noticed within a minute

# An approval that has ended because another one took its place ends nothing that runs: it was good when that started.
_STILL_GOOD = frozenset({State.APPROVED, State.SUPERSEDED})


class Authority:
    """Of one host. What is said to block is called from a thread; the rest belongs to the event loop."""

    def __init__(
        self,
        config: HostConfig,
        state_folder: Path,
        operator: Identity,
        record: Audit,
        *,
        units: Callable[[], Iterable[Unit]],
        stop: Callable[[Unit], object],
        in_background: Callable[[Callable[[], object]], object],
    ) -> None:
        """Read who is trusted and what was approved. Blocks.

        ``record`` writes an event down and returns once it is on the disk; ``stop`` begins to stop a component,
        ``in_background`` has something done on a thread.

        Raises:
            ConfigInvalid: if one of the files cannot be used.
        """
        self._config, self._state_folder, self._operator, self._record = config, state_folder, operator, record
        self._units, self._stop, self._in_background = units, stop, in_background
        self.listeners: list[Callable[[str], object]] = []
        """Told of each component about which an operator decided something; called on the event loop."""
        self.trust = self._load_trust()
        try:
            store = ApprovalStore(state_folder / APPROVALS_NAME)
            self.book = ApprovalBook(store, record, single_operator=config.single_operator)
        except ApprovalStoreInvalid as error:
            raise ConfigInvalid("state_folder", str(error), "give the file back as it was, or move it away") from error
        self.book.expire_due(operator)
        self._admissions = Admissions(self.book, production=config.production, custom=config.custom)
        self.policy = Policy()

    def close(self) -> None:
        """Let the approvals go. Blocks."""
        self.book.close()

    # -- the lists above all grants -----------------------------------------------------------------------------------

    def guard(self, own_paths: Iterable[str]) -> None:
        """Put the lists in force, with what is the host's own on the never-list."""
        audit = self._config.audit_file
        # Beside the log lie its spool, its heads, and the files that were full.
        beside = () if audit is None else (as_pattern(os.path.realpath(audit.with_suffix(""))) + ".*",)
        never = never_list(own_paths, beside)
        if self._config.never is not None:
            never = never.union(self._config.never)
        self.policy = Policy(never, self._config.deny or CapabilitySet({}), self._config.names_may_reach)

    def deny(self, denied: CapabilitySet) -> None:
        """Put another deny list in force, for what runs as well."""
        self.policy = Policy(self.policy.never, denied, self.policy.reachable_by_name)
        for unit in list(self._units()):
            unit.capabilities.publish(self.policy)
            if unit.context is not None:
                apply_context(unit, unit.context, self._units())

    # -- letting components in ----------------------------------------------------------------------------------------

    def admit(self, found: Established, component_id: str, volumes: Mapping[str, Path]) -> Admission:
        """Let a component in, or put it before a reviewer. Blocks. Raises ApprovalPending and SpawnRefused."""
        return self._admissions.admit(
            self._admissions.examine(self.trust, found, component_id, self._operator, volumes)
        )

    def spend(self, admission: Admission) -> None:
        """Take one use of an approval, right before something starts under it. Blocks. Raises SpawnRefused."""
        self._admissions.spend(admission, self._operator)

    # -- what changes while components run ----------------------------------------------------------------------------

    def authority_changed(self, component_id: str) -> None:
        """Look again at the word on which a component was let in."""
        for unit in list(self._units()):
            if unit.id == component_id:
                self._look_again(unit)
        for listener in list(self.listeners):
            listener(component_id)

    def policy_changed(self) -> None:
        """Read again who is trusted. A file that is wrong now trusts nobody."""
        try:
            self.trust = self._load_trust()
        except ConfigInvalid as error:
            logger.error("{}", error)
            self.trust = TrustPolicy()
        for unit in list(self._units()):
            self._look_again(unit)

    def watch(self, unit: Unit) -> None:
        """Withdraw a component when its approval's time is over, by the wall clock, however that is set meanwhile."""
        ends = unit.admission.expires_at
        if ends is None:
            return

        def look() -> None:
            if not any(each is unit for each in self._units()):
                return
            self._look_again(unit)
            if time.time() < ends:
                self.watch(unit)

        wait_s = min(max(0.0, ends - time.time()), _LONGEST_WAIT_S)
        unit.expiry = asyncio.get_running_loop().call_later(wait_s, look)

    def _look_again(self, unit: Unit) -> None:
        admission = unit.admission
        if admission.approval_id:
            approval = self.book.get(admission.approval_id)
            over = admission.expires_at is not None and admission.expires_at <= time.time()
            if approval.state not in _STILL_GOOD or over:
                self._withdraw(unit, f"approval {approval.id} is {'expired' if over else approval.state.value}")
            if over:
                self._in_background(lambda: self.book.expire_due(self._operator))
            return
        narrower = self._admissions.admit_again(self.trust, admission)
        if narrower is None:
            self._withdraw(unit, f"{admission.source} is not trusted any more")
        elif (narrower.required, narrower.optional) != (admission.required, admission.optional):
            self._narrow(unit, narrower)

    def _withdraw(self, unit: Unit, why: str) -> None:
        logger.bind(actor=unit.id).warning("stopped: {}", why)
        nothing = CapabilitySet({}, component_id=unit.id)
        self._narrow(unit, msgspec.structs.replace(unit.admission, required=nothing, optional=nothing))
        self._stop(unit)

    def _narrow(self, unit: Unit, admission: Admission) -> None:
        context = unit.readmit(admission)
        if context is not None:
            apply_context(unit, context, self._units())

    def _load_trust(self) -> TrustPolicy:
        given = self._config.trust
        if isinstance(given, TrustPolicy):
            return given
        if given is not None and not given.exists():
            raise ConfigInvalid("trust", f"there is no file {given}", "make it, or leave it out")
        try:
            return load_policy(given or self._state_folder / TRUST_NAME)
        except TrustFileInvalid as error:
            raise ConfigInvalid("trust", str(error), "mend the file") from error

    # -- what operators do --------------------------------------------------------------------------------------------

    def operations(self, running: Running) -> Operations:
        """Give what answers operators' commands. Blocks."""
        config = self._config
        given = config.trust
        settings = OperatorSettings(
            trust_file=None if isinstance(given, TrustPolicy) else given or self._state_folder / TRUST_NAME,
            audit=config.audit_settings,
            ceilings=config.ceilings,
            custom=config.custom,
            production=config.production,
            single_operator=config.single_operator,
            expire_after_s=config.approvals_expire_after_s,
            volumes=config.volumes,
            volumes_of=config.volumes_of,
        )
        store = ComponentStore(self._state_folder)
        store.clear_leftovers()
        return Operations(self.book, store, settings, self._record, running=running, policy=lambda: self.trust)

    def statistics(self) -> tuple[ActorStatistics, ...]:
        """Take a snapshot of what runs."""
        return tuple(unit.statistics() for unit in self._units())
