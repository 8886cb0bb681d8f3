"""Whether the gateway is well, as what watches over it asks."""

from __future__ import annotations

from http import HTTPStatus

from reconciler.model.traffic import Routes
from tests.gateway_stand import Stand, a_front, standing
from tests.sample_worlds import HOST


async def readiness(stand: Stand) -> str:
    """Why it is not ready, "" where it is."""
    answer = await stand.client.get("/readyz")
    if answer.status_code == HTTPStatus.OK:
        return ""
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    return str(answer.json()["error"]["message"])


async def test_it_is_ready_when_every_host_was_looked_at_and_all_can_be_recorded() -> None:
    async with standing() as stand:
        assert await readiness(stand) == f"{HOST}: the host has not been looked at yet"
        lobby = stand.front.doors.lobby(HOST)
        lobby.report("")
        assert await readiness(stand) == ""
        lobby.report("requests bring nothing in: no space")
        assert "no space" in await readiness(stand)
        stand.front.doors.route(Routes())
        assert await readiness(stand) == "", "what no file names matters no more"
        stand.front.doors.leave()
        assert "being restarted" in await readiness(stand)
        for path in ("/healthz", "/health"):
            assert (await stand.client.get(path)).json() == {"status": "ok"}


async def test_it_stays_ready_while_the_files_are_wrong_and_says_so() -> None:
    async with standing() as stand:
        doors = stand.front.doors
        doors.lobby(HOST).report("")
        doors.unusable()
        answer = await stand.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, "ok")
        assert "validate" in answer.json()["note"]
        assert (await stand.client.get("/healthz")).json() == {"status": "ok"}
        doors.route(Routes())
        assert (await stand.client.get("/readyz")).json() == {"status": "ok"}


async def test_it_is_not_ready_before_the_files_were_read() -> None:
    front = a_front()
    unready = front.doors.readiness()
    assert unready is not None
    assert "have not been read" in unready.reason
    front.doors.unusable()
    unready = front.doors.readiness()
    assert unready is not None
    assert "cannot be used" in unready.reason
