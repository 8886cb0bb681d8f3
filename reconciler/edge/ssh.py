"""Reach other machines through the user's own OpenSSH client, by one connection that stays open.

The connection runs `python3` there, and is the master of its own control socket, through which
ports are forwarded. The socket has a new name each time, so one that a power cut left behind is in
no one's way; ssh takes it away when it ends, as it does when its controller is killed. Keys, agent,
jumps and aliases are as in the user's configuration; unknown host keys are never accepted. Source:
ssh(1) of OpenSSH 9.2, and [ADR 8](docs/adr/0008-the-users-own-ssh.md).
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

from reconciler.edge.interpreter import Interpreter
from reconciler.edge.ssh_complaint import complaint, is_lost
from reconciler.edge.ssh_probe import Door, door, in_effect, knock
from reconciler.edge.ssh_settings import CONNECT_SECONDS, settings
from reconciler.errors import DriverError, HungUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pydantic import JsonValue

    from reconciler.edge.loop_scope import LoopScope
    from reconciler.edge.ssh_destination import Destination
    from reconciler.model.reason import Reason

MOST_AT_ONCE = 10
"""How many connections are made at the same moment: from as many on, an sshd turns some away
(MaxStartups 10:30:100), and that of a host which leads to many others sees them all. More at once
keep two cores no busier."""

TURN_SECONDS = 1.0
"""How long a connection counts as being made: one that takes longer waits for a silent host, and
holds up no other."""

FORWARD_SECONDS = 10.0
MOST_FORWARDS = 3
"""How often another port of ours is chosen because a program took the last one meanwhile."""

KNOCK_SECONDS = 3.0
QUICK_KNOCK_SECONDS = 0.5
"""How long a host may take to be heard of at all, and how long one that was silent just now."""

SHORTLY_SECONDS = 0.05
AGAIN_SECONDS = 5.0
"""How long a host that could not be reached counts as such at first and at most, so that not every
question waits for it again."""

DOUBLINGS = 7
"""After so many failures it is AGAIN_SECONDS. Of a thousand, no float would hold the power of 2."""


class Program(NamedTuple):
    """A program for the other machine, and the command of the interpreter that reads it.

    `hello` is the line that it writes first.
    """

    command: str
    content: bytes
    hello: bytes


class Link:
    """The way to one machine.

    The connection is made, and made again, as it is needed, and stays as long as `loop` does.
    """

    def __init__(self, destination: Destination, program: Program, loop: LoopScope) -> None:
        self.destination, self._program, self._loop = destination, program, loop
        self._turns = loop.one(Link, lambda: anyio.CapacityLimiter(MOST_AT_ONCE))
        self._connection: Connection | None = None
        self._told: dict[str, str] | None = None
        self._failures = 0

    async def exchange(self, request: dict[str, JsonValue], seconds: float) -> dict[str, JsonValue]:
        """Send one request and return its answer; raise DriverError.

        `seconds` begin when the machine is reached.
        """
        connection = await self._reached()
        return await connection.exchange(request, seconds)

    async def door(self) -> Door | None:
        """Find where ssh connects to, None where that is through others."""
        return door(await self._in_effect())

    async def _in_effect(self) -> dict[str, str]:
        if self._told is None:
            async with self._turns:
                self._told = await in_effect(self.destination.words)
        return self._told

    async def forwarded(self, port: int, address: str) -> int:
        """Open a port of this machine's loopback that reaches one at an address seen from there.

        Raise DriverError.
        """
        connection = await self._reached()
        return await connection.forwarded(port, address)

    async def _reached(self) -> Connection:
        connection = self._connection
        if connection is None or connection.is_over:
            connection = self._connection = self._begun(after=connection)
        await connection.tried.wait()
        if connection.trouble:
            raise DriverError(connection.trouble)
        return connection

    def _begun(self, after: Connection | None) -> Connection:
        has_failed = after is not None and not after.stood
        self._failures = self._failures + 1 if has_failed else 0
        way = Way(self._in_effect, self._turns)
        connection = Connection(self.destination, self._program, way, self._failures)
        self._loop.start(connection.serve)
        return connection


class Way(NamedTuple):
    """The settings of the user's configuration, and a limit to connections made at once."""

    in_effect: Callable[[], Awaitable[dict[str, str]]]
    turns: anyio.CapacityLimiter


class Connection:
    """One connection: `tried` is set when it stands or cannot be made.

    `trouble` says why it does not stand, `failures` how many before it could not be made.
    """

    def __init__(self, destination: Destination, program: Program, way: Way, failures: int) -> None:
        self.destination, self._program = destination, program
        self._way, self._failures = way, failures
        self.tried = anyio.Event()
        self.trouble = ""
        self._ended_at = 0.0
        self._interpreter: Interpreter | None = None
        self._silent = False
        self._socket = ""
        self._forwarding = anyio.Lock()
        self._ports: dict[str, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether another connection is worth a try."""
        return self._ended_at > 0 and time.monotonic() - self._ended_at > self._patience

    @property
    def _patience(self) -> float:
        if self.stood:
            return 0
        # Whether a silent host listens by now is found out by a knock, which costs no process.
        if self._silent:
            return SHORTLY_SECONDS
        return min(AGAIN_SECONDS, SHORTLY_SECONDS * 2.0 ** min(self._failures, DOUBLINGS))

    @property
    def stood(self) -> bool:
        """Whether it was ever made."""
        return self._interpreter is not None

    async def serve(self) -> None:
        """Connect, and stay until the connection ends."""
        name = self.destination.name
        try:
            silence = await self._silence()
            self._silent = bool(silence)
            if silence:
                self.trouble = f"{name} cannot be reached over ssh: {silence}"
            else:
                await self._connect()
        except DriverError as error:
            installed = "is the OpenSSH client installed here?"
            self.trouble = f"{name} cannot be reached: {error}; {installed}"
        except OSError as error:
            self.trouble = f"{name} cannot be reached: no place for its control socket: {error}"
        finally:
            self._ended_at = time.monotonic()
            self.trouble = self.trouble or f"the connection to {name} ended"
            self.tried.set()

    async def _silence(self) -> str:
        """Explain why ssh is not worth a try, if it is not.

        What is behind a jump is for ssh itself to find out.
        """
        at = door(await self._way.in_effect())
        if at is None:
            return ""
        return await knock(at, QUICK_KNOCK_SECONDS if self._failures else KNOCK_SECONDS)

    async def _connect(self) -> None:
        with _new_socket() as self._socket:
            chosen = settings(self._socket, await self._way.in_effect())
            argv = ("ssh", *chosen, *self.destination.words, self._program.command)
            await self._run(Interpreter(argv, self._program.content, self._program.hello))

    async def _run(self, interpreter: Interpreter) -> None:
        async with AsyncExitStack() as stack:
            async with self._way.turns:
                await stack.enter_async_context(interpreter)
                await _first(TURN_SECONDS, interpreter.ready, interpreter.ended)
            await _first(CONNECT_SECONDS - TURN_SECONDS, interpreter.ready, interpreter.ended)
            if interpreter.ready.is_set():
                self._interpreter = interpreter
                self.tried.set()
                await interpreter.ended.wait()
        self.trouble = self._said(interpreter.words)

    def _said(self, words: str) -> Reason:
        late = f"no answer in {CONNECT_SECONDS:.0f} s"
        return complaint(self.destination, words, "the connection ended" if self.stood else late)

    async def exchange(self, request: dict[str, JsonValue], seconds: float) -> dict[str, JsonValue]:
        """Send one request and return its answer; raise DriverError."""
        if self._interpreter is None:
            raise DriverError(self.trouble)
        try:
            return await self._interpreter.exchange(request, seconds)
        except DriverError as error:
            if not self._interpreter.ended.is_set():
                raise
            raise self._ended_by(self._interpreter.words) from error

    def _ended_by(self, words: str) -> DriverError:
        # A host that hangs up may have heard: it ends its sessions before it is down.
        kind = DriverError if is_lost(words) else HungUp
        return kind(self._said(words))

    async def forwarded(self, port: int, address: str) -> int:
        """Open a port of ours that reaches a port at an address seen from that machine.

        Raise DriverError.
        """
        to = f"{address}:{port}"
        async with self._forwarding:
            if to not in self._ports:
                self._ports[to] = await self._forward(to)
            return self._ports[to]

    async def _forward(self, to: str) -> int:
        said = ""
        for _ in range(MOST_FORWARDS):
            ours = _free_port()
            done = await self._asked_to_forward(ours, to)
            if done.returncode == 0:
                return ours
            said = done.stderr.decode("utf-8", "replace").strip()
        raise DriverError(f"{to} on {self.destination.name} cannot be reached over ssh: {said}")

    async def _asked_to_forward(self, ours: int, to: str) -> subprocess.CompletedProcess[bytes]:
        forward = ("-O", "forward", "-L", f"127.0.0.1:{ours}:{to}")
        # Without the user's configuration: what that forwards is not for this connection, and would
        # be asked for with it.
        argv = ("ssh", "-F", "none", "-S", self._socket, *forward, "--", self.destination.address)
        try:
            with anyio.fail_after(FORWARD_SECONDS):
                return await anyio.run_process(argv, stdin=subprocess.DEVNULL, check=False)
        except (OSError, TimeoutError) as error:
            raise DriverError(
                f"{to} on {self.destination.name} cannot be reached: {error}"
            ) from error


@contextmanager
def _new_socket() -> Iterator[str]:
    """Choose a path that cannot be guessed, for a socket that ssh makes for our user alone."""
    path = Path(tempfile.gettempdir(), f"reconciler-{secrets.token_hex(8)}")
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def _first(seconds: float, *events: anyio.Event) -> None:
    """Wait for the first of some events, but no longer than `seconds`."""
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                group.cancel_scope.cancel()

            for event in events:
                group.start_soon(wait, event)
