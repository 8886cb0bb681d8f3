"""Exchange: one request's life, until it has a whole answer or the reason why not."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from reconciler.gateway.allowance import Allotment
from reconciler.gateway.answer_head import for_clients
from reconciler.gateway.head import WEB_SOCKET, Refusal, lines_of
from reconciler.gateway.held_request import HeldRequest
from reconciler.gateway.rereading import rereader
from reconciler.gateway.routing import routing
from reconciler.gateway.seat import unseen
from reconciler.gateway.seats import CROWDED
from reconciler.gateway.signs_of_life import SignsOfLife
from reconciler.gateway.upstream import outward
from reconciler.gateway.wording import cut_event

if TYPE_CHECKING:
    from reconciler.gateway.answer_head import AnswerHead
    from reconciler.gateway.answering import Answering
    from reconciler.gateway.engine import EngineConnection
    from reconciler.gateway.judged import AdmittedRequest
    from reconciler.gateway.pool import Pool
    from reconciler.gateway.seat import Seat
    from reconciler.gateway.seats import Seats

EVENT_END = b"\n\n"
UPGRADE = lines_of([(b"Connection", b"Upgrade"), (b"Upgrade", WEB_SOCKET)])
LONGEST_COMPLAINT = 2048


class Exchange:
    """One request on its way; ended exactly once, however it ends."""

    is_endless = False

    __slots__ = (
        "_allotment", "_body", "_client", "_complaint", "_connecting", "_engine", "_entered",
        "_has_head", "_hold", "_is_joined", "_is_sent", "_is_stream", "_is_upgrade", "_lost",
        "_name", "_only_looks", "_pool", "_request", "_requester", "_seat", "_seats", "_signs",
        "_spoken", "_status", "_takes_events", "_target",
    )  # fmt: skip

    def __init__(self, client: Answering, call: AdmittedRequest, body: bytes, seats: Seats) -> None:
        self._client, self._body, self._seats = client, body, seats
        self._request, self._entered, self._requester = call
        self._is_upgrade = call.may_upgrade
        self._spoken = self._entered.entrance.spoken
        self._allotment = Allotment(call.requester, seats.allowance(call.requester))
        self._signs = SignsOfLife(client, self._spoken)
        self._hold: HeldRequest | None = None
        self._seat: Seat | None = None
        self._lost: tuple[Seat, ...] = ()
        self._pool: Pool | None = None
        self._engine: EngineConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._complaint: bytearray | None = None
        self._name, self._only_looks, self._target, self._status = "", False, b"", 0
        self._is_sent = self._has_head = self._is_joined = False
        self._is_stream = self._takes_events = False

    def begin(self) -> None:
        """Send the request to its model's engine, wait for that, or tell why it goes nowhere."""
        found = routing(self._request, self._entered, self._body)
        if isinstance(found, Refusal):
            self._fail(found)
            return
        self._name, self._only_looks = found.model, found.only_looks
        self._target = found.target or self._request.target
        if found.stream:
            self._signs.begin()
        self._enter(self._seats.sought(self._name, self._requester))

    def _enter(self, sought: Seat | Refusal) -> None:
        if isinstance(sought, Refusal):
            self._fail(sought)
            return
        self._seat = sought
        if sought is not self._seats.unread:
            self._client.passage.model = sought.route.model
        self._go()

    def _go(self) -> None:
        seat = self._seat
        if seat is None:
            return
        if self._only_looks and seat.identity is None:
            self._fail(seat.refusal() or unseen(seat.route.model))
            return
        pool = seat.pool if seat.is_open or self._only_looks else None
        refusal = self._allotment.take(waits=pool is None)
        if refusal is not None:
            self._fail(refusal)
            return
        if pool is None:
            self._client.passage.waited = True
            if self._hold is None:
                if self._seats.is_crowded:
                    self._fail(CROWDED)
                    return
                self._hold = HeldRequest(self)
            self._hold.begin(seat)
            return
        seat.begin(is_use=not self._only_looks)
        if self._spoken == "anthropic":
            seat.rereader = rereader(self._body)
        self._client.passage.sends()
        self._is_sent, self._pool = True, pool
        engine = pool.take()
        if engine is not None:
            self._send(engine, pool)
        else:
            connect = self._connect(seat, pool)
            self._connecting = asyncio.get_running_loop().create_task(connect)

    async def _connect(self, seat: Seat, pool: Pool) -> None:
        try:
            engine, self._connecting = await pool.connect(), None
            self._send(engine, pool)
        except (OSError, TimeoutError) as error:
            # Nothing was sent, so nothing is lost by waiting until the next look finds out why.
            seat.close(f"it accepts no connection ({str(error) or 'too late'})")
            self._seats.stir(seat.route.host)
            self._count_off()
            self._go_on()

    def _send(self, engine: EngineConnection, pool: Pool) -> None:
        self._engine = engine
        asked, is_head = self._bytes(pool.authority), self._request.method == "HEAD"
        engine.send(self, asked, bodiless=is_head, may_upgrade=self._is_upgrade)

    def _bytes(self, authority: bytes) -> bytes:
        """The whole request as the engine gets it: its own host, its own length, its own key."""
        request, bearer = self._request, self._seat.bearer if self._seat is not None else ""
        host = request.method.encode(), self._target, authority
        lines = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % host, request.lines]
        if bearer:
            lines.append(b"Authorization: Bearer %b\r\n" % bearer.encode())
        framed = UPGRADE if self._is_upgrade else b"Content-Length: %d\r\n" % len(self._body)
        return b"".join((*lines, framed, b"\r\n", self._body))

    # What a hold asks and tells.

    @property
    def by(self) -> str:
        """The name of the key that it came with."""
        return self._requester.name

    @property
    def request(self) -> str:
        """The name that its answer has in X-Request-ID."""
        return self._client.passage.identity

    def admitted(self) -> None:
        """Go on: the model serves."""
        self._go()

    def turned_away(self, refusal: Refusal) -> None:
        """End: the model will not serve, unless another is meant by the same word now."""
        if self._seat is None:
            self._fail(refusal)
            return
        self._lost += (self._seat,)
        self._seat = None
        self._enter(self._seats.instead(self._name, self._requester, self._lost, refusal))

    def _go_on(self) -> None:
        """Go on after what an engine lost unheard: to another one of the same name, if it waits."""
        again = self._seats.sought(self._name, self._requester)
        if not isinstance(again, Refusal):
            self._seat = again
        self._go()

    # What the engine's connection tells.

    def on_read(self) -> None:
        """Let the client have in one piece what the engine sent in one."""
        self._client.gather()

    def on_told(self) -> None:
        """Send it."""
        self._client.flush()

    def on_head(self, head: AnswerHead, length: bytes | None) -> None:
        """Pass the head on, unless one was sent while the request was held."""
        self._has_head, self._status = True, head.status
        self._client.passage.hears()
        # It is not sent again: a long answer must not hold a long question in memory.
        self._body = b""
        self._is_stream, self._takes_events = head.is_stream, head.takes_events
        if not self._signs.has_answered:
            self._pass_on(head, length)
        elif head.status != HTTPStatus.OK or not self._is_stream:
            # The client reads events by now: what the engine says instead becomes one.
            self._complaint = bytearray()

    def _pass_on(self, head: AnswerHead, length: bytes | None) -> None:
        lines = head.lines
        if self._entered.entrance.answer == "upstream" and self._pool is not None:
            model, engine = self._entered.named["model"], self._pool.authority
            lines = lines_of(outward([*for_clients(head.fields)], model, engine))
        if self._seat is not None:
            lines += self._seat.line
        if self._hold is not None:
            lines += b"X-Reconciler-Queue-Ms: %d\r\n" % self._hold.milliseconds
        self._client.answer(head.status, head.reason, lines, length)
        if self._takes_events:
            self._signs.head_passed()
        else:
            self._signs.end()

    def on_upgraded(self, head: AnswerHead, first: bytes) -> None:
        """Let the client and the engine speak to each other."""
        self._has_head = self._is_joined = True
        if self._engine is not None:
            self._client.join(self._engine, head._replace(lines=head.lines + UPGRADE), first)

    def on_piece(self, piece: bytes) -> None:
        """Pass a piece of the body on."""
        if self._complaint is None:
            if self._is_stream:
                self._signs.heard(piece)
                self._client.passage.events += piece.count(EVENT_END)
            self._client.write_piece(piece)
        elif len(self._complaint) < LONGEST_COMPLAINT:
            self._complaint += piece

    def on_end(self, *, reusable: bool) -> None:
        """Give the connection back before the client may ask again, then end the answer."""
        if self._complaint is not None:
            said = self._complaint[:LONGEST_COMPLAINT].decode("utf-8", "replace")
            is_error = self._status >= HTTPStatus.BAD_REQUEST
            status = self._status if is_error else HTTPStatus.BAD_GATEWAY
            self._fail(Refusal(status, f"the engine answered: {said}"))
            return
        engine, self._engine = self._engine, None
        if engine is not None and self._pool is not None and reusable:
            self._pool.give_back(engine)
        elif engine is not None:
            engine.abort()
        self._release()
        self._client.end_body()

    def on_lost(self, reason: str) -> None:
        """Try once more what an old connection lost unheard; else tell the client."""
        engine, seat = self._engine, self._seat
        if self._is_joined:
            self._release()
            self._client.end_body()
            return
        if engine is not None and seat is not None and engine.used > 1 and not engine.heard:
            # It was closed while it was idle, before it saw this request; so are the others.
            seat.hang_up()
            self._client.passage.retries += 1
            self._count_off()
            self._go()
            return
        model = self._client.passage.model
        ended = f"the engine of {model} ended the connection: {reason}"
        self._fail(Refusal(502, f"{ended}; `reconciler explain {model}` says how it is now"))

    # What the client's connection tells.

    def pause(self, *, paused: bool) -> None:
        """Let the engine wait for a client that reads more slowly."""
        if self._engine is not None:
            (self._engine.pause if paused else self._engine.resume)()

    def cancel(self) -> None:
        """End it because the client has gone: the engine sees its side close, and stops."""
        self._stop_connecting()
        if self._engine is not None:
            # In another protocol, what a client said last is worth as much as what it said before.
            (self._engine.close if self._is_joined else self._engine.abort)()
        self._release()

    @property
    def lasts(self) -> bool:
        """Whether another protocol is spoken by now, or it waits for its model."""
        return self._is_joined or (self._hold is not None and not self._is_sent)

    def cut(self, why: Refusal) -> None:
        """End it, and tell the client why."""
        self._stop_connecting()
        self._fail(why)

    def _stop_connecting(self) -> None:
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()

    def _fail(self, refusal: Refusal) -> None:
        if self._engine is not None:
            self._engine.abort()
        self._release()
        if not self._has_head and not self._signs.has_answered:
            self._client.refuse(refusal, self._spoken)
        elif self._takes_events or self._signs.has_answered:
            self._client.passage.refusal = refusal.status
            # An event that was begun is ended first, so that the error is one of its own.
            end = b"" if self._signs.is_between else b"\n\n"
            self._client.write_piece(end + cut_event(refusal, self._spoken))
            self._client.end_body()
        else:
            self._client.passage.refusal = refusal.status
            # A short body must not look whole.
            self._client.abort()

    def _count_off(self) -> None:
        """Count the request off, once."""
        self._engine = None
        self._allotment.end()
        if self._is_sent and self._seat is not None:
            self._is_sent = False
            self._seat.end(is_use=not self._only_looks)

    def _release(self) -> None:
        if self._hold is not None:
            self._hold.end()
        self._signs.end()
        self._count_off()
        # Nothing may point in circles: bodies would pile up until the collector comes round.
        self._seat = self._hold = None
        self._lost = ()
