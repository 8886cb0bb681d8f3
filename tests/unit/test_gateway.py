"""The gateway on real sockets: what a client sees of an engine that answers, waits, breaks or is
gone.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from reconciler.model.facts import Known
from reconciler.model.traffic import Admitting, Routes, Traffic
from reconciler.ports import EngineWay
from tests.gateway_stand import CHAT, WITHIN, standing, until
from tests.sample_worlds import HOST, identity
from tests.scripted_engine import Heard, answers, scripted, streams


async def test_an_answer_comes_back_byte_for_byte_without_what_is_the_engines_own() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        answer = await stand.ask(messages=[{"role": "user", "content": "h\u00e9"}])
        assert answer.status_code == HTTPStatus.OK
        assert answer.content == engine.heard[0].body
        ours = {"x-request-id", "x-reconciler-model"}
        assert set(answer.headers) == {"content-type", "content-length"} | ours


@pytest.mark.parametrize(
    ("given", "kept"), [("run-4_of-7", True), ("short", False), ("x" * 65, False), ("a b", False)]
)
async def test_an_answer_names_its_request_and_its_model(given: str, kept: bool) -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        stand.client.headers["X-Request-ID"] = given
        whole = await stand.ask()
        refused = await stand.ask(model="z")
        assert whole.headers["x-reconciler-model"] == "a"
        for answer in (whole, refused):
            assert (answer.headers["x-request-id"] == given) == kept
            assert len(answer.headers["x-request-id"]) >= 8


async def test_an_engine_hears_its_own_host_and_nothing_of_who_asks() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        await stand.client.post(
            CHAT, json={"model": "a"}, headers={"Authorization": "Bearer secret", "X-Mine": "1"}
        )
        head = engine.heard[0].head.decode()
        assert f"Host: 127.0.0.1:{engine.port}\r\n" in head
        assert "secret" not in head
        assert "x-mine: 1\r\n" in head.lower()


async def test_an_engine_with_a_key_gets_it_in_place_of_the_clients() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine, bearer="sk-engine")
        fields = {"Authorization": "Bearer sk-client", "X-Api-Key": "sk-client"}
        await stand.client.post(CHAT, json={"model": "a"}, headers=fields)
        assert engine.heard[0].head.count(b"Authorization: Bearer sk-engine\r\n") == 1
        assert b"sk-client" not in engine.heard[0].head
        assert "sk-engine" not in repr(EngineWay(engine.url, 1, "sk-engine"))


async def test_events_come_through_as_they_are_and_the_count_falls_back() -> None:
    async with standing() as stand, scripted(streams) as engine:
        await stand.admit(engine)
        answer = await stand.ask(stream=True)
        assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert answer.headers["content-type"] == "text/event-stream"
        traffic = await stand.front.doors.gate(HOST).traffic("a")
        assert isinstance(traffic, Known)
        assert traffic.value.in_flight == 0
        assert traffic.value.used is not None


async def test_connections_to_an_engine_are_used_again_until_they_are_hung_up() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        for _ in range(3):
            await stand.ask()
        assert engine.connections == 1
        assert await stand.front.doors.gate(HOST).hang_up("a") == {"closed": 1}
        await stand.ask()
        assert engine.connections == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "b"}, 503, "`reconciler use b` switches to it"),
        ({"model": "z"}, 404, 'no model is called "z"; expected one of: a, b'),
        ({"model": 7}, 400, "the body is not what this route takes"),
    ],
)
async def test_what_cannot_be_answered_is_told_with_the_way_out(
    body: dict[str, Any], status: int, said: str
) -> None:
    async with standing() as stand:
        answer = await stand.client.post(CHAT, json=body)
        assert answer.status_code == status
        assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", CHAT, 405), ("POST", "/x", 404)])
async def test_other_ways_in_are_refused(method: str, path: str, status: int) -> None:
    async with standing() as stand:
        assert (await stand.client.request(method, path)).status_code == status


async def test_no_connection_to_an_engine_outlives_the_gateway() -> None:
    async with scripted(answers) as engine:
        async with standing() as stand:
            await stand.admit(engine)
            await stand.ask()
            assert (engine.connections, engine.gone) == (1, 0)
        await until(lambda: engine.gone == 1)


async def test_an_engine_waits_for_a_client_that_reads_more_slowly() -> None:
    piece, count, sent = bytes(64 * 1024), 1000, 0

    async def pours(_: Heard, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * count))
        while sent < count:
            writer.write(piece)
            await writer.drain()
            sent += 1

    async with standing() as stand, scripted(pours) as engine:
        await stand.admit(engine)
        async with stand.client.stream("POST", CHAT, json={"model": "a"}) as answer:
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.1)
            assert 0 < sent < count
            assert sum([len(read) async for read in answer.aiter_raw()]) == len(piece) * count
        assert sent == count


async def test_a_client_that_goes_takes_its_request_with_it() -> None:
    async def thinks(heard: Heard, writer: asyncio.StreamWriter) -> None:
        assert await heard.reader.read() == b""
        writer.close()

    async with standing() as stand, scripted(thinks) as engine:
        await stand.admit(engine)
        asked = asyncio.create_task(stand.ask())
        await until(lambda: stand.seat.in_flight == 1 and engine.heard)
        asked.cancel()
        await until(lambda: stand.seat.in_flight == 0 and engine.gone == 1)


async def test_a_client_that_goes_while_it_waits_leaves_the_queue() -> None:
    async with standing() as stand:
        asked = asyncio.create_task(stand.ask())
        await until(lambda: stand.seat.demand.waiting == 1)
        asked.cancel()
        await until(lambda: stand.seat.demand.waiting == 0)


async def test_a_request_that_an_idle_connection_lost_is_sent_once_more() -> None:
    async def once(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await answers(heard, writer)
        await writer.drain()
        writer.close()

    async with standing() as stand, scripted(once) as engine:
        await stand.admit(engine)
        for number in range(5):
            assert (await stand.ask(n=number)).json()["n"] == number
        assert engine.connections == 5


async def test_an_engine_that_breaks_off_is_told_and_a_short_body_never_looks_whole() -> None:
    async def breaks(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if b'"short"' in heard.body:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly this")
            await writer.drain()
        writer.close()

    async with standing() as stand, scripted(breaks) as engine:
        await stand.admit(engine)
        answer = await stand.ask()
        assert answer.status_code == HTTPStatus.BAD_GATEWAY
        with pytest.raises(httpx.RemoteProtocolError):
            await stand.ask(short=True)
        await until(lambda: stand.seat.in_flight == 0)


@pytest.mark.parametrize("field", [b"Content-Length: 99", b"Content-Encoding: gzip"])
async def test_a_stream_whose_bytes_are_told_beforehand_is_cut_short_and_gets_no_event(
    field: bytes,
) -> None:
    async def breaks(_: Heard, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + field
        framed = b"" if b"Length" in field else b"\r\nTransfer-Encoding: chunked"
        writer.write(head + framed + b"\r\n\r\n" + (b"" if framed else b"data: 1\n\n"))
        await writer.drain()
        writer.close()

    async with standing() as stand, scripted(breaks) as engine:
        await stand.admit(engine)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await stand.ask(stream=True)


async def test_a_stream_that_breaks_off_ends_with_an_error_event() -> None:
    async def breaks(_: Heard, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
        writer.write(head + b"\r\n\r\n5\r\ndata:\r\n")
        await writer.drain()
        writer.close()

    async with standing() as stand, scripted(breaks) as engine:
        await stand.admit(engine)
        events = (await stand.ask(stream=True)).text.split("\n\n")
        assert events[0] == "data:"
        assert json.loads(events[1].removeprefix("data: "))["error"]["code"] == 502


async def test_a_port_that_accepts_nothing_closes_the_gate_and_asks_for_a_look() -> None:
    async with standing() as stand:
        async with scripted(answers) as engine:
            await stand.admit(engine)
        stirred = stand.front.doors.stirred()
        asked = asyncio.create_task(stand.ask())
        assert await asyncio.wait_for(anext(stirred), WITHIN) == HOST
        admitting = await stand.front.doors.gate(HOST).admitting("a")
        assert admitting == Known(Admitting())
        async with scripted(answers) as engine:
            await stand.admit(engine, pid=2)
            assert (await asked).status_code == HTTPStatus.OK


async def test_an_engine_is_given_no_more_at_once_than_it_takes_and_the_others_in_turn() -> None:
    free = asyncio.Semaphore(0)

    async def waits(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await free.acquire()
        await answers(heard, writer)

    async with standing() as stand, scripted(waits) as engine:
        await stand.admit(engine, at_once=1)
        asked = []
        for number in range(5):
            asked.append(asyncio.create_task(stand.ask(n=number)))
            await until(lambda: stand.seat.in_flight + stand.seat.demand.waiting == len(asked))
        assert (stand.seat.in_flight, stand.seat.demand.waiting) == (1, 4)
        for _ in asked:
            free.release()
        assert [(await one).json()["n"] for one in asked] == list(range(5))
        assert [json.loads(heard.body)["n"] for heard in engine.heard] == list(range(5))
        assert engine.connections == 1


async def test_a_gate_that_is_closed_holds_new_requests_and_lets_the_others_end() -> None:
    finish = asyncio.Event()

    async def waits(heard: Heard, writer: asyncio.StreamWriter) -> None:
        await finish.wait()
        await answers(heard, writer)

    async with standing() as stand, scripted(waits) as engine:
        gate = stand.front.doors.gate(HOST)
        await stand.admit(engine)
        first = asyncio.create_task(stand.ask(n=1))
        await until(lambda: engine.heard)
        assert await gate.hold("a", "a switch") == {"in_flight": 1}
        second = asyncio.create_task(stand.ask(n=2))
        await until(lambda: stand.seat.demand.waiting == 1)
        finish.set()
        assert (await first).json()["n"] == 1
        assert len(engine.heard) == 1
        await stand.admit(engine)
        assert (await second).json()["n"] == 2


async def test_models_that_nobody_names_any_more_are_forgotten() -> None:
    async with standing() as stand:
        stand.front.doors.route(Routes())
        gate = stand.front.doors.gate(HOST)
        assert await gate.traffic("a") == Known(Traffic())
        assert await gate.admitting("a") == Known(Admitting())
        assert await gate.admit("a", identity(1), EngineWay("http://127.0.0.1:1", 1)) == {
            "admitted": False
        }
        assert await gate.hold("a", "x") == {"in_flight": 0}
        assert await gate.hang_up("a") == {"closed": 0}
        assert "expected one of: none" in (await stand.ask()).json()["error"]["message"]


async def test_a_recording_goes_to_the_model_that_its_form_names() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        files = {"file": ("a.wav", b"RIFF" * 1000)}
        path = "/v1/audio/transcriptions"
        answer = await stand.client.post(path, data={"model": "a"}, files=files)
        assert answer.content == engine.heard[0].body
        unknown = await stand.client.post(path, data={"model": "z"}, files=files)
        assert unknown.status_code == HTTPStatus.NOT_FOUND
        assert (await stand.ask(path)).status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
async def test_who_would_ask_again_in_vain_is_told_so(path: str) -> None:
    async with standing() as stand:
        refused = await stand.ask(path, model="b")
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert refused.headers["x-should-retry"] == "false"
        assert "retry-after" not in refused.headers
        assert refused.json()["error"]["type"] == "api_error"
