"""The power of a host, composed of several drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from reconciler.errors import Barred, Declined, DriverError
from reconciler.model.facts import Known, Unknown
from reconciler.model.onhost.power import AskGuards, AskNeighbour
from reconciler.model.power import Canary, Guards
from reconciler.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Literal

    from reconciler.drivers.power.host_power.paced import Paced
    from reconciler.model.facts import Fact
    from reconciler.model.power import Testimony
    from reconciler.ports import Access, Evidence

ATTEMPTS_EACH = 3
"""How often a driver asks for a host to come up before the next one asks too."""


class Waker(NamedTuple):
    """A driver that can wake a host, and its kind."""

    kind: str
    driver: Any


class PowerParts(NamedTuple):
    """The drivers by what they are for, and how the network of the host is asked.

    `asker` asks `canary`, an address, or else a neighbour of the host, which is `where` it is.
    """

    wake: tuple[Waker, ...]
    stop: Any | None
    proof: Paced | None
    force: Any | None
    canary: str | None
    where: Callable[[], Awaitable[str]]
    asker: Access


class Composed:
    """The power of one host."""

    def __init__(self, name: str, access: Access, parts: PowerParts) -> None:
        self._name = name
        self._access = access
        self._parts = parts
        self._barred: dict[int, str] = {}

    async def testimony(self) -> Fact[Testimony | None]:
        """Ask the witness, if there is one."""
        if self._parts.proof is None:
            return Known(None)
        told: Fact[Testimony] = await self._parts.proof.testimony()
        return told

    def _forget_testimony(self) -> None:
        # The power is about to change.
        if self._parts.proof is not None:
            self._parts.proof.forget()

    async def canary(self) -> Fact[Canary]:
        """Look for an answer on the host's network."""
        address = self._parts.canary
        host = "" if address else await self._parts.where()
        if not (address or host):
            return Unknown(
                f"{self._name} is reached through others; name an address on its network with"
                " `canary:`"
            )
        (fact,) = await self._parts.asker.ask([AskNeighbour(address=address, host=host)])
        if isinstance(fact, Unknown):
            return fact
        return Known(Canary(address=str(fact.value["address"])))

    async def guards(self, way: Literal["off", "suspend"]) -> Fact[Guards]:
        """Ask the host's system what forbids it to go down, and whether it could be woken again."""
        (fact,) = await self._access.ask([AskGuards(way=way)])
        if isinstance(fact, Unknown):
            return fact
        try:
            told = Guards.model_validate({**fact.value, "wake_problem": await self._deaf()})
        except ValidationError as error:
            wrong = f"{error.error_count()} fields are wrong"
            return Unknown(f"what is in the way of {self._name} cannot be understood: {wrong}")
        return Known(told if self._needs_permission else _permitted(told))

    @property
    def _needs_permission(self) -> bool:
        return self._parts.stop is not None and bool(self._parts.stop.needs_permission)

    async def _deaf(self) -> Reason:
        """Explain why no driver could wake the host again, if none could."""
        reasons: list[Reason] = [await waker.driver.wake_problem() for waker in self._parts.wake]
        if not reasons or not all(reasons):
            return Reason()
        # Of several, the last one's fix stands apart.
        *others, last = reasons
        return Reason("; ".join((*others, last.found)), last.fix)

    async def wake(self, attempt: int) -> Evidence:
        """Ask by the first driver, and later by the next one too.

        One that fails is followed by the next at once. One that is not let in is not asked again
        until the next wake; raise Barred when that is all of them.
        """
        self._forget_testimony()
        if not attempt:
            self._barred.clear()
        failed: list[str] = []
        asked: list[Any] = []
        by: list[Any] = []
        for place, (kind, driver) in enumerate(self._parts.wake):
            if place * ATTEMPTS_EACH > attempt and asked:
                break
            try:
                asked.append(await self._woken_by(place, driver))
                by.append(kind)
            except DriverError as error:
                failed.append(error.message)
        if not asked:
            raise self._not_woken(failed)
        return {"by": by, "asked": asked, "failed_to_ask": list(failed)}

    def _not_woken(self, failed: list[str]) -> DriverError:
        kind = Barred if failed and len(failed) == len(self._barred) else DriverError
        return kind("; ".join(failed) or f"nothing can wake {self._name}")

    # The kind decides what it can do.
    async def _woken_by(self, place: int, driver: Any) -> Evidence:  # noqa: ANN401
        if place in self._barred:
            raise Barred(self._barred[place])
        try:
            evidence: Evidence = await driver.wake()
        except Barred as error:
            self._barred[place] = error.message
            raise
        return evidence

    async def shut_down(self) -> Evidence:
        """Ask the host to shut down."""
        return await self._down("off")

    async def suspend(self) -> Evidence:
        """Ask the host to suspend."""
        return await self._down("suspend")

    async def _down(self, way: Literal["off", "suspend"]) -> Evidence:
        if self._parts.stop is None:
            raise Declined(f"nothing can shut {self._name} down")
        self._forget_testimony()
        evidence: Evidence = await self._parts.stop.send_down(way)
        return evidence

    async def cut(self) -> Evidence:
        """Cut the power of the host."""
        if self._parts.force is None:
            remedy = "`force:` in the inventory would allow it"
            raise Declined(f"nothing may cut the power of {self._name}; {remedy}")
        self._forget_testimony()
        evidence: Evidence = await self._parts.force.cut()
        return evidence


def _permitted(guards: Guards) -> Guards:
    # The host's own system is not what shuts it down, so what this user may do there is no matter.
    return guards.model_copy(update={"permission_problem": Reason()})
