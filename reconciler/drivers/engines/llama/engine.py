"""Engine and shelf ports over llama.cpp's server protocol."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

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
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.files import AskGguf, AskSameFile
from reconciler.model.onhost.ports import AskPage, AskPort
from reconciler.model.onhost.slots import AskSaved
from reconciler.model.port import PortOwner, PortState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.drivers.engines.llama.port_page import NoPage, Page
    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access, Json

SeenT = TypeVar("SeenT", bound=PortState)
ToldT = TypeVar("ToldT")

YOUNG_SECONDS = 120.0
"""A server listens before it loads its model; one that does not by then never will."""


class LlamaEngine:
    """One model's engine, and what the model keeps; `wall` tells seconds since the epoch."""

    def __init__(
        self, setup: Setup, model: ModelSpec, access: Access, wall: Callable[[], float]
    ) -> None:
        """Use the host behind `access`."""
        self.setup, self.model = setup, model
        self._access, self._wall = access, wall

    @property
    def bearer(self) -> str:
        """The key of this model, "" where it has none or that cannot be read now."""
        return key.read(self.setup.key).word

    def dial(self, port: int) -> AbstractAsyncContextManager[str]:
        """Open a way to a port of the engine, as an `http://address:port` on this machine."""
        return self._access.dial(port)

    async def health(self, unit: Unit) -> Fact[Health]:
        """Look how far the engine is.

        Its host says in one answer who owns the port, and what is said there.
        """
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
        return Known(await self._health(visit.page, secret, unit))

    async def _health(self, page: Page | NoPage, secret: Key, unit: Unit) -> Health:
        is_young = unit.uptime < YOUNG_SECONDS
        said = heard(page, self._asked(unit, PROPS), secret, young=is_young)
        if said.phase == "locked" and await self._loads(unit):
            said = SelfReport("loading", "it loads its model")
        return await self._compared(said, unit)

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Look at slots and waiting requests.

        Wakes a sleeping engine; looks within 1.5 s hide clients that left.
        """
        try:
            async with self._reached(unit) as api:
                slots = tuple(place.slot for place in await api.places())
                # Requests wait only while every slot is busy; where they are not counted, the slots
                # say enough.
                counters = await api.counters() if all(slot.busy for slot in slots) else {}
        except DriverError as error:
            return Unknown(error.message)
        deferred = int(counters.get("requests_deferred", 0))
        return Known(Activity(identity=unit.identity, slots=slots, deferred=deferred))

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Look whether the engine does its task, by one answer that touches no conversation."""
        try:
            async with self._reached(unit) as api:
                missing = await answered(api, self.model.task, await self._half_restored(unit))
        except HttpFault as error:
            return Unknown(error.message)
        except NotOffered as error:
            return Known(self._of_another_task(unit, error))
        except DriverError as error:
            missing = error.message
        return Known(Answer(identity=None if missing else unit.identity, message=missing))

    def _of_another_task(self, unit: Unit, error: NotOffered) -> Answer:
        # A service that was there before lives; that it does another task than the inventory says
        # is shown of it.
        said = f"its task is not {self.model.task}: {error.message}"
        return Answer(identity=unit.identity if unit.argv else None, message=said)

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Json:
        """Save every slot of `activity` that holds a conversation.

        Raise DriverError when none can be.
        """
        async with self._reached(unit) as api:
            fingerprint, header = await self._access.ask(
                (self.setup.fingerprint_on(self.model), self._gguf())
            )
            props = await api.props()
            if props and props.sleeping:
                raise DriverError(f"{self.model.name} sleeps: what its slots held is gone already")
            saving = Saving(
                api=api,
                access=self._access,
                unit=unit,
                directory=self.setup.slots_on(self.model),
                budget=self.setup.budget,
                fingerprint=self._digest(fingerprint, unit),
                bytes_per_token=self._bytes_per_token(header),
                wall=self._wall,
                # A folder that an operator's command line names may be that of several models.
                shared=not self.setup.shares,
                kept=[*keep],
            )
            return await saving.save(activity.slots)

    def _bytes_per_token(self, header: Fact[Json]) -> int:
        return 0 if isinstance(header, Unknown) else kv_bytes_per_token(header.value, self.setup)

    async def restore(self, unit: Unit, saved: Saved) -> Json:
        """Put saved slots back and prove them.

        Raise DriverError when an attempt cannot be recorded.
        """
        async with self._reached(unit) as api:
            (fingerprint,) = await self._access.ask([self.setup.fingerprint_on(self.model)])
            digest, folder = self._digest(fingerprint, unit), self.setup.slots_on(self.model)
            restoring = Restoring(api, self._access, unit, folder, digest)
            return await restoring.restore(saved.slots)

    async def weights(self) -> Fact[Weights]:
        """Look at the weights file's header, and at the files that `args` names beside it."""
        named = self.setup.named_on(self.model)
        questions = [question for _, question in named]
        header, *answers = await self._access.ask([self._gguf(), *questions])
        if isinstance(header, Unknown):
            return header
        weights = judged(header.value, self.setup, self.model)
        beside = [unreadable(flag, one) for (flag, _), one in zip(named, answers, strict=True)]
        problem = "; ".join(filter(None, [weights.problem, *beside]))
        return Known(weights.model_copy(update={"problem": problem}))

    async def saved(self) -> Fact[Saved]:
        """Look at the newest saved slots."""
        (answer,) = await self._access.ask([AskSaved(directory=self.setup.slots_on(self.model))])
        budget = self.setup.budget

        def read(said: Json) -> Saved:
            return Saved.model_validate({**said, "budget_bytes": budget})

        return understood(answer, read, "the host's list of saved slots")

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Look at all that a saved slot depends on."""
        (answer,) = await self._access.ask([self.setup.fingerprint_on(self.model)])
        fact = _fingerprint(answer)
        if isinstance(fact, Unknown):
            return fact
        beside = {
            "slots": self.setup.slots_on(self.model),
            "places": self.setup.parallel,
            "capacity": self.setup.slot_tokens,
        }
        return Known(fact.value.model_copy(update=beside))

    def _digest(self, answer: Fact[Json], unit: Unit) -> str:
        """Find what a slot of this unit depends on.

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
        # A definition that moved its model to another port did not move the unit.
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
        """Whether a server that refuses us says, on the page that is open to all, that it loads."""
        (answer,) = await self._access.ask([self._page(unit, HEALTH, Key())])
        try:
            page = _seen(answer, Visit).page
            return page is not None and is_loading(page.reply(self._asked(unit, HEALTH)))
        except DriverError:
            return False

    def _gguf(self) -> AskGguf:
        return AskGguf(path=self.setup.weights_on(self.model))

    def _obstacle(self, owner: PortOwner | None, unit: Unit) -> Health | None:
        """Explain why nothing on the port may be believed, None when it is the unit's own."""
        door = self.model.door_at(unit.mark.port)
        port = door if isinstance(door, str) else f"127.0.0.1:{door}"
        if owner is None:
            phase: Phase = "loading" if unit.uptime < YOUNG_SECONDS else "unresponsive"
            message = f"nothing listens on {port} yet, {unit.uptime:.0f} s after the start"
            return Health(phase=phase, message=message, identity=unit.identity)
        if owner.pid in _pids(unit):
            return None
        who = f"{owner.name} (pid {owner.pid})" if owner.pid else owner.name
        message = f"{who} listens on {port}, not {self.model.name}"
        return Health(phase="stranger", message=message, identity=unit.identity)

    async def _compared(self, said: SelfReport, unit: Unit) -> Health:
        """Judge a server's own word beside what the inventory says of it."""
        health = Health(phase=said.phase, message=said.message, identity=unit.identity)
        props = said.props
        if props is None or props.sleeping:
            return health
        health = health.model_copy(update={"context": props.context})
        expected = self._alias(unit)
        if expected and props.alias and props.alias != expected:
            return self._other(health, f"it serves {props.alias}, not {expected}", "serves")
        if not unit.argv:
            return health
        # The command line of a service is not ours, so what it says of itself is compared with what
        # is claimed of it.
        if await self.names_another(props.weights, unit.identity.pid):
            claimed = self.setup.weights_on(self.model)
            return self._other(health, f"it serves {props.weights}, not {claimed}", "weights")
        notes = (*differences(props, self.setup), *other_task(unit.argv, self.model.task))
        return health.model_copy(update={"notes": notes})

    def _alias(self, unit: Unit) -> str:
        """Find the name that a unit should serve under, empty where it is not known."""
        is_ours = not unit.argv and unit.mark.digest == self.model.digest
        return self.model.serves or (self.model.name if is_ours else "")

    def _other(self, health: Health, message: str, key: str) -> Health:
        remedy = f"change what it runs, or `{key}:` of {self.model.name}"
        return health.model_copy(update={"phase": "other", "message": message, "remedy": remedy})

    async def names_another(self, path: str, pid: int = 0) -> bool:
        """Whether the inventory certainly names another file than a unit, as its process sees it.

        Without a `pid` the unit does not run.
        """
        claimed = self.setup.weights_on(self.model)
        # What is made at the start is named by nobody.
        is_named = bool(self.setup.weights) and not self.setup.made_from
        if not path or not is_named or path in {claimed, self.setup.weights}:
            return False
        question = AskSameFile(theirs=path, ours=claimed, pid=pid)
        (answer,) = await self._access.ask([question])
        return not isinstance(answer, Unknown) and answer.value.get("same") is False

    @asynccontextmanager
    async def _reached(self, unit: Unit) -> AsyncIterator[LlamaApi]:
        """Enter with the API of the unit's own port; raise DriverError when that is another's."""
        port = self._port(unit)
        (state,) = await self._access.ask([AskPort(port=port)])
        obstacle = self._obstacle(_seen(state, PortState).owner, unit)
        if obstacle:
            raise DriverError(obstacle.message)
        async with self._access.dial(port) as root:
            http = HttpClient(headers=key.read(self.setup.key).headers)
            yield LlamaApi(http, root)

    async def _half_restored(self, unit: Unit) -> set[int]:
        # What a restore that was cut short filled, perhaps: they do not say what they hold.
        saved = await self.saved()
        slots = () if isinstance(saved, Unknown) else saved.value.slots
        return {one.slot for one in slots if own_attempt(one, unit)}


def _pids(unit: Unit) -> tuple[int, ...]:
    # Any of its processes may speak for it.
    return (unit.identity.pid, *unit.members)


def _seen(port: Fact[Json], kind: type[SeenT]) -> SeenT:
    """Read what a host saw on a port; raise DriverError when that cannot be had."""
    return _value(understood(port, kind.model_validate, "the host's answer about a port"))


def _fingerprint(answer: Fact[Json]) -> Fact[Fingerprint]:
    return understood(answer, Fingerprint.model_validate, "the host's fingerprint")


def _value(fact: Fact[ToldT]) -> ToldT:
    if isinstance(fact, Unknown):
        raise DriverError(fact.reason)
    return fact.value
