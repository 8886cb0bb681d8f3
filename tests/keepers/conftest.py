"""What keeps units in these tests, once for each of their files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.booted import Booted, booted_systemd


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with booted_systemd() as one:
        yield one
