"""Real processes for tests: programs that start families of processes, and their certain end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import process, procfs
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE = 20.0
PAUSE_SECONDS = 0.01
COMPUTING_SECONDS = 600
"""What a test may take that computes for half a minute where nobody else does: a busy machine is no
fault of it."""

PYTHON = (sys.executable, "-I", "-S", "-c")

SLEEPER = "import signal; print('ready', flush=True); signal.pause()"

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""

FAMILY = """
import os, signal, subprocess, sys
sleep = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
subprocess.Popen(sleep)
subprocess.Popen(sleep, start_new_session=True)
subprocess.Popen(sleep, env={})
until_exec, closes_then = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sleep[0], sleep)
    os._exit(0)
os.wait()
os.close(closes_then)
os.read(until_exec, 1)
print("ready", flush=True)
signal.pause()
"""
"""A child, one in a session of its own, one without our mark, and a daemon that left by a double
fork."""

LISTENER = """
import signal, socket
listener = socket.create_server(("127.0.0.1", 0))
print("ready", listener.getsockname()[1], flush=True)
signal.pause()
"""


def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Ask again and again until the condition is true, and leave time to what it waits for."""
    deadline, pause = time.monotonic() + within, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        pause.wait(PAUSE_SECONDS)


@contextlib.contextmanager
def halted(pid: int) -> Iterator[None]:
    """Have a process do nothing for the context."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def mark(model: str, digest: str = "v1:sha256:00000000") -> dict[str, Any]:
    return {"controller": f"test-{os.getpid()}", "model": model, "digest": digest}


def spawn_request(program: str, model: str = "m", **changed: Any) -> dict[str, Any]:
    return {
        "do": "spawn", "mark": mark(model), "argv": [*PYTHON, program], "env": {},
        "scrub": ["LLAMA_ARG_"], "directory": f"models/{model}",
        "folders": [f"models/{model}/slots"], "log": f"models/{model}/log", **changed,
    }  # fmt: skip


def stop_request(
    identity: dict[str, Any], grace: float = 10, again: float = 10, kill: float = 10
) -> dict[str, Any]:
    return {"do": "stop", "identity": identity, "grace": grace, "again": again, "kill": kill}


def ok(value: dict[str, Any]) -> dict[str, Any]:
    assert "ok" in value, value
    found: dict[str, Any] = value["ok"]
    return found


def wait_for_line(log: Path, word: str = "ready") -> str:
    """Return the first whole line that begins with `word`, once the program has written it."""
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):
            for line in log.read_text().splitlines(keepends=True):
                if line.startswith(word) and line.endswith("\n"):
                    return line
        select.select([], [], [], 0.005)
    raise AssertionError(
        f"{log} never said {word}: {log.read_text() if log.exists() else 'no log'}"
    )


def start(directory: Path, program: str, model: str = "m", **changed: Any) -> dict[str, Any]:
    """Start a program in this process and return its identity once it is ready."""
    identity: dict[str, Any] = ok(answer(spawn_request(program, model, **changed), str(directory)))[
        "identity"
    ]
    wait_for_line(directory / "models" / model / "log")
    return identity


def our_units(**asked: Any) -> list[dict[str, Any]]:
    units = ok(answer({"do": "units", **asked}, "/"))["units"]
    return [unit for unit in units if unit["mark"]["controller"] == f"test-{os.getpid()}"]


@contextlib.contextmanager
def ending_all() -> Iterator[None]:
    """End every process that carries this test process's mark, by pid, when the context ends."""
    try:
        yield
    finally:
        for unit in our_units():
            for pid in unit["members"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + DEADLINE
        while our_units() and time.monotonic() < until:
            select.select([], [], [], 0.005)
        process.reap()


def lives(pid: int) -> bool:
    one = procfs.process(pid)
    return one is not None and one.alive
