"""Ownership: whether a host's claim is this controller's own, and why not.

An id alone does not tell: a cloned disk or a copied data directory has it too. So a controller of
another host name or directory is another, and so is one of the same name in a boot that this
journal does not know. A copy that has not acted since cannot be told from a reboot; once it acts,
the original finds a boot that it does not know, and refuses.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from reconciler.core.recovery import Hints
from reconciler.model.controller import Controller
from reconciler.model.facts import Claim
from reconciler.model.reason import Reason
from reconciler.model.records import Instant

TAKE_OVER = "`reconciler apply --take-over`"


@dataclass(frozen=True)
class Ownership:
    """What a claim on one host is compared with.

    `boots` are those in which this controller lives or has claimed that host.
    """

    controller: Controller
    boots: Collection[str]

    @classmethod
    def known(cls, controller: Controller, hints: Hints, now: Instant) -> Ownership:
        """What the journal and this moment tell of one host."""
        return cls(controller, {*hints.boots, now.boot_id})

    def objection(self, host: str, claim: Claim | None) -> Reason:
        """Why a claim is not ours and what to do, none when it is or there is none."""
        if claim is None or self._is_ours(claim):
            return Reason()
        difference = self._difference(claim)
        owner = f"host {host} is claimed by {claim.name} (data directory {claim.directory})"
        return Reason(f"{owner}{difference.found}", difference.fix)

    def _is_ours(self, claim: Claim) -> bool:
        if not self._is_here(claim):
            return False
        if not claim.boot:
            return self._is_of_an_earlier_version(claim)
        # The boot too: a cloned disk has the same id, name and directory (ADR 0016).
        return claim.controller == self.controller.id and claim.boot in self.boots

    def _is_of_an_earlier_version(self, claim: Claim) -> bool:
        """Whether we wrote a claim before claims named their boot, by either of our ids."""
        ours = {self.controller.id, self.controller.former}
        return bool(claim.controller) and claim.controller in ours

    def _is_here(self, claim: Claim) -> bool:
        return (claim.name, claim.directory) == (self.controller.name, self.controller.directory)

    def _difference(self, claim: Claim) -> Reason:
        if claim.controller != self.controller.id:
            return self._of_another_id(claim)
        elsewhere = (
            "give this one its own data directory with --data, or stop the other and use"
            f" {TAKE_OVER}"
        )
        if not self._is_here(claim):
            me = f"{self.controller.name} (data directory {self.controller.directory})"
            return Reason(
                f" under the id of {me}: one is a copy of the other, or was moved or renamed",
                elsewhere,
            )
        return Reason(
            " in a boot that this journal does not know: a copy of this machine or of its data"
            " directory acts too",
            elsewhere,
        )

    def _of_another_id(self, claim: Claim) -> Reason:
        if self._is_here(claim):
            return Reason(
                " like this one, but under another id: that directory was emptied, or another"
                " machine has the same name",
                f"where nothing else acts on the host, {TAKE_OVER}",
            )
        same_machine = claim.name == self.controller.name
        there = "name that directory with --data" if same_machine else f"act from {claim.name}"
        return Reason("", f"{there}, or stop that controller and use {TAKE_OVER}")
