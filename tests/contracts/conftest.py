"""What the contract suites of all that works through an access have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.ports import Access
from tests.contracts.hosts import WAYS, reached


@pytest.fixture(params=WAYS)
async def access(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Access]:
    async with reached(request.param, tmp_path) as driver:
        yield driver
