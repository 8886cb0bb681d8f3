"""Ask and act by an exchange of requests and answers, wherever the host's program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, get_args

from pydantic import JsonValue

from reconciler.edge.batcher import Batcher
from reconciler.errors import Declined, DriverError
from reconciler.model.facts import Claim, Contact, Fact, Known, Unknown
from reconciler.model.onhost import Batch
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.host import AskClaim, AskContact, AskPrepared
from reconciler.model.onhost.ports import AskPort
from reconciler.model.port import PortState
from reconciler.model.preparation import Prepared

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reconciler.model.onhost import Action, Question
    from reconciler.model.place import Inside

    Json: TypeAlias = dict[str, JsonValue]
    Exchange: TypeAlias = Callable[[Json, float], Awaitable[Json]]

GIVEN_UP: Fact[Json] = Unknown("the question was given up")


class ExchangeDriver:
    """The part of an access that looks and acts by an exchange of requests and answers."""

    def __init__(self, exchange: Exchange) -> None:
        """Use `exchange`, which gives the answer to one request within so many seconds."""
        self.exchange = exchange
        # What hangs on a dead file system must not hold up what the kernel alone answers.
        self._batchers: dict[Batch | None, Batcher[Question, Fact[Json]]] = {
            batch: Batcher(self._round_trip, GIVEN_UP) for batch in get_args(Batch)
        }

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        """Answer all questions in one round trip, one fact each, in order.

        Questions of one batch share it with those of that batch that others ask meanwhile.
        """
        batches = {one.batch for one in questions}
        batcher = self._batchers.get(batches.pop()) if len(batches) == 1 else None
        return await (batcher.ask if batcher else self._round_trip)(questions)

    async def _round_trip(self, questions: Sequence[Question]) -> tuple[Fact[Json], ...]:
        seconds = sum(one.patience for one in questions)
        requests: list[JsonValue] = [one.model_dump(mode="json") for one in questions]
        try:
            answer = _ok(await self.exchange({"do": "each", "requests": requests}, seconds))
        except DriverError as error:
            return tuple(Unknown(error.message) for _ in questions)
        answers = answer["answers"]
        if not isinstance(answers, list) or len(answers) != len(requests):
            return tuple(Unknown("the host did not answer every question") for _ in questions)
        return tuple(_fact(one) for one in answers)

    async def contact(self) -> Fact[Contact]:
        """Which boot the host is in."""
        (fact,) = await self.ask([AskContact()])
        return understood(
            fact, lambda said: Contact(boot_id=str(said["boot_id"])), "the host's boot"
        )

    async def prepared(self) -> Fact[Prepared]:
        """What the host was prepared with since it came up."""
        (fact,) = await self.ask([AskPrepared()])
        return understood(fact, Prepared.model_validate, "the host's preparation")

    async def port(self, port: int, inside: Inside | None = None) -> Fact[PortState]:
        """Who listens on a port. Source: /proc/net/tcp, /proc/net/tcp6 and /proc/PID/fd."""
        (fact,) = await self.ask([AskPort(port=port, door=inside)])
        return understood(fact, PortState.model_validate, f"the owner of port {port}")

    async def claim(self) -> Fact[Claim | None]:
        """Who acts on this host."""
        (fact,) = await self.ask([AskClaim()])
        return understood(fact, _claim, "the host's claim")

    async def act(self, action: Action) -> Json:
        """Perform one action; raise DriverError."""
        answer = await self.exchange(action.model_dump(mode="json"), action.patience)
        try:
            return _ok(answer)
        except DriverError as error:
            raise (Declined(error.message) if action.refusal_is_final else error) from error


def _claim(said: Json) -> Claim | None:
    return None if said["claim"] is None else Claim.model_validate(said["claim"])


def _ok(answer: JsonValue) -> Json:
    """Return what was answered; raise DriverError with the host's sentence."""
    if not isinstance(answer, dict):
        raise DriverError("the host gave an answer that is not an object")
    value = answer.get("ok")
    if isinstance(value, dict):
        return value
    unsaid = "the host gave an answer that says neither ok nor error"
    raise DriverError(str(answer.get("error", unsaid)))


def _fact(answer: JsonValue) -> Fact[Json]:
    try:
        return Known(_ok(answer))
    except DriverError as error:
        return Unknown(error.message)
