"""A whole switch is the same over each access to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.app import App, build
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.model.verdict import HostVerdict
from reconciler.settings import settings
from tests.contracts.hosts import WAYS, reached
from tests.engine import Server
from tests.sample_worlds import raised
from tests.stack import LEAST_REUSED, Stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.model.spec import Slice
    from reconciler.ports import Access, HostPorts


class Reaching(DriverCatalog):
    """Build every driver over one access."""

    def __init__(self, access: Access) -> None:
        super().__init__("/nowhere", SystemClock())
        self._access = access

    def _driver(self, role: str, *rest: Any) -> Any:
        return self._access if role == "access" else super()._driver(role, *rest)


@pytest.fixture
def here(tmp_path: Path, server: Server) -> Iterator[Stack]:
    with stack(tmp_path, server) as made:
        yield made


async def applied(app: App, access: Access) -> HostVerdict:
    wanted = app.source.read()
    slice_ = wanted.slices["local"]
    said: list[str] = []

    def ports(slice_: Slice) -> HostPorts:
        return Reaching(access).hosts(slice_.host, slice_.models)

    return await reconcile(
        PassRequest(slice_, wanted.provenance, "apply"),
        HostContext(
            PortsCache(ports),
            HintsCache(app.journal),
            app.clock,
            app.controller,
            Interrupt(),
            said.append,
            raised,
        ),
    )


@pytest.mark.parametrize("way", WAYS)
async def test_a_conversation_survives_a_switch_and_back(here: Stack, way: str) -> None:
    places = settings(here.environment(), str(here.folder / "state"), str(here.folder / "data"))
    app = build(places)
    async with reached(way, places.host_directory) as access:
        assert (await applied(app, access)).outcome == "applied"
        held = here.remembered()
        for model in ("tiny-b", "tiny-a"):
            here.desire(model)
            assert (await applied(app, access)).outcome == "applied"
            assert list(here.engines()) == [model]
        assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
        engines = here.engines()
        assert (await applied(app, access)).outcome == "in_sync"
    assert here.engines() == engines
