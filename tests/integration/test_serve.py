"""Requests through `serve` to real engines, while models switch."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from reconciler.verbs.result import INTERRUPTED
from tests.running import halted, until
from tests.stack import COMMAND_SECONDS, Stack, stack

CLIENTS = 8
SWITCHES = 3
TAKEN = re.compile(r"requests are taken at (http://\S+)/v1")
REREAD = {
    "model": "active",
    "max_tokens": 1,
    "system": "x-anthropic-billing-header: cc_version=2.1.100.7b4; cc_entrypoint=cli; cch=eb6c6;",
    "messages": [{"role": "user", "content": "Hello"}],
}
PROMPT = "In chapter one the keeper counts"


@contextmanager
def serving(here: Stack) -> Iterator[str]:
    """Run `serve` for the context, and give its address once it takes requests."""
    with started(here) as (address, _):
        yield address


@contextmanager
def started(here: Stack, code: int = 0) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with here.watching("--listen", "127.0.0.1:0", code=code, verb="serve") as process:
        until(lambda: here.has_followed(1), within=COMMAND_SECONDS)
        found = TAKEN.search(here.watched())
        assert found is not None
        yield found[1], process


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def completed(address: str, model: str = "active") -> str:
    """Ask for a few tokens that a model always answers alike."""
    asked = {"model": model, "prompt": PROMPT, "max_tokens": 4, "temperature": 0, "seed": 1}
    answer = httpx.post(f"{address}/v1/completions", json=asked, timeout=COMMAND_SECONDS)
    assert answer.status_code == httpx.codes.OK, answer.text
    text: str = answer.json()["choices"][0]["text"]
    return text


def test_no_request_is_lost_while_the_file_switches_models(here: Stack) -> None:
    with serving(here) as address:
        known = {"tiny-a": completed(address)}
        here.desire("tiny-b")
        here.becomes("tiny-b")
        known["tiny-b"] = completed(address)
        assert known["tiny-a"] != known["tiny-b"]
        over = threading.Event()

        def ask_on() -> list[str]:
            answers = [completed(address)]
            while not over.is_set():
                answers.append(completed(address))
            return answers

        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(ask_on) for _ in range(CLIENTS)]
            for number in range(SWITCHES):
                wanted = ("tiny-a", "tiny-b")[number % 2]
                here.desire(wanted)
                here.becomes(wanted)
            over.set()
            answers = [text for client in clients for text in client.result(COMMAND_SECONDS)]
        assert set(answers) == set(known.values())
        assert len(answers) >= CLIENTS


def test_other_commands_see_the_same_plan_beside_it(here: Stack) -> None:
    with serving(here) as address:
        completed(address)
        assert here.run("plan", "--detailed-exitcode").returncode == 0
        assert httpx.post(f"{address}/v1/messages", json=REREAD, timeout=60).is_success
        assert "the newest prompt of Claude Code 2.1.100 begins with" in here.run("doctor").stdout
        here.desire("tiny-b")
        here.apply()
        assert list(here.engines()) == ["tiny-b"]
        completed(address, "tiny-b")


def test_after_kill_9_the_next_one_serves_the_engine_that_runs(here: Stack) -> None:
    with here.watching("--listen", "127.0.0.1:0", code=-signal.SIGKILL, verb="serve") as process:
        here.becomes("tiny-a")
        process.kill()
    engines = here.engines()
    with serving(here) as address:
        completed(address, "tiny-a")
        assert here.engines() == engines


def test_what_is_under_way_ends_before_it_leaves(here: Stack) -> None:
    with started(here) as (address, process):
        completed(address)
        asked = {"prompt": PROMPT, "max_tokens": 400, "stream": True}
        with httpx.stream("POST", f"{address}/v1/completions", json=asked, timeout=60) as answer:
            events = answer.iter_lines()
            assert next(events).startswith("data: ")
            process.terminate()
            assert "data: [DONE]" in list(events)
        assert process.wait(COMMAND_SECONDS) == 0


def test_a_second_signal_cuts_what_is_under_way(here: Stack) -> None:
    with started(here, code=INTERRUPTED) as (address, process):
        completed(address)
        asked = {"prompt": PROMPT, "max_tokens": 4, "stream": True}
        # One that runs might have answered everything before the second signal.
        with (
            halted(here.engines()["tiny-a"]),
            httpx.stream("POST", f"{address}/v1/completions", json=asked, timeout=60) as answer,
        ):
            process.terminate()
            until(lambda: "a second signal quits" in here.watched(), within=COMMAND_SECONDS)
            process.terminate()
            with pytest.raises(httpx.RemoteProtocolError):
                list(answer.iter_lines())


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("8400", "found 8400, expected HOST:PORT such as 127.0.0.1:8400"),
        ("127.0.0.1:84000", "found 127.0.0.1:84000, expected HOST:PORT"),
        ("0.0.0.0:8400", "found 0.0.0.0:8400, expected an address of the loopback"),
    ],
)
def test_an_address_that_cannot_be_is_refused(here: Stack, listen: str, said: str) -> None:
    done = here.run("serve", "--listen", listen)
    assert done.returncode == 64
    assert said in done.stderr


def test_a_port_that_is_taken_is_told(here: Stack) -> None:
    with serving(here) as address:
        taken = address.removeprefix("http://")
        done = here.run("serve", "--listen", taken, directory="other")
        assert done.returncode == 64
        assert f"cannot listen at {taken}: another program listens there" in done.stderr
