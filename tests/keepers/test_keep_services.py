"""From services that run a llama-server to a plan that is empty, by `import systemd` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.booted import Booted
from tests.engine import free_port
from tests.running import until
from tests.service_stack import ServiceStack
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SWAP = "[Service]\nExecStart=/usr/bin/llama-swap -config /etc/llama-swap.yaml\n"
CLIENT = "[Service]\nExecStart=/usr/bin/docker run --rm --name a x/llama.cpp:server -m /m.gguf\n"
ROUTER = "[Service]\nExecStart=/usr/bin/llama-server --models-preset /etc/models.ini\n"


@pytest.fixture
def here(booted: Booted, tmp_path: Path) -> Iterator[ServiceStack]:
    made = ServiceStack(tmp_path, booted)
    with ending(made):
        yield made
    booted.run("systemctl", "stop", "tiny.service", "by-script.service")


def test_services_of_all_kinds_are_imported_and_the_plan_is_empty(
    here: ServiceStack, booted: Booted
) -> None:
    program, weights = here.llama_server(), here.folder / "weights.gguf"
    weights.write_bytes(next(here.folder.rglob("*.gguf")).read_bytes())
    (here.folder / "tiny.env").write_text(f"CONTEXT=2048\nPORT={here.port}\n")
    here.service(
        f"EnvironmentFile={here.folder}/tiny.env",
        f"ExecStart={program} -m {weights} -c ${{CONTEXT}} --port ${{PORT}}",
    )
    script, port = here.folder / "run", free_port()
    script.write_text(f"#!/bin/sh\nexec {program} -m {weights} -c 1024 --port {port}\n")
    script.chmod(0o755)
    booted.define("by-script.service", f"[Service]\nExecStart={script}\n")
    later = f"ExecStart={program} -m /%i.gguf -c 512\n[Install]\nWantedBy=up.service\n"
    booted.define("later@.service", f"[Service]\n{later}")
    booted.define("llm@.service", f"[Service]\nExecStart={program} -m /%i.gguf\n")
    for name, text in (("swap", SWAP), ("client", CLIENT), ("router", ROUTER)):
        booted.define(f"{name}.service", text)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "enable", "--runtime", "later@chat.service")
    booted.run("systemctl", "start", "tiny.service", "by-script.service")
    until(here.listens)

    imported = here.begin("import", "systemd")
    rows = {(row["where"], row["became"]): row for row in imported["rows"]}
    assert set(imported["served"]) == {"tiny", "by-script"}
    assert set(imported["models"]) == {"tiny", "by-script", "chat"}
    inventory = (here.folder / "state" / "inventory.yaml").read_text()
    assert "context: 2048" in inventory
    assert f"port: {here.port}" in inventory
    assert "weights: /chat.gguf" in inventory
    assert "gateway" in rows["swap.service", "left out"]["why"]
    assert "docker image inspect" in rows["client.service", "left out"]["why"]
    assert "--models-preset" in rows["router.service", "left out"]["why"]
    assert rows["llm@.service", "left out"]["why"] == "no instance of it exists"
    # What was just started may still load.
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0)
    assert here.run("apply", "--yes").returncode == 0
