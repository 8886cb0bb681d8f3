"""The command line on a small stack of its own: two embedded models that share a free port."""

from __future__ import annotations

import http.client
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

from reconciler.onhost import units
from tests.engine import EMBEDDED, Server, free_port, weights_in
from tests.engine_program import program_in
from tests.running import until
from tests.sshd import Served

COMMAND_SECONDS = 120
LEAST_REUSED = 0.95
"""The share of a conversation's tokens that must be remembered."""

CONVERSATION = " ".join(
    f"In chapter {number} the keeper counts {number * 7} ships." for number in range(1, 21)
)

INVENTORY = """version: 1
{hosts}models:
  tiny-a: {{engine: {{{first}}}, port: {port}, stable_for: 200ms}}
  tiny-b: {{engine: {{{engine}{more}}}, port: {port}, stable_for: {stable_for}}}
"""


class Stack:
    """`reconciler` in a folder, run as a person would."""

    def __init__(
        self, folder: Path, served: Served | None = None, server: Server = EMBEDDED
    ) -> None:
        """Lay it out; the host is this machine, reached over ssh where somebody serves that."""
        self.folder = folder
        self.server = server
        self.served = served
        self.port = free_port()
        self.conversation = CONVERSATION
        (folder / "state").mkdir()
        self.inventory()
        self.desire("tiny-a")

    def desire(self, active: str) -> None:
        self.desired(f"version: 1\npower: on\nactive: {active}\n")

    def desired(self, text: str) -> None:
        """Write desired.yaml."""
        (self.folder / "state" / "desired.yaml").write_text(text)

    def inventory(self, more: str = "", *, engine: str = "", stable_for: str = "200ms") -> None:
        """Define both models; what is given is about tiny-b."""
        first, second = (self.server.of_seed(seed, self.folder) for seed in (1, 2))
        given = {"engine": engine or second, "more": more, "stable_for": stable_for}
        text = INVENTORY.format(hosts=self._hosts(), first=first, port=self.port, **given)
        (self.folder / "state" / "inventory.yaml").write_text(text)

    def _hosts(self) -> str:
        if self.served is None:
            return ""
        options = self.served.options(self.folder / "host" / "reconciler-host")
        return f"hosts:\n  local: {{access: {json.dumps({'kind': 'ssh', **options})}}}\n"

    def forget(self, model: str) -> None:
        """Take the definition of a model out of the inventory."""
        file = self.folder / "state" / "inventory.yaml"
        file.write_text(
            "".join(
                line for line in file.read_text().splitlines(keepends=True) if model not in line
            )
        )

    def frail_engine(self, mood: str = "well") -> str:
        """The definition of a deceptive engine: well until SIGUSR1, busy or silent."""
        args = f', args: ["--frail", "{mood}"]' if mood != "well" else ""
        return (
            f"kind: llamacpp, binary: {program_in(self.folder)}, weights:"
            f" {weights_in(self.folder)}{args}"
        )

    def argv(self, *words: str, directory: str = "data") -> list[str]:
        return [sys.executable, "-m", "reconciler", *words, "--state", "state", "--data", directory]

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "host"), **more}

    def run(
        self, *words: str, directory: str = "data", **more: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*words, directory=directory),
            cwd=self.folder,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def apply(self, code: int = 0, *words: str) -> subprocess.CompletedProcess[str]:
        done = self.run("apply", "--yes", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self._started(self.argv(*words), self.environment())

    def _started(self, argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            argv,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    @contextmanager
    def watching(
        self,
        *more: str,
        code: int | None = 0,
        words: Sequence[str] = ("-m", "reconciler"),
        verb: str = "watch",
        held: int | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a watch for the context; it must end with a code, None for any; `words` start it.

        It is given the socket `held`, which outlives it, as systemd would.
        """
        words = words if held is None else ("-m", "tests.held_socket", str(held))
        log = self.folder / "watch.log"
        argv = [sys.executable, *words, *self.argv(verb, *more)[3:]]
        environment = self.environment(PYTHONPATH=str(Path(__file__).parent.parent))
        with log.open("wb") as written:
            process = subprocess.Popen(
                argv, cwd=self.folder, env=environment, stderr=written, stdin=subprocess.DEVNULL,
                pass_fds=() if held is None else (held,),
            )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            ended = process.wait(COMMAND_SECONDS)
        assert "Traceback" not in self.watched(), self.watched()
        assert code is None or ended == code, self.watched()

    def watched(self) -> str:
        """Return what the watch said."""
        return (self.folder / "watch.log").read_text()

    def has_followed(self, times: int) -> bool:
        """Return whether the watch has read the files so often."""
        return self.watched().count("following") >= times

    def becomes(self, *serving: str) -> None:
        """Wait until these models serve and the watch has judged them."""
        until(lambda: self._judged() == sorted(serving), within=COMMAND_SECONDS)

    def _judged(self) -> list[str]:
        runs = self.moments() if (self.folder / "data" / "journal" / "head").exists() else []
        return (
            sorted(self.engines())
            if runs and runs[-1] in {"run-closed", "answered", "adopted"}
            else []
        )

    def killed_at(self, moments: Sequence[str], *words: str) -> int:
        """The exit code of a command that is killed once these moments stand in its journal."""
        argv = self.argv(*words)
        program = argv.index("reconciler")
        argv[program : program + 1] = ["tests.killed_at", ",".join(moments)]
        root = str(Path(__file__).parent.parent)
        environment = self.environment(PYTHONPATH=root)
        with self._started(argv, environment) as process:
            process.communicate(timeout=COMMAND_SECONDS)
        return process.returncode

    def engines(self) -> dict[str, int]:
        """Return the pids of what runs here, by model."""
        return {unit["mark"]["model"]: unit["identity"]["pid"] for unit in self.units()}

    def serving(self) -> dict[str, int]:
        """Return the pids of what serves here, whatever keeps it, by model."""
        return self.engines()

    def processes(self) -> list[int]:
        """Return the pids of everything that belongs to an engine here."""
        return [pid for unit in self.units() for pid in unit["members"]]

    def units(self) -> list[dict[str, Any]]:
        return [unit for unit in units.units() if self._is_ours(unit)]

    def _is_ours(self, unit: dict[str, Any]) -> bool:
        try:
            return (
                Path(f"/proc/{unit['identity']['pid']}/cwd")
                .resolve()
                .is_relative_to(self.folder.resolve())
            )
        except OSError:
            return False

    def talk(self, host: str = "127.0.0.1") -> dict[str, int]:
        """Send the conversation, and return the server's own timings."""
        body = json.dumps({"prompt": self.conversation, "n_predict": 4, "temperature": 0})
        with closing(http.client.HTTPConnection(host, self.port, timeout=30)) as connection:
            connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
            timings: dict[str, int] = json.loads(connection.getresponse().read())["timings"]
        return timings

    def remembered(self) -> int:
        """Hold the conversation, and return how many tokens of it the engine remembers."""
        self.talk()
        return self.talk()["cache_n"]

    def moments(self, after: int = 0) -> list[str]:
        """The journal after so many rows, as "forward opened", "intent stop" or "done stop"."""
        with self.journal() as connection:
            return _moments(connection, after)

    def first_intent(self, after: int) -> float:
        """Return when the first effect after so many rows was announced, in wall clock seconds."""
        with self.journal() as connection:
            at: float = connection.execute(
                "SELECT min(at) FROM record WHERE kind = 'step-intent' AND seq > ?", (after,)
            ).fetchone()[0]
        return at

    def rows(self) -> int:
        return len(self.moments())

    def run_number(self) -> int:
        """Return the journal's name of the newest run."""
        with self.journal() as connection:
            number: int = connection.execute(
                "SELECT max(seq) FROM record WHERE kind = 'run-opened'"
            ).fetchone()[0]
        return number

    def until(self, process: subprocess.Popen[str], after: int, *sought: str) -> bool:
        """Whether a command wrote these moments in this order, among others, before it ended."""
        with self.journal() as connection:
            while not _in_order(sought, _moments(connection, after)):
                try:
                    process.wait(0.001)
                except subprocess.TimeoutExpired:
                    continue
                return _in_order(sought, _moments(connection, after))
        return True

    def journal(self) -> closing[sqlite3.Connection]:
        """Open the journal so that nothing can be written to it."""
        file = self.folder / "data" / "journal" / "journal.sqlite"
        return closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=COMMAND_SECONDS))

    def document(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.run(*words, "-o", "json").stdout)
        return document


def _moments(connection: sqlite3.Connection, after: int) -> list[str]:
    """Name rows by what they are about: a run by its mode, a step by its kind."""
    about = "coalesce(body ->> '$.step', body ->> '$.mode', '')"
    rows = connection.execute(
        f"SELECT kind, {about} FROM record WHERE seq > ? ORDER BY seq",  # noqa: S608 - constants
        (after,),
    ).fetchall()
    words = {"run-opened": "{} opened", "step-intent": "intent {}", "step-done": "done {}"}
    return [words.get(kind, kind).format(about) for kind, about in rows]


def _in_order(sought: Sequence[str], moments: Sequence[str]) -> bool:
    rest = iter(moments)
    return all(moment in rest for moment in sought)


@contextmanager
def stack(folder: Path, server: Server = EMBEDDED) -> Iterator[Stack]:
    """Give a stack, and end its engines afterwards."""
    made = Stack(folder, server=server)
    with ending(made):
        yield made


@contextmanager
def ending(made: Stack) -> Iterator[None]:
    """End the engines of a stack afterwards."""
    try:
        yield
    finally:
        for pid in made.engines().values():
            os.kill(pid, signal.SIGKILL)
