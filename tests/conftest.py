"""What every test has, and in which order they run."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from tests.booted import Booted
from tests.dockers import Dockerd, dockerd
from tests.engine import SERVERS, Server
from tests.lxcs import Lxc
from tests.needs import left_out
from tests.pcts import Pct
from tests.rig import Define, rig

BOOTING_SECONDS = 600
"""What a test may take that has hosts which boot; the first of them makes their Debian, and that is
most of it."""

# Programs that tests start are to buffer what they write as they do for people, whatever the one
# who starts the tests prefers.
os.environ.pop("PYTHONUNBUFFERED", None)

# A busy machine is no fault of an example; that a whole test ends is pytest-timeout's to see.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

EARLY = 0.7
"""In which part of a worker's tests those stand that wait: what is begun last is to be short."""


def pytest_configure() -> None:
    """Let Ctrl-C through: under `make test &`, SIGINT is ignored by all that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Say last what was left out and what brings it, which fails where TESTS_COMPLETE=1."""
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    line = (
        left_out(one.longrepr[2] for one in terminal.stats.get("skipped", ())) if terminal else ""
    )
    if terminal and line:
        terminal.write_line(line)
    if line and os.environ.get("TESTS_COMPLETE") == "1":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_runtest_teardown() -> None:
    """Let garbage be found again: a command that ran in this process froze all there was."""
    gc.unfreeze()


@pytest.fixture
def anyio_backend() -> str:
    """Run coroutines on the loop that the commands use; those of worlds wait in no time."""
    return "asyncio"


@pytest.fixture(params=SERVERS, ids=str)
def server(request: pytest.FixtureRequest) -> Server:
    """Run a test on each server that this machine has."""
    one: Server = request.param
    return one


@pytest.fixture
def define(tmp_path: Path, server: Server) -> Define:
    """Give what defines a model on this machine, for each server."""
    return partial(rig, tmp_path, server=server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests of hosts that boot over all workers, among those that compute meanwhile."""
    waiting = [one for one in items if "plugs" in getattr(one, "fixturenames", ())]
    for one in waiting:
        one.add_marker(pytest.mark.timeout(BOOTING_SECONDS))
    chosen = {*waiting}
    working = [one for one in items if one not in chosen]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items.clear()
    for worker in range(workers):
        begin, end = (len(working) * at // workers for at in (worker, worker + 1))
        items += spread(waiting[worker::workers], working[begin:end])


def spread(waiting: list[pytest.Item], working: list[pytest.Item]) -> list[pytest.Item]:
    """All tests, each kind in its order; those that wait stand between modules, early on."""
    between = EARLY * len(working) / max(1, len(waiting))
    begins: dict[object, float] = {}
    for number, one in enumerate(working):
        begins.setdefault(one.path, number)
    places = [(number * between, 0, one) for number, one in enumerate(waiting)]
    places += [(begins[one.path], 1, one) for one in working]
    return [one for *_, one in sorted(places, key=lambda place: place[:2])]


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
