"""Bad days of the gateway: what happens to requests when the world does not keep still."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from tests import faults
from tests.integration.test_serve import started
from tests.needs import Wanting
from tests.running import until
from tests.served import served
from tests.stack import COMMAND_SECONDS, Stack, stack

PATIENT = """version: 1
active: tiny-a
allow: any
return_after: never
min_residency: 0s
max_wait: 60s
"""
HASTY = PATIENT.replace("60s", "2s")
CLIENTS = 4
EDITS = 150


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        made.desired(PATIENT)
        yield made


def asked(address: str, model: str = "tiny-a") -> httpx.Response:
    body = {"model": model, "prompt": "The keeper", "max_tokens": 4, "temperature": 0, "seed": 1}
    return httpx.post(f"{address}/v1/completions", json=body, timeout=COMMAND_SECONDS)


class Stranger(BaseHTTPRequestHandler):
    """A program that answers everything, on a port that was an engine's."""

    heard: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.heard.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


@contextmanager
def stranger(port: int) -> Iterator[list[str]]:
    """Take a port as soon as it is free, before an engine is started there again."""
    Stranger.heard.clear()
    with served(soon(port)):
        yield Stranger.heard


def soon(port: int) -> HTTPServer:
    found: list[HTTPServer] = []

    def took() -> bool:
        with suppress(OSError):
            found.append(HTTPServer(("127.0.0.1", port), Stranger))
        return bool(found)

    until(took, within=COMMAND_SECONDS)
    return found[0]


def test_a_stranger_on_the_port_of_an_engine_that_died_gets_no_request(here: Stack) -> None:
    with started(here) as (address, process):
        assert asked(address).status_code == 200
        here.desired(HASTY)
        (engine,) = here.engines().values()
        os.kill(engine, signal.SIGKILL)
        with stranger(here.port) as heard:
            until(lambda: f"port {here.port}" in here.watched(), within=COMMAND_SECONDS)
            heard.clear()
            answer = asked(address)
            assert (answer.status_code, heard) == (503, [])
        process.send_signal(signal.SIGHUP)
        until(lambda: asked(address).status_code == 200, within=COMMAND_SECONDS)


def test_an_engine_that_died_leaves_its_requests_to_no_other_model_on_its_port(
    here: Stack,
) -> None:
    with started(here) as (address, _):
        first = asked(address).json()["choices"][0]["text"]
        (engine,) = here.engines().values()
        os.kill(engine, signal.SIGKILL)
        here.desired(PATIENT.replace("tiny-a", "tiny-b"))
        here.becomes("tiny-b")
        assert asked(address).json()["choices"][0]["text"] == first, "brought in again for it"


def test_a_storm_of_edits_costs_no_request(here: Stack) -> None:
    texts = (PATIENT, f"{PATIENT}# {{}}\n", "version: 1\nactive: [\n")
    with started(here) as (address, _):
        over = threading.Event()

        def ask_on() -> set[int]:
            codes = {asked(address, "active").status_code}
            while not over.is_set():
                codes.add(asked(address, "active").status_code)
            return codes

        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(ask_on) for _ in range(CLIENTS)]
            try:
                for number in range(EDITS):
                    here.desired(texts[number % len(texts)].format(number))
                here.desired(PATIENT.replace("tiny-a", "tiny-b"))
                here.becomes("tiny-b")
            finally:
                over.set()
            codes = set[int]().union(*(one.result(COMMAND_SECONDS) for one in clients))
        assert codes == {200}


def test_on_a_full_disk_requests_go_on_and_switches_stop_until_there_is_room(here: Stack) -> None:
    where = here.folder / "data"
    with faults.disk(where) as is_disk, started(here) as (address, process):
        assert asked(address).status_code == 200
        until(lambda: readiness(address) == "", within=COMMAND_SECONDS)
        if is_disk:
            faults.full(where)
        else:
            faults.limited(process.pid, where)
        here.desired(PATIENT.replace("tiny-a", "tiny-b"))
        until(lambda: "cannot be written" in readiness(address), within=COMMAND_SECONDS)
        assert readiness(address).startswith("local: nothing can be switched: ")
        assert asked(address, "tiny-a").status_code == 200, "what serves, serves on"
        assert process.poll() is None
        if is_disk:
            faults.emptied(where)
        else:
            faults.unlimited(process.pid)
        process.send_signal(signal.SIGHUP)
        until(lambda: readiness(address) == "", within=COMMAND_SECONDS)
        here.becomes("tiny-b")
        assert asked(address, "tiny-b").status_code == 200


def test_what_serves_is_reached_also_by_a_gateway_that_begins_on_a_full_disk(here: Stack) -> None:
    where = here.folder / "data"
    with faults.disk(where) as is_disk:
        if not is_disk:
            raise Wanting("a file system of its own", "run as root, who may mount one")
        with started(here) as (address, _):
            until(lambda: readiness(address) == "", within=COMMAND_SECONDS)
        faults.full(where)
        with started(here) as (address, process):
            assert asked(address).status_code == 200
            until(lambda: "cannot be written" in readiness(address), within=COMMAND_SECONDS)
            faults.emptied(where)
            process.send_signal(signal.SIGHUP)
            until(lambda: readiness(address) == "", within=COMMAND_SECONDS)
            assert asked(address, "tiny-b").status_code == 200, "it switches again"
            faults.full(where)
            process.send_signal(signal.SIGHUP)
            until(lambda: "cannot be written" in readiness(address), within=COMMAND_SECONDS)
            assert asked(address, "tiny-b").status_code == 200, "seen before a switch is asked for"


def readiness(address: str) -> str:
    """Why it is not ready, "" where it is."""
    answer = httpx.get(f"{address}/readyz", timeout=COMMAND_SECONDS)
    return "" if answer.is_success else str(answer.json()["error"]["message"])
