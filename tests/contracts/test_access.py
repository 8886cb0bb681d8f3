"""What every access to a host promises, here and through an interpreter of its own."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import anyio
import pytest

from reconciler.drivers.access import local
from reconciler.drivers.gpus import auto
from reconciler.drivers.gpus import none as no_gpu
from reconciler.drivers.power.host_power.power import Composed, PowerParts
from reconciler.errors import Declined, DriverError
from reconciler.model.facts import Claim, Known, Mark, UnitIdentity, Unknown
from reconciler.model.gpu import Gpu
from reconciler.model.machine import Machine
from reconciler.model.onhost.files import AskGguf
from reconciler.model.onhost.host import AskContact, AskGpus, AskMachine, PrepareHost, WriteClaim
from reconciler.model.onhost.processes import AskTail, AskUnits, Spawn, StopProcess
from reconciler.model.preparation import Preparation, Prepared
from tests import running
from tests.contracts.hosts import here, nowhere
from tests.engine import EngineProcess, free_port
from tests.engine_program import program_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import JsonValue

    from reconciler.model.onhost import Question
    from reconciler.ports import Access, GpuReader, PowerControl

CLAIM = Claim(controller="c1", name="attic", directory="/var/lib/reconciler", at=1.0)


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


def spawn(program: str) -> Spawn:
    return Spawn(
        mark=Mark(**running.mark("m")), argv=(*running.PYTHON, program), env={}, scrub=(),
        directory="models/m", folders=(), log="models/m/log",
    )  # fmt: skip


async def started(access: Access, program: str, directory: Path) -> UnitIdentity:
    evidence = await access.act(spawn(program))
    running.wait_for_line(directory / "models/m/log")
    return UnitIdentity.model_validate(evidence["identity"])


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


async def test_contact_names_the_boot(access: Access) -> None:
    fact = await access.contact()
    assert isinstance(fact, Known)
    assert len(fact.value.boot_id) == 36


async def test_a_machine_names_who_serves_on_it(access: Access, tmp_path: Path) -> None:
    port = free_port()
    argv = [str(program_in(tmp_path)), "-m", "a.gguf", "--port", str(port)]
    by_hand = EngineProcess.start(argv, port, tmp_path / "log")
    try:
        by_hand.wait_healthy()
        (fact,) = await access.ask([AskMachine(search=False, folders=("slots",))])
    finally:
        by_hand.kill()
    assert isinstance(fact, Known)
    found = Machine.model_validate(fact.value)
    (server,) = [one for one in found.servers if one.pid == by_hand.pid]
    assert (server.port, server.program, server.flags) == (port, argv[0], tuple(argv[1:]))
    assert (server.service, server.model) == (None, None)
    assert [folder.path for folder in found.folders] == [str(tmp_path / "slots")]


async def test_questions_are_answered_in_order(access: Access, tmp_path: Path) -> None:
    asked: list[Question] = [AskGpus(), AskContact(), AskGguf(path="x.gguf"), AskUnits()]
    gpus, contact, weights, units = await access.ask(asked)
    assert isinstance(gpus, Known)
    assert isinstance(contact, Known)
    assert isinstance(weights, Known)
    assert isinstance(units, Known)
    assert contact.value["directory"] == str(tmp_path)
    assert weights.value["exists"] is False
    assert set(units.value) == {"units"}


async def test_no_question_has_no_answer(access: Access) -> None:
    assert await access.ask([]) == ()


async def test_a_question_that_fails_is_unknown_and_spoils_no_other(
    access: Access, tmp_path: Path
) -> None:
    bad, good = await access.ask([AskTail(path=str(tmp_path), lines=1), AskGpus()])
    assert isinstance(bad, Unknown)
    assert "it is a directory" in bad.reason
    assert isinstance(good, Known)


async def test_a_claim_is_nobodys_then_ours_then_refused_to_others(access: Access) -> None:
    assert await access.claim() == Known(None)
    await access.act(WriteClaim(claim=CLAIM))
    assert await access.claim() == Known(CLAIM)
    with pytest.raises(DriverError, match="claimed by controller attic"):
        await access.act(WriteClaim(claim=CLAIM.model_copy(update={"controller": "c2"})))
    assert await access.claim() == Known(CLAIM)


async def test_a_host_remembers_what_it_was_prepared_with(access: Access, tmp_path: Path) -> None:
    assert await access.prepared() == Known(Prepared())
    setting = ("touch", str(tmp_path / "limit"))
    done = await access.act(
        PrepareHost(preparation=Preparation(run=(setting,), check=("true",)), digest="d1")
    )
    assert (done, (tmp_path / "limit").exists()) == ({"tried": []}, True)
    assert await access.prepared() == Known(Prepared(digest="d1"))


async def test_a_preparation_that_fails_is_declined_in_the_words_of_its_program(
    access: Access,
) -> None:
    with pytest.raises(Declined, match="`ls /nowhere` ended with 2: ls: cannot access"):
        await access.act(
            PrepareHost(preparation=Preparation(run=(("ls", "/nowhere"),)), digest="d1")
        )
    assert await access.prepared() == Known(Prepared())


async def test_a_damaged_claim_is_unknown(access: Access, tmp_path: Path) -> None:
    (tmp_path / "claim.json").write_text("{")
    assert isinstance(await access.claim(), Unknown)


async def test_changes_end_when_the_unit_is_gone(access: Access, tmp_path: Path) -> None:
    identity = await started(access, running.SLEEPER, tmp_path)
    looks = 0
    with anyio.fail_after(running.DEADLINE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(access.act, StopProcess(identity=identity, grace=5, again=5, kill=5))
            async for _ in access.changes(identity):
                looks += 1
    assert looks <= 1
    assert not running.lives(identity.pid)
    assert [look async for look in access.changes(identity)] == []


async def test_a_long_action_delays_no_question(access: Access, tmp_path: Path) -> None:
    identity = await started(access, running.STUBBORN, tmp_path)
    with anyio.fail_after(running.DEADLINE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                access.act, StopProcess(identity=identity, grace=0.3, again=0.3, kill=5)
            )
            assert isinstance(await access.contact(), Known)
            assert running.lives(identity.pid)
    assert not running.lives(identity.pid)


async def test_an_action_that_fails_raises_its_sentence(access: Access) -> None:
    with pytest.raises(DriverError, match="cannot start /nowhere/x: there is no such program"):
        await access.act(spawn("").model_copy(update={"argv": ("/nowhere/x",)}))


async def test_dialling_reaches_a_loopback_port(access: Access) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with (
            access.dial(listener.getsockname()[1]) as url,
            await anyio.connect_tcp(*address(url)) as stream,
        ):
            await stream.send(b"over there")
            served, _ = listener.accept()
            with served:
                assert served.recv(100) == b"over there"
        async with access.dial(listener.getsockname()[1]) as again:
            assert again == url


async def test_a_host_whose_power_is_not_managed_has_no_witness_and_is_not_changed(
    access: Access,
) -> None:
    parts = PowerParts(
        wake=(), stop=None, proof=None, force=None, canary=None, where=nowhere, asker=access
    )
    power: PowerControl = Composed("box", access, parts)
    assert await power.testimony() == Known(None)
    with pytest.raises(DriverError, match="nothing can wake box"):
        await power.wake(0)
    for act in (power.shut_down, power.suspend, power.cut):
        with pytest.raises(Declined, match="box"):
            await act()


async def test_gpu_drivers_look_after_nothing_where_nothing_is(access: Access) -> None:
    none: GpuReader = no_gpu.Driver(no_gpu.Options(), access)
    assert await none.gpu() == Known(Gpu())
    (nodes,) = await access.ask([AskGpus()])
    assert isinstance(nodes, Known)
    found = await auto.Driver(auto.Options(), access).gpu()
    assert isinstance(found, Unknown if nodes.value["nodes"] else Known)


def answering(answer: dict[str, JsonValue]) -> local.Driver:
    async def exchange(_: dict[str, JsonValue], __: float) -> dict[str, JsonValue]:
        return answer

    return here("/nowhere", exchange)


async def test_device_nodes_make_memory_unknown_and_are_named() -> None:
    answer: JsonValue = {"ok": {"nodes": ["/dev/dri/renderD128", "/dev/kfd"]}}
    fact = await auto.Driver(auto.Options(), answering({"ok": {"answers": [answer]}})).gpu()
    assert isinstance(fact, Unknown)
    assert "found /dev/dri/renderD128, /dev/kfd" in fact.reason
    assert "`gpu: none`" in fact.reason


async def test_a_host_that_does_not_answer_is_unknown_not_off() -> None:
    access = answering({"error": "no route to host"})
    assert await access.contact() == Unknown("no route to host")
    assert await auto.Driver(auto.Options(), access).gpu() == Unknown("no route to host")


@pytest.mark.parametrize(
    "answer",
    [{}, {"ok": 1}, {"ok": {"answers": []}}, {"ok": {"answers": 1}}, {"ok": {"answers": [1]}}],
)
async def test_an_answer_that_makes_no_sense_is_unknown(answer: dict[str, JsonValue]) -> None:
    assert isinstance(await answering(answer).contact(), Unknown)
