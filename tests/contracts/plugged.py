"""A plug that serves, and what its driver says of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import pytest

from reconciler.drivers.power import plug
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.model.facts import Known, Unknown
from tests.contracts.hosts import here
from tests.contracts.power import REFERENCE, VARIABLE
from tests.contracts.relays import PRIVATE, Brisk
from tests.rigs import plug_server, plugs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model.power import Testimony


class Forgetful(Brisk):
    boot: ClassVar[float] = 0.0


class Hasty(Brisk):
    seconds: ClassVar[float] = 0.3


class Bench(NamedTuple):
    """A plug that serves, and a driver of it."""

    dialect: str
    served: plug_server.Plug
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


@contextmanager
def plugged(dialect: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A plug that serves and asks for its secret, which the driver finds in the environment."""
    served = plugs.DIALECTS[dialect]()
    served.password = PRIVATE[dialect]
    monkeypatch.setenv(VARIABLE, served.password)
    with plug_server.serving(served):
        options: dict[str, Any] = {
            "dialect": dialect,
            "address": served.address,
            "password": REFERENCE,
        }
        if dialect == "homeassistant":
            options |= {
                "address": f"http://{served.address}/",
                "entity": "switch.gpu1",
                "sensor": "sensor.gpu1_power",
            }
        yield Bench(dialect, served, options)


def of(*dialects: str) -> pytest.MarkDecorator:
    """Run a test once for each of these dialects, with a bench of it."""
    return pytest.mark.parametrize("bench", dialects, indirect=True)
