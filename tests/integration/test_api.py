"""The control API of a real `serve`: looking, switching and following, beside the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_serve import TAKEN, serving
from tests.running import until
from tests.stack import COMMAND_SECONDS, Stack, stack

V1 = "/api/v1"
MISUSED = 64


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


@contextmanager
def control(here: Stack) -> Iterator[httpx.Client]:
    uds = httpx.HTTPTransport(uds=str(here.folder / "data" / "control.sock"))
    with httpx.Client(transport=uds, base_url="http://x", timeout=COMMAND_SECONDS) as client:
        yield client


def planned(here: Stack) -> object:
    return json.loads(here.run("plan", "-o", "json").stdout)["hosts"]


def test_a_model_is_switched_over_the_socket_as_on_the_command_line(here: Stack) -> None:
    with serving(here) as address, control(here) as api:
        here.desire("tiny-b")
        here.becomes("tiny-b")
        here.run("hold", "--reason", "a look", "--yes")
        here.desire("tiny-a")
        told = api.get(f"{V1}/plan").json()["hosts"]
        assert planned(here) == told
        kinds = [step["kind"] for step in told[0]["steps"]]
        assert kinds[0] == "hold_requests", "the command line sees the gates of the other process"
        assert kinds[-1] == "admit"
        refused = httpx.post(f"{address}{V1}/resume", json={})
        assert refused.status_code == httpx.codes.FORBIDDEN
        resumed = api.post(f"{V1}/resume", params={"wait": 60}, json={})
        assert (resumed.status_code, resumed.headers["x-exit-code"]) == (httpx.codes.OK, "0")
        assert list(here.engines()) == ["tiny-a"]
        used = api.post(f"{V1}/use", params={"wait": 60}, json={"model": "tiny-b"})
        assert (used.status_code, used.json()["hosts"][0]["outcome"]) == (200, "applied"), used.text
        assert "tiny-b" in (here.folder / "state" / "desired.yaml").read_text()
        begun = api.post(f"{V1}/use", json={"model": "tiny-a"})
        assert begun.status_code == httpx.codes.ACCEPTED
        ended = answered(api, begun.json()["operation"])
        assert ended["verdict"]["outcome"] == "applied"
        assert list(here.engines()) == ["tiny-a"]
        log = httpx.get(f"{address}{V1}/logs/tiny-a", params={"lines": 3}).json()
        assert len(log["lines"]) == len(["one", "two", "three"])


def test_beyond_the_loopback_it_takes_keys_and_without_any_does_not_start(here: Stack) -> None:
    inventory = here.folder / "state" / "inventory.yaml"
    inventory.write_text(inventory.read_text() + "gateway: {listen: '0.0.0.0:0'}\n")
    refused = here.run("serve")
    assert refused.returncode == MISUSED
    assert "`reconciler key add NAME` makes one" in refused.stderr
    made = json.loads(here.run("key", "add", "laptop", "--scope", "read", "-o", "json").stdout)
    assert made["made"] not in (here.folder / "data" / "keys.json").read_text()
    with here.watching(verb="serve"):
        until(lambda: TAKEN.search(here.watched()) is not None, within=COMMAND_SECONDS)
        found = TAKEN.search(here.watched())
        assert found is not None
        port = found[1].rpartition(":")[2]
        # Elsewhere in 127/8 is as good as another machine: no name of the loopback, and no key.
        at = f"http://127.0.0.2:{port}{V1}/version"
        assert httpx.get(at).status_code == httpx.codes.UNAUTHORIZED
        told = httpx.get(at, headers={"Authorization": f"Bearer {made['made']}"})
        assert told.status_code == httpx.codes.OK
        assert httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 401
        assert made["made"] not in here.watched()
        here.run("key", "remove", "laptop")
        told = httpx.get(at, headers={"Authorization": f"Bearer {made['made']}"})
        assert told.status_code == httpx.codes.UNAUTHORIZED


def answered(api: httpx.Client, number: int) -> Any:
    """Follow events until one answers a row."""
    with api.stream("GET", f"{V1}/events", headers={"Last-Event-ID": str(number)}) as told:
        for line in told.iter_lines():
            if line.startswith("data: "):
                record = json.loads(line[6:])["record"]
                if record.get("asked") == number:
                    return record
    raise AssertionError(number)
