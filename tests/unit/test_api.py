"""The control API: the documents of verbs, over HTTP and the control socket."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.api.calls import events
from reconciler.api.router import CALLS, ControlApi
from reconciler.app import App, build
from reconciler.core import canonical
from reconciler.edge import control_socket
from reconciler.errors import WriteFailed
from reconciler.gateway.routes import TABLE
from reconciler.model.leasing import Leased, Released
from reconciler.model.records import Answered, Asked, Row
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Doors
from reconciler.settings import settings
from reconciler.verbs import history, status
from tests.engine import weights_in
from tests.gateway_stand import WITHIN, a_front

DESIRED = "version: 1\nactive: tiny-a\n"
INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{kind: embedded, weights: {weights}}}, port: 1}}
  tiny-b: {{engine: {{kind: embedded, weights: {weights}}}, port: 1, aliases: [other]}}
"""
V1 = "/api/v1"


@dataclass
class Api:
    """A gateway whose control API keeps a real folder, over its socket and over TCP."""

    app: App
    control: ControlApi
    local: httpx.AsyncClient
    tcp: httpx.AsyncClient

    async def get(self, path: str, **query: str) -> Any:
        answer = await self.local.get(V1 + path, params=query)
        assert answer.status_code == HTTPStatus.OK, answer.text
        return answer.json()

    async def rows(self, kind: str) -> list[Row]:
        return [row for row in await self.app.journal.since(0) if row.record.kind == kind]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("x" * 100)
    weights = weights_in(folder)
    (folder / "state").mkdir()
    (folder / "state" / "desired.yaml").write_text(DESIRED)
    (folder / "state" / "inventory.yaml").write_text(INVENTORY.format(weights=weights))
    return folder


@asynccontextmanager
async def standing(folder: Path, name: str = "data") -> AsyncIterator[Api]:
    here = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "host")}
    app = build(settings(here, str(folder / "state"), str(folder / name)))
    (folder / name).mkdir(exist_ok=True)
    made: list[ControlApi] = []

    def control(doors: Doors) -> ControlApi:
        made.append(ControlApi(app, doors))
        return made[0]

    front = a_front(rings=app.keys.ring, control=control, folder=folder / name)
    # Nothing acts: the tests stand in for the watch, and the lock is free as at the end of one.
    async with app.catalog.loop, front.opened() as (address,):
        uds = httpx.AsyncHTTPTransport(socket_options=None, uds=near(folder / name))
        async with (
            httpx.AsyncClient(transport=uds, base_url="http://x", timeout=WITHIN) as local,
            httpx.AsyncClient(base_url=f"http://{address}", timeout=WITHIN) as tcp,
        ):
            yield Api(app, made[0], local, tcp)


def near(folder: Path) -> str:
    """A path that is short enough for the name of a socket."""
    link = Path("/tmp") / f"reconciler-{folder.stat().st_ino}"  # noqa: S108
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return str(link / control_socket.NAME)


@pytest.fixture(autouse=True)
def tidy(folder: Path) -> Iterator[None]:
    yield
    for link in Path("/tmp").glob("reconciler-*"):  # noqa: S108
        if link.is_symlink() and folder in link.resolve().parents:
            link.unlink()


def test_every_call_has_its_way_in_and_the_other_way_round() -> None:
    controlled = {(one.method, one.shape) for one in TABLE if one.answer == "control"}
    assert controlled == CALLS.keys()


async def test_looking_tells_the_documents_of_the_command_line(folder: Path) -> None:
    async with standing(folder) as api:
        mode = stat.S_IMODE((folder / "data" / control_socket.NAME).stat().st_mode)
        assert mode == 0o600
        told = await api.local.get(f"{V1}/status")
        assert told.headers["x-exit-code"] == "0"
        document = (await status.run(api.app, exit_code=False)).document.model_dump(mode="json")
        assert told.json()["hosts"][0]["host"] == document["hosts"][0]["host"]
        planned = await api.local.get(f"{V1}/plan")
        assert planned.status_code == HTTPStatus.OK
        assert planned.headers["x-exit-code"] in {"2", "4"}
        steps = [step["kind"] for step in planned.json()["hosts"][0]["steps"]]
        assert steps == ["start", "await_healthy", "admit"]
        assert await api.get("/history") == (await history.run(api.app, None)).document.model_dump(
            mode="json"
        )
        assert (await api.get("/validate"))["hosts"] == {
            "local": {"power": None, "active": ["tiny-a"]}
        }
        assert "version" in await api.get("/version")
        assert (await api.get("/explain/tiny-a"))["subject"] == "tiny-a"
        assert (await api.get("/doctor", host="local"))["hosts"] == ["local"]


@pytest.mark.parametrize(
    ("path", "status_code", "said"),
    [
        ("/history/7", 400, "there is no run 7"),
        ("/history/x", 400, "found x, expected a run"),
        ("/explain/nothing-such", 400, "nothing is called nothing-such"),
        ("/doctor?host=nowhere", 400, "nowhere"),
        ("/logs/tiny-a?lines=0", 400, "expected 1 to 1000"),
        ("/logs/tiny-c", 400, "no managed host has a model tiny-c"),
        ("/events?after=x", 400, "expected the number of a row"),
    ],
)
async def test_what_cannot_be_told_is_said(
    folder: Path, path: str, status_code: int, said: str
) -> None:
    async with standing(folder) as api:
        answer = await api.local.get(V1 + path)
        assert (answer.status_code, said in answer.text) == (status_code, True), answer.text
        assert answer.json()["error"]["type"] == "Misused"
        assert answer.headers["x-exit-code"] == "64"


async def test_who_acts_is_told_the_number_at_once_or_the_end(folder: Path) -> None:
    async with standing(folder, "acting") as api:
        hold = {"reason": "a game"}
        answer = await api.local.post(f"{V1}/hold", json=hold)
        assert answer.status_code == HTTPStatus.ACCEPTED
        number = answer.json()["operation"]
        (asked,) = await api.rows("asked")
        assert (asked.seq, answer.json()["hosts"]) == (number, {"local": number})
        waits = asyncio.create_task(api.local.post(f"{V1}/resume", params={"wait": "60"}))
        await until_asked(api, 2)
        for row in await api.rows("asked"):
            verdict = HostVerdict(host="local", outcome="refused", message="no", reasons=("no",))
            await api.app.journal.append(Answered(host="local", asked=row.seq, verdict=verdict))
        ended = await waits
        assert ended.status_code == HTTPStatus.CONFLICT
        assert (ended.headers["x-exit-code"], ended.json()["hosts"][0]["message"]) == ("4", "no")


async def until_asked(api: Api, count: int) -> None:
    while len(await api.rows("asked")) < count:  # noqa: ASYNC110 - the file tells of no row
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "body", "status_code", "said"),
    [
        ("/hold?wait=x", {}, 400, "expected whole seconds"),
        ("/hold", {"reazon": "x"}, 400, "a body may have: host, reason, until, release, now"),
        ("/use", {"fro": "2h", "model": "a"}, 400, "fro: unknown key; did you mean"),
        ("/use", {"for_": 2}, 400, "a body may have: host, model, for, reason, commit"),
        ("/hold", {"host": "nowhere"}, 400, "host nowhere is not managed"),
        ("/apply", {"plan": {}}, 422, "this is not a saved plan"),
        ("/apply", {"plan": {"hosts": []}}, 409, "the saved plan no longer fits"),
        ("/use", {"model": "tiny-c"}, 400, "the inventory has no model tiny-c"),
        ("/use", {"model": "tiny-c", "for": "2h"}, 400, "no managed host has a model tiny-c"),
        ("/rollback", {}, 400, "there is no earlier state to go back to"),
    ],
)
async def test_what_cannot_be_done_is_said(
    folder: Path, path: str, body: Any, status_code: int, said: str
) -> None:
    async with standing(folder) as api:
        answer = await api.local.post(V1 + path, json=body)
        assert (answer.status_code, said in answer.text) == (status_code, True), answer.text
        assert await api.rows("asked") == []


async def test_over_tcp_without_keys_one_may_look_and_not_act(folder: Path) -> None:
    async with standing(folder) as api:
        assert (await api.tcp.get(f"{V1}/version")).status_code == HTTPStatus.OK
        refused = await api.tcp.post(f"{V1}/hold", json={})
        assert refused.status_code == HTTPStatus.FORBIDDEN
        assert "this needs a key of the scope operate, and none has been made" in refused.text


async def test_every_row_is_an_event_also_for_who_was_away(folder: Path) -> None:
    async with standing(folder, "eventful") as api:
        first = await api.app.journal.append(Asked(host="local", trigger="apply", wanted=None))
        async with api.local.stream("GET", f"{V1}/events", headers={"Last-Event-ID": "0"}) as told:
            assert told.headers["content-type"] == "text/event-stream"
            lines = told.aiter_lines()
            assert await event(lines) == (first.seq, "asked", "apply")
            second = await api.app.journal.append(Asked(host="local", trigger="use", wanted=None))
            assert await event(lines) == (second.seq, "asked", "use")


async def test_events_and_who_waits_do_not_hold_up_the_end_of_the_gateway(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    async with standing(folder, "ending") as api:
        waits, resumes = await asyncio.open_unix_connection(near(folder / "ending"))
        resumes.write(f"POST {V1}/resume?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reader, writer = await asyncio.open_unix_connection(near(folder / "ending"))
        asked = f"GET {V1}/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n\r\n"
        writer.write(asked.encode())
        await reader.readuntil(b"data: ")
        await until_asked(api, 1)
        (row,) = await api.rows("asked")
        began = loop.time()
    assert loop.time() - began < WITHIN / 2
    assert (await reader.read()).endswith(b"0\r\n\r\n")
    told = (await waits.read()).decode()
    assert told.startswith("HTTP/1.1 202 "), told
    assert f'"operation": {row.seq}' in told
    writer.close()
    resumes.close()


async def event(lines: AsyncIterator[str]) -> tuple[int, str, str]:
    told: dict[str, str] = {}
    async with asyncio.timeout(WITHIN):
        async for line in lines:
            name, _, value = line.partition(": ")
            told |= {name: value} if name else {}
            if not line and "data" in told:
                break
    return int(told["id"]), told["event"], json.loads(told["data"])["record"]["trigger"]


async def test_what_is_there_for_a_while_can_be_let_go(folder: Path) -> None:
    async with standing(folder, "letting") as api:
        nothing = await api.local.post("/models/unload", json={"model": "tiny-b"})
        assert (nothing.status_code, nothing.json()) == (HTTPStatus.OK, {"success": True})
        wanted = await api.local.post("/api/models/unload/tiny-a", json={})
        assert wanted.status_code == HTTPStatus.CONFLICT
        assert "desired.yaml wants tiny-a to serve" in wanted.text
        assert (await api.local.post("/models/unload", json={})).status_code == 400
        other = await api.local.post("/models/unload", json={"model": "tiny-c"})
        assert other.status_code == 400
        lease = Leased(host="local", model="tiny-b", wanted=digest(api.app))
        for count, path in enumerate(("/unload", "/api/models/unload/other"), 1):
            await api.app.journal.append(lease)
            assert (await api.local.post(path)).json() == {"success": True}
            released = await api.rows("released")
            assert [row.record.model_dump()["model"] for row in released] == ["tiny-b"] * count


def digest(app: App) -> str:
    return canonical.digest(app.source.read().slices["local"])


async def test_a_scrape_tells_of_requests_and_of_what_was_done_to_hosts(folder: Path) -> None:
    async with standing(folder, "metered") as api:
        await api.tcp.post("/v1/nothing", json={})
        await api.app.journal.append(Leased(host="local", model="tiny-b", wanted=digest(api.app)))
        await api.app.journal.append(Released(host="local", model="tiny-b", because="it is over"))
        await api.tcp.get("/metrics")
        for count in (1, 2):
            told = await api.tcp.get("/metrics")
            assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            lines = set(told.text.splitlines())
            asked = 'requests_total{model="",route="",code="404"} 1'
            lent = 'leases_total{model="tiny-b",owner="requests",end="over"} 1'
            assert any(line.startswith("reconciler_build_info{version=") for line in lines)
            scrapes = f'requests_total{{model="",route="/metrics",code="200"}} {count}'
            counted = {asked, lent, scrapes, "journal_append_seconds_count 2"}
            assert {f"reconciler_{one}" for one in counted} <= lines


async def test_the_description_names_every_route(folder: Path) -> None:
    async with standing(folder) as api:
        told = (await api.local.get("/openapi.json")).json()
        assert told["openapi"] == "3.1.0"
        shapes = set(told["paths"])
        assert len(shapes) == len({one.shape for one in TABLE})
        hold = told["paths"][f"{V1}/hold"]["post"]
        assert (hold["x-scope"], hold["security"]) == ("operate", [{"key": ["operate"]}])
        names = [one["name"] for one in told["paths"][f"{V1}/logs/{{model}}"]["get"]["parameters"]]
        assert names == ["model", "lines", "after", "follow"]
        schema = hold["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert schema.rpartition("/")[2] in told["components"]["schemas"]
        assert "security" not in told["paths"]["/healthz"]["get"]


async def test_a_journal_that_cannot_be_read_ends_the_events_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> int:
        raise WriteFailed("the disk is gone")

    monkeypatch.setattr(events, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(events, "GLANCE_SECONDS", 0.0)
    async with standing(folder) as api:
        async with api.local.stream("GET", f"{V1}/events") as told:
            pieces = told.aiter_text()
            assert await anext(pieces) == ": keepalive\n\n"
            assert await anext(pieces) == ": keepalive\n\n", "it lives while nothing is written"
            monkeypatch.setattr(api.app.journal, "newest", broken)
            rest = "".join([piece async for piece in pieces])
        assert rest.endswith(
            'event: error\ndata: {"message": "the disk is gone", "type": "WriteFailed"}\n\n'
        )


async def test_what_breaks_ends_one_answer_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with standing(folder) as api:
        monkeypatch.setattr(api.app.source, "read", lambda: 1 / 0)
        answer = await api.local.get(f"{V1}/validate")
        assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
        assert "this is a defect of reconciler" in answer.text
        assert (await api.local.get(f"{V1}/version")).is_success


async def test_who_reads_slowly_lets_the_events_wait(folder: Path) -> None:
    async with standing(folder, "slow") as api:
        for _ in range(300):
            await api.app.journal.append(Asked(host="local", trigger="x" * 20_000, wanted=None))
        host, port = str(api.tcp.base_url).removeprefix("http://").strip("/").split(":")
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect((host, int(port)))
        reader, writer = await asyncio.open_connection(sock=made)
        head = f"GET {V1}/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        writer.write(head.encode())
        told = bytearray()
        async with asyncio.timeout(WITHIN):
            while len(told) < 300 * 20_000 or not told.endswith(b"\n\n\r\n"):
                told += await reader.read(65536)
        assert told.count(b"\nevent: asked\n") == 300
        writer.close()


async def test_the_answer_to_a_head_has_no_body_that_the_next_one_could_be_taken_for(
    folder: Path,
) -> None:
    async with standing(folder) as api:
        for path in ("/version", "/events"):
            head = await api.local.head(V1 + path)
            assert (head.status_code, head.content) == (HTTPStatus.OK, b"")
            assert "version" in await api.get("/version"), "the same connection goes on"


async def test_what_was_begun_goes_on_when_who_asked_has_left(folder: Path) -> None:
    async with standing(folder, "left") as api:
        waits = asyncio.create_task(api.local.post(f"{V1}/resume", params={"wait": 60}, json={}))
        async with asyncio.timeout(WITHIN):
            await until_asked(api, 1)
            rows = await api.rows("asked")
            (begun,) = api.control._served.begun
            waits.cancel()
            verdict = HostVerdict(host="local", outcome="in_sync", message="")
            await api.app.journal.append(Answered(host="local", asked=rows[0].seq, verdict=verdict))
            outcome = await begun
        assert outcome.exit_code == 0
