"""What keeps units in these tests, once for each of their files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.booted import Booted, booted_systemd
from tests.dockers import Dockerd, dockerd
from tests.lxcs import Lxc
from tests.pcts import Pct


@pytest.fixture(scope="module")
def booted() -> Iterator[Booted]:
    with booted_systemd() as one:
        yield one


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with dockerd() as one:
        yield one


@pytest.fixture(scope="module")
def lxc(booted: Booted) -> Lxc:
    return Lxc(booted)


@pytest.fixture(scope="module")
def pct(booted: Booted) -> Pct:
    return Pct(booted)
