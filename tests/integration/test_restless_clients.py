"""What clients say while their model is switched away is saved, or counted and no success."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from reconciler.app import App, build
from reconciler.core.recipes import stop
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.settings import settings
from reconciler.steps.drain import Drain
from tests.running import until
from tests.sample_worlds import raised
from tests.stack import Stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.model.verdict import HostVerdict
    from tests.engine import Server

SLOTS, CLIENTS, CLINGING = 4, 8, 24


class ShortDrain(Drain):
    """A drain that waits for as long as a test may."""

    deadline: float = 5.0


@pytest.fixture
def here(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setattr(stop, "Drain", ShortDrain)
    with stack(tmp_path, server) as made:
        inventory = tmp_path / "state" / "inventory.yaml"
        inventory.write_text(
            inventory.read_text().replace("}, port", f", parallel: {SLOTS}}}, port", 1)
        )
        yield made


async def applied(app: App) -> HostVerdict:
    wanted = app.source.read()
    wish = PassRequest(wanted.slices["local"], wanted.provenance, "apply")
    said: list[str] = []
    return await reconcile(
        wish,
        HostContext(
            PortsCache(app.ports),
            HintsCache(app.journal),
            app.clock,
            app.controller,
            Interrupt(),
            said.append,
            raised,
        ),
    )


@contextmanager
def clinging(here: Stack) -> Iterator[None]:
    """Let more clients than the server takes at once ask on, each on a connection that it keeps."""
    end, answered = threading.Event(), [0] * CLINGING
    body = json.dumps({"prompt": "hi", "n_predict": 30, "ignore_eos": True})

    def asks(number: int) -> None:
        while not end.is_set():
            with (
                suppress(OSError, http.client.HTTPException),
                closing(http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)) as one,
            ):
                while not end.is_set():
                    one.request("POST", "/completion", body, {"Content-Type": "application/json"})
                    one.getresponse().read()
                    answered[number] += 1

    clients = [threading.Thread(target=asks, args=(number,)) for number in range(CLINGING)]
    for client in clients:
        client.start()
    try:
        until(lambda: sum(map(bool, answered)) > SLOTS, within=60.0)
        yield
    finally:
        end.set()
        for client in clients:
            client.join()


@contextmanager
def asking(here: Stack) -> Iterator[threading.Event]:
    """Let more clients than slots ask, again and again, until the event is set or the end."""
    end, answered = threading.Event(), [0] * CLIENTS

    def asks(number: int) -> None:
        body = json.dumps(
            {
                "prompt": f"client {number}: {here.conversation[:120]}",
                "n_predict": 4,
                "temperature": 0,
            }
        )
        while not end.is_set():
            try:
                with closing(
                    http.client.HTTPConnection("127.0.0.1", here.port, timeout=30)
                ) as connection:
                    connection.request(
                        "POST", "/completion", body, {"Content-Type": "application/json"}
                    )
                    connection.getresponse().read()
                    answered[number] += 1
            except (OSError, http.client.HTTPException):
                end.wait(0.05)

    clients = [threading.Thread(target=asks, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        until(lambda: sum(answered) > CLIENTS, within=60.0)
        yield end
    finally:
        end.set()
        for client in clients:
            client.join()


def sealed(here: Stack) -> int:
    return len(list((here.folder / "host").rglob("models/tiny-a/slots/*.slot.json")))


async def switched(here: Stack, *, ends_in: float | None) -> HostVerdict:
    """Switch to the other model while clients ask, which stop after so many seconds."""
    app = build(settings(here.environment(), str(here.folder / "state"), str(here.folder / "data")))
    assert (await applied(app)).outcome == "applied"
    with asking(here) as end:
        timer = threading.Timer(ends_in, end.set) if ends_in is not None else None
        if timer:
            timer.start()
        here.desire("tiny-b")
        verdict = await applied(app)
    assert verdict.outcome == "applied", verdict
    assert list(here.engines()) == ["tiny-b"]
    return verdict


async def test_of_clients_that_do_not_stop_every_conversation_is_saved_or_counted_as_lost(
    here: Stack,
) -> None:
    verdict = await switched(here, ends_in=None)
    assert sealed(here) + verdict.lost_conversations >= SLOTS
    assert verdict.exit_code == (3 if verdict.lost_conversations else 0)
    assert bool(verdict.notes) == bool(verdict.lost_conversations)


async def test_of_clients_that_stop_in_time_nothing_is_lost(here: Stack) -> None:
    verdict = await switched(here, ends_in=1.0)
    assert (verdict.exit_code, verdict.lost_conversations, verdict.notes) == (0, 0, ())
    assert sealed(here) == SLOTS


async def test_an_engine_that_has_no_time_for_us_is_left_to_its_clients(here: Stack) -> None:
    app = build(settings(here.environment(), str(here.folder / "state"), str(here.folder / "data")))
    assert (await applied(app)).outcome == "applied"
    serving = here.engines()
    with clinging(here):
        verdict = await applied(app)
        assert verdict.outcome == "in_sync", verdict
        assert here.engines() == serving
