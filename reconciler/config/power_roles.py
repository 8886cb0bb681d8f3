"""Power roles: which driver of a host's power is for what, and everything that speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reconciler.config.via import relay
from reconciler.model.inventory import PowerRoles
from reconciler.model.problem import KeyPath, Problem, found
from reconciler.model.spec import Capabilities, Kind, PowerDriver, PowerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.inventory import Host

ACCESS = Kind(kind="access")
ROLES = {
    "stop": ("can_shut_down", "shut a host down"),
    "proof": ("can_testify", "tell whether a host is on"),
    "force": ("can_cut", "cut the power of a host"),
}


class Accepting(Protocol):
    """Accept the options of drivers, and gather what is wrong."""

    problems: list[Problem]

    def accepted(self, role: str, written: Kind, place: KeyPath) -> Kind | None:
        """Return a kind with its options completed, None when its driver objects."""
        ...

    def able(self, role: str, kind: Kind) -> Capabilities:
        """Return what a driver can do."""
        ...


class Powering:
    """Define the power of hosts, some of which may work for others."""

    def __init__(self, drivers: Accepting, accesses: Mapping[str, Kind]) -> None:
        """Use drivers, and the ways to reach every host."""
        self._drivers = drivers
        self._accesses = accesses

    def spec(self, name: str, host: Host, at: KeyPath) -> PowerSpec | None:
        """Return who does what for a host's power, None when a driver objects."""
        if isinstance(host.power, PowerRoles):
            return self._apart(name, host.power, (*at, "power"))
        one = self._driver(name, host.power, (*at, "power"))
        if one is None:
            return None
        can = self._drivers.able("power", one.driver)
        stop = one if can.can_shut_down else self._own(name) if can.can_wake else None
        return PowerSpec(
            wake=(one,) if can.can_wake else (), stop=stop, proof=one if can.can_testify else None
        )

    def capabilities(self, power: PowerSpec) -> Capabilities:
        """Return what all drivers of a host's power can do together."""
        stop = self._drivers.able("power", power.stop.driver) if power.stop else Capabilities()
        wakes = any(self._drivers.able("power", one.driver).can_wake for one in power.wake)
        return Capabilities(
            can_wake=wakes,
            can_suspend=stop.can_suspend,
            can_shut_down=stop.can_shut_down,
            can_testify=power.proof is not None,
            can_cut=power.force is not None,
        )

    def _apart(self, name: str, roles: PowerRoles, at: KeyPath) -> PowerSpec | None:
        before = len(self._drivers.problems)
        wake = [
            self._waker(name, one, self._place(at, index, len(roles.wake)))
            for index, one in enumerate(roles.wake)
        ]
        found = {
            role: self._for(name, role, written, at)
            for role in ROLES
            if (written := getattr(roles, role)) is not None
        }
        found.setdefault("stop", self._own(name))
        if len(self._drivers.problems) > before:
            return None
        return PowerSpec(wake=tuple(one for one in wake if one), canary=roles.canary, **found)

    def _place(self, at: KeyPath, index: int, of: int) -> KeyPath:
        """Return where a driver stands that brings a host up: one alone need not be in a list."""
        return (*at, "wake", index) if of > 1 else (*at, "wake")

    def _waker(self, name: str, written: Kind, place: KeyPath) -> PowerDriver | None:
        one = self._driver(name, written, place)
        if (
            one is not None
            and written.kind != "none"
            and not self._drivers.able("power", one.driver).can_wake
        ):
            self._object(place, f"found {found(written.kind)}, which cannot bring a host up")
        return one

    def _for(self, name: str, role: str, written: Kind, at: KeyPath) -> PowerDriver | None:
        able, what = ROLES[role]
        one = self._driver(name, written, (*at, role))
        if one is not None and not getattr(self._drivers.able("power", one.driver), able):
            self._object((*at, role), f"found {found(written.kind)}, which cannot {what}")
        return one

    def _driver(self, name: str, written: Kind, place: KeyPath) -> PowerDriver | None:
        kind = self._drivers.accepted("power", written, place)
        if kind is None:
            return None
        via = kind.options.get("via")
        if via is None:
            return PowerDriver(driver=kind)
        one = relay(name, via, self._accesses)
        if isinstance(one, str):
            self._object((*place, "via"), one)
            return None
        return PowerDriver(driver=kind, via=one)

    def _own(self, name: str) -> PowerDriver | None:
        """Return the way down through a host's own system.

        This machine itself is not sent down by its controller.
        """
        access = self._accesses.get(name)
        return PowerDriver(driver=ACCESS) if access is not None and access.kind != "local" else None

    def _object(self, place: KeyPath, sentence: str) -> None:
        self._drivers.problems.append(Problem("inventory", place, sentence))
