"""What holds for all tests of units: those of the gateway run on both loops that it runs on."""

from __future__ import annotations

import pytest

from reconciler.edge.fast_loop import FastLoop
from reconciler.edge.lookup import LookupLoop

LOOPS = (LookupLoop, FastLoop)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the gateway that waits for something on each loop."""
    is_gateway = metafunc.module.__name__.rpartition(".")[2].startswith("test_gateway")
    if is_gateway and "anyio_backend" in metafunc.fixturenames:
        backends = [("asyncio", {"loop_factory": loop}) for loop in LOOPS]
        metafunc.parametrize("anyio_backend", backends, ids=[loop.__name__ for loop in LOOPS])
