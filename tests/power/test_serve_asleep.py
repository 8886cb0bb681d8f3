"""Requests wake a host that sleeps until a model of it is wanted, and it goes to sleep again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.running import until
from tests.sleeping_stack import (
    CHECKOUT,
    COMMAND_SECONDS,
    HOST,
    REAL_MODE,
    SAY,
    SleepingStack,
)
from tests.stack import LEAST_REUSED

TAKEN = re.compile(r"requests are taken at http://127\.0\.0\.1:(\d+)/v1")
pytestmark = pytest.mark.parametrize("rig", REAL_MODE, indirect=True)


@contextmanager
def served(here: SleepingStack) -> Iterator[str]:
    """Run `serve` until the context ends, and give the port at which it takes requests."""
    words = here.argv("serve", "--listen", "127.0.0.1:0", program=("-m", "tests.hasty"))
    with (here.folder / "watch.log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=here.folder, env=here.environment, stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        until(lambda: "following" in here.watched, within=COMMAND_SECONDS)
        found = TAKEN.search(here.watched)
        assert found is not None, here.watched
        yield found[1]
    finally:
        here.leave(process)


def asked(here: SleepingStack, port: str) -> dict[str, int]:
    """Send the conversation through the gateway, and return the engine's own timings."""
    words = [*here.rig.prefix, sys.executable, "-I", "-S", str(SAY), port, "4"]
    done = subprocess.run(
        words, input=here.conversation, capture_output=True, text=True, check=False, timeout=45
    )
    assert done.returncode == 0, f"{done.stderr}\n{here.watched}"
    timings: dict[str, int] = json.loads(done.stdout)
    return timings


def numbers(here: SleepingStack, port: str) -> list[str]:
    """What is told to Prometheus."""
    words = [*here.rig.prefix, "curl", "-s", f"http://127.0.0.1:{port}/metrics"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def clients_are_answered(here: SleepingStack, port: str) -> None:
    """Ask by the SDKs that people have, all at once, while the host sleeps."""
    url = f"http://127.0.0.1:{port}"
    words = [*here.rig.prefix, sys.executable, "-m", "tests.clients.waking", url]
    done = subprocess.run(
        words, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    assert done.returncode == 0, f"{done.stderr}\n{here.watched}"


def test_a_request_wakes_a_host_that_goes_to_sleep_again_and_its_conversation_goes_on(
    here: SleepingStack,
) -> None:
    here.desire("auto", more=", idle: {after: 4s, then: off}")
    with served(here) as port:
        assert here.rig.state(HOST) == "off", "the file alone wakes nothing"
        clients_are_answered(here, port)
        asked(here, port)
        first = asked(here, port)
        assert first["cache_n"] > 100
        here.rig.wait(HOST, "off", COMMAND_SECONDS)
        until(lambda: here.moments()[-1] == "run-closed", within=COMMAND_SECONDS)
        again = asked(here, port)
        assert again["cache_n"] >= LEAST_REUSED * (again["cache_n"] + again["prompt_n"]), again
        until(lambda: here.moments().count("idle opened") == 2, within=COMMAND_SECONDS)
        between = asked(here, port)
        assert between["cache_n"] >= LEAST_REUSED * (between["cache_n"] + between["prompt_n"])
        told = numbers(here, port)
        woken = 'reconciler_wake_seconds_count{host="box",driver="wol"} '
        assert [line for line in told if line.startswith(woken)]
        assert 'reconciler_power_state{host="box",state="on"} 1' in told
    about = ("lease opened", "idled", "idle opened")
    done = [moment for moment in here.moments() if moment in about]
    assert done[:4] == ["lease opened", "idled", "idle opened", "lease opened"], done


def test_a_host_that_never_wakes_is_told_of_in_time(here: SleepingStack) -> None:
    more = ", idle: {after: 1h, then: off}, allow: any, min_residency: 0s, max_wait: 5s"
    here.desire("auto", more=more)
    here.rig.fault(HOST, ignore_packets=1000)
    with served(here) as port:
        began = time.monotonic()
        words = [*here.rig.prefix, "curl", "-s", f"http://127.0.0.1:{port}/v1/completions"]
        asked = json.dumps({"model": "tiny", "prompt": "Hello"})
        done = subprocess.run([*words, "--json", asked], capture_output=True, text=True, check=True)
        assert 4 < time.monotonic() - began < 45, done.stdout
        assert "its host rested and is being roused" in json.loads(done.stdout)["error"]["message"]
