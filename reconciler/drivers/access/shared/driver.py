"""Ask and act through an exchange of requests and answers, wherever the program of the host runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue, ValidationError

from reconciler.edge.batcher import Batcher
from reconciler.errors import Declined, DriverError
from reconciler.model.facts import Claim, Contact, Fact, Known, Unknown
from reconciler.model.onhost import (
    AskClaim,
    AskContact,
    AskFingerprint,
    AskGguf,
    AskGpus,
    AskNvidia,
    AskPage,
    AskPort,
    AskPrepared,
    AskProgram,
    AskSaved,
    AskUnits,
    PrefetchFile,
    PrepareHost,
    Run,
    SendDown,
    StopProcess,
    StopService,
    WakeOther,
)
from reconciler.model.port import PortState
from reconciler.model.preparation import Prepared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reconciler.model.onhost import Action, Question

    Json: TypeAlias = dict[str, JsonValue]
    Exchange: TypeAlias = Callable[[Json, float], Awaitable[Json]]

ASK_SECONDS = 10.0
QUICK = (AskContact, AskUnits, AskPort, AskPrepared, AskClaim, AskGpus)
"""What no file system of an operator can hold up."""

OF_FILES = (AskProgram, AskGguf, AskSaved, AskFingerprint)
"""What a file system may hold up, all of them alike."""

SLOW = (AskFingerprint, AskNvidia)
GIVEN_UP: Fact[Json] = Unknown("the question was given up")
READ_SECONDS = 120.0
ACT_SECONDS = 600.0
POWER_SECONDS = 30.0


class ExchangeDriver:
    """The part of an access that looks and acts by `exchange`, which returns the answer to one request within seconds."""

    def __init__(self, exchange: Exchange) -> None:
        """Ask through `exchange`."""
        self.exchange = exchange
        self._kernel, self._files = (Batcher(self._round_trip, GIVEN_UP) for _ in range(2))

    async def contact(self) -> Fact[Contact]:
        """Return which boot the host is in."""
        (fact,) = await self.ask([AskContact()])
        return (
            fact
            if isinstance(fact, Unknown)
            else Known(Contact(boot_id=str(fact.value["boot_id"])))
        )

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer all questions in one round trip, one fact each, in order.

        Those of one sort with all who ask them now.
        """
        for sort, together in ((QUICK, self._kernel), (OF_FILES, self._files)):
            if all(isinstance(one, sort) for one in questions):
                return await together.ask(questions)
        return await self._round_trip(questions)

    async def _round_trip(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        seconds = sum(_patience(one) for one in questions)
        requests: list[JsonValue] = [one.model_dump(mode="json") for one in questions]
        try:
            answers = _ok(await self.exchange({"do": "each", "requests": requests}, seconds))[
                "answers"
            ]
        except DriverError as error:
            return tuple(Unknown(error.message) for _ in questions)
        if not isinstance(answers, list) or len(answers) != len(requests):
            return tuple(Unknown("the host did not answer every question") for _ in questions)
        return tuple(_fact(one) for one in answers)

    async def prepared(self) -> Fact[Prepared]:
        """Return what the host was prepared with since it came up."""
        (fact,) = await self.ask([AskPrepared()])
        return (
            fact if isinstance(fact, Unknown) else Known(Prepared(digest=str(fact.value["digest"])))
        )

    async def port(self, port: int) -> Fact[PortState]:
        """Return who listens on a port. Source: /proc/net/tcp, /proc/net/tcp6 and /proc/PID/fd."""
        (fact,) = await self.ask([AskPort(port=port)])
        if isinstance(fact, Unknown):
            return fact
        try:
            return Known(PortState.model_validate(fact.value))
        except ValidationError:
            return Unknown(f"the owner of port {port} cannot be understood")

    async def claim(self) -> Fact[Claim | None]:
        """Return who acts on this host."""
        (fact,) = await self.ask([AskClaim()])
        if isinstance(fact, Unknown):
            return fact
        try:
            return Known(
                None if fact.value["claim"] is None else Claim.model_validate(fact.value["claim"])
            )
        except ValidationError as error:
            return Unknown(
                f"the host's claim cannot be understood: {error.error_count()} of its fields are"
                " wrong"
            )

    async def act(self, action: Action) -> Json:
        """Perform one action; raise DriverError."""
        answer = await self.exchange(action.model_dump(mode="json"), _seconds(action))
        try:
            return _ok(answer)
        except DriverError as error:
            # An answer that is an error says of a way down that it was not taken, of a preparation
            # that it ended.
            raise (
                Declined(error.message) if isinstance(action, (SendDown, PrepareHost)) else error
            ) from error


def _patience(question: Question) -> float:
    """Return how long an answer may take: what has a time of its own on the host says first that it is over."""
    if isinstance(question, AskPage):
        return question.seconds + ASK_SECONDS
    return READ_SECONDS if isinstance(question, SLOW) else ASK_SECONDS


def _seconds(action: Action) -> float:
    """Return how long an action may take before nobody waits for it any more."""
    if isinstance(action, StopProcess):
        return action.grace + action.again + action.kill + ASK_SECONDS
    if isinstance(action, StopService):
        return action.grace + action.kill + READ_SECONDS
    if isinstance(action, Run):
        return action.seconds + ASK_SECONDS
    if isinstance(action, PrepareHost):
        return action.preparation.seconds + ASK_SECONDS
    if isinstance(action, (SendDown, WakeOther)):
        return POWER_SECONDS
    return READ_SECONDS if isinstance(action, PrefetchFile) else ACT_SECONDS


def _ok(answer: JsonValue) -> Json:
    """Return what was answered; raise DriverError with the host's sentence."""
    if isinstance(answer, dict):
        value = answer.get("ok")
        if isinstance(value, dict):
            return value
        raise DriverError(
            str(answer.get("error", "the host gave an answer that says neither ok nor error"))
        )
    raise DriverError("the host gave an answer that is not an object")


def _fact(answer: JsonValue) -> Fact[Json]:
    """Return an answer as a fact."""
    try:
        return Known(_ok(answer))
    except DriverError as error:
        return Unknown(error.message)
