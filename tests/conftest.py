"""What every test has."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run tests that are coroutines on the loop that the commands use; worlds have one of their own, whose waits take no time."""
    return "asyncio"
