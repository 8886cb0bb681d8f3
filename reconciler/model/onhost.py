"""What may be asked of and done on a host: the contract between drivers and the onhost program.

Each value becomes one JSON line `{"do": kind, ...fields}`; the answer is `{"ok": {...}}` or
`{"error": "sentence"}`. Paths are absolute or relative to the host directory, where everything that
belongs to the host (claim, logs, slots) lives.
"""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field, JsonValue

from reconciler.model.facts import Claim, Mark, UnitIdentity
from reconciler.model.names import Value
from reconciler.model.origin import Service
from reconciler.model.preparation import Preparation

InDoubt: TypeAlias = Literal["repeatable", "observable", "once", "irreversible"]


class AskContact(Value):
    """Ask for boot id, clocks, python version and the absolute host directory."""

    do: Literal["contact"] = "contact"


class AskUnits(Value):
    """Ask for every process group that carries our mark.

    `pids` limits the look to these leaders and their groups (faster).
    """

    do: Literal["units"] = "units"
    pids: tuple[int, ...] | None = None


class AskPort(Value):
    """Ask who listens on a TCP port, on any address."""

    do: Literal["port"] = "port"
    port: int


class AskPage(Value):
    """Ask who listens on a TCP port, and what an HTTP GET of `path` gives there on the loopback if that is one of `pids`.

    The GET ends after `seconds`; its answer has at most `limit` bytes, with its head. `key` goes
    with it as a bearer token.
    """

    do: Literal["page"] = "page"
    port: int
    path: str
    pids: tuple[int, ...]
    seconds: float
    limit: int
    key: str | None = Field(default=None, repr=False)


class AskProgram(Value):
    """Ask where a program is (a path, or a name to find on PATH) and whether it can run."""

    do: Literal["program"] = "program"
    program: str


class AskFlags(Value):
    """Ask why a program would refuse a command line, of one that lists its flags when it is run with `--help`.

    `program` is the program with the words that make it one, such as an interpreter's script;
    `words` is what follows.
    """

    do: Literal["flags"] = "flags"
    program: tuple[str, ...]
    words: tuple[str, ...]
    env: dict[str, str] = {}


class AskPlace(Value):
    """Ask why a file, or a folder, cannot be read."""

    do: Literal["place"] = "place"
    path: str
    folder: bool = False


class AskSameFile(Value):
    """Ask whether two paths lead to one file: `theirs` as the process `pid` sees it, `ours` as the host does. None: not known."""

    do: Literal["same-file"] = "same-file"
    pid: int
    theirs: str
    ours: str


class AskGguf(Value):
    """Ask for size, time and the bounded header of a GGUF file."""

    do: Literal["gguf"] = "gguf"
    path: str


class AskFingerprint(Value):
    """Ask for one digest over weights (all shards), program files and folders of shared libraries, and `flags`.

    The answer says when a file among them last changed.
    """

    do: Literal["fingerprint"] = "fingerprint"
    weights: tuple[str, ...]
    programs: tuple[str, ...]
    flags: tuple[str, ...]


class AskSaved(Value):
    """Ask for the sidecars of a slot directory, newest for each slot, and the free space there."""

    do: Literal["saved"] = "saved"
    directory: str


class AskTail(Value):
    """Ask for the last lines of a log, or for what came after an earlier answer's `end`."""

    do: Literal["tail"] = "tail"
    path: str
    lines: int
    after: str = ""


class AskClaim(Value):
    """Ask who acts on this host."""

    do: Literal["claim"] = "claim"


class AskPrepared(Value):
    """Ask with which preparation the host was made ready since it came up."""

    do: Literal["prepared"] = "prepared"


class AskGpus(Value):
    """Ask which accelerator device nodes the host has, and how much memory of its own."""

    do: Literal["gpus"] = "gpus"


class AskNvidia(Value):
    """Ask nvidia-smi for every NVIDIA card: what `drivers/gpus/nvidia` reads itself where the host is its own machine."""

    do: Literal["nvidia"] = "nvidia"


class AskMachine(Value):
    """Ask what there is for serving models, as `model.machine.Machine` holds it.

    `search` says whether to look for GGUF files, which may take some seconds; `folders` names
    folders to judge.
    """

    do: Literal["machine"] = "machine"
    search: bool = True
    folders: tuple[str, ...] = ()


class AskServices(Value):
    """Ask of each service whether it could be started, and what runs of it, in the same order."""

    do: Literal["services"] = "services"
    services: tuple[Service, ...]


class AskServiceLog(Service):
    """Ask for the last lines of a service's newest start and their `end`.

    After an earlier one, for the first lines since.
    """

    do: Literal["service-log"] = "service-log"
    lines: int = 20
    after: str = ""


class AskGuards(Value):
    """Ask who and what stands in the way of sending the host down in this way, and whether this user may."""

    do: Literal["guards"] = "guards"
    way: Literal["off", "suspend"]


class AskWakeOn(Value):
    """Ask which network card has an address, and what wakes it."""

    do: Literal["wake-on"] = "wake-on"
    mac: str


class AskNeighbour(Value):
    """Ask for an address that answers now: this one, or the gateway of the network in which `host` is."""

    do: Literal["neighbour"] = "neighbour"
    address: str | None
    host: str


Question: TypeAlias = (
    AskContact | AskUnits | AskPort | AskPage | AskProgram | AskFlags | AskPlace | AskSameFile | AskGguf | AskFingerprint
    | AskSaved | AskTail | AskClaim | AskPrepared | AskGpus | AskNvidia | AskMachine | AskServices | AskServiceLog | AskGuards
    | AskWakeOn | AskNeighbour
)  # fmt: skip


class Spawn(Value):
    """Start a process in a session of its own, in `directory`, writing to `log`.

    Answers its identity.

    Of the environment there it is given nothing that begins with one of `scrub`, but for the names
    in `keep`.
    """

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["spawn"] = "spawn"
    mark: Mark
    argv: tuple[str, ...]
    env: dict[str, str] = Field(repr=False)
    scrub: tuple[str, ...]
    keep: tuple[str, ...] = ()
    directory: str
    folders: tuple[str, ...]
    log: str


class StopProcess(Value):
    """End a process and its whole group: TERM, wait, TERM, wait, KILL until nobody is left.

    Seconds.
    """

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop"] = "stop"
    identity: UnitIdentity
    grace: float
    again: float
    kill: float


class StartService(Service):
    """Start a service; answers its identity once its main process runs."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["start-service"] = "start-service"


class StopService(Service):
    """End this invocation of a service: as its unit says, and after `grace` seconds KILL all that is left of it."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop-service"] = "stop-service"
    identity: UnitIdentity
    grace: float
    kill: float


class SealSlot(Value):
    """Make a saved slot file durable: check its size, fsync, sha256, write its sidecar, rename both, drop what it replaces."""

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["seal"] = "seal"
    directory: str
    temporary: str
    file: str
    size: int
    sidecar: dict[str, JsonValue]


class CheckSlot(Value):
    """Read a saved slot file whole and compare size and sha256 with its sidecar.

    Answers its tokens, or how it begins.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["check"] = "check"
    directory: str
    file: str


class NoteAttempt(Value):
    """Write durably into a sidecar that its file was put into a unit, and what came of it."""

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["note"] = "note"
    directory: str
    file: str
    identity: UnitIdentity
    outcome: Literal["open", "proven", "cold", "unverified", "failed"]
    reason: str = ""


class MakeRoom(Value):
    """Delete leftovers, then oldest slot files, until `needed` bytes fit in `budget` and on the disk; never one in `keep`.

    `spare` more bytes are made free where that is possible: nobody knows to the byte how long a
    file will be.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["room"] = "room"
    directory: str
    needed: int
    budget: int
    keep: tuple[str, ...]
    spare: int = 0


class PrefetchFile(Value):
    """Ask the kernel to read a file into the page cache."""

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["prefetch"] = "prefetch"
    path: str


class WriteClaim(Value):
    """Claim the host.

    Refused when another one stands than this and what it `replaces`, unless `take_over`.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["write-claim"] = "write-claim"
    claim: Claim
    replaces: Claim | None = None
    take_over: bool = False


class SendDown(Value):
    """Ask the host's own system to go down; whatever inhibits that is heeded."""

    in_doubt: ClassVar[InDoubt] = "irreversible"
    do: Literal["send-down"] = "send-down"
    way: Literal["off", "suspend"]


class WakeOther(Value):
    """Send magic packets to a network card: to `broadcast`, or without it to every network of this host and to everybody."""

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["wake"] = "wake"
    mac: str
    password: str | None = None
    broadcast: str | None = None
    port: int = 9
    interface: str | None = None
    source: str | None = None


class PrepareHost(Value):
    """Run a preparation: its programs, its check, and remedies until that passes.

    Remember the digest until the host sleeps.
    """

    in_doubt: ClassVar[InDoubt] = "repeatable"
    do: Literal["prepare"] = "prepare"
    preparation: Preparation
    digest: str


class Run(Value):
    """Run a program to its end within seconds; answers its exit code and what it said."""

    in_doubt: ClassVar[InDoubt] = "irreversible"
    do: Literal["run"] = "run"
    argv: tuple[str, ...]
    seconds: float
    env: dict[str, str] = {}


Action: TypeAlias = (
    Spawn | StopProcess | StartService | StopService | SealSlot | CheckSlot | NoteAttempt | MakeRoom | PrefetchFile
    | WriteClaim | SendDown | WakeOther | PrepareHost | Run
)  # fmt: skip
