"""A real `serve` before an engine that costs next to nothing, and what the process uses."""

from __future__ import annotations

import http.client
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench import upstream
from tests.bench.upstream import SLOTS
from tests.engine import weights_in
from tests.engine_program import program_in
from tests.load.gateway import address
from tests.running import until
from tests.stack import COMMAND_SECONDS, Stack, stack

INSTALLED = (
    "import os, sys; os.setsid(); sys.modules['click'] = sys.modules['rich'] = None;"
    " from reconciler.cli.main import main; sys.exit(main())"
)
"""What people start: the HTTP client loads a command line of its own, and the log what colours it,
where the tools of development brought what they need. As a service it has a session of its own, or
the kernel would wake it for each event that the clients beside it are about to read."""

WITHOUT_FAST = "import sys; sys.modules['uvloop'] = None; " + INSTALLED


def out_of(folder: Path) -> str:
    """The same, out of a folder that the package lies in."""
    return f"import sys; sys.path.insert(0, {str(folder)!r}); {INSTALLED}"


CHAT = "/v1/chat/completions"
SMALL = (
    '{"model": "a", "messages": [{"role": "user", "content": "' + "how many ships? " * 28 + '"}]}'
)
MIB = 1024 * 1024


class Memory(NamedTuple):
    """MiB in memory, the same with its share of what others have as well, and its own alone."""

    resident: float
    share: float
    own: float

    def __str__(self) -> str:
        """Tell all three."""
        return (
            f"{self.share:.0f} MiB by its share; {self.resident:.0f} resident, {self.own:.0f} own"
        )


class Process(NamedTuple):
    """What a process has used."""

    pid: int

    def cpu(self) -> float:
        """Seconds on a core, of all its threads, as the scheduler counts them."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    @property
    def memory(self) -> Memory:
        """What it has in memory."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]
        told = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
        return Memory(told["Rss"], told["Pss"], told["Anonymous"])


class Serving(NamedTuple):
    """A `serve` that has admitted its engine: both ports, and the process."""

    port: int
    engine: int
    process: Process


@contextmanager
def serving(program: str = INSTALLED) -> Iterator[Serving]:
    """Run it, with one model."""
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as here, address() as at:
        binary, weights = program_in(here.folder, upstream.__file__), weights_in(here.folder)
        kind = f"kind: llamacpp, binary: {binary}, parallel: {SLOTS}"
        engine = f"{{{kind}, weights: {weights}}}"
        (here.folder / "state" / "inventory.yaml").write_text(
            f"version: 1\nmodels:\n  a: {{engine: {engine}, port: {here.port}, stable_for: 0s}}\n"
        )
        here.desire("a")
        with taking(here, at, ("-c", program)) as process:
            port = int(at.partition(":")[2])
            assert ask(port, CHAT, SMALL)
            yield Serving(port, here.port, process)


@contextmanager
def taking(here: Stack, at: str, words: Sequence[str] = ("-c", INSTALLED)) -> Iterator[Process]:
    """Run `serve` over a stack, from when it takes requests."""
    with here.watching("--listen", at, verb="serve", words=words) as process:
        until(lambda: "requests are taken" in here.watched(), within=COMMAND_SECONDS)
        yield Process(process.pid)


def ask(port: int, path: str, body: str) -> bytes:
    """The whole answer to one request."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    assert response.status == http.HTTPStatus.OK, answer
    return answer
