"""App, the composition root: build the ports from settings and specs, and nothing else."""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import socket
import sys
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from reconciler.config.source import FileSource
from reconciler.config.state_folder import GitStateFolder
from reconciler.core.live_tally import LiveTally
from reconciler.drivers import DriverCatalog
from reconciler.drivers.contained import contained
from reconciler.edge import trace
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError, Misused
from reconciler.model.controller import Controller
from reconciler.model.gateway import Gateway
from reconciler.ports import HostReaders
from reconciler.store import planfile
from reconciler.store.controller_id import ControllerId
from reconciler.store.journal import SqliteJournal
from reconciler.store.journal_file import JournalFile
from reconciler.store.lock import FileLock

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Mapping

    from reconciler.edge.key_file import KeyFile
    from reconciler.loop.hints_cache import HintsRead
    from reconciler.model.compose_text import ComposeText
    from reconciler.model.machine import ImportedFlags, Server
    from reconciler.model.spec import Slice
    from reconciler.ports import (
        Clock,
        Edits,
        Front,
        HostPorts,
        Journal,
        Keep,
        Lock,
        PlanFiles,
        Random,
        StateFolder,
        Supervisor,
    )
    from reconciler.settings import Settings


Answer = TypeVar("Answer")
TellRequest: TypeAlias = "Callable[[Mapping[str, object]], None]"

ID_BYTES = 16
WITH_SERVE = "the gateway comes with `pipx install --force '.[serve]'` in a clone of reconciler"
JOURNAL = "journal"
KEYS = "keys.json"


@dataclass(frozen=True)
class App:
    """The ports that every verb may use."""

    source: FileSource
    catalog: DriverCatalog
    journal: Journal
    lock: Lock
    clock: Clock
    identity: ControllerId
    former: str
    data_directory: Path
    journal_directory: Path
    plans: PlanFiles
    folder: StateFolder
    keep: Keep
    tally: LiveTally

    def adopted(self, server: Server) -> ImportedFlags:
        """Read the flags of a running server as keys of a model."""
        return self.catalog.adopted(server)

    def as_flags(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """Write variables of llama-server as its flags."""
        return self.catalog.as_flags(variables)

    def compose(self, path: str) -> ComposeText:
        """Read a compose file and what belongs to it; raise ConfigError."""
        from reconciler.config import compose_file  # noqa: PLC0415 - only who imports one

        return compose_file.read(path, os.environ)

    def run(
        self, work: Callable[..., Awaitable[Answer]], *given: object, serves: bool = False
    ) -> Answer:
        """Run in an event loop in which hosts can be reached; a quicker one for what `serves`.

        Raise Misused where that may open too few files.
        """
        import anyio  # noqa: PLC0415 - not every command needs it

        from reconciler.edge.lookup import LookupLoop  # noqa: PLC0415 - as above

        loop: Callable[[], AbstractEventLoop] = LookupLoop
        if serves:
            from reconciler.edge import loops, open_files  # noqa: PLC0415 - only who serves

            open_files.raise_limit()
            loop = loops.quickest()
        return anyio.run(self._connected, work, given, backend_options={"loop_factory": loop})

    async def _connected(
        self, work: Callable[..., Awaitable[Answer]], given: tuple[object, ...]
    ) -> Answer:
        async with self.catalog.loop:
            return await work(*given)

    def remembered(self) -> HintsRead:
        """What the journal says of each host, read when that is asked."""
        from reconciler.loop.hints_cache import HintsRead  # noqa: PLC0415 - only who looks

        return HintsRead(self.journal)

    def readers(self, slice_: Slice) -> HostReaders:
        """What can be asked of a host, also of the gateway that another process has for it."""
        from reconciler.edge.gatefile import gate_of  # noqa: PLC0415 - only who looks pays for it

        looks = self.ports(slice_)
        gate = gate_of(self.data_directory, slice_.host.name)
        return HostReaders(
            looks.access, looks.power, looks.gpu, looks.launchers, looks.models, gate
        )

    def ports(self, slice_: Slice) -> HostPorts:
        """The ports of a host, to ask it and to act on it."""
        # A driver that breaks is this host's matter alone (ADR 0015).
        return contained(partial(self.catalog.hosts, slice_.host, slice_.models), slice_, self.keep)

    @cached_property
    def controller(self) -> Controller:
        """The controller that this process acts as."""
        name, directory = socket.gethostname(), str(self.data_directory)
        return Controller(id=self.identity.text, name=name, directory=directory, former=self.former)

    @cached_property
    def user(self) -> str:
        """Who runs this process."""
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return f"user {os.getuid()}"

    @cached_property
    def edits(self) -> Edits:
        """What notices a change of the files."""
        from reconciler.config.file_watch import (  # noqa: PLC0415 - only who watches pays for it
            FileEdits,
        )

        return FileEdits(self.source, self.journal_directory)

    @cached_property
    def supervisor(self) -> Supervisor:
        """The program that started this process, where it listens."""
        from reconciler.edge import notify  # noqa: PLC0415 - as above

        return notify.SystemdSupervisor(os.environ)

    def front(self, listen: str | None, finish: float, tell: TellRequest | None = None) -> Front:
        """The gateway at an address, or by the sockets that systemd gives.

        `finish` is how many seconds it lets requests end in, and `tell` writes a log of them. Raise
        Misused, also where its packages are not installed.
        """
        from reconciler.edge import http  # noqa: PLC0415 - as above
        from reconciler.edge.given_sockets import given_sockets  # noqa: PLC0415 - as above

        # What clients wait for must not wait for that in the middle of the first switch.
        http.load()
        try:
            from reconciler.api.router import ControlApi  # noqa: PLC0415 - as above
            from reconciler.gateway.front import SocketFront  # noqa: PLC0415 - as above
            from reconciler.gateway.listening import Listening  # noqa: PLC0415 - as above
        except ImportError as missing:
            raise Misused(f"{missing}; {WITH_SERVE}") from missing
        given, has_keys = given_sockets(os.environ), self.keys.ring() is not None
        written = None if given or listen else self._listen_of_files()
        listening = Listening(
            listen or written, given, has_keys=has_keys, folder=self.data_directory
        )
        clocks, control = (self.clock.boot, self.clock.wall), partial(ControlApi, self)
        front = SocketFront(listening, clocks, self.keys.ring, control, finish)
        front.doors.listens, front.doors.counts.tell = written, tell
        return front

    def _listen_of_files(self) -> str:
        try:
            return self.source.read().gateway.listen
        except ConfigError:
            # What is wrong is told while it serves, and can be fixed then.
            return Gateway().listen

    @cached_property
    def keys(self) -> KeyFile:
        """The keys of the gateway."""
        from reconciler.edge.key_file import KeyFile  # noqa: PLC0415 - as above

        return KeyFile(self.data_directory / KEYS)

    @cached_property
    def random(self) -> Random:
        """Chance."""
        from reconciler.edge.system_random import SystemRandom  # noqa: PLC0415 - as above

        return SystemRandom()


def build(settings: Settings) -> App:
    """Assemble the app of this machine."""
    clock = SystemClock()
    catalog = DriverCatalog(str(settings.host_directory), clock)
    data_directory = settings.data_directory
    identity, tally = _identity(data_directory, clock), LiveTally()
    return App(
        source=FileSource(settings.state, catalog),
        catalog=catalog,
        journal=SqliteJournal(JournalFile(data_directory / JOURNAL, clock), tally.appended),
        journal_directory=data_directory / JOURNAL,
        lock=FileLock(data_directory / "lock", _holder(), identity.keep),
        clock=clock,
        plans=planfile,
        folder=GitStateFolder(settings.state),
        keep=partial(trace.told, [data_directory / "traces"]),
        identity=identity,
        former=_former(data_directory),
        data_directory=data_directory,
        tally=tally,
    )


def _identity(data_directory: Path, clock: Clock) -> ControllerId:
    # Not the App's own journal file: that one is awaited in a thread, one call at a time.
    rows = JournalFile(data_directory / JOURNAL, clock).rows
    return ControllerId(data_directory / "controller", rows, lambda: secrets.token_hex(ID_BYTES))


def _holder() -> str:
    return f"reconciler {' '.join(sys.argv[1:2])} (pid {os.getpid()})"


def _former(data_directory: Path) -> str:
    """The id by which versions up to 0.1 claimed hosts, the same where there is no machine id."""
    named = f"{_text('/etc/machine-id')}:{os.path.realpath(data_directory)}"
    return hashlib.sha256(named.encode()).hexdigest()[:12]


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
