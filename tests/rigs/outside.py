"""What stands outside of a rig's host and tells its power, as the options of a driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engine import free_port
from tests.rigs import plug_server, plugs, proxmox, proxmox_server, redfish
from tests.rigs.hostrig.client import Rig

UP_WATTS, DOWN_WATTS = 85.0, 2.0
GUEST = 100
LOOK_SECONDS = 0.05


@contextmanager
def plug(rig: Rig, host: str, lag: float) -> Iterator[dict[str, Any]]:
    """Give a plug whose meter shows late what a host draws."""
    made = plugs.Tasmota(watts=UP_WATTS if rig.state(host) != "off" else DOWN_WATTS)
    made.lag = lag
    over = threading.Event()

    def follow() -> None:
        while not over.wait(LOOK_SECONDS):
            watts = DOWN_WATTS if rig.state(host) == "off" else UP_WATTS
            if watts != made.watts:
                made.draw(watts)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        with plug_server.serving(made):
            yield {"kind": "plug", "dialect": "tasmota", "address": made.address}
    finally:
        over.set()
        thread.join()


def dead_plug() -> dict[str, Any]:
    """Return a plug that nobody has plugged in."""
    return {"kind": "plug", "dialect": "tasmota", "address": f"127.0.0.1:{free_port()}"}


@contextmanager
def bmc(folder: Path, reset: tuple[int, bytes] = (202, b"")) -> Iterator[dict[str, Any]]:
    """Give a BMC that answers every reset so, and does nothing."""
    folder.mkdir()
    with redfish.serving(redfish.Faulty(*redfish.self_signed(folder))) as served:
        served.answers = {"POST": reset}
        yield _redfish(folder, served.bmc, "")


@contextmanager
def real_bmc(folder: Path, rig: Rig, host: str, told: str) -> Iterator[dict[str, Any]]:
    """A BMC that obeys who knows its password; `told` is the one that the driver knows."""
    with redfish.emulated(folder, "right", (host,), rig) as served:
        yield _redfish(folder, served, told)


def _redfish(folder: Path, served: redfish.Bmc, password: str) -> dict[str, Any]:
    kept = _secret(folder, password or "none")
    return {
        "kind": "redfish", "address": served.address, "user": redfish.USER, "password": kept,
        "certificate": served.certificate,
    }  # fmt: skip


def _secret(folder: Path, content: str) -> dict[str, str]:
    kept = folder / "secret"
    kept.write_text(content)
    kept.chmod(0o600)
    return {"from_file": str(kept)}


@contextmanager
def guest(folder: Path, rig: Rig, host: str, **fails: str) -> Iterator[dict[str, Any]]:
    """The API of a Proxmox cluster with a host as its guest; accepted tasks of these kinds fail."""
    folder.mkdir()
    cluster = proxmox.Cluster(rig, [proxmox.Guest(GUEST, host)], [])
    cluster.faults.fails = fails
    with proxmox_server.serving(cluster, folder) as stand:
        token = f"{proxmox.USER}!{proxmox.TOKEN}"
        yield {
            "kind": "proxmox", "address": stand.address, "token": token,
            "secret": _secret(folder, proxmox.SECRET), "guest": GUEST,
            "certificate": str(stand.certificate),
        }  # fmt: skip
