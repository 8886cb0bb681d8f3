"""What is not as it should be is found, with what to do; what is well is not mentioned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.core.report import findings
from reconciler.model.facts import Binary, Claim, Flags, Health, Phase, Unknown, Weights
from reconciler.model.findings import Finding, Findings
from reconciler.model.machine import DeviceNode, Logins, Machine
from reconciler.model.observed import (
    BINARY,
    CLAIM,
    FLAGS,
    GPU,
    GUARDS,
    HEALTH,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    Observed,
)
from reconciler.model.origin import Service
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Guards, Login
from reconciler.model.reason import Reason
from reconciler.model.spec import Capabilities, Command, Kind, WantedPower
from reconciler.model.traffic import Traffic
from reconciler.render.onboarding_text import doctor_text
from tests.clocks import instant
from tests.jsonschema import unfit
from tests.machines import folder, machine
from tests.rules.tree import ROOT
from tests.sample_worlds import HOST, ME, OURS, model, slice_of, world

A = model("a", command=Command(argv=("llama-server",), folders=("slots",)))
B = model("b", command=Command(argv=("llama-server",), folders=("/srv/slots/b",)), port=8081)
SLICE = slice_of(("a",), A, B)
PLACES = (folder("/host/models/a/slots"), folder("/srv/slots/b"))


@dataclass(frozen=True)
class Case:
    """What was seen of a host."""

    observed: Observed
    machine: Machine

    def found(self) -> list[Finding]:
        return list(findings.of_host(SLICE, self.observed, self.machine, OURS))


def seen(**changed: Any) -> list[Finding]:
    """Judge a host that is well but for facts such as `weights_a`, or parts of the machine."""
    parts = {name: changed.pop(name) for name in ("nodes", "folders") if name in changed}
    return Case(world(SLICE, **changed), machine(**{"folders": PLACES, **parts})).found()


def with_unknown(key: AnyFactKey, reason: str) -> list[Finding]:
    return Case(world(SLICE).seeing({key: Unknown(reason)}), machine(folders=PLACES)).found()


def told(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(one.level, one.subject, one.model) for one in found]


def of_launcher(launcher: Kind, logins: Logins) -> list[Finding]:
    """Judge a host with one model that is started so."""
    slice_ = slice_of(("a",), A.model_copy(update={"launcher": launcher}))
    return list(
        findings.of_host(slice_, world(slice_), machine(folders=PLACES[:1], logins=logins), OURS)
    )


def test_a_logout_that_ends_engines_is_found() -> None:
    (found,) = of_launcher(Kind(kind="process"), Logins(kills=True, lingers=True))
    assert (found.level, found.subject) == ("wrong", "logins")
    assert "KillUserProcesses=no" in found.fix
    assert of_launcher(Kind(kind="systemd"), Logins(kills=True, lingers=False)) == []


def test_services_of_a_user_that_end_with_their_login_are_found() -> None:
    (found,) = of_launcher(
        Kind(kind="systemd", options={"scope": "user"}), Logins(kills=False, lingers=False)
    )
    assert found.fix == "`sudo loginctl enable-linger ann`"
    assert (
        of_launcher(
            Kind(kind="systemd", options={"scope": "user"}), Logins(kills=True, lingers=True)
        )
        == []
    )


def test_where_all_is_well_nothing_is_found() -> None:
    assert seen() == []


def test_the_questions_are_about_every_model_and_port() -> None:
    keys = findings.questions(SLICE)
    assert {(key.kind, key.subject) for key in keys} >= {
        ("weights", "b"),
        ("binary", "a"),
        ("port", "8081"),
        ("claim", ""),
    }
    assert findings.slot_folders(SLICE) == ("models/a/slots", "/srv/slots/b")


def test_a_program_and_weights_that_cannot_be_used_are_named() -> None:
    found = seen(
        weights_b=Weights(path="b.gguf", exists=False, problem="the weights b.gguf cannot be read")
    )
    assert told(found) == [("wrong", "weights", "b")]
    key = BINARY(HOST, "a")
    observed = world(SLICE).predicting(
        "test", {key: Binary(path="x", problem=Reason("the program x is not executable"))}
    )
    found = Case(observed, machine(folders=PLACES)).found()
    assert told(found) == [("wrong", "program", "a")]
    assert found[0].fix == "fix it, or what inventory.yaml says of a"
    observed = world(SLICE).predicting(
        "test", {FLAGS(HOST, "a"): Flags(problem="--flash-atn: unknown to x")}
    )
    (only,) = Case(observed, machine(folders=PLACES)).found()
    assert (only.subject, only.found) == ("program", "--flash-atn: unknown to x")


@pytest.mark.parametrize(
    ("phase", "message", "told_as", "fix"),
    [
        ("locked", "it wants a key", ("wrong", "key", "a"), "fix that"),
        ("unclear", "GET /props answered 500", ("wrong", "engine", "a"), "`reconciler logs a`"),
        ("other", "it serves b, not a", ("wrong", "engine", "a"), "change it"),
    ],
)
def test_an_engine_that_answers_in_another_way_is_named(
    phase: Phase, message: str, told_as: tuple[str, str, str], fix: str
) -> None:
    (found,) = seen(health_a=Health(phase=phase, message=message, remedy="change it"))
    assert told([found]) == [told_as]
    assert found.fix.startswith(fix)


def test_a_setting_of_a_service_that_differs_is_a_note() -> None:
    (found,) = seen(health_a=Health(phase="ready", notes=("it holds less",)))
    assert (found.level, found.subject, found.found) == ("note", "engine", "it holds less")


def test_a_service_with_an_unnamed_key_is_mentioned() -> None:
    binary = Binary(path="/opt/llama-server", key="LLAMA_API_KEY in /etc/llm.env")
    observed = world(SLICE).predicting("test", {BINARY(HOST, "a"): binary})
    (found,) = Case(observed, machine(folders=PLACES)).found()
    assert (found.level, found.found) == (
        "note",
        "its service wants a key (LLAMA_API_KEY in /etc/llm.env)",
    )


def test_what_starts_a_unit_at_boot_is_mentioned_with_what_ends_that() -> None:
    starts = Reason("CT 101 is started at boot", "`pct set 101 --onboot 0`")
    binary = Binary(path="/opt/llama-server", autostart=starts)
    observed = world(SLICE).predicting("test", {BINARY(HOST, "a"): binary})
    (found,) = Case(observed, machine(folders=PLACES)).found()
    assert (found.level, found.subject, found.model, found.fix) == ("note", "boot", "a", starts.fix)
    assert found.found == "CT 101 is started at boot, whatever desired.yaml says"


DEAF = Reason(
    "Wake-on-LAN is off at eth0 of box",
    "`sudo ethtool -s eth0 wol g` there arms it until the next boot",
)


def of_guards(power: WantedPower | None, guards: Guards) -> list[Finding]:
    """Judge a host whose power is wanted so, and what its system says against sending it down."""
    slice_ = slice_of(("a",), A, power=power, capabilities=Capabilities(can_shut_down=True))
    seen_ = world(slice_).predicting("test", {GUARDS(HOST): guards})
    assert GUARDS(HOST) in findings.questions(slice_)
    return list(findings.of_host(slice_, seen_, machine(folders=PLACES[:1]), OURS))


@pytest.mark.parametrize(("power", "level"), [("off", "wrong"), ("on", "wrong"), (None, "note")])
def test_what_keeps_a_host_from_going_down_or_coming_back_is_named_with_its_remedy(
    power: WantedPower | None, level: str
) -> None:
    barred, deaf = of_guards(
        power,
        Guards(permission_problem=Reason("this user may not power it off"), wake_problem=DEAF),
    )
    assert (barred.level, barred.subject, barred.found) == (
        level,
        "power",
        "this user may not power it off",
    )
    assert barred.fix == "fix that, or `power:` of box in inventory.yaml"
    assert (deaf.level, deaf.found) == (level, "Wake-on-LAN is off at eth0 of box")
    assert deaf.fix == "`sudo ethtool -s eth0 wol g` there arms it until the next boot"


def test_a_user_who_is_logged_in_for_now_is_no_finding() -> None:
    assert of_guards("off", Guards(logins=(Login(user="ana", place="tty1"),))) == []
    assert GUARDS(HOST) not in findings.questions(SLICE)


def test_weights_of_another_task_are_named() -> None:
    found = seen(weights_a=Weights(path="a.gguf", exists=True, architecture="nomic-bert-moe"))
    assert told(found) == [("wrong", "weights", "a")]
    assert "`task: embedding`" in found[0].fix


@pytest.mark.parametrize(
    ("port", "level", "of"), [("port_8080", "wrong", "a"), ("port_8081", "note", "b")]
)
def test_a_port_that_a_stranger_holds_stands_in_the_way_of_what_is_wanted(
    port: str, level: str, of: str
) -> None:
    owner = PortOwner(pid=9, name="llama-server", service=Service(name="x.service", scope="user"))
    found = seen(**{port: PortState(owner=owner)})
    assert told(found) == [(level, "port", of)]
    assert "llama-server (pid 9, x.service)" in found[0].found
    assert found[0].fix.startswith(
        "`systemctl --user disable --now x.service` ends it for good; or give"
    )


def test_who_holds_the_port_of_a_unit_that_is_not_seen_is_not_told() -> None:
    held = PortState(owner=PortOwner(pid=9, name="docker-proxy"))
    hidden = world(SLICE, port_8080=held).seeing({UNIT(HOST, "a"): Unknown("it is silent")})
    assert told(Case(hidden, machine(folders=PLACES)).found()) == [("wrong", "access", "")]


def test_a_port_of_ours_is_well() -> None:
    assert seen(port_8080=PortState(owner=PortOwner(pid=9, name="llama-server", model="a"))) == []


def test_a_claim_of_another_controller_is_named_with_its_directory() -> None:
    mine, theirs = (
        ME.claim(instant(1.0)),
        Claim(controller="you", name="attic", directory="/d", at=1.0),
    )
    key = CLAIM(HOST)
    assert Case(world(SLICE).predicting("test", {key: mine}), machine(folders=PLACES)).found() == []
    found = Case(world(SLICE).predicting("test", {key: theirs}), machine(folders=PLACES)).found()
    assert told(found) == [("wrong", "claim", "")]
    assert (found[0].found, found[0].fix) == (
        f"host {HOST} is claimed by attic (data directory /d)",
        "act from attic, or stop that controller and use `reconciler apply --take-over`",
    )


def test_device_nodes_that_may_not_be_used_are_named_with_the_group() -> None:
    nodes = [
        DeviceNode(path=f"/dev/{name}", usable=name == "ok", group=group)
        for name, group in (("a", "render"), ("b", "video"), ("ok", "x"))
    ]
    found = seen(nodes=(*nodes, DeviceNode(path="/dev/c", usable=False, group="root")))
    assert [one.fix for one in found] == [
        "`sudo usermod -aG render ann`, then log in again",
        "`ls -l /dev/c` shows who may; a udev rule lets others in",
        "`sudo usermod -aG video ann`, then log in again",
    ]


def test_memory_that_cannot_be_read_is_said_of_the_card() -> None:
    found = with_unknown(GPU(HOST), "its memory cannot be read")
    assert told(found) == [("wrong", "gpu", "")]
    assert "`gpu: none`" in found[0].fix


def test_what_cannot_be_seen_is_said_once() -> None:
    observed = world(SLICE).seeing(
        {kind(HOST, "a"): Unknown("it is silent") for kind in (WEIGHTS, BINARY)}
    )
    found = Case(observed, machine(folders=PLACES)).found()
    assert told(found) == [("wrong", "access", "")]
    assert "it is silent" in found[0].found
    following = {HEALTH(HOST, "a"): Unknown("unit host/a: it is silent")}
    (only,) = Case(observed.seeing(following), machine(folders=PLACES)).found()
    assert only.found.endswith(f"{HOST}/a: it is silent")


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"writable": False}, "wrong", "cannot be written by ann"),
        ({"free_bytes": 1024**2}, "wrong", "1.0 MiB are left"),
        ({"free_bytes": 2 * 1024**3}, "note", "2.0 GiB are left"),
    ],
)
def test_a_slot_folder_must_be_writable_and_have_room(
    changed: dict[str, Any], level: str, said: str
) -> None:
    large = Weights(path="a.gguf", exists=True, context=131072, kv_bytes_per_token=147456)
    found = seen(folders=(folder("/host/models/a/slots", **changed), PLACES[1]), weights_a=large)
    assert [(one.level, one.subject, one.model, one.host) for one in found] == [
        (level, "slots", "a", HOST)
    ]
    assert said in found[0].found


def test_conversations_that_are_not_kept_need_no_room() -> None:
    hybrid = Weights(
        path="a.gguf", exists=True, context=131072, kv_bytes_per_token=147456, keepable=False
    )
    assert (
        seen(
            folders=(folder("/host/models/a/slots", free_bytes=1024**3), PLACES[1]),
            weights_a=hybrid,
        )
        == []
    )


def test_without_a_home_the_option_for_the_journal_is_no_way_out_for_conversations() -> None:
    place = folder("/.local/state/reconciler-host/models/a/slots", nearest="/", writable=False)
    assert [one.fix for one in seen(folders=(place, PLACES[1]))] == [
        "HOME is not set; set it, or XDG_STATE_HOME"
    ]


def test_a_host_that_is_silent_is_named() -> None:
    found = findings.of_silence(SLICE, "no route")
    assert (found.level, found.subject, found.host, found.found) == (
        "wrong",
        "access",
        HOST,
        "it cannot be inspected: no route",
    )


def test_a_host_that_says_why_it_cannot_be_looked_at_is_not_to_be_switched_on() -> None:
    why = Reason("python3 there is 3.6", "install 3.9")
    found = findings.of_silence(SLICE, why)
    assert (found.found, found.fix) == (
        "it cannot be inspected: python3 there is 3.6",
        "install 3.9; then run this again",
    )


def test_a_person_reads_every_finding_with_its_fix() -> None:
    note = Finding(level="note", subject="git", found="f", fix="do it")
    wrong = Finding(
        level="wrong", host="box", model="a", subject="port", found="held", fix="kill 9"
    )
    document = Findings(hosts=("box",), findings=(note, wrong))
    assert document.wrong
    schema = json.loads((ROOT / "schemas" / "doctor.schema.json").read_text(encoding="utf-8"))
    assert list(unfit(document.model_dump(mode="json"), schema)) == []
    assert doctor_text(document.model_dump(mode="json")).splitlines() == [
        "note   git: f",
        "       do: do it",
        "wrong  port box/a: held",
        "       do: kill 9",
        "Looked at files, journal and box: 1 thing wrong.",
    ]
    assert (
        doctor_text(Findings(hosts=(), findings=()).model_dump())
        == "Looked at files, journal and no host: nothing wrong."
    )


def test_a_defect_of_ours_is_a_finding_of_its_host_with_the_file_to_send() -> None:
    found = findings.of_defect(
        HOST, "this is a defect of reconciler: its traceback is in /data/traces/1.txt"
    )
    assert (found.level, found.host, found.subject) == ("wrong", HOST, "defect")
    assert "/data/traces/1.txt" in found.found
    assert "report it" in found.fix


def test_a_client_that_makes_an_engine_read_all_again_is_named_with_the_way_out() -> None:
    (found,) = seen(traffic_a=Traffic(rereader="Claude Code 2.1.100"))
    assert (found.level, found.subject, found.model) == ("note", "client", "a")
    assert "Claude Code 2.1.100" in found.found
    assert "CLAUDE_CODE_ATTRIBUTION_HEADER=0" in found.fix
    assert seen(traffic_a=Traffic(in_flight=1)) == []
