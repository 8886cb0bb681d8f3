"""What is compared with: engines that are started, asked and switched without anything else."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from pydantic import JsonValue

from reconciler.edge.http import HttpClient
from tests.engine import EMBEDDED

ANSWER_SECONDS = 300.0
HEALTHY_SECONDS = 60.0


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def ask(port: int, tokens: int, predict: int = 1) -> float:
    """Return the seconds to one answer over a prompt of about so many tokens."""
    prompt: list[JsonValue] = [300 + (number * 7) % 97 for number in range(tokens)]
    wish: JsonValue = {"prompt": prompt, "n_predict": predict, "cache_prompt": True}
    return seconds(
        lambda: anyio.run(
            HttpClient().post, f"http://127.0.0.1:{port}/completion", wish, ANSWER_SECONDS
        )
    )


def bare_switch(
    port: int, old: subprocess.Popen[bytes], model: Path, context: int
) -> tuple[float, subprocess.Popen[bytes]]:
    """Return the seconds of TERM, wait, exec, health every 10 ms, and one token."""
    began = time.perf_counter()
    old.terminate()
    old.wait()
    new = engine(port, model, context)
    until_healthy(port)
    ask(port, 4)
    return time.perf_counter() - began, new


def engine(port: int, model: Path, context: int) -> subprocess.Popen[bytes]:
    argv = [
        *EMBEDDED.program,
        "-m",
        str(model),
        "--port",
        str(port),
        "-c",
        str(context),
        "-np",
        "1",
        "--cache-ram",
        "0",
        "--fit",
        "off",
    ]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until_healthy(port: int) -> None:
    """Ask every 10 ms; raise TimeoutError."""
    began = time.monotonic()
    while not healthy(port):
        if time.monotonic() > began + HEALTHY_SECONDS:
            raise TimeoutError(f"nothing is healthy on port {port}")
        time.sleep(0.01)


def healthy(port: int) -> bool:
    try:
        return anyio.run(HttpClient().get, f"http://127.0.0.1:{port}/health", 1.0).status == 200
    except Exception:  # noqa: BLE001 - not there yet
        return False
