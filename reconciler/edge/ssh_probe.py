"""Probe where ssh would connect to, because ssh itself waits long for a host that is off.

Source: ssh(1) -G of OpenSSH 9.2; the banner of RFC 4253, section 4.2.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

import anyio

RESOLVE_SECONDS = 5.0
BANNER = b"SSH-"
AGAIN_SECONDS = 0.1


class Door(NamedTuple):
    """The address at which a host's sshd listens."""

    host: str
    port: int


async def in_effect(words: tuple[str, ...]) -> dict[str, str]:
    """Ask ssh what it would do for these words of a command line, setting by setting.

    Empty where it does not say.
    """
    argv = ("ssh", "-G", *words)
    try:
        with anyio.fail_after(RESOLVE_SECONDS):
            done = await anyio.run_process(argv, stdin=subprocess.DEVNULL, check=False)
    except (OSError, TimeoutError):
        return {}
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def door(told: Mapping[str, str]) -> Door | None:
    """Find where ssh connects to, None if a jump or a command is on the way, or it is not known."""
    host, port = told.get("hostname"), told.get("port", "")
    if host is None or not port.isdecimal() or _goes_through_others(told):
        return None
    return Door(host, int(port))


def _goes_through_others(told: Mapping[str, str]) -> bool:
    return any(told.get(name, "none") != "none" for name in ("proxyjump", "proxycommand"))


async def knock(at: Door, seconds: float) -> str:
    """Explain why no sshd answers there within `seconds`; empty when one does."""
    answers: list[str] = []
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:

            async def attempt() -> None:
                answers.append(await _greeting(at))
                group.cancel_scope.cancel()

            # A host that boots meanwhile is heard at once: the kernel repeats what got no answer
            # only after a second.
            while True:
                group.start_soon(attempt)
                await anyio.sleep(AGAIN_SECONDS)
    return answers[0] if answers else f"{at.host} port {at.port} does not answer"


async def _greeting(at: Door) -> str:
    """Explain what is wrong with how a server greets; empty when it is an sshd."""
    where = f"{at.host} port {at.port}"
    try:
        async with await anyio.connect_tcp(at.host, at.port) as stream:
            greeting = await stream.receive()
    except socket.gaierror as error:
        return f"the name {at.host} cannot be looked up: {error.strerror}"
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        return f"{where}: {_reason(error)}"
    return "" if greeting.startswith(BANNER) else f"{where} does not speak ssh"


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    # A name may have several addresses, each of which failed in its own way.
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else "the connection was closed"
