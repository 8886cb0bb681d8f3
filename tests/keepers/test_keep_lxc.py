"""From a llama-server in a container of LXC to a plan that is empty, by `init` alone."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from tests.booted import Booted
from tests.lxc_stack import ApartStack, InnerStack, LxcStack
from tests.lxcs import UNITS, Lxc, apart
from tests.pcts import Pct
from tests.running import until
from tests.stack import ending

if TYPE_CHECKING:
    from pathlib import Path

    from tests.given_stack import BootedStack


def words(here: BootedStack, folder: str, *more: str) -> list[str]:
    """Return the command line of a llama-server in a container; its weights are in a folder."""
    return [
        str(here.llama_server()), "-m", f"{folder}{here.weights.name}", "--alias", "gemma",
        "-c", "2048", "--port", str(here.port), *more,
    ]  # fmt: skip


def begun(here: BootedStack) -> str:
    """Return the inventory that `init` has written, once the plan is empty."""
    document = here.begin()
    assert (document["served"], document["steps"]) == (["gemma"], [])
    # What was just started may still load.
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0)
    return (here.folder / "state" / "inventory.yaml").read_text()


def test_a_container_is_kept_as_it_is_and_saved_and_stopped_from_then_on(
    booted: Booted, tmp_path: Path
) -> None:
    lxc = Lxc(booted)
    here = LxcStack(tmp_path, lxc)
    keeping = ("--slot-save-path", "/models/slots", "--parallel", "1", "--cache-ram", "0")
    argv = words(here, "/models/", *keeping)
    lxc.create(here.name, argv, here.folder, [f"{here.folder}:/models"], lxc__start__auto="1")
    booted.run("lxc-start", "-n", here.name)
    before = here.pid()
    with ending(here):
        until(here.listens)
        inventory = begun(here)
        assert f"launcher: {{kind: lxc, name: {here.name}}}" in inventory
        assert f"weights: /models/{here.weights.name}" in inventory
        assert f"`lxc.start.auto = 0` in {lxc.file(here.name)}" in inventory
        here.apply()
        assert here.pid() == before
        here.desire("[]")
        assert "save_slots" in here.run("plan").stdout
        here.apply()
        assert here.pid() == 0
    lxc.remove(here.name)


def test_a_service_in_a_container_of_proxmox_is_kept_as_it_is(pct: Pct, tmp_path: Path) -> None:
    here = InnerStack(tmp_path, pct)
    pct.create_booting(here.name, here.folder, [f"{here.folder}:/models"])
    command = f"ExecStart={shlex.join(words(here, ''))}"
    unit = f"[Service]\nWorkingDirectory=/models\n{command}\n[Install]\nWantedBy=inner.target\n"
    pct.booted.write(f"{UNITS}/llm.service", unit)
    pct.add(here.name, "onboot: 1\n")
    pct.booted.run("pct", "start", here.name)
    until(lambda: _starts(pct, here.name))
    with ending(here):
        until(here.listens)
        inventory = begun(here)
        assert f"launcher: {{kind: pct, ct: {here.name}, service: llm.service}}" in inventory
        assert f"`lxc-attach -n {here.name} -- systemctl disable llm.service`" in inventory
        assert f"weights: /models/{here.weights.name}" in inventory
        assert "lies inside" not in inventory
    pct.remove(here.name)


def _starts(pct: Pct, name: str) -> bool:
    """Start the service as soon as the systemd in its container answers."""
    argv = [*pct.booted.entering, "pct", "exec", name, "--", "systemctl", "start", "llm.service"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_a_container_with_a_network_of_its_own_is_kept_with_its_port_there(
    pct: Pct, tmp_path: Path
) -> None:
    here = ApartStack(tmp_path, pct)
    argv = words(here, "/models/", "--host", "0.0.0.0")  # noqa: S104 - of the container alone
    pct.create(here.name, argv, here.folder, [f"{here.folder}:/models"], **apart(here.address))
    pct.booted.run("pct", "start", here.name)
    with ending(here):
        until(lambda: here.listens(here.address))
        inventory = begun(here)
        assert f"launcher: {{kind: pct, ct: {here.name}, network: own}}" in inventory
        assert f"port: {here.port}" in inventory
    pct.remove(here.name)
