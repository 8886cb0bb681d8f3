"""Hosts that really boot and power off, and the command line beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.rigs.hostrig.client import MODES, Mode, Rig, plugged
from tests.sleeping_stack import HOST, OTHER, SleepingStack, asleep


@pytest.fixture(scope="session")
def plugs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Mode], Rig]]:
    """Plug two hosts in, once for each mode that is asked for: it takes longer than most tests."""
    with ExitStack() as stack:

        @cache
        def rig_in(mode: Mode) -> Rig:
            return stack.enter_context(
                plugged(tmp_path_factory.mktemp("hosts") / "rig", (HOST, OTHER), mode)
            )

        yield rig_in


@pytest.fixture(params=MODES)
def rig(request: pytest.FixtureRequest, plugs: Callable[[Mode], Rig]) -> Rig:
    """Return the rig in each mode, or in the one that a test names."""
    return plugs(request.param)


@pytest.fixture
def here(rig: Rig, tmp_path: Path) -> SleepingStack:
    """Run the command line in a folder of its own, beside hosts that are off."""
    return SleepingStack(tmp_path, asleep(rig))
