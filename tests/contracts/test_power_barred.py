"""A refusal of what powers a host is heeded: each driver, in front of what refuses it."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from reconciler.drivers.power import proxmox as proxmox_driver
from reconciler.drivers.power import redfish as redfish_driver
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.errors import Barred
from reconciler.model.facts import Known, Unknown
from tests.contracts.hosts import here
from tests.needs import program
from tests.rigs import ipmi, plug_server, plugs, proxmox, proxmox_server, redfish
from tests.rigs.hostrig.client import Rig, plugged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

HOST = "gpu1"
RIGHT, WRONG = "correct-horse", "correct-donkey"
GUEST = 100


class Refusing(NamedTuple):
    """What a driver with these options reaches, and how often a password was shown there."""

    options: dict[str, Any]
    shown: Callable[[], int]


@contextmanager
def plug(_folder: Path, _rig: Rig, dialect: str) -> Iterator[Refusing]:
    served = plugs.DIALECTS[dialect]()
    served.password = RIGHT
    with plug_server.serving(served):
        named = (
            {"address": f"http://{served.address}", "entity": "switch.gpu1"}
            if dialect == "homeassistant"
            else {}
        )
        options = {
            "dialect": dialect,
            "address": served.address,
            "password": {"from_env": "SECRET"},
            **named,
        }
        yield Refusing(
            options, lambda: sum("Authorization" in asked.headers for asked in served.asked)
        )


@contextmanager
def bmc(folder: Path, rig: Rig, _dialect: str) -> Iterator[Refusing]:
    with redfish.emulated(folder, RIGHT, (HOST,), rig) as served:
        options = {
            "address": served.address,
            "user": redfish.USER,
            "certificate": served.certificate,
        }
        yield Refusing(
            {**options, "password": {"from_env": "SECRET"}},
            lambda: (folder / "bmc.log").read_text().count(" HTTP/1"),
        )


@contextmanager
def old_bmc(folder: Path, rig: Rig, _dialect: str) -> Iterator[Refusing]:
    """Count what ipmitool is run for; it logs in once each time."""
    with ipmi.simulated(folder, RIGHT, rig, HOST) as port, pytest.MonkeyPatch.context() as patched:
        counting, asked = folder / "bin" / "ipmitool", folder / "asked"
        counting.parent.mkdir()
        counting.write_text(f'#!/bin/sh\necho asked >>{asked}\nexec {program("ipmitool")} "$@"\n')
        counting.chmod(0o755)
        patched.setenv("PATH", str(counting.parent))
        options = {
            "address": "127.0.0.1",
            "port": port,
            "user": ipmi.USER,
            "cipher": 3,
            "password": {"from_env": "SECRET"},
        }
        yield Refusing(options, lambda: asked.read_text().count("asked"))


@contextmanager
def guest(folder: Path, rig: Rig, _dialect: str) -> Iterator[Refusing]:
    folder.mkdir()
    cluster = proxmox.Cluster(rig, [proxmox.Guest(GUEST, HOST)], [])
    with proxmox_server.serving(cluster, folder) as stand:
        yield Refusing(guest_options(stand), lambda: len(cluster.asked))


def guest_options(stand: proxmox_server.Stand) -> dict[str, Any]:
    token = {"token": f"{proxmox.USER}!{proxmox.TOKEN}", "secret": {"from_env": "SECRET"}}
    return {
        **token,
        "address": stand.address,
        "certificate": str(stand.certificate),
        "guest": GUEST,
    }


KINDS: dict[str, tuple[str, Callable[[Path, Rig, str], AbstractContextManager[Refusing]]]] = {
    **dict.fromkeys(plugs.DIALECTS, ("plug", plug)),
    "redfish": ("redfish", bmc), "ipmi": ("ipmi", old_bmc), "proxmox": ("proxmox", guest),
}  # fmt: skip


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with plugged(tmp_path_factory.mktemp("barred") / "rig", (HOST,), "light") as made:
        yield made


@pytest.fixture
async def reach() -> AsyncIterator[Reach]:
    access = here("/nowhere")
    async with LoopScope() as loop:
        yield Reach(HOST, access, access, Refusals(SystemClock()), loop)


@pytest.mark.parametrize("name", KINDS)
async def test_a_wrong_password_is_shown_once_by_all_drivers_of_a_host_and_another_one_at_once(
    rig: Rig, reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind, reached = KINDS[name]
    module = import_module(f"reconciler.drivers.power.{kind}")
    right = proxmox.SECRET if kind == "proxmox" else RIGHT
    with reached(tmp_path / "there", rig, name) as there:
        waker, witness = (
            module.Driver(module.Options.model_validate(there.options), reach) for _ in range(2)
        )
        monkeypatch.setenv("SECRET", WRONG)
        for _ in range(3):
            assert isinstance(await witness.testimony(), Unknown)
            assert await waker.wake_problem() != ""
            with pytest.raises(Barred):
                await waker.wake()
        assert there.shown() == 1
        monkeypatch.setenv("SECRET", right)
        assert isinstance(await witness.testimony(), Known)


async def test_who_may_only_look_at_a_bmc_is_barred_from_waking_and_still_looks(
    reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", RIGHT)
    with redfish.serving(redfish.Faulty(*redfish.self_signed(tmp_path / "tls"))) as served:
        served.answers["POST"] = (403, b"")
        shown = {
            "user": redfish.USER,
            "password": {"from_env": "SECRET"},
            "certificate": served.bmc.certificate,
        }
        looking = redfish_driver.Driver(
            redfish_driver.Options.model_validate({"address": served.bmc.address, **shown}), reach
        )
        with pytest.raises(Barred, match="the user operator needs the role Operator there"):
            await looking.wake()
        assert isinstance(await looking.testimony(), Known)


async def test_a_token_that_may_only_look_at_a_guest_is_barred_from_starting_it_and_still_looks(
    rig: Rig, reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", proxmox.SECRET)
    cluster = proxmox.Cluster(rig, [proxmox.Guest(GUEST, HOST)], [])
    cluster.privileges[f"/vms/{GUEST}"] = {"VM.Audit"}
    with proxmox_server.serving(cluster, tmp_path) as stand:
        looking = proxmox_driver.Driver(
            proxmox_driver.Options.model_validate(guest_options(stand)), reach
        )
        with pytest.raises(Barred, match="403 Permission check failed"):
            await looking.wake()
        assert isinstance(await looking.testimony(), Known)
