"""What is counted of requests, each on its real way through the gateway."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

import httpx
import pytest

from reconciler.cli import terminal
from reconciler.gateway import clients
from reconciler.render.exposition import exposition
from tests.gateway_stand import CHAT, Stand, standing, until
from tests.scripted_engine import Heard, answers, scripted, streams

LINE = re.compile(r"^reconciler_(\S+) (\S+)$", re.MULTILINE)


def scrape(stand: Stand) -> dict[str, float]:
    """Every number that there is, by its name and labels."""
    text = exposition(stand.front.doors.metrics())
    return {name: float(amount) for name, amount in LINE.findall(text)}


async def never(heard: Heard, writer: asyncio.StreamWriter) -> None:
    """Answer nothing until the client has gone."""
    assert await heard.reader.read() == b""
    writer.close()


async def test_an_answered_request_is_counted_and_timed_once() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        await stand.ask()
        seen = scrape(stand)
        assert seen[f'requests_total{{model="a",route="{CHAT}",code="200"}}'] == 1
        for name in ("request", "queue", "first_byte"):
            assert seen[f'{name}_seconds_count{{model="a"}}'] == 1
            assert seen[f'{name}_seconds_bucket{{model="a",le="5"}}'] == 1
        assert seen['in_flight{model="a"}'] == seen['waiting{model="a"}'] == 0
        assert not any(name.startswith(("holds", "refused", "client_gone")) for name in seen)


async def test_events_of_a_stream_are_counted() -> None:
    async with standing() as stand, scripted(streams) as engine:
        await stand.admit(engine)
        await stand.ask(stream=True)
        assert scrape(stand)['stream_events_total{model="a"}'] == 3


async def test_a_refusal_is_counted_without_what_the_client_wrote() -> None:
    async with standing() as stand:
        await stand.client.post("/v1/secret", json={})
        await stand.ask(model="secret")
        seen = scrape(stand)
        assert seen['requests_total{model="",route="",code="404"}'] == 1
        assert seen[f'requests_total{{model="",route="{CHAT}",code="404"}}'] == 1
        assert seen['refused_total{reason="404"}'] == 2
        assert not any("secret" in name for name in seen)


async def test_a_request_that_is_sent_once_more_is_one_request_and_a_retry() -> None:
    async def once(heard: Heard, writer: asyncio.StreamWriter) -> None:
        if len(engine.heard) == 2:
            writer.close()
        else:
            await answers(heard, writer)

    async with standing() as stand, scripted(once) as engine:
        await stand.admit(engine)
        await stand.ask()
        await stand.ask()
        seen = scrape(stand)
        assert seen['retries_total{model="a"}'] == 1
        assert seen['request_seconds_count{model="a"}'] == 2


async def test_a_client_that_leaves_is_counted_by_how_far_it_came() -> None:
    async with standing() as stand, scripted(never) as engine:
        waits = asyncio.create_task(stand.ask())
        await until(lambda: scrape(stand)['waiting{model="a"}'] == 1)
        waits.cancel()
        await until(lambda: scrape(stand).get('client_gone_total{state="waiting"}') == 1)
        await stand.admit(engine)
        asked = asyncio.create_task(stand.ask())
        await until(lambda: engine.heard)
        assert scrape(stand)['in_flight{model="a"}'] == 1
        asked.cancel()
        await until(lambda: scrape(stand).get('client_gone_total{state="asked"}') == 1)
        seen = scrape(stand)
        assert seen['holds_total{model="a",result="gone"}'] == 1
        assert seen[f'requests_total{{model="a",route="{CHAT}",code="gone"}}'] == 2


async def test_a_client_that_leaves_a_stream_was_being_answered() -> None:
    async def begins(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n.")
        await never(heard, writer)

    async with standing() as stand, scripted(begins) as engine:
        await stand.admit(engine)
        async with stand.client.stream("POST", CHAT, json={"model": "a"}):
            pass
        await until(lambda: scrape(stand).get('client_gone_total{state="answering"}') == 1)


async def test_a_request_that_waited_is_counted_by_what_came_of_it() -> None:
    async with standing() as stand, scripted(answers) as engine:
        asked = asyncio.create_task(stand.ask())
        await until(lambda: scrape(stand)['waiting{model="a"}'] == 1)
        await stand.admit(engine)
        await asked
        await stand.front.doors.gate(stand.seat.route.host).hold("a", "a switch")
        refused = asyncio.create_task(stand.ask())
        await until(lambda: scrape(stand)['waiting{model="a"}'] == 1)
        stand.front.doors.leave()
        await refused
        seen = scrape(stand)
        assert seen['holds_total{model="a",result="sent"}'] == 1
        assert seen['holds_total{model="a",result="refused"}'] == 1
        assert seen['refused_total{reason="503"}'] == 1


async def test_an_answer_that_is_cut_is_no_client_that_left() -> None:
    async def breaks(_: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nonly this")
        await writer.drain()
        writer.close()

    async with standing() as stand, scripted(breaks) as engine:
        await stand.admit(engine)
        with pytest.raises(httpx.RemoteProtocolError):
            await stand.ask()
        seen = scrape(stand)
        assert seen[f'requests_total{{model="a",route="{CHAT}",code="502"}}'] == 1
        assert not any(name.startswith("client_gone") for name in seen)


async def test_how_late_the_loop_is_is_noted_while_anybody_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, "SWEEP_SECONDS", 0.005)
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        await stand.ask()
        await until(lambda: scrape(stand)["loop_lag_seconds_count"] > 2)


async def test_a_log_says_of_each_request_what_became_of_it_and_nothing_of_what_it_said() -> None:
    async with standing() as stand, scripted(answers) as engine:
        told: list[Mapping[str, object]] = []
        stand.front.doors.counts.tell = told.append
        await stand.admit(engine)
        await stand.client.post(
            CHAT, json={"model": "a", "secret": 1}, headers={"X-Request-ID": "mine-1234"}
        )
        await stand.client.post("/v1/secret", json={}, headers={"X-Request-ID": "mine-5678"})
        first, second = told
        assert (first["id"], first["model"], first["route"]) == ("mine-1234", "a", CHAT)
        assert (first["code"], first["bytes"], first["gone"]) == ("200", 24, False)
        assert all(isinstance(first[name], float) for name in ("queue", "first_byte", "total"))
        assert (second["id"], second["route"], second["code"]) == ("mine-5678", "", "404")
        assert second["queue"] is second["first_byte"] is None
        assert "secret" not in str(told)


async def test_the_request_that_waits_longest_is_named_to_what_keeps_the_host() -> None:
    async with standing() as stand:
        fields = {"X-Request-ID": "mine-1234"}
        asked = asyncio.create_task(stand.client.post(CHAT, json={"model": "a"}, headers=fields))
        await until(lambda: stand.seat.demand.waiting)
        assert stand.seat.demand.request == "mine-1234"
        asked.cancel()


def test_the_log_is_lines_of_json_with_their_time(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.access_log()({"id": "mine-1234", "code": "200"})
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["id"], line["code"]) == ("request", "mine-1234", "200")
    assert line["timestamp"].endswith("Z")
