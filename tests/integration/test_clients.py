"""Clients that people have, through `serve` to real engines; older ones are in tests/clients."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.clients.checks import check
from tests.clients.scene import scene
from tests.engine import Server

# Imported by the one who runs them: both SDKs take longer than all else that a worker imports.
CLIENTS = {
    "openai_client": "OpenAIChecks",
    "anthropic_client": "AnthropicChecks",
    "plain_client": "PlainChecks",
}


def test_clients_that_people_have_are_served(tmp_path: Path, server: Server) -> None:
    with scene(tmp_path, server) as there:
        for module, name in CLIENTS.items():
            assert check(getattr(import_module(f"tests.clients.{module}"), name)(*there))
