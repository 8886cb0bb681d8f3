"""What powering through Proxmox VE promises, on hosts that are really off, beside proxmoxer."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from proxmoxer import ProxmoxAPI, ResourceException  # type: ignore[import-untyped]
from proxmoxer.tools import Tasks  # type: ignore[import-untyped]
from pydantic import ValidationError

from reconciler.drivers.power import proxmox
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.edge.proxmox_api import PATIENCE, Patience
from reconciler.errors import Declined, DriverError
from reconciler.model.facts import Unknown
from tests.contracts.power import said
from tests.rigs.hostrig.client import plugged
from tests.rigs.proxmox import LOCAL, SECRET, TOKEN, USER, Cluster, Guest
from tests.rigs.proxmox_server import Stand, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.ports import Access

VM, NODE = "gpu1", "gpu2"
NAME = f"VM 100 on node {LOCAL}"
WHO = f"{USER}!{TOKEN}"
OPTIONS = {"address": "pve1.lan", "token": WHO, "secret": {"from_env": "PVE_SECRET"}}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("proxmox")
    with (
        plugged(folder / "rig", (VM, NODE), "light") as rig,
        serving(Cluster(rig, [Guest(100, VM)], [NODE]), folder) as stand,
    ):
        yield stand


@pytest.fixture
def stand(shared: Stand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """Everything is off, and nothing is wrong."""
    monkeypatch.setenv("PVE_SECRET", SECRET)
    shared.cluster.calm()
    yield shared
    shared.cluster.calm()


def driver(stand: Stand, patience: Patience = PATIENCE, **options: Any) -> proxmox.Driver:
    given = {**OPTIONS, "address": stand.address, "certificate": str(stand.certificate), **options}
    nothing = cast("Access", None)
    reach = Reach("box", nothing, nothing, Refusals(SystemClock()), LoopScope())
    return proxmox.Driver(proxmox.Options.model_validate(given), reach, patience)


def of(stand: Stand, host: str, patience: Patience = PATIENCE) -> proxmox.Driver:
    return driver(stand, patience, **({"guest": 100} if host == VM else {"node": host}))


async def waited(stand: Stand, host: str, state: str) -> None:
    await anyio.to_thread.run_sync(functools.partial(stand.cluster.rig.wait, host, state))


def posted(stand: Stand) -> list[tuple[str, dict[str, str]]]:
    return [(one.path, dict(one.form)) for one in stand.cluster.asked if one.method == "POST"]


def client(stand: Stand) -> Any:
    token = {"user": USER, "token_name": TOKEN, "token_value": SECRET}
    return ProxmoxAPI(stand.address, **token, verify_ssl=str(stand.certificate), timeout=30)


def ended(peer: Any, task: str) -> Any:
    return Tasks.blocking_status(peer, task, timeout=20, polling_interval=0.05)["exitstatus"]


async def test_a_guest_that_runs_is_not_started_again(stand: Stand) -> None:
    await of(stand, VM).wake()
    assert (await of(stand, VM).wake())["said"] == f"{NAME} is running already"
    assert len(posted(stand)) == 1


async def test_a_guest_that_another_start_was_first_for_is_asked_for(stand: Stand) -> None:
    stand.cluster.faults.fails["start"] = "VM 100 already running"
    assert (await of(stand, VM).wake())["said"] == "VM 100 already running"


async def test_a_start_that_takes_long_is_only_asked_for_and_a_second_one_spoils_nothing(
    stand: Stand,
) -> None:
    stand.cluster.faults.slow.clear()
    one = of(stand, VM, Patience(task=1.0))
    first, second = await one.wake(), await one.wake()
    assert first["said"] == "the task goes on"
    assert "can't lock file" in str(second["said"])
    assert (await said(of(stand, VM))).state == "off"
    stand.cluster.faults.slow.set()
    await waited(stand, VM, "on")


async def test_a_start_or_cut_that_fails_after_it_was_accepted_is_an_error_in_its_words(
    stand: Stand,
) -> None:
    stand.cluster.faults.fails |= {
        "start": "start failed: QEMU exited with code 1",
        "stop": "can't lock file",
    }
    with pytest.raises(
        DriverError, match=rf"could not start {NAME}: start failed: QEMU exited with code 1 \(UPID:"
    ):
        await of(stand, VM).wake()
    with pytest.raises(DriverError, match=f"could not stop {NAME}: can't lock file"):
        await of(stand, VM).cut()


async def test_a_paused_machine_is_suspended_does_not_shut_down_and_is_resumed(
    stand: Stand,
) -> None:
    one = of(stand, VM)
    await one.wake()
    await waited(stand, VM, "on")
    peer = client(stand)
    assert ended(peer, peer.nodes(LOCAL).qemu(100).status.suspend.post()) == "OK"
    assert (await said(one)).state == "suspended"
    assert (await said(one)).words.endswith(f"{NAME} is paused")
    with pytest.raises(Declined, match="answered 500 VM is paused - cannot shutdown"):
        await one.send_down("off")
    assert str((await one.wake())["asked"]).startswith("resume VM 100")
    assert (await said(one)).state == "on"


async def test_a_machine_that_was_suspended_to_disk_is_suspended_and_started(stand: Stand) -> None:
    stand.cluster.guests[100].on_disk = True
    told = await said(of(stand, VM))
    assert (told.state, told.words.rpartition(" is ")[2]) == ("suspended", "suspended to disk")
    assert str((await of(stand, VM).wake())["asked"]).startswith("start VM 100")


@pytest.mark.parametrize(
    ("status", "qmpstatus", "state"),
    [
        ("running", "io-error", "on"),
        ("running", "suspended", "suspended"),
        ("running", "prelaunch", None),
        ("odd", "odd", None),
    ],
)
async def test_what_qemu_says_is_not_taken_for_more_than_it_is(
    stand: Stand, status: str, qmpstatus: str, state: str
) -> None:
    stand.cluster.faults.answers["current"] = {"status": status, "qmpstatus": qmpstatus}
    told = await said(of(stand, VM))
    assert told.state == state
    assert told.words.endswith(f"is {qmpstatus}")


async def test_a_shutdown_that_fails_at_once_is_declined_in_its_words(stand: Stand) -> None:
    stand.cluster.faults.fails["shutdown"] = "VM 100 qmp command 'system_powerdown' failed"
    with pytest.raises(
        Declined,
        match=rf"did not shut down {NAME}: VM 100 qmp command 'system_powerdown' failed \(UPID:",
    ):
        await of(stand, VM).send_down("off")


async def test_high_availability_is_given_time_before_it_kills_and_cuts_without_the_word(
    stand: Stand,
) -> None:
    stand.cluster.guests[100].managed = True
    one = of(stand, VM)
    assert (await one.wake())["said"] == "OK"
    await waited(stand, VM, "on")
    assert "hastop" in str((await one.send_down("off"))["task"])
    await waited(stand, VM, "off")
    await one.wake()
    await waited(stand, VM, "on")
    await one.cut()
    await waited(stand, VM, "off")
    forms = [form for path, form in posted(stand) if not path.endswith("start")]
    assert forms == [{"timeout": "600"}, {}]


async def test_a_node_does_not_wake_itself(stand: Stand) -> None:
    with pytest.raises(
        DriverError, match=f"answered 500 '{LOCAL}' is local node, cannot wake my self!"
    ):
        await of(stand, LOCAL).wake()
    assert "`address` must be another node's" in await of(stand, LOCAL).wake_problem()


async def test_a_node_that_could_not_be_woken_again_is_deaf(stand: Stand) -> None:
    one, cluster = of(stand, NODE), stand.cluster
    cluster.privileges[f"/nodes/{NODE}"] = set()
    assert f"the token {WHO} has no Sys.PowerMgmt at /nodes/{NODE}" in await one.wake_problem()
    mac = cluster.wakeonlan.pop(NODE)
    assert (
        await one.wake_problem()
        == f"node {NODE} has no MAC to be woken at; `pvenode config set -wakeonlan MAC` there"
        " sets it"
    )
    cluster.wakeonlan[NODE] = mac
    cluster.privileges["/"] = set()
    assert (await one.wake_problem()).startswith(
        "whether Proxmox could wake box cannot be read: GET https://"
    )


async def test_a_guest_that_could_not_be_started_again_is_deaf(stand: Stand) -> None:
    one = of(stand, VM)
    assert await one.wake_problem() == ""
    stand.cluster.privileges["/vms/100"] = {"VM.Audit"}
    assert (
        await one.wake_problem()
        == f"the token {WHO} has no VM.PowerMgmt at /vms/100 of {stand.address}; it and its user"
        f" need a role that has it: `pveum acl modify /vms/100 --roles ROLE --users '{USER}'"
        f" --tokens '{WHO}'` on a node"
    )
    with pytest.raises(
        Declined,
        match=(
            r"403 Permission check failed \(/vms/100, VM.PowerMgmt\); it and its user need a role"
        ),
    ):
        await one.send_down("off")


async def test_a_guest_or_node_that_is_not_there_is_unknown(stand: Stand) -> None:
    gone = await driver(stand, guest=999).testimony()
    assert isinstance(gone, Unknown)
    assert f"shows no guest 999 to the token {WHO}" in gone.reason
    other = await driver(stand, node="pve9").testimony()
    assert other == Unknown(f"{stand.address} knows no node pve9, only {LOCAL}, {NODE}")


@pytest.mark.parametrize("secret", ["correct horse", "correct\nhorse", "cörrect-horse"])
async def test_what_is_no_secret_is_not_sent_and_not_shown(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("PVE_SECRET", secret)
    reason = f"what is found as the secret of {WHO} is no secret of a token, which is one word"
    assert await of(stand, VM).testimony() == Unknown(reason)
    assert stand.cluster.asked == []


REFUSED = [(500, "got timeout"), (501, "Method not implemented")]
IN_DOUBT = [(502, "Bad Gateway"), (595, "No route to host")]


@pytest.mark.parametrize(("status", "reason"), [*REFUSED, *IN_DOUBT])
async def test_only_what_the_api_itself_refuses_is_declined(
    stand: Stand, status: int, reason: str
) -> None:
    stand.cluster.faults.refuses["shutdown"] = (status, reason)
    with pytest.raises(
        DriverError, match=f"POST https://.*/status/shutdown answered {status} {reason}"
    ) as caught:
        await of(stand, VM).send_down("off")
    assert isinstance(caught.value, Declined) == ((status, reason) in REFUSED)


async def test_a_parameter_that_is_not_known_there_is_named(stand: Stand) -> None:
    stand.cluster.guests[100].managed = True
    stand.cluster.faults.answers["current"] = {"status": "running"}
    with pytest.raises(
        Declined,
        match=(
            "400 Parameter verification failed.*overrule-shutdown.*Not applicable for HA resources"
        ),
    ):
        await of(stand, VM).cut()


async def test_an_api_that_does_not_answer_is_unknown_and_a_shutdown_in_doubt(stand: Stand) -> None:
    one = of(stand, VM, Patience(answer=0.5))
    stand.cluster.faults.hangs.add("shutdown")
    with pytest.raises(
        DriverError, match=r"status/shutdown was not answered within 0.5 s"
    ) as caught:
        await one.send_down("off")
    assert not isinstance(caught.value, Declined)
    stand.cluster.faults.hangs.add("resources")
    fact = await one.testimony()
    assert isinstance(fact, Unknown)
    assert "cluster/resources was not answered within 0.5 s" in fact.reason


async def test_a_task_that_cannot_be_followed_was_still_accepted(stand: Stand) -> None:
    for answer in ("no-task", f"UPID:{LOCAL}:00000001:00000001:00000001:qmstart:100:{WHO}:"):
        stand.cluster.faults.answers["start"] = answer
        assert (await of(stand, VM).wake())["said"] == "the task goes on"


@pytest.mark.parametrize("answer", [7, {"status": 7}, None])
async def test_an_answer_that_makes_no_sense_is_unknown(stand: Stand, answer: object) -> None:
    stand.cluster.faults.answers["current"] = answer
    fact = await of(stand, VM).testimony()
    assert isinstance(fact, Unknown)
    assert "which Proxmox VE does not" in fact.reason


async def test_a_certificate_that_is_not_named_is_not_trusted(stand: Stand) -> None:
    fact = await driver(stand, guest=100, certificate=None).testimony()
    assert isinstance(fact, Unknown)
    assert (
        "it shows a certificate that is not trusted here, so it was not told the password"
        in fact.reason
    )
    assert stand.cluster.asked == []


async def test_proxmoxer_sees_what_the_driver_sees(stand: Stand) -> None:
    peer, vm, node = client(stand), of(stand, VM), of(stand, NODE)

    status = peer.nodes(LOCAL).qemu(100).status
    assert (status.current.get()["status"], (await said(vm)).state) == ("stopped", "off")
    assert ended(peer, status.start.post()) == "OK"
    assert (status.current.get()["status"], (await said(vm)).state) == ("running", "on")
    assert ended(peer, status.start.post()) == "VM 100 already running"
    await waited(stand, VM, "on")
    assert ended(peer, status.shutdown.post()) == "OK"
    assert (status.current.get()["status"], (await said(vm)).state) == ("stopped", "off")
    task = str((await vm.wake())["task"])
    assert Tasks.decode_upid(task)["node"] == LOCAL
    assert ended(peer, task) == "OK"
    assert ended(peer, status.stop.post(**{"overrule-shutdown": 1})) == "OK"
    assert (await said(vm)).state == "off"
    with pytest.raises(ResourceException, match="is local node, cannot wake my self"):
        peer.nodes(LOCAL).wakeonlan.post()
    assert peer.nodes(NODE).wakeonlan.post() == (await node.wake())["packet_to"]
    await waited(stand, NODE, "on")
    assert {one["node"]: one["status"] for one in peer.nodes.get()} == {
        LOCAL: "online",
        NODE: "online",
    }
    assert (await said(node)).state == "on"
    assert peer.nodes(NODE).status.post(command="shutdown") is None
    await waited(stand, NODE, "off")
    assert (await said(node)).state is None


USED = {"pve1.lan": "pve1.lan:8006", "10.0.0.1:443": "10.0.0.1:443", "[fd00::1]": "[fd00::1]:8006"}


@pytest.mark.parametrize(("written", "used"), USED.items())
def test_an_address_has_the_port_of_proxmox_unless_it_says_another(written: str, used: str) -> None:
    assert (
        proxmox.Options.model_validate({**OPTIONS, "address": written, "guest": 100}).address
        == used
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {},
            (
                "give either guest (the number of a virtual machine or container) or node (the name"
                " of a node)"
            ),
        ),
        ({"guest": 100, "node": "pve1"}, "give either guest"),
        (
            {"guest": 100, "address": "http://pve1.lan:8006"},
            "a name or address, and a port when it is not 8006",
        ),
        ({"guest": 100, "token": "root@pam"}, 'USER@REALM!TOKENID, such as "reconciler@pve!power"'),
        ({"guest": 100, "token": "root@pam!t=secret"}, "USER@REALM!TOKENID"),
        ({"node": "pve1/../pve2"}, 'the name of a node, such as "pve2"'),
        ({"guest": 100, "secret": "d3b07384"}, "secret"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        proxmox.Options.model_validate({**OPTIONS, **wrong})
    assert sentence in str(caught.value)
