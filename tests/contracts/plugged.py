"""A plug that serves, and what its driver says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from reconciler.drivers.power import plug
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.model.facts import Known, Unknown
from tests.contracts.hosts import here
from tests.contracts.relays import Brisk

if TYPE_CHECKING:
    from reconciler.model.power import Testimony
    from tests.rigs import plugs


class Forgetful(Brisk):
    boot: ClassVar[float] = 0.0


class Hasty(Brisk):
    seconds: ClassVar[float] = 0.3


class Bench(NamedTuple):
    """A plug that serves, and a driver of it."""

    dialect: str
    served: plugs.Plug
    options: dict[str, Any]

    def driver(self, kind: type[plug.Driver] = Brisk, **more: Any) -> plug.Driver:
        access = here("/nowhere")
        return kind(
            plug.Options.model_validate({**self.options, **more}),
            Reach("gpu1", access, access, Refusals(SystemClock()), LoopScope()),
        )

    async def testimony(self, **more: Any) -> Testimony:
        fact = await self.driver(**more).testimony()
        assert isinstance(fact, Known)
        return fact.value

    async def reason(self, kind: type[plug.Driver] = Brisk, **more: Any) -> str:
        fact = await self.driver(kind, **more).testimony()
        assert isinstance(fact, Unknown)
        return fact.reason
