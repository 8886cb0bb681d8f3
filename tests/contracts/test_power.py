"""What every driver of power promises, in front of a host that really comes up and goes down."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from reconciler.errors import Declined, DriverError
from reconciler.model import power
from reconciler.model.facts import Known
from tests.contracts.power import (
    CATALOG,
    HOST,
    VARIABLE,
    Bench,
    Ground,
    NobodyElse,
    OverAccess,
    Packets,
    Programs,
    ground,
)
from tests.contracts.relays import RELAYS
from tests.rigs import plugs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

BENCHES: tuple[Bench, ...] = (NobodyElse(), Packets(), OverAccess(), Programs(), *RELAYS)

WITHIN = 20.0

NEEDS = (
    ("can_wake", "wake"), ("can_wake", "wake_problem"), ("can_shut_down", "send_down"),
    ("can_suspend", "send_down"), ("can_testify", "testimony"), ("can_cut", "cut"),
)  # fmt: skip
ACTS = {
    "wake": ("wake", (), "can_wake"), "send_down": ("send_down", ("off",), "can_shut_down"),
    "suspend": ("send_down", ("suspend",), "can_suspend"), "cut": ("cut", (), "can_cut"),
}  # fmt: skip
IRREVERSIBLE = ("send_down", "cut")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("power")) as made:
        yield made


@pytest.fixture
async def bench(
    request: pytest.FixtureRequest, shared: Ground, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """The host is off, and nothing is wrong."""
    one: Bench = request.param
    monkeypatch.setenv(VARIABLE, one.secret)
    shared.ready(one)
    async with one.loop:
        yield one


def can(bench: Bench, act: str) -> bool:
    return bool(getattr(bench.can, ACTS[act][2]))


def over(benches: Iterable[Bench]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "bench", list(benches), indirect=True, ids=lambda bench: bench.name
    )


def each(pairs: Iterable[tuple[Bench, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("bench", "act"), list(pairs), indirect=["bench"], ids=lambda one: getattr(one, "name", one)
    )


waking = over(bench for bench in BENCHES if bench.can.can_wake)
witnessing = over(bench for bench in BENCHES if bench.can.can_testify)
sending_down = over(bench for bench in BENCHES if bench.can.can_shut_down)
cutting = over(bench for bench in BENCHES if bench.can.can_cut)
secretive = over(bench for bench in BENCHES if bench.takes_secret)
acting = over(bench for bench in BENCHES if any(can(bench, act) for act in ACTS))


async def done(driver: Any, act: str) -> Any:
    method, words, _ = ACTS[act]
    return await getattr(driver, method)(*words)


async def refusal(driver: Any, act: str, kind: type[DriverError] = Declined) -> str:
    with pytest.raises(kind) as caught:
        await done(driver, act)
    return caught.value.message


async def refusals(bench: Bench, driver: Any, kind: type[DriverError] = Declined) -> list[str]:
    """Let a driver do all that it can, side by side; return why nothing of that happens."""
    sentences: list[str] = []

    async def note(act: str) -> None:
        sentences.append(await refusal(driver, act, DriverError if act == "wake" else kind))

    async with anyio.create_task_group() as asked:
        for act in ACTS:
            if can(bench, act):
                asked.start_soon(note, act)
    return sentences


async def told(bench: Bench, driver: Any) -> power.Testimony:
    """Return what is told of the host, without what a meter counts; nothing by who cannot."""
    if not bench.can.can_testify:
        return power.Testimony(state=None, words="")
    fact = await driver.testimony()
    assert isinstance(fact, Known), fact
    return power.Testimony(state=fact.value.state, words=fact.value.words)


async def untold(driver: Any) -> str:
    """Return why a driver that testifies does not say how the host is."""
    fact = await driver.testimony()
    if not isinstance(fact, Known):
        return str(fact.reason)
    assert fact.value.state is None
    return str(fact.value.words)


def lacking(pattern: str, sentences: list[str]) -> list[str]:
    return [said for said in sentences if not re.search(pattern, said)]


def test_every_kind_of_power_and_every_dialect_is_put_to_these_laws() -> None:
    assert {bench.kind for bench in BENCHES} == set(CATALOG.kinds("power"))
    assert {bench.written.get("dialect") for bench in BENCHES} >= set(plugs.DIALECTS)


@pytest.mark.parametrize("one", BENCHES, ids=lambda bench: bench.name)
def test_a_driver_has_methods_for_whatever_it_can_and_says_what_they_are_good_for(
    one: Bench,
) -> None:
    driver = one.module.Driver
    assert [
        need for need, method in NEEDS if getattr(one.can, need) and not hasattr(driver, method)
    ] == []
    assert hasattr(driver, "testimony") == one.can.can_testify
    assert not one.can.can_shut_down or driver.needs_permission == (one.kind == "access")


@each(
    (bench, act)
    for bench in BENCHES
    for act in ACTS
    if hasattr(bench.module.Driver, ACTS[act][0]) and not can(bench, act)
)
async def test_what_a_driver_cannot_do_is_declined(bench: Bench, act: str) -> None:
    assert HOST in await refusal(bench.driver(), act)


@waking
async def test_a_host_that_is_off_is_told_to_be_off_comes_up_and_is_told_to_be_on(
    bench: Bench,
) -> None:
    driver = bench.driver()
    assert await told(bench, driver) == bench.telling("off")
    assert await driver.wake_problem() == ""
    assert bench.answered("wake", await driver.wake())
    bench.rig.wait(HOST, "on")
    assert await told(bench, driver) == bench.telling("on")


@waking
async def test_a_host_that_is_on_is_never_restarted_to_wake_it(
    bench: Bench, shared: Ground
) -> None:
    shared.on()
    boots = bench.rig.count(HOST)["boots"]
    with bench.waking_what_is_on():
        await bench.driver().wake()
    assert (bench.rig.state(HOST), bench.rig.count(HOST)["boots"]) == ("on", boots)


@sending_down
async def test_a_host_that_is_sent_down_goes_down_in_order(bench: Bench, shared: Ground) -> None:
    shared.on()
    before, driver = bench.rig.count(HOST), bench.driver()
    assert bench.answered("send_down", await driver.send_down("off"))
    bench.rig.wait(HOST, "off")
    after = bench.rig.count(HOST)
    assert (after["clean_shutdowns"], after["power_cuts"]) == (
        before["clean_shutdowns"] + 1,
        before["power_cuts"],
    )
    assert (await told(bench, driver)).state == bench.telling("off").state


@cutting
async def test_the_power_is_cut_while_a_shutdown_hangs(bench: Bench, shared: Ground) -> None:
    shared.on()
    bench.rig.fault(HOST, shutdown_hang=1)
    before, driver = bench.rig.count(HOST)["power_cuts"], bench.driver()
    await (
        driver.send_down("off")
        if bench.can.can_shut_down
        else anyio.to_thread.run_sync(bench.rig.button, HOST)
    )
    bench.rig.wait(HOST, "stopping")
    assert (await told(bench, driver)).state == "on"
    assert bench.answered("cut", await driver.cut())
    bench.rig.wait(HOST, "off")
    assert bench.rig.count(HOST)["power_cuts"] == before + 1
    assert (await told(bench, driver)).state == "off"


@secretive
async def test_a_wrong_secret_is_said_and_declined_and_is_in_no_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "correct-pony")
    driver = bench.driver()
    sentences = [await untold(driver), *await refusals(bench, driver)]
    if bench.judges:
        sentences.append(await driver.wake_problem())
        assert lacking("in the inventory", sentences) == []
    assert lacking(bench.stranger, sentences) == []
    assert [said for said in sentences if "correct-pony" in said] == []
    assert bench.rig.state(HOST) == "off"


@secretive
async def test_a_secret_is_read_when_it_is_used_and_kept_nowhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    driver = bench.driver()
    assert f"{VARIABLE}, which is not set here" in await untold(driver)
    monkeypatch.setenv(VARIABLE, bench.secret)
    assert (await told(bench, driver)).state == bench.telling("off").state
    written = json.dumps(driver.options.model_dump(mode="json"), ensure_ascii=False)
    assert bench.secret not in f"{driver.options!r} {vars(driver)} {written}"


@secretive
async def test_a_missing_secret_stops_everything_before_it_begins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    driver = bench.driver()
    sentences = [await untold(driver), await driver.wake_problem(), *await refusals(bench, driver)]
    assert lacking(f"{VARIABLE}, which is not set here", sentences) == []
    assert (bench.heard(), bench.rig.state(HOST)) == (0, "off")


@acting
async def test_where_nobody_is_nothing_is_told_and_what_could_not_be_asked_did_not_happen(
    bench: Bench,
) -> None:
    driver = bench.nobody()
    with anyio.fail_after(WITHIN):
        sentences = await refusals(bench, driver, bench.unasked)
        if bench.can.can_testify:
            sentences.append(await untold(driver))
    assert lacking(bench.absent, sentences) == []
    assert not bench.betrayed(*sentences)


@each((bench, act) for bench in BENCHES for act in IRREVERSIBLE if can(bench, act))
async def test_an_order_whose_answer_is_lost_is_in_doubt(
    bench: Bench, act: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.losing(tmp_path, monkeypatch) as driver, pytest.raises(DriverError) as lost:
        await done(driver, act)
    assert not isinstance(lost.value, Declined), lost.value.message
    assert not bench.betrayed(lost.value.message)


@witnessing
async def test_who_is_in_trouble_never_makes_a_host_off(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.faults
    for fault in bench.faults:
        with bench.failing(fault, tmp_path, monkeypatch) as driver, anyio.fail_after(WITHIN):
            assert not bench.betrayed(await untold(driver)), fault
