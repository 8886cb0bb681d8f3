"""What starts a unit by itself at boot is told with what ends that, once nothing else is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.onhost import inner_systemd, lxc, lxc_units, systemctl, systemd

BOOTS = {"found": "container web is started at boot", "fix": "`let it be`"}
NOTHING = {"found": "", "fix": ""}
INNER = {"name": "web", "keeper": "lxc", "service": "a.service", "network": "host"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A service that has never run, as systemd shows it."""
    state = {
        **dict.fromkeys(systemctl.PROPERTIES, ""),
        "LoadState": "loaded",
        "ConditionResult": "",
    }
    monkeypatch.setattr(systemctl, "shown", lambda *_: state)
    return state


def of_container(monkeypatch: pytest.MonkeyPatch, **binary: Any) -> dict[str, str]:
    """Tell what is said of a service in a container that runs."""
    whole = {
        "binary": {"path": "web", "problem": NOTHING, "autostart": BOOTS, **binary},
        "unit": {"identity": {"pid": 1}},
    }
    monkeypatch.setattr(lxc, "refuse_frozen", lambda _: None)
    monkeypatch.setattr(lxc, "look", lambda _: whole)
    (seen,) = lxc_units.containers({"containers": [INNER]}, "/")["containers"]
    told: dict[str, str] = seen["binary"]["autostart"]
    return told


@pytest.mark.parametrize(
    ("scope", "found", "fix"),
    [
        ("system", "a.service is started at boot", "`systemctl disable a.service`"),
        ("user", "a.service is started with the systemd of its user",
         "`systemctl --user disable a.service`"),
    ],
)  # fmt: skip
def test_a_service_that_is_enabled_is_told(
    service: dict[str, str], scope: str, found: str, fix: str
) -> None:
    for state in ("static", "disabled", "enabled-runtime", ""):
        service["UnitFileState"] = state
        assert systemd.look("a.service", scope)["binary"]["autostart"] == NOTHING
    service["UnitFileState"] = "enabled"
    assert systemd.look("a.service", scope)["binary"]["autostart"] == {"found": found, "fix": fix}


def test_a_service_in_a_container_is_started_at_boot_where_both_are(
    service: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner_systemd, "is_booted", lambda _: True)
    assert of_container(monkeypatch) == NOTHING
    service["UnitFileState"] = "enabled"
    assert of_container(monkeypatch) == {
        "found": "container web is started at boot, and a.service with it",
        "fix": "`lxc-attach -n web -- systemctl disable a.service`",
    }
    assert of_container(monkeypatch, autostart=NOTHING) == NOTHING
