"""Power roles: which driver of a host's power is for what, and what speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reconciler.config.via import relay
from reconciler.model.inventory import PowerRoles
from reconciler.model.problem import KeyPath, Problem, found
from reconciler.model.spec import Capabilities, Kind, PowerDriver, PowerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.model.inventory import Host

ACCESS = Kind(kind="access")
ROLES = {
    "stop": ("can_shut_down", "shut a host down"),
    "proof": ("can_testify", "tell whether a host is on"),
    "force": ("can_cut", "cut the power of a host"),
}


class Accepting(Protocol):
    """What accepts the options of drivers, and gathers what is wrong with them."""

    problems: list[Problem]

    def accepted(self, role: str, written: Kind, place: KeyPath) -> Kind | None:
        """Complete the options of a kind, None when its driver objects."""
        ...

    def able(self, role: str, kind: Kind) -> Capabilities:
        """What a driver can do."""
        ...


class Powering:
    """The power of hosts, some of which may work for others."""

    def __init__(self, drivers: Accepting, accesses: Mapping[str, Kind]) -> None:
        """Use drivers, and the ways to reach every host."""
        self._drivers = drivers
        self._accesses = accesses

    def spec(self, name: str, host: Host, at: KeyPath) -> PowerSpec | None:
        """Find a driver for each role in a host's power, None when a driver objects."""
        if isinstance(host.power, PowerRoles):
            return self._apart(name, host.power, (*at, "power"))
        one = self._driver(name, host.power, (*at, "power"))
        if one is None:
            return None
        can = self._drivers.able("power", one.driver)
        own = self._own(name) if can.can_wake else None
        return PowerSpec(
            wake=(one,) if can.can_wake else (),
            stop=one if can.can_shut_down else own,
            proof=one if can.can_testify else None,
        )

    def capabilities(self, power: PowerSpec) -> Capabilities:
        """What all drivers of a host's power can do together."""
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
        wake = self._wakers(name, roles.wake, (*at, "wake"))
        written = {role: getattr(roles, role) for role in ROLES}
        found = {
            role: self._for(name, role, kind, at)
            for role, kind in written.items()
            if kind is not None
        }
        found.setdefault("stop", self._own(name))
        if len(self._drivers.problems) > before:
            return None
        return PowerSpec(wake=wake, canary=roles.canary, **found)

    def _wakers(self, name: str, kinds: Sequence[Kind], at: KeyPath) -> tuple[PowerDriver, ...]:
        # One alone need not be written as a list, and then has no number in its place.
        places = [at] if len(kinds) == 1 else [(*at, index) for index in range(len(kinds))]
        wakers = [self._waker(name, kind, place) for kind, place in zip(kinds, places, strict=True)]
        return tuple(one for one in wakers if one)

    def _waker(self, name: str, written: Kind, place: KeyPath) -> PowerDriver | None:
        one = self._driver(name, written, place)
        # `none` means that a person does it.
        if one is None or written.kind == "none":
            return one
        if not self._drivers.able("power", one.driver).can_wake:
            self._object(place, f"found {found(written.kind)}, which cannot bring a host up")
        return one

    def _for(self, name: str, role: str, written: Kind, at: KeyPath) -> PowerDriver | None:
        place = (*at, role)
        one = self._driver(name, written, place)
        if one is None:
            return None
        able, what = ROLES[role]
        if not getattr(self._drivers.able("power", one.driver), able):
            self._object(place, f"found {found(written.kind)}, which cannot {what}")
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
        access = self._accesses.get(name)
        # A controller does not shut down the machine that it runs on.
        if access is None or access.kind == "local":
            return None
        return PowerDriver(driver=ACCESS)

    def _object(self, place: KeyPath, sentence: str) -> None:
        self._drivers.problems.append(Problem("inventory", place, sentence))
