"""Surroundings that nobody plans for: variables, streams, limits, folders, drawn by a seed."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.engine import free_port, weights_in
from tests.engine_program import program_in

LOOKS: dict[str, Sequence[Sequence[str]]] = {
    "plan": (
        ["plan"],
        ["plan", "--detailed-exitcode"],
        ["plan", "-o", "json"],
        ["plan", "--save", "plan.json"],
    ),
    "status": (["status"], ["status", "-o", "json"], ["status", "--exit-code"]),
    "history": (["history"], ["history", "7"]),
    "explain": (["explain", "tiny-a"], ["explain", "port"], ["explain"]),
    "logs": (["logs", "tiny-a"], ["logs", "tiny-q"]),
    "doctor": (["doctor"], ["doctor", "-o", "json"]),
    "validate": (["validate"], ["validate", "--schema", "plan"]),
    "demo": (["demo"],),
    "": (["--help"], ["--version"], [], ["plan", "--help"], ["aply"]),
}
LISTEN = ("--listen", "127.0.0.1:0")
ACTS: dict[str, Sequence[Sequence[str]]] = {
    "apply": (
        ["apply", "--yes"],
        ["apply", "--yes", "--timeout", "5"],
        ["apply"],
        ["apply", "--yes", "-o", "json"],
    ),
    "use": (["use", "tiny-b", "--yes"], ["use", "tiny-b", "--yes", "--commit"], ["use", "tiny-q"]),
    "init": (["init", "new"], ["init", "new", "--yes"]),
    "import": (["import", "docker", "new"], ["import", "gguf-dir", ".", "new"]),
    "retry": (["retry", "--yes"],),
    "restart": (["restart", "tiny-a", "--yes"], ["restart", "tiny-q"]),
    "rollback": (["rollback", "--yes"],),
    "hold": (
        ["hold"],
        ["hold", "--reason", "a game", "--release", "--yes"],
        ["hold", "--reason", "\udcff"],
    ),
    "resume": (["resume", "--yes"],),
    "key": (["key", "list"], ["key", "add", "laptop"], ["key", "remove", "phone"], ["key"]),
    "watch": (["watch"], ["watch", "-o", "json"]),
    "serve": (["serve", *LISTEN], ["serve", "-o", "json", *LISTEN], ["serve", "--listen", "8400"]),
}
WORDS = {**LOOKS, **ACTS}
"""Every verb, and ways to say it."""

DESIRED = "version: 1\nactive: tiny-a\n"
INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{{engine}}}, port: {port}, stable_for: 50ms}}
  tiny-b: {{engine: {{{engine}}}, port: {port}, stable_for: 50ms}}
"""
SPOILT = (
    b"",
    b"version: 1\nactive: [\n",
    b"\xff\xfe\x00",
    b"tiny",
    b"version: 1\nactive: nobody\n",
    b"x: " + b"[" * 5000,
)

VARIABLES: dict[str, Sequence[str]] = {
    "LC_ALL": ("C", "POSIX", "xx_YY.nonsense", "C.UTF-8"),
    "PYTHONUTF8": ("0", "1"),
    "PYTHONCOERCECLOCALE": ("0",),
    "PYTHONIOENCODING": ("ascii", "utf-16", "latin-1"),
    "PYTHONUNBUFFERED": ("1",),
    "PYTHONWARNINGS": ("error", "default"),
    "PYTHONOPTIMIZE": ("2",),
    "PYTHONDEVMODE": ("1",),
    "TZ": ("", "nonsense", "Antarctica/Troll", ":/dev/null"),
    "COLUMNS": ("0", "1", "-5", "x"),
    "NO_COLOR": ("1",),
    "TERM": ("", "dumb"),
    "PATH": ("", "/nowhere", ".", "\udcff"),
    "TMPDIR": ("/nowhere", "", "/dev/null"),
    "NOTIFY_SOCKET": ("/nowhere/socket", "@nobody", "x" * 300, "relative"),
    "WATCHDOG_USEC": ("x", "0", "-1", "1000000"),
    "GIT_DIR": ("/nowhere", ""),
    "GIT_CONFIG_GLOBAL": ("/dev/null", "/nowhere"),
    "HTTP_PROXY": ("nonsense", "http://127.0.0.1:1"),
    "ALL_PROXY": ("socks9://x", ""),
    "SSL_CERT_FILE": ("/nowhere",),
    "USER": ("", "\udcff"),
    "ODD": ("\udcff\udcfe", "\n"),
}
OPEN_FILES = (256, 64, 32, 16, 12, 10)
FILE_BYTES = (0, 4096)
STACK_BYTES = (256 * 1024,)
MASKS = (0o022, 0o000, 0o077, 0o777)
PLACES = (
    *("a relative one", "a file", "nothing yet", "a loop", "read-only", "closed", "full"),
    *("/dev/null", "/proc/self", "/proc/sys", "new\nline", "n" * 300, "not text \udcff"),
)
STREAMS = ("closed", "nowhere", "full", "left", "a folder", "the wrong way")


@dataclass(frozen=True)
class Surroundings:
    """What one command meets: `streams` by number, `limits` by resource."""

    words: Sequence[str]
    environment: dict[str, str]
    streams: dict[int, str] = field(default_factory=dict)
    limits: dict[int, int] = field(default_factory=dict)
    mask: int = 0o022


class Ground:
    """Lay out a folder with two models that start at once, and places of every kind around it."""

    def __init__(self, folder: Path, full: Path) -> None:
        """Use an empty folder, and one on a disk that is full."""
        self.folder, self.full = folder, full
        (folder / "state").mkdir()
        engine = f"kind: llamacpp, binary: {program_in(folder)}, weights: {weights_in(folder)}"
        (folder / "state" / "inventory.yaml").write_text(
            INVENTORY.format(engine=engine, port=free_port())
        )
        (folder / "state" / "desired.yaml").write_text(DESIRED)
        for name, mode in (("read-only", 0o555), ("closed", 0)):
            (folder / name).mkdir(mode=mode)
        (folder / "file").touch()
        (folder / "loop").symlink_to("loop")

    def place(self, kind: str) -> str:
        """Return a path of a kind."""
        named = {
            "a relative one": "relative",
            "a file": str(self.folder / "file"),
            "full": str(self.full),
        }
        if kind in named or kind.startswith("/"):
            return named.get(kind, kind)
        return str(self.folder / {"nothing yet": "deep/er/down", "a loop": "loop"}.get(kind, kind))

    def spoil(self, random: Random) -> None:
        """Make one of both files useless."""
        file = self.folder / "state" / random.choice(("desired.yaml", "inventory.yaml"))
        file.unlink()
        if random.random() < 0.2:
            os.mkfifo(file)
        elif random.random() < 0.8:
            file.write_bytes(random.choice(SPOILT))

    def draw(self, verb: str, random: Random) -> Surroundings:
        """Return what a command meets."""
        if random.random() < 0.2:
            self.spoil(random)
        environment = self._environment(verb, random)
        streams = {number: random.choice(STREAMS) for number in range(3) if random.random() < 0.3}
        limits = {
            limit: random.choice(values)
            for limit, values in (
                (resource.RLIMIT_NOFILE, OPEN_FILES),
                (resource.RLIMIT_FSIZE, FILE_BYTES),
                (resource.RLIMIT_STACK, STACK_BYTES),
            )
            if random.random() < 0.15
        }
        return Surroundings(
            random.choice(WORDS[verb]), environment, streams, limits, random.choice(MASKS)
        )

    def _environment(self, verb: str, random: Random) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "XDG", "GIT", "RECONCILER"))
        }
        places = {
            "HOME": "home",
            "XDG_STATE_HOME": "host",
            "RECONCILER_DATA": "data",
            "RECONCILER_STATE": "state",
        }
        environment = kept | {name: str(self.folder / place) for name, place in places.items()}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(self.folder)}
        for name in places:
            if random.random() < 0.25:
                environment[name] = self.place(random.choice(PLACES))
        for name, values in VARIABLES.items():
            if random.random() < 0.15:
                environment[name] = random.choice(values)
        for name in (
            "PATH",
            "RECONCILER_DATA",
            "RECONCILER_STATE",
            "XDG_STATE_HOME",
            "USER",
            "LANG",
        ):
            if random.random() < 0.1:
                environment.pop(name, None)
        if verb in LOOKS and random.random() < 0.2:
            environment.pop("HOME")
        if verb == "demo":
            environment["PATH"] = "/nowhere"
        return environment

    def run(self, met: Surroundings, patience: float) -> tuple[int, str]:
        """Run a command and end it when it takes too long; return its exit code and words."""
        with streams(met.streams, self.folder) as (given, closed):
            process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", *met.words],
                cwd=self.folder,
                env=met.environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
                stdin=given.get(0, subprocess.DEVNULL),
                stdout=given.get(1, subprocess.PIPE),
                stderr=given.get(2, subprocess.PIPE),
                umask=met.mask,
                # A worker has one thread.
                preexec_fn=lambda: confine(met.limits, closed),  # noqa: PLW1509
            )
        try:
            said = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.terminate()
            said = process.communicate(timeout=60)
        text = b"".join(part or b"" for part in said).replace(b"\0", b"").decode(errors="replace")
        return process.returncode, text


def confine(limits: dict[int, int], closed: Sequence[int]) -> None:
    """Set limits and close streams, in the child."""
    for number in closed:
        os.close(number)
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))


@contextmanager
def streams(kinds: dict[int, str], folder: Path) -> Iterator[tuple[dict[int, int], list[int]]]:
    """Give what streams lead to, and which are to be closed."""
    reading, writing = os.pipe()
    os.close(reading)
    ways = {
        "nowhere": os.open(os.devnull, os.O_RDWR),
        "full": os.open("/dev/full", os.O_RDWR),
        "left": writing,
        "a folder": os.open(folder, os.O_RDONLY),
        "the wrong way": os.open(folder / "file", os.O_RDONLY),
        "closed": os.open(os.devnull, os.O_RDWR),
    }
    try:
        yield (
            {number: ways[kind] for number, kind in kinds.items()},
            [n for n, kind in kinds.items() if kind == "closed"],
        )
    finally:
        for descriptor in ways.values():
            os.close(descriptor)


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """Give a folder in which nothing can be written: on a full disk where that can be had."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        yield Path("/proc/sys")
        return
    try:
        (folder / "filling").write_bytes(b"x" * 61440)
        with (folder / "filling").open("ab", buffering=0) as rest:
            try:
                while rest.write(b"x" * 512):
                    pass
            except OSError:
                pass
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - as above
