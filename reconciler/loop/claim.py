"""Claim: a host that is acted on says whose it is, so that no second controller acts on it."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from reconciler.core.ownership import Ownership
from reconciler.errors import ReconcilerError
from reconciler.loop.hints_cache import HintsCache
from reconciler.model.controller import Controller
from reconciler.model.facts import Claim, Fact, Unknown
from reconciler.model.onhost.host import WriteClaim
from reconciler.model.records import Claimed
from reconciler.ports import Access, Clock

CLAIM_SECONDS = 30.0


@dataclass(frozen=True)
class HostClaim:
    """One controller's way to claim hosts; its journal remembers in which boots it did."""

    controller: Controller
    cache: HintsCache
    clock: Clock

    async def ours(self, host: str) -> Ownership:
        """By what a claim on this host is known as ours."""
        return Ownership.known(self.controller, await self.cache.hints(host), self.clock.instant())

    async def claim(self, host: str, access: Access, *, take_over: bool) -> str:
        """Write our claim, announced in the journal, and read it back.

        Return why the host is not ours, "" when it is.
        """
        obstacle = "the host could not be claimed: "
        try:
            with anyio.fail_after(CLAIM_SECONDS):
                reason = await self._claimed(host, access, take_over=take_over)
        except TimeoutError:
            return f"{obstacle}no answer within {CLAIM_SECONDS:.0f} s"
        except ReconcilerError as error:
            return f"{obstacle}{error.message}"
        return f"{obstacle}{reason}" if reason else ""

    async def _claimed(self, host: str, access: Access, *, take_over: bool) -> str:
        wanted = self.controller.claim(self.clock.instant())
        before = await access.claim()
        standing = None if isinstance(before, Unknown) else before.value
        if standing is not None and _same(standing, wanted):
            return ""
        reason = await self._objection(host, before)
        if reason and not take_over:
            return reason
        await self._announce(host, wanted)
        await access.act(WriteClaim(claim=wanted, replaces=standing, take_over=take_over))
        return _unlike(wanted, await access.claim())

    async def _objection(self, host: str, before: Fact[Claim | None]) -> str:
        if isinstance(before, Unknown):
            return before.reason
        return (await self.ours(host)).objection(host, before.value)

    async def _announce(self, host: str, claim: Claim) -> None:
        # Before the claim is written: after a crash or a reboot, the next controller must know its
        # boot as ours (ADR 0016).
        if claim.boot not in (await self.cache.hints(host)).boots:
            record = Claimed(
                host=host, controller=claim.controller, name=claim.name, directory=claim.directory
            )
            await self.cache.journal.append(record)


def _same(one: Claim, other: Claim) -> bool:
    """Whether two claims are of one controller in one boot, whenever they were written."""
    return one.model_copy(update={"at": other.at}) == other


def _unlike(wanted: Claim, seen: Fact[Claim | None]) -> str:
    """How what was read back is not what was written, "" when it is."""
    if isinstance(seen, Unknown):
        return seen.reason
    claim = seen.value
    if claim is not None and _same(claim, wanted):
        return ""
    if claim is None:
        return "after writing ours, there is no claim"
    return f"after writing ours, the claim is of {claim.name} (data directory {claim.directory})"
