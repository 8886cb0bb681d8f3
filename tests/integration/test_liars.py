"""Engines that lie, wrong slot files, full disks: seen, said, and nothing lost over it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from reconciler.drivers.engines import llamacpp
from reconciler.drivers.engines.llama.engine import LlamaEngine
from reconciler.edge.http import HttpClient
from reconciler.edge.http_reply import HttpFault
from reconciler.errors import DriverError
from reconciler.model.facts import Known, Saved, Unknown
from reconciler.model.onhost.processes import AskUnits
from tests import running
from tests.contracts.hosts import here
from tests.lying_servers import (
    always,
    before,
    behind,
    lying,
    never,
    routes,
    this_process,
    with_this_process,
)
from tests.rig import DIGEST, saved_by, spec, value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.model.spec import Task
    from tests.lying_servers import Lie
    from tests.rig import Define


PROPS = {"default_generation_settings": {}, "total_slots": 1, "model_alias": "m"}
SLOT = {"id": 0, "n_ctx": 64, "is_processing": False}


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


def engine_on(port: int, directory: Path) -> LlamaEngine:
    """Define an engine on a port where something listens already."""
    options = llamacpp.Options(weights=str(directory / "w.gguf"), binary="/bin/true")
    access = here(directory)
    return llamacpp.Driver(
        options, spec(llamacpp.command(options, "m", port), port), access, time.time
    )


async def test_an_engine_that_never_answers_is_unresponsive(tmp_path: Path) -> None:
    async with lying(never) as port:
        health = value(await engine_on(port, tmp_path).health(this_process(DIGEST)))
    assert health.phase == "unresponsive"
    assert "within 5 s" in health.message


async def test_an_engine_that_hangs_up_is_loading_while_it_is_young(tmp_path: Path) -> None:
    async def hangs_up(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        raise ConnectionError

    async with lying(hangs_up) as port:
        engine, young = engine_on(port, tmp_path), this_process(DIGEST)
        phases = [
            value(await engine.health(unit)).phase
            for unit in (young, this_process(DIGEST, uptime=1000.0))
        ]
    assert phases == ["loading", "unresponsive"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"page": 1},
        {"page": None},
        {"page": {"fault": "bored", "words": ""}},
        {"page": {"status": 200}},
    ],
)
async def test_a_host_that_does_not_say_what_its_engine_said_leaves_it_unknown(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    async def exchange(_: dict[str, Any], __: float) -> dict[str, Any]:
        owner = {"pid": os.getpid(), "name": "python", "model": None, "service": None}
        return {"ok": {"answers": [{"ok": {"owner": owner, **answer}}]}}

    model = engine_on(1, tmp_path)
    engine = LlamaEngine(model.setup, model.model, here(tmp_path, exchange), time.time)
    assert isinstance(await engine.health(this_process(DIGEST)), Unknown)


async def test_a_stranger_on_the_port_is_named_however_healthy_it_seems(
    define: Define, tmp_path: Path
) -> None:
    model = define()
    async with (
        model.running() as unit,
        lying(routes({"/health": (200, {"status": "ok"}), "/props": (200, PROPS)})) as port,
    ):
        engine = engine_on(port, tmp_path)
        health = value(await engine.health(unit))
        assert health.phase == "stranger"
        assert f"pid {os.getpid()}" in health.message
        answer, activity = await engine.answer(unit), await engine.activity(unit)
        assert isinstance(answer, Known)
        assert answer.value.identity is None
        assert isinstance(activity, Unknown)
        with pytest.raises(DriverError, match="listens on"):
            await engine.restore(unit, Saved())


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        {"tokens_predicted": 0, "content": ""},
        {"tokens_predicted": 1},
        {"tokens_predicted": True, "content": 3},
    ],
    ids=["empty", "list", "none", "wordless", "types"],
)
async def test_an_answer_without_a_token_is_none(tmp_path: Path, content: Any) -> None:
    answers: dict[str, tuple[int, object]] = {
        "/slots": (200, [SLOT]),
        "/completion": (200, content),
    }
    async with lying(routes(answers)) as port:
        answer = value(await engine_on(port, tmp_path).answer(this_process(DIGEST)))
    assert answer.identity is None
    assert answer.message


@pytest.mark.parametrize(
    ("argv", "lives"), [((), False), (("llama-server",), True)], ids=["ours", "given"]
)
@pytest.mark.parametrize("task", ["completion", "embedding", "rerank"])
async def test_a_given_service_of_another_task_lives(
    tmp_path: Path, task: Task, argv: tuple[str, ...], lives: bool
) -> None:
    refused: tuple[int, object] = (501, {"error": {"message": "no"}})
    says = {
        "/slots": (200, [SLOT]),
        "/completion": refused,
        "/embedding": refused,
        "/rerank": refused,
    }
    async with lying(routes(says)) as port:
        engine = engine_on(port, tmp_path)
        engine.model = engine.model.model_copy(update={"task": task})
        answer = value(await engine.answer(this_process(DIGEST, argv=argv)))
    assert ((answer.identity is not None), f"its task is not {task}" in answer.message) == (
        lives,
        True,
    )


@pytest.mark.parametrize(
    "vector", [[], [0.5, 0.5], [1.0, float("nan")], "x"], ids=["none", "constant", "nan", "text"]
)
async def test_a_vector_that_is_none_is_no_answer(tmp_path: Path, vector: Any) -> None:
    async with lying(always(200, [{"embedding": vector}])) as port:
        engine = engine_on(port, tmp_path)
        engine.model = engine.model.model_copy(update={"task": "embedding"})
        answer = value(await engine.answer(this_process(DIGEST)))
    assert answer.identity is None


@pytest.mark.parametrize(
    "slots", [{}, [], [{}], [{"id": -1, "is_processing": False}], [{**SLOT, "id": "0"}]]
)
async def test_slots_that_make_no_sense_are_unknown(tmp_path: Path, slots: Any) -> None:
    async with lying(routes({"/slots": (200, slots), "/metrics": (200, "")})) as port:
        activity = await engine_on(port, tmp_path).activity(this_process(DIGEST))
    assert isinstance(activity, Unknown)
    assert "/slots answered" in activity.reason


@pytest.mark.parametrize("busy", [True, False])
async def test_a_server_that_counts_nothing_is_judged_by_its_slots(
    tmp_path: Path, busy: bool
) -> None:
    used = {**SLOT, "is_processing": busy, "n_prompt_tokens": 100, "id_task": 3}
    async with lying(
        routes({"/slots": (200, [used]), "/metrics": (501, {"error": {"message": "no metrics"}})})
    ) as port:
        engine, unit = engine_on(port, tmp_path), this_process(DIGEST)
        assert value(await engine.activity(unit)).in_flight == int(busy)
        assert (value(await engine.answer(unit)).identity is None) is busy


async def test_a_slot_whose_server_does_not_say_what_it_holds_is_left_alone(tmp_path: Path) -> None:
    says = routes(
        {"/slots": (200, [{**SLOT, "id_task": 3}]), "/metrics": (501, {}), "/completion": (200, {})}
    )
    asked: list[Any] = []
    async with lying(says) as behind_it, lying(before(behind_it, lambda *_: None, asked)) as port:
        engine, unit = engine_on(port, tmp_path), this_process(DIGEST)
        assert value(await engine.activity(unit)).uncounted
        assert value(await engine.answer(unit)).identity is not None
    assert "/completion" not in {one.path for one in asked}


async def test_a_restore_that_restores_nothing_is_seen(define: Define) -> None:
    model = define()
    saved = await saved_by(model)
    tokens, size = saved.slots[0].tokens, saved.slots[0].bytes
    done = always(
        200, {"id_slot": 0, "n_restored": tokens, "n_read": size, "timings": {"restore_ms": 1.0}}
    )
    async with model.running() as unit:
        liar = before(model.model.port, lambda _, path: done if "action=restore" in path else None)
        async with lying(liar) as port:
            evidence: Any = await behind(model, port).restore(with_this_process(unit), saved)
    assert evidence["slots"][0]["outcome"] == "cold"
    assert "remembered 0" in evidence["slots"][0]["reason"]
    assert "restart" not in evidence


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (always(200, {"n_restored": 3}), "took 3 of"),
        (always(200, {}), "without a number of n_restored"),
        (always(400, {"error": {"message": "Unable to restore slot"}}), "Unable to restore slot"),
        (always(500, b"oops"), "oops"),
    ],
    ids=["short", "empty", "400", "500"],
)
async def test_a_restore_that_fails_asks_for_a_fresh_engine(
    define: Define, answer: Lie, said: str
) -> None:
    model = define()
    saved = await saved_by(model)
    async with model.running() as unit:
        liar = before(
            model.model.port, lambda _, path: answer if "action=restore" in path else None
        )
        async with lying(liar) as port:
            evidence: Any = await behind(model, port).restore(with_this_process(unit), saved)
        assert evidence["restart"] is True
        (attempt,) = value(await model.engine.saved()).slots[0].attempts
        assert (attempt.outcome, attempt.identity) == ("failed", unit.identity)
        assert said in attempt.reason


async def test_an_engine_that_dies_over_a_restore_is_a_failed_restore(define: Define) -> None:
    model = define()
    saved = await saved_by(model)
    async with model.running() as unit:

        async def dies(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
            await model.stop(unit)
            return 200, json.dumps({"n_restored": saved.slots[0].tokens}).encode()

        async with lying(
            before(model.model.port, lambda _, path: dies if "action=restore" in path else None)
        ) as port:
            evidence: Any = await behind(model, port).restore(with_this_process(unit), saved)
    assert evidence["restart"] is True
    (attempt,) = value(await model.engine.saved()).slots[0].attempts
    assert attempt.outcome == "failed"


async def test_an_attempt_is_on_record_before_the_engine_is_asked(define: Define) -> None:
    model = define()
    saved = await saved_by(model)
    recorded: list[str] = []

    async def looks(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        (one,) = value(await model.engine.saved()).slots
        recorded.extend(tried.outcome for tried in one.attempts)
        return 500, b""

    def lies(_method: str, path: str) -> Lie | None:
        return looks if "action=restore" in path else None

    async with model.running() as unit, lying(before(model.model.port, lies)) as port:
        await behind(model, port).restore(with_this_process(unit), saved)
    assert recorded == ["open"]


async def test_no_connection_stays_open_between_exchanges(define: Define) -> None:
    model = define()
    async with model.running() as unit:
        await model.engine.health(unit)
        await model.engine.activity(unit)
        port = f"{model.model.port:04X}"
        rows = [
            row.split() for row in (await anyio.Path("/proc/net/tcp").read_text()).splitlines()[1:]
        ]
        assert not [row for row in rows if row[2].endswith(f":{port}") and row[3] == "01"]


async def test_a_clients_idle_connection_does_not_keep_an_engine_alive(define: Define) -> None:
    model = define()
    async with model.running() as unit:
        with closing(socket.create_connection(("127.0.0.1", model.model.port))) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: m\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            await model.stop(unit)
        (fact,) = await model.access.ask([AskUnits(pids=(unit.identity.pid,))])
        assert value(fact)["units"] == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_waits_for_an_answer_does_not_keep_an_engine_alive(
    define: Define, stream: bool
) -> None:
    """At the first SIGTERM llama-server waits for clients: 30 s where they stream, or longer."""
    model = define()
    endless = {"prompt": "ba " * 100, "n_predict": -1, "ignore_eos": True, "stream": stream}
    async with model.running() as unit:
        with closing(http.client.HTTPConnection("127.0.0.1", model.model.port)) as client:
            client.request(
                "POST", "/completion", json.dumps(endless), {"Content-Type": "application/json"}
            )
            while not (await model.slot(unit)).busy:
                await anyio.lowlevel.checkpoint()
            stopped = await model.launcher.stop(unit, grace=0.2)
        assert stopped["gone"] is True
        (fact,) = await model.access.ask([AskUnits(pids=(unit.identity.pid,))])
        assert value(fact)["units"] == []


async def test_the_client_tells_its_faults_apart() -> None:
    client = HttpClient()
    faults = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    async with lying(never) as stuck, lying(always(200, b"x" * 5000)) as chatty:
        for port, deadline, limit in (
            (closed, 2, 10),
            (stuck, 0.1, 10),
            (chatty, 2, 4999),
            (chatty, 2, 5000),
        ):
            try:
                (await client.get(f"http://127.0.0.1:{port}/", deadline, limit)).json()
            except HttpFault as fault:
                faults.append(fault.fault)
    assert faults == ["refused", "timeout", "too large", "not json"]


async def test_a_question_given_up_is_closed() -> None:
    gone = anyio.Event()

    async def stuck(_method: str, _path: str, _body: bytes) -> tuple[int, bytes]:
        try:
            await anyio.sleep_forever()
        finally:
            gone.set()
        return 200, b""

    async with lying(stuck) as port:
        with pytest.raises(HttpFault, match="within"):
            await HttpClient().get(f"http://127.0.0.1:{port}/", 1.0)
    assert gone.is_set()
