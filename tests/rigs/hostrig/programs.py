"""The programs that the rig runs: to their end, or watched until they end by themselves."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.needs import program


class RigError(Exception):
    """The rig itself failed, which no simulated host can cause."""


def run(name: str, *words: str | Path) -> str:
    """Run a program to its end and return what it wrote."""
    done = subprocess.run(
        [program(name), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RigError(f"{name} {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def new_key(path: Path) -> str:
    """Make a key pair, replacing one that is there; return its public half: algorithm and key."""
    path.unlink(missing_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


async def gone(pids: Iterable[int]) -> None:
    """Wait until none of these processes runs; one that has not been waited for counts as gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            watched = os.pidfd_open(pid)
            try:
                await _readable(watched)
            finally:
                os.close(watched)


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait until a child of ours ends, and return its exit code."""
    if process.poll() is None:
        await gone([process.pid])
    return process.wait()


async def _readable(descriptor: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
