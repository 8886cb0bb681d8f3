"""Crowd: clients that ask, wait for the answer, think, and ask again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import anyio
import httpx

from tests.load.answers import read
from tests.load.ledger import LEFT, Came, Ledger, Sent, Wish, now
from tests.load.models import PROMPTS, asked

THINKING_SECONDS = 0.1
AGAIN_SECONDS = 0.1
LEAVING_SHARE = 0.1
STAYING_SECONDS = 2.0
LONG_ANSWER = 400
"""How many clients do not wait for the ends of their answers, how long those wait for the beginning
at most, and of how many tokens an answer is that will not be over by then."""


@dataclass(frozen=True)
class Crowd:
    """Clients of a gateway, which write down all they ask and get."""

    address: str
    ledger: Ledger
    models: Sequence[str]
    asks_again: bool
    """Whether a connection that fails is tried again, since the gateway is killed."""

    async def ask(self, clients: int, over: anyio.Event) -> None:
        """Ask until it is over and each client has its last answer."""
        limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
        async with (
            httpx.AsyncClient(
                base_url=f"http://{self.address}", timeout=self.ledger.patience + 5, limits=limits
            ) as session,
            anyio.create_task_group() as group,
        ):
            for number in range(clients):
                group.start_soon(self._client, session, number, over)

    async def _client(self, session: httpx.AsyncClient, number: int, over: anyio.Event) -> None:
        chance = random.Random(f"{self.ledger.seed}/{number}")  # noqa: S311 - to be repeated
        for which in count():
            model, prompt = chance.choice(self.models), chance.randrange(len(PROMPTS))
            wish = Wish(f"{number}-{which}", model, prompt, chance.random() < 0.5)
            if chance.random() < LEAVING_SHARE:
                await self._leave(session, wish, chance.uniform(0, STAYING_SECONDS))
            else:
                await self._insist(session, wish)
            if over.is_set():
                return
            await anyio.sleep(chance.expovariate(1 / THINKING_SECONDS))

    async def _leave(self, session: httpx.AsyncClient, wish: Wish, patience: float) -> None:
        """Ask, and go when the answer begins, or before."""
        body = {**asked(wish.prompt), "model": wish.model, "stream": True}
        self.ledger.sent.append(Sent(wish, now()))
        with anyio.move_on_after(patience), suppress(httpx.TransportError):
            async with session.stream(
                "POST", "/v1/completions", json={**body, "max_tokens": LONG_ANSWER}
            ) as answer:
                await anext(answer.aiter_raw(), b"")
        self.ledger.came.append(Came(wish.nonce, now(), None, LEFT))

    async def _insist(self, session: httpx.AsyncClient, wish: Wish) -> None:
        """Ask until there is an answer, or asking again makes no sense."""
        while True:
            if await self._is_answered(session, wish):
                return
            await anyio.sleep(AGAIN_SECONDS)

    async def _is_answered(self, session: httpx.AsyncClient, wish: Wish) -> bool:
        """Ask once; true also where asking again makes no sense."""
        more = {"model": wish.model, "stream": wish.streams, "user": wish.nonce}
        self.ledger.sent.append(Sent(wish, now()))
        try:
            got = await session.post("/v1/completions", json={**asked(wish.prompt), **more})
        except httpx.TransportError as error:
            self.ledger.came.append(Came(wish.nonce, now(), None, repr(error)))
            return not self.asks_again
        answer = read(got.status_code, got.content, streams=wish.streams)
        self.ledger.came.append(Came(wish.nonce, now(), answer))
        return True
