"""Demo of the gateway: a request for the model that is not active, answered after a real switch."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import anyio
from pydantic import JsonValue

from reconciler.edge.http import HttpClient
from reconciler.errors import Unreachable

NEEDED = ("httptools", "msgspec")
TAKEN = re.compile(r"requests are taken at (\S+)/v1")
WITHOUT = "(The gateway is not shown: its packages are not installed; `.[serve]` brings them.)"
APPLIED = "local: applied"
"""What `serve` says at the end of each run: first of the one for the model that it finds."""

ANSWER_SECONDS = 60.0
END_SECONDS = 60.0
LOOK_SECONDS = 0.05


def is_installed() -> bool:
    """Whether what `serve` needs is here."""
    return all(find_spec(name) for name in NEEDED)


def answered_by(model_name: str, argv: list[str], folder: Path, say: Callable[[str], None]) -> str:
    """The model that answered a request for this one at the gateway; raise Unreachable."""
    log = folder / "serve.log"
    with _serving(argv, folder, log) as address:
        say(f'\n$ curl {address}/v1/completions --json \'{{"model": "{model_name}", ...}}\'')
        wish: JsonValue = {"model": model_name, "prompt": "The keeper counts", "max_tokens": 8}
        began = time.monotonic()
        reply = anyio.run(HttpClient().post, f"{address}/v1/completions", wish, ANSWER_SECONDS)
        content = reply.json()
        name = str(content.get("model")) if isinstance(content, dict) else "nothing"
        say(f"answered by {name} after {time.monotonic() - began:.1f} s")
        _until(lambda: log.read_text().count(APPLIED) > 1)
        return name


@contextmanager
def _serving(argv: list[str], folder: Path, log: Path) -> Iterator[str]:
    """Run `serve` for the context, and give its address once it has told it."""
    with log.open("wb") as written:
        process = subprocess.Popen(  # noqa: S603 - fixed words, no shell
            argv,
            cwd=folder,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "host")},
            stdin=subprocess.DEVNULL,
            stderr=written,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(END_SECONDS)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    _until(lambda: process.poll() is not None or TAKEN.search(log.read_text()))
    found = TAKEN.search(log.read_text())
    if found is not None:
        return found[1]
    raise Unreachable(f"the gateway did not start: {log.read_text().strip() or 'it said nothing'}")


def _until(is_so: Callable[[], object]) -> None:
    """Wait until something is so, or for as long as an answer may take."""
    until = time.monotonic() + ANSWER_SECONDS
    while not is_so() and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
