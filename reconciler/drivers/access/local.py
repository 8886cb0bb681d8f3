"""Reach the host that the controller runs on: its program is called in a worker thread, or through an exchange."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from reconciler.edge.together import Together
from reconciler.errors import DriverError
from reconciler.model.facts import Claim, Contact, Fact, Known, Unknown
from reconciler.model.onhost import AskClaim, AskContact, AskFingerprint, AskGpus, AskPort, AskUnits, Prefetch, Stop, StopService
from reconciler.model.spec import Capabilities
from reconciler.onhost import process, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from reconciler.model.facts import UnitIdentity
    from reconciler.model.onhost import Action, Question

    Json: TypeAlias = dict[str, JsonValue]
    Exchange: TypeAlias = Callable[[Json, float], Awaitable[Json]]

CAPABILITIES = Capabilities()

ASK_SECONDS = 10.0
QUICK = (AskContact, AskUnits, AskPort, AskClaim, AskGpus)
"""What no file system of an operator can hold up."""

READ_SECONDS = 120.0
ACT_SECONDS = 600.0


class Options(BaseModel):
    """Take no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """Be the access to this machine. `directory` is where everything that belongs to the host lives."""

    def __init__(self, options: Options, directory: str, exchange: Exchange | None = None) -> None:
        """Ask through `exchange`, or in a worker thread of this process."""
        self.options = options
        self._directory = str(Path(directory).absolute())
        self._exchange = exchange or self._in_thread
        self._together: Together[Question, Fact[Json]] = Together(self._round_trip, Unknown("the question was given up"))

    async def contact(self) -> Fact[Contact]:
        """Return which boot the host is in."""
        (fact,) = await self.ask([AskContact()])
        return fact if isinstance(fact, Unknown) else Known(Contact(boot_id=str(fact.value["boot_id"])))

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer all questions in one round trip, one fact each, in order; what needs the kernel alone, with all who ask now."""
        quick = all(isinstance(one, QUICK) for one in questions)
        return await self._together.ask(questions) if quick else await self._round_trip(questions)

    async def _round_trip(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        seconds = sum(READ_SECONDS if isinstance(one, AskFingerprint) else ASK_SECONDS for one in questions)
        requests: list[JsonValue] = [one.model_dump(mode="json") for one in questions]
        try:
            answers = _ok(await self._exchange({"do": "each", "requests": requests}, seconds))["answers"]
        except DriverError as error:
            return tuple(Unknown(error.message) for _ in questions)
        if not isinstance(answers, list) or len(answers) != len(requests):
            return tuple(Unknown("the host did not answer every question") for _ in questions)
        return tuple(_fact(one) for one in answers)

    async def claim(self) -> Fact[Claim | None]:
        """Return who acts on this host."""
        (fact,) = await self.ask([AskClaim()])
        if isinstance(fact, Unknown):
            return fact
        try:
            return Known(None if fact.value["claim"] is None else Claim.model_validate(fact.value["claim"]))
        except ValidationError as error:
            return Unknown(f"the host's claim cannot be understood: {error.error_count()} of its fields are wrong")

    async def changes(self, identity: UnitIdentity) -> AsyncIterator[None]:
        """Yield when the unit's process exits, and end. Source: its pidfd, readable when it is gone (pidfd_open(2))."""
        with process.holding(identity.model_dump()) as descriptor:
            if descriptor is None:
                return
            await anyio.wait_readable(descriptor)
        yield

    async def act(self, action: Action) -> Json:
        """Perform one action; raise DriverError."""
        return _ok(await self._exchange(action.model_dump(mode="json"), _seconds(action)))

    @asynccontextmanager
    async def dial(self, port: int) -> AsyncIterator[str]:
        """Give the URL of a port on this host's loopback."""
        yield f"http://127.0.0.1:{port}"

    async def _in_thread(self, request: Json, seconds: float) -> Json:
        """Answer in a worker thread; raise DriverError at the deadline, after which the thread's answer is dropped."""
        try:
            with anyio.fail_after(seconds):
                return await anyio.to_thread.run_sync(partial(serve.answer, request, self._directory), abandon_on_cancel=True)
        except TimeoutError as error:
            raise DriverError(f"this host did not finish {request.get('do')} within {seconds:g} s") from error


def _seconds(action: Action) -> float:
    """Return how long an action may take before nobody waits for it any more."""
    if isinstance(action, Stop):
        return action.grace + action.again + action.kill + ASK_SECONDS
    if isinstance(action, StopService):
        return action.grace + action.kill + READ_SECONDS
    return READ_SECONDS if isinstance(action, Prefetch) else ACT_SECONDS


def _ok(answer: JsonValue) -> Json:
    """Return what was answered; raise DriverError with the host's sentence."""
    if isinstance(answer, dict):
        value = answer.get("ok")
        if isinstance(value, dict):
            return value
        raise DriverError(str(answer.get("error", "the host gave an answer that says neither ok nor error")))
    raise DriverError("the host gave an answer that is not an object")


def _fact(answer: JsonValue) -> Fact[Json]:
    """Return an answer as a fact."""
    try:
        return Known(_ok(answer))
    except DriverError as error:
        return Unknown(error.message)
