"""The command line beside a rig of hosts, of which one serves a model and sleeps on demand."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.engine import free_port
from tests.rigs import witness
from tests.rigs.hostrig.client import Rig, modes
from tests.running import until
from tests.stack import CONVERSATION, LEAST_REUSED, _in_order, _moments

COMMAND_SECONDS = 240
HOST, OTHER = "gpu1", "gpu2"
CHECKOUT = Path(__file__).parents[1]
SAY = Path(__file__).parent / "rigs" / "say.py"
REAL_MODE = modes()[-1:]
"""The mode in which hosts are most like real ones, for what need not be seen in both."""

SETTLED = {"run-closed", "answered", "adopted"}
"""What is last in a journal when nobody is at anything."""


def asleep(rig: Rig) -> Rig:
    """Have every host off and healed."""
    for host in (HOST, OTHER):
        rig.cut(host)
        rig.wait(host, "off")
        rig.heal(host)
    return rig


class SleepingStack:
    """`reconciler` in a folder, run as a person would, from the controller's place in a rig."""

    def __init__(self, folder: Path, rig: Rig, host: str = HOST) -> None:
        """Lay it out around one host of the rig, which a witness sees."""
        self.folder, self.rig, self.host = folder, rig, host
        self.port = free_port()
        self.conversation = CONVERSATION
        self.directory = f"{rig.home(host)}/{folder.name}"
        (folder / "state").mkdir(parents=True)
        self.inventory()

    @property
    def wol(self) -> dict[str, Any]:
        """Return the driver that wakes the host; a light host has no card that it could see."""
        at = self.rig.host(self.host)
        light = {"broadcast": at.wol_broadcast, "port": at.wol_port, "check": "never"}
        return {"kind": "wol", "mac": at.mac, **(light if self.rig.mode == "light" else {})}

    @property
    def inferring(self) -> dict[str, Any]:
        """How the host is powered without an outside witness: what is inferred counts."""
        return {"wake": self.wol, **({"canary": "127.0.0.1"} if self.rig.mode == "light" else {})}

    @property
    def power(self) -> dict[str, Any]:
        """Return how the host is powered where a witness tells at once whether it is on."""
        return {"wake": self.wol, "proof": self.program(state="state")}

    def program(self, **verbs: str) -> dict[str, Any]:
        """Return the driver that does this by verbs of the rig."""
        words = [sys.executable, "-I", "-S", witness.__file__, str(self.rig.folder), self.host]
        return {"kind": "command", **{role: [*words, verb] for role, verb in verbs.items()}}

    def access(self, alias: str | None = None) -> dict[str, Any]:
        """Return how the host is reached."""
        return {
            "kind": "ssh",
            "address": alias or self.host,
            "config": str(self.rig.ssh_config),
            "directory": self.directory,
        }

    def as_llm(self) -> None:
        """Log in as a user without privileges, whose folder no other test has claimed."""
        self.directory = f"/home/llm/{self.folder.name}"
        self.inventory(access=self.access(f"{self.host}-llm"))

    def inventory(
        self,
        power: Any = None,
        access: Any = None,
        *,
        others: dict[str, Any] | None = None,
        model: str = "",
        **more: Any,
    ) -> None:
        """Write the inventory: the host with more keys, others beside it, its model with these."""
        box = {
            "access": access or self.access(),
            "power": self.power if power is None else power,
            **more,
        }
        hosts = json.dumps({"box": box, **(others or {})})
        tiny = (
            f"{{host: box, engine: {{kind: embedded, seed: 1}}, port: {self.port}, stable_for:"
            f" 200ms{model}}}"
        )
        self._write("inventory", f"version: 1\nhosts: {hosts}\nmodels:\n  tiny: {tiny}\n")

    def desire(self, power: str, active: str = "tiny", more: str = "") -> None:
        """Write what is wanted."""
        self._write(
            "desired", f"version: 1\nhosts:\n  box: {{power: {power}, active: {active}{more}}}\n"
        )

    def _write(self, name: str, text: str) -> None:
        """Replace a file as editors do: whoever watches never reads half of it."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(text)
        fresh.rename(self.folder / "state" / f"{name}.yaml")

    def argv(
        self, *words: str, program: Sequence[str] = ("-m", "reconciler"), directory: str = "data"
    ) -> list[str]:
        return [
            *self.rig.prefix,
            sys.executable,
            *program,
            *words,
            "--state",
            "state",
            "--data",
            directory,
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "XDG_STATE_HOME": str(self.folder / "here"),
            "PYTHONPATH": str(CHECKOUT),
        }

    def run(self, *words: str, directory: str = "data") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*words, directory=directory), cwd=self.folder, env=self.environment,
            check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def apply(self, code: int = 0, *words: str, directory: str = "data") -> str:
        """Apply, and return all that was said."""
        done = self.run("apply", "--yes", *words, directory=directory)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @contextmanager
    def applying(
        self, *moments: str, code: int = 0, words: Sequence[str] = (), halts: bool = False
    ) -> Iterator[None]:
        """Apply, and let the context act once these moments stand in the journal.

        `applied` is what was said in the end. A command that `halts` waits until the context ends.
        """
        rows, errors = self.rows(), self.folder / "apply.log"
        program = (
            ("-m", "tests.killed_at", ",".join(("halt", *moments)))
            if halts
            else ("-m", "reconciler")
        )
        with errors.open("wb") as written:
            process = subprocess.Popen(
                self.argv("apply", "--yes", *words, program=program), cwd=self.folder,
                env=self.environment, stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            )  # fmt: skip
        stat = Path(f"/proc/{process.pid}/stat")

        def is_there() -> bool:
            stands = not halts or stat.read_text().rpartition(")")[2].split()[0] == "T"
            return (stands and _in_order(moments, self.moments(rows))) or process.poll() is not None

        try:
            until(is_there, within=COMMAND_SECONDS)
            yield
            process.send_signal(signal.SIGCONT)
            ended = process.wait(COMMAND_SECONDS)
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in self.applied, self.applied
        assert ended == code, self.applied

    @property
    def applied(self) -> str:
        """Return what an apply said during which something happened."""
        return (self.folder / "apply.log").read_text()

    def killed_at(self, *moments: str) -> None:
        """Apply, and be killed once these moments stand in the journal."""
        argv = self.argv("apply", "--yes", program=("-m", "tests.killed_at", ",".join(moments)))
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Run a watch until the context ends, and let it leave."""
        process = self.watch()
        try:
            yield
        finally:
            self.leave(process)

    def watch(self) -> subprocess.Popen[bytes]:
        """Begin to watch."""
        with (self.folder / "watch.log").open("ab") as log:
            return subprocess.Popen(
                self.argv("watch"),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
            )

    def leave(self, watch: subprocess.Popen[bytes]) -> None:
        """Let a watch leave."""
        watch.terminate()
        ended = watch.wait(COMMAND_SECONDS)
        assert "Traceback" not in self.watched, self.watched
        assert ended == 0, self.watched

    @property
    def watched(self) -> str:
        """Return what the watch said."""
        return (self.folder / "watch.log").read_text()

    def moments(self, after: int = 0) -> list[str]:
        """The journal after so many rows, as "forward opened", "intent stop" or "done stop"."""
        try:
            with closing(
                sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=COMMAND_SECONDS)
            ) as journal:
                return _moments(journal, after)
        except sqlite3.OperationalError:
            # Not written yet.
            return []

    def rows(self) -> int:
        return len(self.moments())

    def reached(self, power: str, *, enforced: bool = False) -> bool:
        """Return whether what was carried out last was this wish, and nobody is at anything."""
        newest = "SELECT body FROM record WHERE kind IN ({}) ORDER BY seq DESC LIMIT 1"
        moments = self.moments()
        if not moments or moments[-1] not in SETTLED:
            return False
        with closing(
            sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=COMMAND_SECONDS)
        ) as journal:
            kinds = ("'run-opened', 'adopted'", "'run-closed', 'adopted'")
            found = [journal.execute(newest.format(one)).fetchone() for one in kinds]
        begun, ended = (json.loads(one[0]) if one else {} for one in found)
        wished = begun.get("slice", {})
        is_good = ended.get("verdict", "promoted") == "promoted"
        return is_good and (wished.get("power"), wished.get("enforce")) == (power, enforced)

    @property
    def _file(self) -> Path:
        return self.folder / "data" / "journal" / "journal.sqlite"

    def converse(self) -> None:
        """Hold the conversation, which is longer than nothing."""
        self.talk()
        assert self.talk()["cache_n"] > 100

    def goes_on(self) -> None:
        """Show that the conversation goes on where it was, by the server's own timings."""
        said = self.talk()
        assert said["cache_n"] >= LEAST_REUSED * (said["cache_n"] + said["prompt_n"]), said

    def talk(self) -> dict[str, int]:
        """Send the conversation to the model, and return the server's own timings."""
        with self.asking() as asked:
            said, error = asked.communicate()
        assert asked.returncode == 0, error
        timings: dict[str, int] = json.loads(said)
        return timings

    def asking(self, tokens: int = 4) -> subprocess.Popen[str]:
        """Send the conversation as a client without a login; return once it is sent."""
        words = [
            *self.rig.beside(self.host),
            sys.executable,
            "-I",
            "-S",
            str(SAY),
            str(self.port),
            str(tokens),
        ]
        asked = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert asked.stdin is not None
        assert asked.stderr is not None
        asked.stdin.write(self.conversation)
        asked.stdin.close()
        # Or `communicate` would flush what is closed.
        asked.stdin = None
        asked.stderr.readline()
        return asked

    def status(self) -> dict[str, Any]:
        """Return what `status` says of the host."""
        host: dict[str, Any] = next(
            host
            for host in json.loads(self.run("status", "-o", "json").stdout)["hosts"]
            if host["host"] == "box"
        )
        return host
