"""Demo: a real switch between two models and back, by git commits, in its own folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from pydantic import BaseModel, JsonValue

from reconciler.cli import demo_gateway
from reconciler.edge.http import HttpClient
from reconciler.errors import Unreachable

Say = Callable[[str], None]

COMMAND_SECONDS = 120
ANSWER_SECONDS = 30.0
LEAST_REUSED = 0.95
NOTHING_ACTIVE = "[]"
FIRST, SECOND = "tiny-a", "tiny-b"

GIT_SETTINGS = ("user.name=Demo", "user.email=demo@localhost", "commit.gpgsign=false")
GIT_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
"""No hooks and no signing key of the person who runs the demo."""

CONVERSATION = " ".join(
    f"In chapter {number} the lighthouse keeper counts {number * 7} ships."
    for number in range(1, 31)
)

INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{kind: embedded, seed: 1}}, port: {port}, stable_for: 1s}}
  tiny-b: {{engine: {{kind: embedded, seed: 2}}, port: {port}, stable_for: 1s}}
"""


class Timings(BaseModel):
    """How many tokens of a prompt the server had to read, and how many it remembered."""

    cache_n: int
    prompt_n: int


class Completion(BaseModel):
    """What the demo needs of a completion."""

    timings: Timings


@dataclass(frozen=True)
class Stage:
    """The demo's folder and port, where commands are run as a person would run them."""

    folder: Path
    port: int
    say: Say

    def desire(self, active: str, *, allow: str = "") -> None:
        """Write desired.yaml and commit it; `allow`: what requests may bring in."""
        more = f"allow: {allow}\n" if allow else ""
        self._write("desired.yaml", f"version: 1\npower: on\nactive: {active}\n{more}")
        self._git("add", "state")
        self._git("commit", "--quiet", "--message", f"serve {active}")

    def begin(self) -> None:
        """Make the repository and the inventory."""
        self._state.mkdir()
        self._write("inventory.yaml", INVENTORY.format(port=self.port))
        self._git("init", "--quiet", ".")

    def reconciler(self, *words: str) -> int:
        """Show one reconciler command, run it, and return its exit code."""
        return self._run(self.shown(*words), {"XDG_STATE_HOME": str(self.folder / "host")})

    def shown(self, *words: str) -> list[str]:
        """Show one reconciler command; the words that run it."""
        self.say(f"\n$ reconciler {' '.join(words)}")
        return [sys.executable, "-m", "reconciler", *words, "--state", "state", "--data", "data"]

    def ask(self, model_name: str) -> Timings:
        """Send the conversation to what serves, and say what the server had to read for it."""
        wish: JsonValue = {"prompt": CONVERSATION, "n_predict": 8, "cache_prompt": True}
        reply = anyio.run(
            HttpClient().post, f"http://127.0.0.1:{self.port}/completion", wish, ANSWER_SECONDS
        )
        timings = Completion.model_validate(reply.json()).timings
        self.say(
            f"\n{model_name}: {timings.prompt_n} tokens read, {timings.cache_n} remembered (the"
            " server's own timings)"
        )
        return timings

    @property
    def _state(self) -> Path:
        return self.folder / "state"

    def _write(self, name: str, text: str) -> None:
        (self._state / name).write_text(text)

    def _git(self, *words: str) -> None:
        self.say(f"\n$ git {' '.join(words)}")
        options = [word for setting in GIT_SETTINGS for word in ("-c", setting)]
        if self._run(["git", *options, *words], GIT_ALONE):
            raise Unreachable(f"git {words[0]} failed in {self.folder}")

    def _run(self, argv: Sequence[str], environment: dict[str, str]) -> int:
        sys.stdout.flush()
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, no shell
                argv,
                cwd=self.folder,
                env={**os.environ, **environment},
                check=False,
                timeout=COMMAND_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise Unreachable(f"{argv[0]} is not installed, and the demo needs it") from error
        except subprocess.TimeoutExpired as error:
            raise Unreachable(
                f"{' '.join(argv[:4])} did not end within {COMMAND_SECONDS} s"
            ) from error
        return done.returncode


def run(say: Say) -> int:
    """Switch from A to B and back with the conversation kept, and leave nothing behind.

    0 when the server proved it.
    """
    _check_git()
    _check_engine()
    stage = Stage(Path(tempfile.mkdtemp(prefix="reconciler-demo-")), _free_port(), say)
    try:
        return _play(stage)
    finally:
        _clean_up(stage)


def _clean_up(stage: Stage) -> None:
    stage.say("\nCleaning up: no model should be active any more.")
    stage.desire(NOTHING_ACTIVE)
    # Their logs are in the folder: it stays while engines may.
    if stage.reconciler("apply", "--yes"):
        stage.say(f"engines may be left running; their logs are in {stage.folder}")
    else:
        shutil.rmtree(stage.folder, ignore_errors=True)


def _check_git() -> None:
    if shutil.which("git") is None:
        raise Unreachable("git is not installed, and the demo needs it")


def _check_engine() -> None:
    """Raise Unreachable, before anything else, with why the engine cannot run at all."""
    argv = [sys.executable, "-m", "reconciler.embedded.server", "--version"]
    done = subprocess.run(  # noqa: S603 - as above
        argv, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    if done.returncode:
        silent = f"its engine ended with {done.returncode} and no word"
        said = done.stderr.strip().removeprefix("error: ") or silent
        raise Unreachable(f"the demo cannot run: {said}")


def _play(stage: Stage) -> int:
    stage.begin()
    stage.desire(FIRST)
    codes = [stage.reconciler("plan"), stage.reconciler("apply", "--yes")]
    stage.ask(FIRST)
    held = stage.ask(FIRST)
    stage.desire(SECOND)
    codes += [stage.reconciler("plan"), stage.reconciler("apply", "--yes")]
    stage.ask(SECOND)
    stage.desire(FIRST)
    codes.append(stage.reconciler("apply", "--yes"))
    back = stage.ask(FIRST)
    is_answered = _asks_for_the_other(stage)
    codes.append(stage.reconciler("history"))
    share = _share_reused(stage, held, back)
    return 0 if not any(codes) and is_answered and share >= LEAST_REUSED else 1


def _asks_for_the_other(stage: Stage) -> bool:
    """Whether a request for the model that is not active was answered by it, where that can be."""
    if not demo_gateway.is_installed():
        stage.say(f"\n{demo_gateway.WITHOUT}")
        return True
    stage.desire(FIRST, allow="any")
    argv = stage.shown("serve", "--listen", "127.0.0.1:0")
    return demo_gateway.answered_by(SECOND, argv, stage.folder, stage.say) == SECOND


def _share_reused(stage: Stage, held: Timings, back: Timings) -> float:
    share = back.cache_n / held.cache_n if held.cache_n else 0.0
    stage.say(
        f"\nThe first request after switching back reused {back.cache_n} of {held.cache_n} saved"
        f" tokens ({share:.0%})."
    )
    return share


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
