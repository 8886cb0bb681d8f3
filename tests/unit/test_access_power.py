"""What a host's own system says to an order to go down, by a stand-in for systemctl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.drivers.power.access import Driver, Options
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.errors import Declined, DriverError
from reconciler.onhost import guards
from tests.contracts.hosts import here


def host_whose_systemctl(does: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Be a host on which this user may power off, and systemctl does this."""
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(guards, "_may", lambda _: True)
    access = here(folder)
    return Driver(Options(), Reach("box", access, access, Refusals(SystemClock()), LoopScope()))


async def test_what_systemd_accepted_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: dict[str, Any] = {"command": ["systemctl", "--check-inhibitors=yes", "poweroff"]}
    assert await host_whose_systemctl("true", tmp_path, monkeypatch).send_down("off") == expected


async def test_what_systemd_refused_is_declined_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Declined, match="was refused: Access denied"):
        await host_whose_systemctl(
            "echo Access denied >&2; exit 1", tmp_path, monkeypatch
        ).send_down("off")


async def test_a_systemctl_that_does_not_end_leaves_in_doubt_whether_the_host_goes_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "SLOW_SECONDS", 0.1)
    with pytest.raises(
        DriverError, match=r"did not end within 0\.1 s; whether it goes down is not known"
    ) as raised:
        await host_whose_systemctl("exec sleep 60", tmp_path, monkeypatch).send_down("off")
    assert not isinstance(raised.value, Declined)
