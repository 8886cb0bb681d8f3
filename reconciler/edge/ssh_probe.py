"""Find out in a moment whether anybody listens where ssh would connect to: a host that is off makes ssh itself wait for long.

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
ANEW_SECONDS = 0.1


class Door(NamedTuple):
    """Where a server of ssh listens."""

    host: str
    port: int


async def in_effect(words: tuple[str, ...]) -> dict[str, str]:
    """Return what ssh would do for these words of a command line, setting by setting.

    Nothing where nobody can say.
    """
    try:
        with anyio.fail_after(RESOLVE_SECONDS):
            done = await anyio.run_process(
                ("ssh", "-G", *words), stdin=subprocess.DEVNULL, check=False
            )
    except (OSError, TimeoutError):
        return {}
    return dict(
        line.split(" ", 1)
        for line in done.stdout.decode("utf-8", "replace").splitlines()
        if " " in line
    )


def door(told: Mapping[str, str]) -> Door | None:
    """Return where ssh would connect to, None where a jump or a command is on the way, or nobody can say."""
    jumps = {told.get(name, "none") for name in ("proxyjump", "proxycommand")} - {"none"}
    if jumps or "hostname" not in told or not told.get("port", "").isdecimal():
        return None
    return Door(told["hostname"], int(told["port"]))


async def knock(at: Door, seconds: float) -> str:
    """Return why nobody answers there like a server of ssh, empty when somebody does.

    A host that boots meanwhile is heard at once: the kernel repeats what got no answer only after a
    second, so it is tried anew.
    """
    answers: list[str] = []
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:

            async def attempt() -> None:
                answers.append(await _greeting(at))
                group.cancel_scope.cancel()

            while True:
                group.start_soon(attempt)
                await anyio.sleep(ANEW_SECONDS)
    return answers[0] if answers else f"{at.host} port {at.port} does not answer"


async def _greeting(at: Door) -> str:
    """Return what is wrong with how a server greets, empty when it is one of ssh."""
    where = f"{at.host} port {at.port}"
    try:
        async with await anyio.connect_tcp(at.host, at.port) as stream:
            return (
                "" if (await stream.receive()).startswith(BANNER) else f"{where} does not speak ssh"
            )
    except socket.gaierror as error:
        return f"the name {at.host} cannot be looked up: {error.strerror}"
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        return f"{where}: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Return what a failed connection says.

    Several addresses may have failed, each in its own way.
    """
    cause = error.__cause__ or error
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else "the connection was closed"
