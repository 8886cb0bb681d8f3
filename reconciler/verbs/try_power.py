"""Try power: send one host down and bring it up again while a person looks on, before anything does so by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from reconciler.errors import Misused, NotApproved, Refused
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.observer import Observer
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.model.observed import POWER
from reconciler.model.spec import Slice, WantedPower
from reconciler.model.target import Provenance
from reconciler.model.verdict import HostVerdict
from reconciler.render.documents import HostEnd, VerdictDocument
from reconciler.verbs.context import Actor
from reconciler.verbs.hosts import among
from reconciler.verbs.result import Outcome, worst

QUESTION = (
    "This saves what {host} holds, stops its models, shuts it down, wakes it, and brings back what"
    " is wanted. Go on? [y/N] "
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
    can = slice_.host.capabilities
    if not (can.can_wake and can.can_shut_down):
        lacks = "shut it down" if can.can_wake else "wake it"
        raise Refused(
            f"nothing in `power:` of {name} can {lacks}; name a driver for it in inventory.yaml"
        )
    if not approve(QUESTION.format(host=name)):
        raise NotApproved(
            f"nothing was done: the try was not approved; `reconciler doctor {name} --try-power"
            " --yes` asks nobody"
        )
    with app.lock.held():
        verdict = await _round(app, slice_, wanted.provenance, say)
    return Outcome(VerdictDocument(hosts=(HostEnd.of(verdict),)), worst([verdict]))


async def _round(
    app: Actor, slice_: Slice, provenance: Provenance, say: Callable[[str], None]
) -> HostVerdict:
    """Send the host down, wake it, and bring it to what the file says.

    Stop where one of these does not work out.
    """
    said: list[str] = []
    runs: tuple[int, ...] = ()
    stations: tuple[WantedPower, ...] = ("off", "on")
    for power in stations:
        began = app.clock.boot()
        verdict = await _brought(
            app, slice_.model_copy(update={"power": power, "enforce": True}), provenance, say
        )
        runs += verdict.runs
        if verdict.outcome not in AS_ASKED:
            message = (
                f"{power} did not work out: {verdict.message}; `reconciler apply` brings it to what"
                " the file says"
            )
            return verdict.model_copy(update={"message": message, "runs": runs})
        evidence = await _evidence(app, slice_)
        said.append(f"{power} after {app.clock.boot() - began:.0f} s ({evidence})")
        say(f"{slice_.host.name}: {said[-1]}")
    verdict = await _brought(app, slice_, provenance, say)
    return verdict.model_copy(
        update={
            "message": "; ".join([*said, verdict.message]).rstrip("; "),
            "runs": (*runs, *verdict.runs),
        }
    )


async def _brought(
    app: Actor, slice_: Slice, provenance: Provenance, say: Callable[[str], None]
) -> HostVerdict:
    actor = HostContext(
        PortsCache(app.ports),
        HintsCache(app.journal),
        app.clock,
        app.controller,
        Interrupt(),
        say,
        app.keep,
    )
    return await reconcile(PassRequest(slice_, provenance, "doctor"), actor)


async def _evidence(app: Actor, slice_: Slice) -> str:
    """Return by what the power of the host is judged now."""
    host, cache = slice_.host.name, HintsCache(app.journal)
    observer = Observer(app.ports(slice_), slice_, app.clock, partial(cache.hints, host))
    world = await observer.look([POWER(host)])
    power = world.value(POWER(host))
    return power.because if power is not None else "nobody can say"
