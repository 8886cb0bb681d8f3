"""What clients, engines and the loop do to the gateway's seats, drawn by hypothesis, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reconciler.gateway.counts import Passage
from reconciler.gateway.engine import EngineConnection
from reconciler.gateway.exchange import Exchange
from reconciler.gateway.head import Refusal, Request
from reconciler.gateway.judged import AdmittedRequest
from reconciler.gateway.keys import HERE
from reconciler.gateway.naming import Spoken
from reconciler.gateway.pool import Pool
from reconciler.gateway.routes import TABLE, Entered
from reconciler.gateway.seat import Seat
from reconciler.gateway.seats import Seats
from reconciler.model.traffic import Route, Routes
from reconciler.ports import EngineWay
from tests.sample_worlds import HOST, identity

MODELS = ("a", "b")
AT_ONCE = 2
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"9\r\ndata: 1\n\n\r\n"
END = b"0\r\n\r\n"


class TurnedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is turned by hand."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def settle(self, act: Callable[[], object] = lambda: None) -> None:
        """Let something happen in it, and everything that is due."""

        async def acting() -> None:
            act()
            for _ in range(4):
                await asyncio.sleep(0)

        self.run_until_complete(acting())


class Wire:
    """An engine's end of a connection: what the engine is asked, and whether it is open."""

    def __init__(self, unit: int, is_proven: Callable[[int], bool]) -> None:
        self.unit, self._is_proven = unit, is_proven
        self.engine = EngineConnection()
        self.asked, self.answered, self.is_over = 0, 0, True
        self._closing = False
        self.engine.connection_made(cast("asyncio.Transport", self))

    def write(self, request: bytes) -> None:
        assert self._is_proven(self.unit), "a request reached a unit that was not admitted"
        assert self.is_over, "two requests at once on one connection"
        assert request.startswith(b"POST ")
        self.asked, self.answered, self.is_over = self.asked + 1, 0, False

    def says(self, received: bytes) -> None:
        self.answered += 1
        self.is_over = received == END
        self.engine.data_received(received)

    def dies(self) -> None:
        self._closing = True
        self.engine.connection_lost(None)

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True

    def set_write_buffer_limits(self, _: int) -> None:
        """Take any amount."""


class Asker:
    """A client's end of one request: what it was told, which ends once."""

    def __init__(self, loop: TurnedLoop) -> None:
        self.passage = Passage(b"request-1", loop.time, loop.time())
        self.told = bytearray()
        self.has_head = self.is_over = self.is_gone = False

    @property
    def is_live(self) -> bool:
        return not self.is_over and not self.is_gone

    def gather(self) -> None:
        """Keep nothing."""

    def flush(self) -> None:
        """Send nothing."""

    def answer(self, status: int, reason: bytes, lines: bytes, length: bytes | None = None) -> None:
        assert not self.has_head, (status, reason, lines, length)
        self.has_head = True

    def write_piece(self, piece: bytes) -> None:
        assert self.has_head
        assert not self.is_over
        self.told += piece

    def end_body(self) -> None:
        assert self.has_head
        self._end()

    def refuse(self, refusal: Refusal, spoken: Spoken) -> None:
        assert not self.has_head, (refusal, spoken)
        self._end()

    def abort(self) -> None:
        self._end()

    def _end(self) -> None:
        assert self.is_live, "an answer was ended twice, or after its client had gone"
        self.is_over = True


class GatewayMachine(RuleBasedStateMachine):
    """The seats of two models, and all that can happen to the requests for them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = TurnedLoop()
        asyncio.set_event_loop(self.loop)
        self.seats = Seats(self.loop.time)
        routes = tuple(Route(model=name, host=HOST, active=True) for name in MODELS)
        self.seats.route(Routes(models=routes))
        self.units = dict.fromkeys(MODELS, 0)
        self.proven = set[int]()
        self.paused = frozenset[str]()
        self.wires = list[Wire]()
        self.asked = list[tuple[str, Asker, Exchange]]()
        self.accepts = True
        self._patched = patch.object(Pool, "connect", lambda pool: self._connect(pool))  # noqa: PLW0108 - it is given the pool
        self._patched.start()
        for name in MODELS:
            self.admit(name)

    def teardown(self) -> None:
        self._patched.stop()
        for _, asker, exchange in self.asked:
            if asker.is_live:
                self.loop.settle(exchange.cancel)
        self.loop.close()

    async def _connect(self, pool: Pool) -> EngineConnection:
        if not self.accepts:
            raise ConnectionRefusedError
        wire = Wire(pool.address[1], lambda unit: unit in self.proven)
        self.wires.append(wire)
        return wire.engine

    def seat(self, name: str) -> Seat:
        found = self.seats.of_model(name)
        assert found is not None
        return found

    def live(self, name: str) -> list[Asker]:
        return [asker for model, asker, _ in self.asked if model == name and asker.is_live]

    def busy(self) -> list[Wire]:
        return [wire for wire in self.wires if not wire.is_over and not wire.is_closing()]

    # What clients do.

    @rule(name=st.sampled_from(MODELS), streams=st.booleans())
    def asks(self, name: str, streams: bool) -> None:
        asker = Asker(self.loop)
        body = f'{{"model": "{name}", "stream": {str(streams).lower()}}}'.encode()
        path = "/v1/chat/completions"
        request = Request("POST", path, path.encode(), (), b"", expects=False)
        admitted = AdmittedRequest(request, Entered(TABLE[0], {}), HERE)
        exchange = Exchange(asker, admitted, body, self.seats)  # type: ignore[arg-type]
        self.asked.append((name, asker, exchange))
        self.loop.settle(exchange.begin)

    @precondition(lambda self: any(asker.is_live for _, asker, _ in self.asked))
    @rule(drawn=st.data())
    def leaves(self, drawn: st.DataObject) -> None:
        live = [(asker, exchange) for _, asker, exchange in self.asked if asker.is_live]
        asker, exchange = drawn.draw(st.sampled_from(live))
        asker.is_gone = True
        self.loop.settle(exchange.cancel)

    # What engines do.

    @precondition(lambda self: self.busy())
    @rule(drawn=st.data(), ends=st.booleans())
    def engine_answers(self, drawn: st.DataObject, ends: bool) -> None:
        wire = drawn.draw(st.sampled_from(self.busy()))
        piece = HEAD if not wire.answered else END if ends else PIECE
        self.loop.settle(lambda: wire.says(piece))

    @precondition(lambda self: self.busy())
    @rule()
    def engine_answers_all(self) -> None:
        for wire in self.busy():
            for piece in (PIECE, END) if wire.answered else (HEAD, PIECE, END):
                self.loop.settle(lambda: wire.says(piece))  # noqa: B023 - called at once

    @precondition(lambda self: self.wires)
    @rule(drawn=st.data(), begins=st.booleans())
    def engine_hangs_up(self, drawn: st.DataObject, begins: bool) -> None:
        there = [wire for wire in self.wires if not wire.is_closing()]
        if begins:
            there = [wire for wire in self.busy() if wire.asked > 1] or there
        wire = drawn.draw(st.sampled_from(there)) if there else None
        if wire is None:
            return
        if begins and not wire.is_over and not wire.answered:
            self.loop.settle(lambda: wire.says(HEAD))
        has_begun = bool(wire.answered) and not wire.is_over
        waiting = sum(self.seat(name).demand.waiting for name in MODELS)
        before = sum(one.asked for one in self.wires)
        self.loop.settle(wire.dies)
        again = sum(one.asked for one in self.wires) - before
        assert not has_begun or again <= waiting, "sent again after its answer began"

    @rule(name=st.sampled_from(MODELS))
    def asks_twice(self, name: str) -> None:
        """Ask, hear all, and ask again at once: the connection is used again."""
        self.asks(name, streams=False)
        self.engine_answers_all()
        self.asks(name, streams=False)

    # What keeps the hosts does.

    @rule(name=st.sampled_from(MODELS), accepts=st.sampled_from((True, True, True, False)))
    def unit_is_admitted(self, name: str, accepts: bool) -> None:
        self.accepts = accepts
        self.admit(name)

    def admit(self, name: str) -> None:
        if self.units[name] not in self.proven:
            self.units[name] = max(self.units.values()) + 1
        unit = self.units[name]
        self.proven.add(unit)
        way = EngineWay(f"http://127.0.0.1:{unit}", AT_ONCE)
        gate = self.seats.gate(HOST)
        self.loop.run_until_complete(gate.admit(name, identity(unit), way))
        self.loop.settle()

    @rule(name=st.sampled_from(MODELS))
    def model_is_stopped(self, name: str) -> None:
        gate, unit = self.seats.gate(HOST), self.units[name]
        self.loop.run_until_complete(gate.hold(name, "a switch"))
        if self.seat(name).in_flight:
            return
        self.loop.run_until_complete(gate.hang_up(name))
        open_still = [one for one in self.wires if one.unit == unit and not one.is_closing()]
        assert not open_still, "a connection was kept idle through a stop"
        self.proven.discard(unit)
        self.loop.settle()

    @rule(names=st.frozensets(st.sampled_from(MODELS)))
    def turn_is_another(self, names: frozenset[str]) -> None:
        self.paused = names
        self.loop.settle(lambda: self.seats.lobby(HOST).pause(names))

    @rule(seconds=st.sampled_from((0.5, 3.0, 6.0, 12.0, 300.0)))
    def time_passes(self, seconds: float) -> None:
        self.loop.now += seconds
        self.loop.settle()

    # What must be so after each of these.

    @invariant()
    def counts_are_those_of_the_requests_that_live(self) -> None:
        for name in MODELS:
            demand = self.seat(name).demand
            assert demand.in_flight + demand.waiting == len(self.live(name)), demand
        asked = len(self.busy())
        assert sum(self.seat(name).in_flight for name in MODELS) == asked

    @invariant()
    def nobody_waits_before_an_open_gate(self) -> None:
        for name in MODELS:
            seat = self.seat(name)
            has_room = seat.in_flight < AT_ONCE and name not in self.paused
            if seat.identity is not None and has_room:
                assert not seat.demand.waiting, f"requests for {name} wait for nothing"

    @invariant()
    def no_event_is_empty(self) -> None:
        for _, asker, _ in self.asked:
            lines = bytes(asker.told).split(b"\n\n")[:-1]
            assert all(b"data:" in event for event in lines if event.strip()), bytes(asker.told)
