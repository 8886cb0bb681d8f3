"""The engine port and the shelf port over llama.cpp's server protocol."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from reconciler.drivers.engines.llama import key
from reconciler.drivers.engines.llama.api import (
    HEALTH,
    PROPS,
    PROPS_LIMIT,
    QUICK_SECONDS,
    LlamaApi,
    is_loading,
)
from reconciler.drivers.engines.llama.canary import answered
from reconciler.drivers.engines.llama.claims import differences, other_task
from reconciler.drivers.engines.llama.judging import SelfReport, heard
from reconciler.drivers.engines.llama.key import Key
from reconciler.drivers.engines.llama.port_page import Visit
from reconciler.drivers.engines.llama.restore import Restoring, own_attempt
from reconciler.drivers.engines.llama.save import Saving
from reconciler.drivers.engines.llama.weights import judged, kv_bytes_per_token, unreadable
from reconciler.edge.http import HttpClient
from reconciler.edge.http_reply import HttpFault
from reconciler.errors import DriverError, NotOffered
from reconciler.model.facts import (
    Activity,
    Answer,
    Fact,
    Fingerprint,
    Health,
    Known,
    Phase,
    Saved,
    Unit,
    Unknown,
    Weights,
)
from reconciler.model.onhost.files import AskGguf, AskSameFile
from reconciler.model.onhost.ports import AskPage, AskPort
from reconciler.model.onhost.slots import AskSaved
from reconciler.model.port import PortOwner, PortState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access, Json

SeenT = TypeVar("SeenT", bound=PortState)

YOUNG_SECONDS = 120.0
"""A server listens before it loads its model; one that does not by then never will."""


class LlamaEngine:
    """Look at and use one model's engine; `wall` tells seconds since the epoch."""

    def __init__(
        self, setup: Setup, model: ModelSpec, access: Access, wall: Callable[[], float]
    ) -> None:
        """Use the host behind `access`."""
        self.setup, self.model = setup, model
        self._access, self._wall = access, wall

    async def health(self, unit: Unit) -> Fact[Health]:
        """Return how far the engine is: its host says in one answer who owns the port, and what it says there."""
        secret = key.read(self.setup.key)
        (answer,) = await self._access.ask([self._page(unit, PROPS, secret)])
        try:
            visit = _seen(answer, Visit)
        except DriverError as error:
            return Unknown(error.message)
        obstacle = self._obstacle(visit.owner, unit)
        if obstacle:
            return Known(obstacle)
        if visit.page is None:
            return Unknown(f"the host did not ask what {self.model.name} says on its port")
        said = heard(
            visit.page, self._asked(unit, PROPS), secret, young=unit.uptime < YOUNG_SECONDS
        )
        if said.phase == "locked" and await self._loads(unit):
            said = SelfReport("loading", "it loads its model")
        return Known(await self._compared(said, unit))

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Return slots and waiting requests.

        Wakes a sleeping engine; looks within 1.5 s hide clients that left.
        """
        try:
            async with self._reached(unit) as api:
                slots = tuple(place.slot for place in await api.places())
                # Requests wait only while every slot is busy; where nobody counts them, the slots
                # say enough.
                counters = await api.counters() if all(slot.busy for slot in slots) else {}
        except DriverError as error:
            return Unknown(error.message)
        return Known(
            Activity(
                identity=unit.identity,
                slots=slots,
                deferred=int(counters.get("requests_deferred", 0)),
            )
        )

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Return whether the engine does its task, from one answer that touches no conversation."""
        try:
            async with self._reached(unit) as api:
                missing = await answered(api, self.model.task, await self._half_restored(unit))
        except HttpFault as error:
            return Unknown(error.message)
        except NotOffered as error:
            # A service that was there before lives; that it does another task than the inventory
            # says is shown of it.
            lives = unit.identity if unit.argv else None
            return Known(
                Answer(
                    identity=lives, message=f"its task is not {self.model.task}: {error.message}"
                )
            )
        except DriverError as error:
            missing = error.message
        return Known(Answer(identity=None if missing else unit.identity, message=missing))

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Json:
        """Save every slot of `activity` that holds a conversation.

        Raise DriverError when none can be.
        """
        async with self._reached(unit) as api:
            fingerprint, header = await self._access.ask(
                [self.setup.fingerprint_on(self.model), self._gguf()]
            )
            props = await api.props()
            if props and props.sleeping:
                raise DriverError(f"{self.model.name} sleeps: what its slots held is gone already")
            saving = Saving(
                api, self._access, unit, self.setup.slots_on(self.model), self.setup.budget,
                self._digest(fingerprint, unit),
                0 if isinstance(header, Unknown) else kv_bytes_per_token(header.value, self.setup),
                self._wall, [*keep],
            )  # fmt: skip
            return await saving.save(activity.slots)

    async def restore(self, unit: Unit, saved: Saved) -> Json:
        """Put saved slots back and prove them.

        Raise DriverError when an attempt cannot be recorded.
        """
        async with self._reached(unit) as api:
            (fingerprint,) = await self._access.ask([self.setup.fingerprint_on(self.model)])
            digest = self._digest(fingerprint, unit)
            return await Restoring(
                api, self._access, unit, self.setup.slots_on(self.model), digest
            ).restore(saved.slots)

    async def weights(self) -> Fact[Weights]:
        """Return the weights file, from its header, and what is wrong with the files that `args` names beside it."""
        named = self.setup.named_on(self.model)
        header, *answers = await self._access.ask(
            [self._gguf(), *(question for _, question in named)]
        )
        if isinstance(header, Unknown):
            return header
        weights = judged(header.value, self.setup, self.model)
        problems = [
            weights.problem,
            *(unreadable(flag, one) for (flag, _), one in zip(named, answers, strict=True)),
        ]
        return Known(weights.model_copy(update={"problem": "; ".join(filter(None, problems))}))

    async def saved(self) -> Fact[Saved]:
        """Return the newest saved slots."""
        (answer,) = await self._access.ask([AskSaved(directory=self.setup.slots_on(self.model))])
        try:
            within = {"budget_bytes": self.setup.budget}
            return (
                answer
                if isinstance(answer, Unknown)
                else Known(Saved.model_validate({**answer.value, **within}))
            )
        except ValidationError as error:
            return Unknown(
                f"the host's list of saved slots cannot be understood: {error.error_count()} of its"
                " fields are wrong"
            )

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Return the identity of all that a saved slot depends on."""
        (answer,) = await self._access.ask([self.setup.fingerprint_on(self.model)])
        fact = _fingerprint(answer)
        beside = {"slots": self.setup.slots_on(self.model), "places": self.setup.parallel}
        return fact if isinstance(fact, Unknown) else Known(fact.value.model_copy(update=beside))

    def _digest(self, answer: Fact[Json], unit: Unit) -> str:
        """Return what a slot of this unit depends on.

        Raise DriverError when that cannot be known any more.
        """
        if apart := unit.mark.fingerprint_apart(self.model.digest):
            return apart
        fingerprint = _fingerprint(answer)
        if isinstance(fingerprint, Unknown):
            raise DriverError(fingerprint.reason)
        if not fingerprint.value.fits(unit):
            raise DriverError(
                f"{self.model.name}: its weights or its program changed since it started; start it"
                " again first"
            )
        return fingerprint.value.digest

    def _port(self, unit: Unit) -> int:
        """Return where a unit listens: a definition that moved its model to another port did not move the unit."""
        return unit.mark.port or self.model.port

    def _page(self, unit: Unit, path: str, secret: Key) -> AskPage:
        return AskPage(
            port=self._port(unit),
            path=path,
            pids=_pids(unit),
            seconds=QUICK_SECONDS,
            limit=PROPS_LIMIT,
            key=secret.word or None,
        )

    def _asked(self, unit: Unit, path: str) -> str:
        return f"GET http://127.0.0.1:{self._port(unit)}{path}"

    async def _loads(self, unit: Unit) -> bool:
        """Return whether a server that refuses us says on the one page that is open to all that it loads its model."""
        (answer,) = await self._access.ask([self._page(unit, HEALTH, Key())])
        try:
            page = _seen(answer, Visit).page
            return page is not None and is_loading(page.reply(self._asked(unit, HEALTH)))
        except DriverError:
            return False

    def _gguf(self) -> AskGguf:
        return AskGguf(path=self.setup.weights_on(self.model))

    def _obstacle(self, owner: PortOwner | None, unit: Unit) -> Health | None:
        """Return why nothing on the port may be believed, None when it is the unit's own."""
        port = f"127.0.0.1:{self._port(unit)}"
        if owner is None:
            phase: Phase = "loading" if unit.uptime < YOUNG_SECONDS else "unresponsive"
            return Health(
                phase=phase,
                message=f"nothing listens on {port} yet, {unit.uptime:.0f} s after the start",
                identity=unit.identity,
            )
        if owner.pid not in _pids(unit):
            who = f"{owner.name} (pid {owner.pid})" if owner.pid else owner.name
            return Health(
                phase="stranger",
                message=f"{who} listens on {port}, not {self.model.name}",
                identity=unit.identity,
            )
        return None

    async def _compared(self, said: SelfReport, unit: Unit) -> Health:
        """Return what a server's own word comes to, beside what the inventory says of it."""
        props, health = (
            said.props,
            Health(phase=said.phase, message=said.message, identity=unit.identity),
        )
        if props is None or props.sleeping:
            return health
        is_ours = not unit.argv and unit.mark.digest == self.model.digest
        expected = self.model.serves or (self.model.name if is_ours else "")
        if expected and props.alias and props.alias != expected:
            message, remedy = f"it serves {props.alias}, not {expected}", self._change("serves")
            return health.model_copy(
                update={"phase": "other", "message": message, "remedy": remedy}
            )
        if not unit.argv:
            return health
        # The command line of a service is not ours, so what it says of itself is compared with what
        # is claimed of it.
        if await self._serves_others(props.weights, unit):
            claimed = self.setup.weights_on(self.model)
            message, remedy = f"it serves {props.weights}, not {claimed}", self._change("weights")
            return health.model_copy(
                update={"phase": "other", "message": message, "remedy": remedy}
            )
        return health.model_copy(
            update={
                "notes": (*differences(props, self.setup), *other_task(unit.argv, self.model.task))
            }
        )

    def _change(self, key: str) -> str:
        return f"change what it runs, or `{key}:` of {self.model.name}"

    async def _serves_others(self, path: str, unit: Unit) -> bool:
        """Return whether a service certainly serves another file than the inventory names."""
        claimed = self.setup.weights_on(self.model)
        if not path or path == claimed:
            return False
        (answer,) = await self._access.ask(
            [AskSameFile(pid=unit.identity.pid, theirs=path, ours=claimed)]
        )
        return not isinstance(answer, Unknown) and answer.value.get("same") is False

    @asynccontextmanager
    async def _reached(self, unit: Unit) -> AsyncIterator[LlamaApi]:
        """Give the API of the unit's own port; raise DriverError when that is another's."""
        (port,) = await self._access.ask([AskPort(port=self._port(unit))])
        obstacle = self._obstacle(_seen(port, PortState).owner, unit)
        if obstacle:
            raise DriverError(obstacle.message)
        async with self._access.dial(self._port(unit)) as root:
            yield LlamaApi(HttpClient(headers=key.read(self.setup.key).headers), root)

    async def _half_restored(self, unit: Unit) -> set[int]:
        """Return the slots that a restore filled, perhaps, before it was cut short: they do not say what they hold."""
        saved = await self.saved()
        slots = () if isinstance(saved, Unknown) else saved.value.slots
        return {one.slot for one in slots if own_attempt(one, unit)}


def _pids(unit: Unit) -> tuple[int, ...]:
    """Return the processes that may speak for a unit."""
    return (unit.identity.pid, *unit.members)


def _seen(port: Fact[Json], kind: type[SeenT]) -> SeenT:
    """Return what a host saw on a port; raise DriverError when that cannot be had."""
    try:
        return kind.model_validate(_value(port))
    except ValidationError as error:
        raise DriverError(
            f"the host's answer about a port cannot be understood: {error.error_count()} fields are"
            " wrong"
        ) from error


def _fingerprint(answer: Fact[Json]) -> Fact[Fingerprint]:
    try:
        return (
            answer
            if isinstance(answer, Unknown)
            else Known(Fingerprint.model_validate(answer.value))
        )
    except ValidationError as error:
        return Unknown(
            f"the host's fingerprint cannot be understood: {error.error_count()} of its fields are"
            " wrong"
        )


def _value(fact: Fact[Json]) -> Json:
    if isinstance(fact, Unknown):
        raise DriverError(fact.reason)
    return fact.value
