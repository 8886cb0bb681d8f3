"""Clients that people have, through `serve` to real engines; older ones are in tests/clients."""

from __future__ import annotations

from pathlib import Path

from tests.clients.checks import check
from tests.clients.scene import scene
from tests.engine import Server


def test_clients_that_people_have_are_served(tmp_path: Path, server: Server) -> None:
    # Both SDKs take longer than all else that a worker imports.
    from tests.clients.anthropic_client import AnthropicChecks  # noqa: PLC0415
    from tests.clients.openai_client import OpenAIChecks  # noqa: PLC0415
    from tests.clients.plain_client import PlainChecks  # noqa: PLC0415

    with scene(tmp_path, server) as there:
        for client in (OpenAIChecks, AnthropicChecks, PlainChecks):
            assert check(client(*there))
