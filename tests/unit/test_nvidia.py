"""What the NVIDIA driver says is told as it is; what it leaves out is Unknown, with advice."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from reconciler.drivers.access import local
from reconciler.drivers.gpus import auto, nvidia
from reconciler.edge.abandoned_thread import AbandonedThread
from reconciler.model.facts import Known, Unknown
from reconciler.model.gpu import GIB, Card, Gpu, Holder
from tests import nvml, running
from tests.contracts.hosts import here

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

AVAILABLE, HOST_TOTAL = 90 * GIB, 120 * GIB


def host_with(*nodes: str) -> local.Driver:
    """Return the access to a host with these device nodes and 90 of 120 GiB of memory."""
    seen: dict[str, JsonValue] = {
        "nodes": [*nodes],
        "memory_total": HOST_TOTAL,
        "memory_available": AVAILABLE,
    }

    async def exchange(_: dict[str, JsonValue], __: float) -> dict[str, JsonValue]:
        return {"ok": {"answers": [{"ok": seen}]}}

    return here("/nowhere", exchange)


async def read(library: nvml.Library, **options: Any) -> Any:
    driver = nvidia.Driver(nvidia.Options(**options), host_with(), library.loaded)
    fact = await driver.gpu()
    assert library.opened == library.closed
    return fact


async def refused(library: nvml.Library) -> str:
    fact = await read(library)
    assert isinstance(fact, Unknown)
    assert "`gpu: none` starts models without checking memory" in fact.reason
    return fact.reason


async def test_an_idle_card_is_told_as_it_is() -> None:
    assert await read(nvml.idle()) == Known(
        Gpu(
            cards=(
                Card(
                    index=0,
                    name="NVIDIA GeForce RTX 3090",
                    uuid="GPU-6f3c1d1e-0000-4a5b-9c1d-2b1f0a9e7c55",
                    total=24 * GIB,
                    free=24 * GIB - GIB // 4,
                ),
            )
        )
    )


async def test_a_process_that_computes_and_draws_is_named_once() -> None:
    (card,) = (await read(nvml.busy())).value.cards
    assert card.holders == (
        Holder(pid=nvml.DESKTOP, name="Xorg", bytes=GIB // 2),
        Holder(pid=nvml.SERVER, name="llama-server", bytes=20 * GIB),
    )
    assert card.free == 24 * GIB - GIB // 4 - 20 * GIB - GIB // 2


async def test_a_process_that_draws_alone_is_told_from_one_that_computes() -> None:
    card = nvml.Card(computes={nvml.SERVER: GIB}, draws={nvml.DESKTOP: GIB, nvml.SERVER: GIB})
    (seen,) = (await read(nvml.Library([card]))).value.cards
    assert {holder.pid: holder.draws for holder in seen.holders} == {
        nvml.SERVER: False,
        nvml.DESKTOP: True,
    }


async def test_every_card_has_its_number_and_its_own_memory() -> None:
    first, second = (await read(nvml.two())).value.cards
    assert (first.index, first.total, first.holders) == (0, 24 * GIB, ())
    assert (second.index, second.total, second.name) == (1, 16 * GIB, "NVIDIA RTX A4000")
    assert second.holders == (Holder(pid=nvml.STRANGER, bytes=10 * GIB),)


async def test_a_driver_that_knows_only_the_older_question_names_the_same_processes() -> None:
    older = nvml.busy()
    older.version = "v2"
    assert await read(older) == await read(nvml.busy())


@pytest.mark.parametrize("said", [nvml.NOT_SUPPORTED, nvml.NO_PERMISSION])
async def test_memory_counts_also_where_its_holders_are_not_said(said: int) -> None:
    library = nvml.busy()
    library.cards[0].processes = said
    (card,) = (await read(library)).value.cards
    assert (card.holders, card.free < 4 * GIB) == ((), True)


async def test_a_name_that_is_no_text_is_left_out() -> None:
    library = nvml.busy()
    library.programs[nvml.SERVER] = "/opt/caf\xe9/llama-server"
    (card,) = (await read(library)).value.cards
    assert [holder.name for holder in card.holders] == ["Xorg", ""]


async def test_a_card_without_memory_of_its_own_uses_the_hosts() -> None:
    (card,) = (await read(nvml.unified())).value.cards
    assert (card.unified, card.total, card.free) == (True, HOST_TOTAL, AVAILABLE)
    assert card.holders == (Holder(pid=nvml.SERVER),)


async def test_memory_that_is_said_to_be_unified_is_the_hosts_whatever_the_driver_says() -> None:
    (card,) = (await read(nvml.idle(), memory="unified")).value.cards
    assert (card.unified, card.total, card.free) == (True, HOST_TOTAL, AVAILABLE)


async def test_host_memory_that_cannot_be_read_is_unknown() -> None:
    async def exchange(_: dict[str, JsonValue], __: float) -> dict[str, JsonValue]:
        return {"error": "no route to host"}

    access = here("/nowhere", exchange)
    driver = nvidia.Driver(nvidia.Options(), access, nvml.unified().loaded)
    assert await driver.gpu() == Unknown("no route to host")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            nvml.LIBRARY_NOT_FOUND,
            (
                "says NVML Shared Library Not Found: libnvidia-ml.so.1 is not here; install the"
                " NVIDIA driver"
            ),
        ),
        (nvml.DRIVER_NOT_LOADED, "says Driver Not Loaded: run `modprobe nvidia` or reboot"),
        (nvml.VERSION_MISMATCH, "mismatch.: the driver was updated under the running one; reboot"),
        (nvml.NO_PERMISSION, "says Insufficient Permissions: let this user open /dev/nvidia*"),
        (nvml.UNKNOWN, "says Unknown Error: `nvidia-smi` and `dmesg` say more"),
        (12345, "says NVML Error with code 12345: `nvidia-smi` and `dmesg` say more"),
    ],
)
async def test_a_driver_that_cannot_be_asked_is_unknown_with_what_to_do(
    code: int, said: str
) -> None:
    assert said in await refused(nvml.Library([nvml.Card()], init=code))


async def test_a_lost_card_is_named_by_its_number() -> None:
    library = nvml.two()
    library.cards[1].handle = nvml.GPU_IS_LOST
    assert (
        "asked for card 1, says GPU is lost: the card does not answer its bus any more"
        in await refused(library)
    )


async def test_a_card_that_vanishes_between_two_calls_is_unknown_and_is_looked_for_again() -> None:
    library = nvml.two()

    def vanish(question: str) -> None:
        if question == "nvmlDeviceGetHandleByIndex_v2":
            del library.cards[1:]

    library.before = vanish
    assert "asked for card 1, says Invalid Argument" in await refused(library)
    assert len((await read(library)).value.cards) == 1


async def test_a_driver_without_a_card_is_not_a_host_without_accelerators() -> None:
    assert "NVIDIA's driver finds no card" in await refused(nvml.Library())


async def test_a_missing_python_package_is_named() -> None:
    def missing() -> Any:
        raise ImportError

    fact = await nvidia.Driver(nvidia.Options(), host_with(), missing).gpu()
    assert isinstance(fact, Unknown)
    assert "the Python package nvidia-ml-py is not installed" in fact.reason


async def test_the_library_of_this_machine_is_asked_when_no_other_is_given() -> None:
    fact = await nvidia.Driver(nvidia.Options(), host_with()).gpu()
    assert not isinstance(fact, Unknown) or "NVIDIA's driver" in fact.reason


async def test_a_library_that_hangs_is_left_alone_until_it_comes_back() -> None:
    hangs, asked = Event(), []

    def call() -> str:
        asked.append("once")
        hangs.wait()
        return "here"

    aside = AbandonedThread(call)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await aside.answer(0.01)
    assert asked == ["once"]
    hangs.set()
    with anyio.fail_after(running.DEADLINE):
        assert await answered(aside) == "here"


async def answered(aside: AbandonedThread[str]) -> str:
    while True:
        try:
            return await aside.answer(1)
        except TimeoutError:
            await anyio.lowlevel.checkpoint()


async def test_a_driver_that_hangs_is_unknown_with_what_to_do() -> None:
    hangs = Event()
    library = nvml.idle()

    def wait(_: str) -> None:
        hangs.wait(running.DEADLINE)

    library.before = wait
    driver = nvidia.Driver(nvidia.Options(), host_with(), library.loaded)
    facts: list[Any] = []

    async def look() -> None:
        facts.append(await driver.gpu())

    async with anyio.create_task_group() as looks:
        looks.start_soon(look)
        while not facts:
            looks.start_soon(look)
            await anyio.lowlevel.checkpoint()
        hangs.set()
    assert "does not answer; if `nvidia-smi` hangs too" in facts[0].reason
    assert await driver.gpu() == facts[-1] == await read(nvml.idle())


@pytest.mark.parametrize(
    ("nodes", "library", "options", "seen"),
    [
        ([], nvml.busy, {}, "nothing"),
        (
            ["/dev/dri/renderD128"],
            nvml.busy,
            {},
            "found /dev/dri/renderD128, whose memory cannot be read yet",
        ),
        (["/dev/dri/renderD128"], nvml.busy, {"memory": "unified"}, "the host's memory"),
        (["/dev/dri/renderD128", "/dev/nvidia0"], nvml.busy, {}, "NVIDIA GeForce RTX 3090"),
        (["/dev/nvidia0"], nvml.Library, {}, "NVIDIA's driver finds no card"),
    ],
)
async def test_device_nodes_decide_who_is_asked(
    nodes: list[str], library: Callable[[], nvml.Library], options: dict[str, Any], seen: str
) -> None:
    fact = await auto.Driver(auto.Options(**options), host_with(*nodes), library().loaded).gpu()
    if isinstance(fact, Unknown):
        assert seen in fact.reason
    else:
        assert [card.name for card in fact.value.cards] == ([] if seen == "nothing" else [seen])
