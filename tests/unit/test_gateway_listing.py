"""The list of models, told from what the gateway knows and in the form that a client reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest

from reconciler.gateway import states
from reconciler.model.access_key import KeyRing
from reconciler.model.key_scope import KeyScope
from reconciler.model.lending import Outlook
from reconciler.model.traffic import Routes
from reconciler.ports import EngineWay
from tests.gateway_stand import ROUTES, WITHIN, Stand, standing, until
from tests.sample_worlds import HOST, identity
from tests.scripted_engine import answers, scripted
from tests.unit.test_gateway_keys import a_key, sent

LENT = Routes(
    models=(ROUTES.models[0], ROUTES.models[1].model_copy(update={"lent": True})), main="a"
)


CODEX = {
    "slug", "display_name", "description", "priority", "visibility", "supported_in_api",
    "base_instructions", "shell_type", "supported_reasoning_levels", "supports_reasoning_summaries",
    "support_verbosity", "supports_parallel_tool_calls", "truncation_policy",
    "experimental_supported_tools", "input_modalities", "upgrade", "default_verbosity",
    "apply_patch_tool_type",
}  # fmt: skip


async def told(stand: Stand, path: str = "/v1/models", **fields: str) -> Any:
    answer = await stand.client.get(path, headers=fields)
    assert answer.status_code == HTTPStatus.OK
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def statuses(stand: Stand) -> dict[str, Any]:
    return {one["id"]: one["status"] for one in (await told(stand))["data"]}


async def test_every_model_is_listed_with_how_far_it_is() -> None:
    async with standing() as stand, scripted(answers) as engine:
        found = await statuses(stand)
        assert found["a"] == {"value": "loading"}
        assert found["b"]["value"] == "unloaded"
        assert "requests may not bring it in" in found["b"]["reason"]
        await stand.admit(engine)
        assert (await statuses(stand))["a"] == {"value": "loaded"}
        assert engine.heard == [], "no engine is asked for it"


async def test_what_gave_way_to_another_model_is_on_its_way_when_it_is_asked_for() -> None:
    async with standing() as stand:
        lobby = stand.front.doors.lobby("box")
        lobby.displace({"a"})
        assert (await statuses(stand))["a"] == {"value": "unloaded"}
        asked = asyncio.create_task(stand.ask(model="a"))
        await until(lambda: lobby.demands()["a"].waiting)
        assert (await statuses(stand))["a"] == {"value": "loading"}
        asked.cancel()


async def test_what_an_engine_said_of_itself_is_told_and_what_is_not_known_left_out() -> None:
    async with standing() as stand, scripted(answers) as engine:
        first, _ = (await told(stand))["data"]
        assert {"context_length", "architecture"} & first.keys() == set()
        way = EngineWay(engine.url, 4, context=4096, architecture="llama")
        await stand.front.doors.gate(HOST).admit("a", identity(1), way)
        first, _ = (await told(stand))["data"]
        assert (first["context_length"], first["architecture"]) == (4096, "llama")
        await stand.front.doors.gate(HOST).hold("a", "it is stopped")
        first, _ = (await told(stand))["data"]
        assert first["context_length"] == 4096, "as it was when it served last"


async def test_what_requests_wait_for_is_on_its_way_unless_that_is_in_vain() -> None:
    async with standing() as stand:
        stand.front.doors.route(LENT)
        assert (await statuses(stand))["b"] == {"value": "unloaded"}
        asked = asyncio.create_task(stand.ask(model="b"))
        await until(lambda: stand.front.doors.lobby("box").demands()["b"].waiting)
        assert (await statuses(stand))["b"] == {"value": "loading"}
        stand.front.doors.lobby("box").foresee({"b": Outlook(seconds=29.5, failed=True)})
        stand.front.doors.lobby("box").refuse({"b": "no room"})
        reason = "b does not serve: no room"
        told = {"value": "unloaded", "reason": reason, "failed": True}
        assert (await statuses(stand))["b"] == told
        refused = await asked
        assert refused.headers["retry-after"] in {"29", "30"}
        assert refused.headers["x-should-retry"] == "false"
        stand.front.doors.lobby("box").foresee({"b": Outlook(seconds=7200.0)})
        assert (await stand.ask(model="b")).headers["retry-after"] == "120"
        assert "failed" not in (await statuses(stand))["b"]
        stand.front.doors.lobby("box").foresee({})
        assert "retry-after" not in (await stand.ask(model="b")).headers
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert refused.json()["error"]["message"] == reason


async def test_every_form_that_clients_read_is_complete() -> None:
    async with standing() as stand:
        whole = await told(stand, "/models")
        assert whole["object"] == "list"
        assert whole["data"][0] | {"status": 0} == {
            "id": "a", "object": "model", "created": 0, "owned_by": "reconciler", "status": 0,
            "aliases": [],
        }  # fmt: skip
        assert (await told(stand, "/v1/models/a"))["id"] == "a"
        page = await told(stand, **{"anthropic-version": "2023-06-01"})
        assert page == {
            "data": [
                {
                    "type": "model",
                    "id": name,
                    "display_name": name,
                    "created_at": "1970-01-01T00:00:00Z",
                }
                for name in "ab"
            ],
            "has_more": False,
            "first_id": "a",
            "last_id": "b",
        }
        codex = await told(stand, "/v1/models?client_version=0.171.0")
        assert [(one["slug"], one["priority"]) for one in codex["models"]] == [("a", 0), ("b", 1)]
        assert codex["models"][0].keys() == CODEX
        stand.front.doors.route(Routes())
        assert (await told(stand))["data"] == []
        page = await told(stand, **{"anthropic-version": "2023-06-01"})
        assert (page["data"], page["first_id"]) == ([], None)


async def test_a_model_that_is_not_there_is_named_with_those_that_are() -> None:
    async with standing() as stand:
        answer = await stand.client.get("/v1/models/c")
        assert answer.status_code == HTTPStatus.NOT_FOUND
        assert "expected one of: a, b" in answer.json()["error"]["message"]
        head = await stand.client.head("/v1/models")
        assert (head.status_code, head.content) == (HTTPStatus.OK, b"")
        refused = await stand.client.post("/v1/models")
        assert refused.status_code == HTTPStatus.METHOD_NOT_ALLOWED


async def test_a_model_is_brought_in_for_who_asks_nothing_of_it_yet() -> None:
    async with standing() as stand, scripted(answers) as engine:
        for _ in range(2):
            loaded = await stand.client.post("/models/load", json={"model": "a"})
            assert (loaded.status_code, loaded.json()) == (HTTPStatus.OK, {"success": True})
        demand = stand.seat.demand
        assert (demand.waiting, demand.used) == (1, None)
        running = (await stand.client.get("/running")).json()
        assert running == {"running": [{"model": "a", "state": "starting"}]}
        await stand.admit(engine)
        assert stand.seat.demand.waiting == 0
        assert stand.seat.demand.used is not None
        assert (await stand.client.post("/models/load", json={"model": "a"})).is_success
        running = (await stand.client.get("/running")).json()
        assert running == {"running": [{"model": "a", "state": "ready"}]}
        assert engine.heard == []
        for body, status in (({"model": "c"}, HTTPStatus.NOT_FOUND), ([], HTTPStatus.BAD_REQUEST)):
            assert (await stand.client.post("/models/load", json=body)).status_code == status
        pinned = await stand.client.post("/models/load", json={"model": "b"})
        assert pinned.status_code == HTTPStatus.SERVICE_UNAVAILABLE


async def test_who_beckons_a_model_in_vain_holds_nothing() -> None:
    async with standing() as stand:
        await stand.client.post("/models/load", json={"model": "a"})
        stand.front.doors.leave()
        assert stand.seat.demand.waiting == 0


async def test_who_follows_is_told_whenever_a_model_comes_or_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(states, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(states, "BEAT_LOOKS", 1)
    async with standing() as stand, scripted(answers) as engine:
        async with stand.client.stream("GET", "/models/sse") as told:
            beats = told.aiter_lines()
            assert [await anext(beats) for _ in range(3)] == [": keepalive", "", ": keepalive"]
            await stand.admit(engine)
            assert json.loads(await first(beats)) == changed("a", "loaded")
            stand.seat.close("it is stopped")
            assert json.loads(await first(beats)) == changed("a", "loading")
        async with stand.client.stream("GET", "/api/events") as told:
            lines = told.aiter_lines()
            heard = [json.loads(await first(lines))]
            stand.seat.close("it is stopped for good")
            await stand.admit(engine)
            heard.append(json.loads(await first(lines)))
            assert ": keepalive" in [await anext(lines) for _ in range(3)]
        assert {one["type"] for one in heard} == {"modelStatus"}
        swaps = [{m["id"]: m["state"] for m in json.loads(one["data"])} for one in heard]
        assert swaps == [{"a": "starting", "b": "stopped"}, {"a": "ready", "b": "stopped"}]
        head = await stand.client.head("/models/sse")
        assert (head.status_code, head.content) == (HTTPStatus.OK, b"")


async def first(lines: AsyncIterator[str]) -> str:
    async with asyncio.timeout(WITHIN):
        async for line in lines:
            if line.startswith("data: "):
                return line[6:]
    raise AssertionError


def changed(name: str, state: str) -> dict[str, object]:
    return {"model": name, "event": "status_change", "data": {"status": state}}


@pytest.mark.parametrize(
    ("scope", "wakes", "rests", "waiting"),
    [
        ("infer", True, True, 1),
        ("infer", True, False, 0),
        ("infer", False, True, 0),
        ("read", True, True, 0),
    ],
)
async def test_a_list_wakes_a_host_that_rests_for_a_key_that_says_so(
    scope: KeyScope, wakes: bool, rests: bool, waiting: int
) -> None:
    key = a_key("1", scope).model_copy(update={"wake_on_list": wakes})
    async with standing(rings=lambda: KeyRing(keys=(key,))) as stand:
        stand.front.doors.lobby("box").rest(["a", "b"] if rests else [])
        for _ in range(2):
            await told(stand, **sent("1"))
        assert stand.seat.demand.waiting == waiting


async def test_other_names_are_listed_for_clients_that_look_for_theirs() -> None:
    async with standing() as stand:
        aliased = (one.model_copy(update={"aliases": ("claude-x",)}) for one in ROUTES.models)
        stand.front.doors.route(ROUTES.model_copy(update={"models": tuple(aliased)}))
        page = await told(stand, **{"anthropic-version": "2023-06-01"})
        assert [one["id"] for one in page["data"]] == ["a", "b", "claude-x"]
        assert page["last_id"] == "claude-x"
