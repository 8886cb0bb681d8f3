"""A gateway for clients, in front of tiny models.

Three of them share a port, of which tiny-c ends its answers by itself (with llama-server, whose
flags those are); tiny-e is for embeddings, and `broken` cannot load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.embedded.weights import write_weights
from tests.engine import Server, free_port
from tests.running import until
from tests.stack import COMMAND_SECONDS, Stack, ending

TAKEN = re.compile(r"requests are taken at (http://\S+)/v1")
SHORT, LONG = 4096, 32768
"""Tokens: coding agents begin with long prompts, and need the longer one."""

INVENTORY = """version: 1
models:
  tiny-a: {{engine: {{{first}}}, port: {port}, stable_for: 0s}}
  tiny-b: {{engine: {{{second}}}, port: {port}, stable_for: 0s}}
  tiny-c: {{engine: {{{second}, args: [-n, '16', -r, x]}}, port: {port}, stable_for: 0s}}
  tiny-e: {{engine: {{{third}}}, port: {beside}, task: embedding, stable_for: 0s}}
  broken: {{engine: {{kind: embedded, weights: nowhere.gguf}}, port: {port}}}
"""
EMBEDDING = "[--embedding, --pooling, mean]"
DESIRED = """version: 1
active: [tiny-a, tiny-e]
allow: [tiny-b, tiny-c, broken]
return_after: never
min_residency: 0s
max_wait: 60s
"""


class Scene(NamedTuple):
    """Where the gateway is, and the engine of both models behind it."""

    gateway: str
    engine: str


def _engine(server: Server, folder: Path, seed: int, context: int) -> str:
    weights = folder / f"clients-{seed}.gguf"
    write_weights(weights, seed=seed, context_length=context)
    kind = f"llamacpp, binary: {server.binary}" if server.binary else "embedded"
    return f"kind: {kind}, context: {context}, weights: {weights}"


@contextmanager
def scene(folder: Path, server: Server, context: int = SHORT) -> Iterator[Scene]:
    """Run a gateway over engines of a server for the context."""
    here = Stack(folder, server=server)
    first, second = (_engine(server, folder, seed, context) for seed in (1, 2))
    engines = {"first": first, "second": second, "third": f"{first}, args: {EMBEDDING}"}
    inventory = INVENTORY.format(**engines, port=here.port, beside=free_port())
    (folder / "state" / "inventory.yaml").write_text(inventory)
    here.desired(DESIRED)
    words = ("-m", "tests.clients.hasty")
    with (
        ending(here),
        here.watching("--listen", "127.0.0.1:0", words=words, verb="serve"),
    ):
        until(lambda: TAKEN.search(here.watched()) is not None, within=COMMAND_SECONDS)
        found = TAKEN.search(here.watched())
        assert found is not None
        here.becomes("tiny-a", "tiny-e")
        yield Scene(found[1], f"http://127.0.0.1:{here.port}")
