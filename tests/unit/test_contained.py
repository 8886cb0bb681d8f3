"""A broken driver is, at any port, an Unknown or a DriverError with host, driver and file."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reconciler.drivers.contained import Call, contained, methods
from reconciler.edge import trace
from reconciler.errors import Declined, DriverError
from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.life import Life
from reconciler.fakes.ports import FakeAccess, FakeDrivers, FakePower, ports
from reconciler.fakes.world import World
from reconciler.model.facts import Contact, Fact, Known, Unknown
from reconciler.model.onhost.host import AskContact
from tests.crash.stage import want

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconciler.ports import Evidence, HostPorts

UNWRITABLE = Path("/proc/nowhere")


class Broken(FakeAccess):
    """Do nothing right."""

    @property
    def here(self) -> bool:
        raise KeyError

    async def contact(self) -> Fact[Contact]:
        raise OverflowError("too far\naway")

    @asynccontextmanager
    async def dial(self, port: int, address: str = "") -> AsyncIterator[str]:
        raise IndexError(port)
        yield ""


class Honest(FakePower):
    """Say no, and say something that no journal can hold."""

    async def shut_down(self) -> Evidence:
        raise Declined("ana is logged in")

    async def cut(self) -> Evidence:
        nothing: Any = {"at": object()}
        return nothing  # type: ignore[no-any-return]


def given(traces: Path, parts: FakeDrivers = FakeDrivers(access=Broken, power=Honest)) -> HostPorts:  # noqa: B008 - it is a value
    slice_ = want("a")
    return contained(
        partial(ports, World(TurnedClock()), slice_, Life(), parts),
        slice_,
        partial(trace.told, [traces]),
    )


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_question_that_breaks_is_unknown_and_names_host_driver_and_file(
    tmp_path: Path,
) -> None:
    fact = await given(tmp_path).access.contact()
    assert isinstance(fact, Unknown)
    (file,) = files(tmp_path)
    assert (
        fact.reason == "box: its access driver failed at `contact`; "
        f"this is a defect of the driver: OverflowError: too far away; its traceback is in {file}"
    )
    assert "raise OverflowError" in file.read_text()


async def test_without_a_place_for_the_traceback_that_is_said() -> None:
    fact = await given(UNWRITABLE).access.contact()
    assert isinstance(fact, Unknown)
    assert fact.reason.endswith("its traceback could not be written")


async def test_what_a_driver_says_itself_goes_on_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(Declined, match="^ana is logged in$"):
        await given(tmp_path).power.shut_down()
    assert files(tmp_path) == []


async def test_evidence_that_no_journal_can_hold_is_a_failure_of_the_driver(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="its power driver failed at `cut`"):
        await given(tmp_path).power.cut()


async def test_a_door_that_cannot_be_opened_is_a_driver_error(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="its access driver failed at `dial`; .* IndexError: 80;"):
        async with given(tmp_path).access.dial(80):
            pass


async def test_what_works_is_passed_on(tmp_path: Path) -> None:
    whole = given(tmp_path, FakeDrivers())
    assert isinstance(await whole.access.contact(), Known)
    assert await whole.access.ask([AskContact()]) == (Unknown("nothing answers contact here"),)
    assert isinstance(await whole.power.testimony(), Known)
    assert whole.access.here is False
    assert given(tmp_path).access.here is False


async def test_ports_that_cannot_be_made_are_as_if_every_question_failed(tmp_path: Path) -> None:
    def make() -> HostPorts:
        raise RuntimeError("no such bus")

    unmade = contained(make, want("a"), partial(trace.told, [tmp_path]))
    for fact in (
        await unmade.gpu.gpu(),
        await unmade.launchers["process"].units(),
        await unmade.models["a"].files.saved(),
    ):
        assert isinstance(fact, Unknown)
        assert (
            "box: its own driver failed at `make`; this is a defect of the driver: RuntimeError: no"
            " such bus;" in fact.reason
        )


def test_nothing_but_what_a_port_has_is_there(tmp_path: Path) -> None:
    assert not hasattr(given(tmp_path).gpu, "overclock")


def test_a_method_of_an_unforeseen_sort_is_refused_when_it_is_written() -> None:
    class Odd(Protocol):
        async def guess(self) -> int: ...

    with pytest.raises(
        TypeError, match=r"Odd.guess gives <class 'int'>; say in reconciler.drivers.contained"
    ):
        methods(Odd)


def test_a_new_question_is_contained_by_itself() -> None:
    assert {"testimony", "canary", "guards", "wake", "shut_down", "suspend", "cut"} == set(
        methods(_power())
    )
    assert callable(methods(_power())["wake"](Call(None, "wake", None)))  # type: ignore[arg-type]


def _power() -> type:
    from reconciler.ports import PowerControl  # noqa: PLC0415 - one name of many

    return PowerControl
