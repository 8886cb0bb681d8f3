"""The command line beside what the machine keeps: one model is a process, one exists already."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx

from reconciler.drivers.engines import embedded
from tests.engine import weights_in
from tests.engine_program import embedded_in
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.booted import Booted

INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{kind: embedded, seed: 1}}, port: {port}, stable_for: 200ms}}
  tiny-b:
    engine: {{kind: embedded, weights: {weights}}}
    launcher: {launcher}
    port: {port}
    stable_for: 200ms
"""


class GivenStack(Stack):
    """`reconciler` with tiny-b under a launcher that only starts and stops it."""

    def __init__(self, folder: Path, launcher: str) -> None:
        """Take the launcher as it stands in the inventory."""
        super().__init__(folder)
        self.weights = weights_in(folder)
        text = INVENTORY.format(port=self.port, weights=self.weights, launcher=launcher)
        (folder / "state" / "inventory.yaml").write_text(text)
        (folder / "slots").mkdir(exist_ok=True)
        kept = folder / "slots" / "another-name"
        kept.mkdir()
        options = embedded.Options(weights=str(self.weights), slots=str(kept.parent))
        self.given = embedded.command(options, "another-name", self.port).argv

    def pid(self) -> int:
        """Return the first process of tiny-b, 0 where none runs."""
        raise NotImplementedError

    def serving(self) -> dict[str, int]:
        pid = self.pid()
        return {**self.engines(), **({"tiny-b": pid} if pid else {})}

    def leaves_saved(self) -> int:
        """Switch from tiny-b to tiny-a, and return how many tokens it remembered that are saved."""
        assert self.run("plan", "--detailed-exitcode").returncode == 0
        held = self.remembered()
        self.desire("tiny-a")
        planned = self.run("plan").stdout
        assert "0 conversations lost" in planned
        assert "save_slots     tiny-b" in planned
        self.apply()
        assert list(self.engines()) == ["tiny-a"]
        return held

    def comes_back_with(self, held: int) -> None:
        """Switch to tiny-b, which remembers what was saved of it, and has a log."""
        self.desire("tiny-b")
        self.apply()
        assert "tokens proven" in self.run("history").stdout
        assert self.talk()["cache_n"] >= LEAST_REUSED * held > 100
        assert "slot" in self.run("logs", "tiny-b").stdout

    def takes_turns(self) -> None:
        """Switch to tiny-b, back and there again; what was said to it comes back."""
        self.apply()
        self.desire("tiny-b")
        self.apply()
        assert self.pid()
        assert self.engines() == {}
        assert self.run("plan", "--detailed-exitcode").returncode == 0
        assert self.talk()["prompt_n"] > 1
        self.desire("tiny-a")
        self.apply()
        assert self.pid() == 0
        assert list(self.engines()) == ["tiny-a"]
        self.desire("tiny-b")
        self.apply()
        assert self.talk()["prompt_n"] == 1, "its conversation came back"


class BootedStack(GivenStack):
    """`reconciler` on a host that was booted for the tests."""

    def __init__(self, folder: Path, launcher: str, booted: Booted) -> None:
        self.booted = booted
        super().__init__(folder, launcher)

    def argv(self, *words: str, directory: str = "data") -> list[str]:
        return [
            *self.booted.entering,
            "env",
            f"--chdir={self.folder}",
            *super().argv(*words, directory=directory),
        ]

    def begin(self, *words: str) -> dict[str, Any]:
        """Run `init`, or an import, in a home of its own; from now on its files count."""
        (self.folder / "state").rename(self.folder / "before")
        argv = [*self.booted.entering, "env", f"--chdir={self.folder}", f"HOME={self.folder}"]
        words = words or ("init",)
        done = subprocess.run(
            [*argv, sys.executable, "-m", "reconciler", *words, "state", "-o", "json"],
            env=self.environment(), capture_output=True, text=True, check=False,
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        begun: dict[str, Any] = json.loads(done.stdout)
        return begun

    def llama_server(self) -> Path:
        """Write a llama-server into the folder, and return where it is."""
        return embedded_in(self.folder)

    def serves(self) -> bool:
        """Return whether an engine on the models' port has loaded its model."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health").status_code == httpx.codes.OK
        return False

    def listens(self, address: str = "127.0.0.1") -> bool:
        """Return whether somebody accepts connections on the models' port."""
        with closing(socket.socket()) as asking:
            return asking.connect_ex((address, self.port)) == 0
