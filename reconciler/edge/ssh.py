"""Reach other machines through the user's own OpenSSH client: one connection to each, kept open, and ports through it.

The connection runs `python3` there, and is the master of a control socket of its own, through which
ports are forwarded. The socket has a new name each time, so one that a power cut left behind is in
nobody's way; ssh takes it away when it ends, as it does when its controller is killed. Keys, agent,
jumps and aliases are as in the user's configuration; unknown host keys are never accepted. Source:
ssh(1) and ssh_config(5) of OpenSSH 9.2.
"""

from __future__ import annotations

import secrets
import shlex
import socket
import subprocess
import tempfile
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio

from reconciler.edge.interpreter import Interpreter
from reconciler.edge.ssh_probe import Door, door, in_effect, knock
from reconciler.errors import DriverError, HungUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pydantic import JsonValue

    from reconciler.edge.loop_scope import LoopScope

CONNECT_SECONDS = 15.0
MOST_AT_ONCE = 10
"""How many connections are made at the same moment: from as many on an sshd turns some away
(MaxStartups 10:30:100), and that of a host which leads to many others sees them all. More at once
keep two cores no busier."""

TURN_SECONDS = 1.0
"""How long a connection counts as being made: what takes longer waits for somebody silent, and
holds nobody up."""

FORWARD_SECONDS = 10.0
MOST_FORWARDS = 3
"""How often a port of ours is chosen anew that somebody else took meanwhile."""

KNOCK_SECONDS = 3.0
QUICK_KNOCK_SECONDS = 0.5
"""How long a host may take to be heard of at all, and how long one that was silent just now."""

SHORTLY_SECONDS = 0.05
AGAIN_SECONDS = 5.0
"""How long a host that could not be reached counts as such at first and at most: not every question
waits for it anew."""

LOST = ("Timeout, server", "Broken pipe", "Connection reset", "Connection timed out")
"""What ssh says when a host is gone without a word."""

SETTINGS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={CONNECT_SECONDS - 5:.0f}",
    "ServerAliveInterval=5", "ServerAliveCountMax=3", "ControlPersist=no",
    "ClearAllForwardings=yes", "RemoteCommand=none", "PermitLocalCommand=no", "RequestTTY=no",
    "ForwardAgent=no", "ForwardX11=no", "LogLevel=ERROR", "EscapeChar=none",
)  # fmt: skip

NEWER = {
    "stdinnull": "no",
    "sessiontype": "default",
    "forkafterauthentication": "no",
    "channeltimeout": "none",
}
"""What else must be so, of settings that not every client knows (8.7 and later; 9.4): one that does
names them among those in effect, and they are given to no other, which would refuse them by
name."""

CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"
COMPARE = "compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says there"
REMEDIES = {
    CHANGED: (
        "its host key is another one than before; only if you know why, `ssh-keygen -R {known}`,"
        " then `ssh {to}` once: " + COMPARE
    ),
    "Host key verification failed": (
        "its host key is not known yet; `ssh {to}` once shows it and asks: " + COMPARE
    ),
    "Permission denied": (
        "ssh must get in without a question; load your key into the agent, or `ssh-copy-id {to}`"
    ),
    "Could not resolve hostname": "correct `address:`, or the host's name in ~/.ssh/config",
    "Bad owner or permissions": "fix the permissions of the file that ssh names",
    "python3": "it needs python3, 3.9 or later, on the PATH there",
}
"""What ssh or a login shell says, and what to do about it."""


class Destination(NamedTuple):
    """Where to, in the words of ssh_config; None is as the user's configuration says."""

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    config: str | None = None
    jump: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a command line that mean it."""
        return (*self._flags, "--", self._who)

    @property
    def shown(self) -> str:
        """What a person would type after `ssh` to get there."""
        return shlex.join((*self._flags, self._who))

    @property
    def known(self) -> str:
        """What the host is called among the keys that are known."""
        return self.address if self.port in {None, 22} else f"'[{self.address}]:{self.port}'"

    @property
    def _flags(self) -> tuple[str, ...]:
        named = (("-F", self.config), ("-J", self.jump), ("-p", self.port))
        return tuple(
            word for flag, value in named if value is not None for word in (flag, str(value))
        )

    @property
    def _who(self) -> str:
        return f"{self.user}@{self.address}" if self.user else self.address


class Program(NamedTuple):
    """What runs there: the command of its interpreter, what that reads first, and what it then says first."""

    command: str
    content: bytes
    hello: bytes


class Link:
    """Speak with one machine.

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
        """Return where ssh connects to, None where that is through others."""
        return door(await self._in_effect())

    async def _in_effect(self) -> dict[str, str]:
        if self._told is None:
            async with self._turns:
                self._told = await in_effect(self.destination.words)
        return self._told

    async def forwarded(self, port: int) -> int:
        """Return the port of this machine's loopback that reaches a port of that machine's.

        Raise DriverError.
        """
        connection = await self._reached()
        return await connection.forwarded(port)

    async def _reached(self) -> Connection:
        if self._connection is None or self._connection.is_over:
            before = self._connection
            self._failures = self._failures + 1 if before is not None and not before.stood else 0
            self._connection = Connection(
                self.destination, self._program, Way(self._in_effect, self._turns), self._failures
            )
            self._loop.start(self._connection.serve)
        connection = self._connection
        await connection.tried.wait()
        if connection.trouble:
            raise DriverError(connection.trouble)
        return connection


class Way(NamedTuple):
    """Tell what ssh does by its user's configuration, and let so many connections at once be made."""

    in_effect: Callable[[], Awaitable[dict[str, str]]]
    turns: anyio.CapacityLimiter


class Connection:
    """One connection: `tried` is set when it stands or cannot be made, `trouble` says why it does not stand.

    `failures` is how many before it could not be made.
    """

    def __init__(self, destination: Destination, program: Program, way: Way, failures: int) -> None:
        self.destination, self._program, self._way, self._failures = (
            destination,
            program,
            way,
            failures,
        )
        self.tried = anyio.Event()
        self.trouble = ""
        self._ended_at = 0.0
        self._interpreter: Interpreter | None = None
        self._silent = False
        self._socket = ""
        self._forwarding = anyio.Lock()
        self._ports: dict[int, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether another connection is worth a try."""
        patience = (
            0
            if self.stood
            else (
                SHORTLY_SECONDS
                if self._silent
                else min(AGAIN_SECONDS, SHORTLY_SECONDS * 2**self._failures)
            )
        )
        return self._ended_at > 0 and time.monotonic() - self._ended_at > patience

    @property
    def stood(self) -> bool:
        """Whether it was ever made."""
        return self._interpreter is not None

    async def serve(self) -> None:
        """Connect, and stay until the connection ends."""
        try:
            silence = await self._silence()
            self._silent = bool(silence)
            if silence:
                self.trouble = f"{self.destination.name} cannot be reached over ssh: {silence}"
                return
            with _new_socket() as self._socket:
                more = _newer(await self._way.in_effect())
                argv = (
                    "ssh",
                    *_settings(self._socket, more),
                    *self.destination.words,
                    self._program.command,
                )
                await self._run(Interpreter(argv, self._program.content, self._program.hello))
        except DriverError as error:
            self.trouble = (
                f"{self.destination.name} cannot be reached: {error}; is the OpenSSH client"
                " installed here?"
            )
        except OSError as error:
            self.trouble = (
                f"{self.destination.name} cannot be reached: no place for its control socket:"
                f" {error}"
            )
        finally:
            self._ended_at = time.monotonic()
            self.trouble = self.trouble or f"the connection to {self.destination.name} ended"
            self.tried.set()

    async def _silence(self) -> str:
        """Return why ssh is not worth a try, empty when it may be.

        What is behind a jump is for ssh itself to find out.
        """
        at = door(await self._way.in_effect())
        return (
            await knock(at, QUICK_KNOCK_SECONDS if self._failures else KNOCK_SECONDS)
            if at is not None
            else ""
        )

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

    def _said(self, words: str) -> str:
        """Return why the machine cannot be reached, in ssh's own words, and what to do."""
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        # The last line says why it ended; others may be of a banner, or of what a login shell
        # reads.
        heard = (words,) if CHANGED in words else (*lines[-1:], words)
        remedy = next(
            (remedy for text in heard for phrase, remedy in REMEDIES.items() if phrase in text), ""
        )
        silence = (
            "the connection ended" if self._interpreter else f"no answer in {CONNECT_SECONDS:.0f} s"
        )
        what = lines[-1].rstrip(".") if lines else silence
        over = f"{self.destination.name} cannot be reached over ssh: {what}"
        return (
            f"{over}; {remedy.format(to=self.destination.shown, known=self.destination.known)}"
            if remedy
            else over
        )

    async def exchange(self, request: dict[str, JsonValue], seconds: float) -> dict[str, JsonValue]:
        """Send one request and return its answer; raise DriverError."""
        if self._interpreter is None:
            raise DriverError(self.trouble)
        try:
            return await self._interpreter.exchange(request, seconds)
        except DriverError as error:
            if not self._interpreter.ended.is_set():
                raise
            words = self._interpreter.words
            lost = any(phrase in words for phrase in LOST)
            raise (DriverError if lost else HungUp)(self._said(words)) from error

    async def forwarded(self, port: int) -> int:
        """Return a port of ours that reaches a port of that machine's loopback.

        Raise DriverError.
        """
        async with self._forwarding:
            if port not in self._ports:
                self._ports[port] = await self._forward(port)
            return self._ports[port]

    async def _forward(self, port: int) -> int:
        said = ""
        for _ in range(MOST_FORWARDS):
            ours = _free_port()
            # What the user's configuration forwards is not for this connection, and would be asked
            # for with it.
            words = (
                "-F",
                "none",
                "-S",
                self._socket,
                "-O",
                "forward",
                "-L",
                f"127.0.0.1:{ours}:127.0.0.1:{port}",
            )
            argv = ("ssh", *words, "--", self.destination.address)
            try:
                with anyio.fail_after(FORWARD_SECONDS):
                    done = await anyio.run_process(argv, stdin=subprocess.DEVNULL, check=False)
            except (OSError, TimeoutError) as error:
                raise DriverError(
                    f"port {port} of {self.destination.name} cannot be reached: {error}"
                ) from error
            if done.returncode == 0:
                return ours
            said = done.stderr.decode("utf-8", "replace").strip()
        raise DriverError(
            f"port {port} of {self.destination.name} cannot be reached over ssh: {said}"
        )


def _newer(told: dict[str, str]) -> list[str]:
    """Return the settings that this client knows and has otherwise than they must be."""
    return [f"{name}={value}" for name, value in NEWER.items() if told.get(name, value) != value]


def _settings(path: str, more: list[str]) -> tuple[str, ...]:
    settings = (*SETTINGS, *more, "ControlMaster=yes", f"ControlPath={path}")
    return tuple(word for setting in settings for word in ("-o", setting))


@contextmanager
def _new_socket() -> Iterator[str]:
    """Give a path that nobody can guess, for a socket that only we may use (ssh makes it so)."""
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
    """Wait for the first of these events, and no longer than this."""
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:

            async def wait(event: anyio.Event) -> None:
                await event.wait()
                group.cancel_scope.cancel()

            for event in events:
                group.start_soon(wait, event)
