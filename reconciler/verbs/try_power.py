"""Try power: shut one host down and wake it again while a person watches, before a watch does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from reconciler.errors import Misused, NotApproved, Refused
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.observer import Observer
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.reconcile import reconcile
from reconciler.model.observed import POWER
from reconciler.model.spec import Slice, WantedPower
from reconciler.model.target import Provenance
from reconciler.model.verdict import HostVerdict
from reconciler.render.documents import HostEnd, VerdictDocument
from reconciler.verbs.context import Actor, host_context
from reconciler.verbs.hosts import among
from reconciler.verbs.result import Outcome, worst

QUESTION = (
    "This saves the conversations of {host}, stops its models, shuts it down, wakes it, and brings"
    " back what is wanted. Continue? [y/N] "
)
AS_ASKED = {"applied", "in_sync"}


async def run(
    app: Actor, host: str | None, approve: Callable[[str], bool], say: Callable[[str], None]
) -> Outcome[VerdictDocument]:
    """Do the whole round once.

    Raise Misused, Refused, NotApproved, LockHeld, ConfigError or DurabilityError.
    """
    if host is None:
        raise Misused(
            "found no host, expected the one to try: `reconciler doctor HOST --try-power`"
        )
    wanted = app.source.read()
    (name,) = among(wanted.slices, host)
    slice_ = wanted.slices[name]
    _refuse_without_way(slice_)
    if not approve(QUESTION.format(host=name)):
        raise NotApproved(
            f"nothing was done: the try was not approved; `reconciler doctor {name} --try-power"
            " --yes` does not ask"
        )
    with app.lock.held():
        verdict = await _Round(app, slice_, wanted.provenance, say).verdict()
    return Outcome(VerdictDocument(hosts=(HostEnd.of(verdict),)), worst([verdict]))


def _refuse_without_way(slice_: Slice) -> None:
    # Before anything is stopped: a host that nothing can wake would stay down.
    can = slice_.host.capabilities
    if not (can.can_wake and can.can_shut_down):
        lacks = "shut it down" if can.can_wake else "wake it"
        raise Refused(
            f"nothing in `power:` of {slice_.host.name} can {lacks}; name a driver for it in"
            " inventory.yaml"
        )


@dataclass(frozen=True)
class _Round:
    """One host that is shut down, woken, and brought to what the file says."""

    app: Actor
    slice: Slice
    provenance: Provenance
    say: Callable[[str], None]

    async def verdict(self) -> HostVerdict:
        """Go round, and stop where a station does not work out."""
        said: list[str] = []
        runs: tuple[int, ...] = ()
        stations: tuple[WantedPower, ...] = ("off", "on")
        for power in stations:
            began = self.app.clock.boot()
            verdict = await self._station(power)
            runs += verdict.runs
            if verdict.outcome not in AS_ASKED:
                return verdict.model_copy(update={"message": _failed(power, verdict), "runs": runs})
            said.append(await self._reached(power, began))
            self.say(f"{self.slice.host.name}: {said[-1]}")
        last = await self._brought(self.slice)
        message = "; ".join([*said, last.message]).rstrip("; ")
        return last.model_copy(update={"message": message, "runs": (*runs, *last.runs)})

    async def _reached(self, power: WantedPower, began: float) -> str:
        evidence = await self._why()
        return f"{power} after {self.app.clock.boot() - began:.0f} s ({evidence})"

    async def _station(self, power: WantedPower) -> HostVerdict:
        # Enforced: a host that was switched on by hand is tried too.
        return await self._brought(self.slice.model_copy(update={"power": power, "enforce": True}))

    async def _brought(self, slice_: Slice) -> HostVerdict:
        context = host_context(self.app, HintsCache(self.app.journal), Interrupt(), self.say)
        return await reconcile(PassRequest(slice_, self.provenance, "doctor"), context)

    async def _why(self) -> str:
        """Tell what the power of the host is judged by now."""
        app, host = self.app, self.slice.host.name
        hints = partial(HintsCache(app.journal).hints, host)
        observer = Observer(app.ports(self.slice), self.slice, app.clock, hints)
        power = (await observer.look([POWER(host)])).value(POWER(host))
        return power.because if power is not None else "evidence not known"


def _failed(power: WantedPower, verdict: HostVerdict) -> str:
    return (
        f"{power} did not work: {verdict.message}; `reconciler apply` brings it to what the file"
        " says"
    )
