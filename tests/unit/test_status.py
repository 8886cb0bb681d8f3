"""What a person is told about hosts, models and runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from reconciler.core.canonical import digest
from reconciler.core.phrases import WAITS, seen
from reconciler.core.planner import plan
from reconciler.core.policy import Aim
from reconciler.core.projection import host_status
from reconciler.core.recovery import Hints, fold
from reconciler.core.retention import carried
from reconciler.model.facts import Fingerprint, Health, Known, Phase, Saved, Unit, Unknown
from reconciler.model.gpu import Card, Gpu
from reconciler.model.leasing import Leased
from reconciler.model.observed import HEALTH, POWER, UNIT, FactKey, FactKind, FactValue, Observed
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Power
from reconciler.model.records import Hold, Record, RollBack, Row, RunClosed, RunOpened, StepDone
from reconciler.model.spec import Slice
from reconciler.model.status import Condition
from reconciler.render.documents import HistoryDocument
from reconciler.render.terminal_style import Look
from reconciler.render.text import history_text, status_text
from tests.clocks import instant
from tests.runs import history
from tests.sample_worlds import HOST, NO_HINTS, PROVENANCE, model, slice_of, target, unit, world

A = model("a")
WANTED = slice_of(("a",), A)
CARD = Gpu(cards=(Card(total=2**31, free=2**30),))


def rows(*records: Record) -> list[Row]:
    return [
        Row(seq=seq, when=instant(100.0 + seq), record=record)
        for seq, record in enumerate(records, start=1)
    ]


def opened() -> RunOpened:
    return RunOpened(
        host=HOST, mode="forward", slice=WANTED, digest=digest(WANTED), key=digest("key"),
        generation=3, trigger="apply", provenance=PROVENANCE, plan=("start a",),
    )  # fmt: skip


def test_a_run_that_a_request_brought_about_names_it() -> None:
    leased = Leased(host=HOST, model="b", wanted=digest(WANTED), request="mine-1234")
    lent = opened().model_copy(update={"mode": "lease"})
    told = history(rows(leased, lent, opened(), lent.model_copy(update={"host": "other"})))
    assert [run["request"] for run in told] == ["mine-1234", "", ""]
    document = HistoryDocument.model_validate({"directory": "d", "runs": told[:1]})
    shown = history_text(document.model_dump(mode="json"))
    assert "for the request mine-1234" in shown


def done(**changed: Any) -> StepDone:
    fields: dict[str, Any] = {
        "host": HOST,
        "run": 1,
        "number": 1,
        "step": "start",
        "model": "a",
        "outcome": "done",
        "seconds": 1.0,
    }
    return StepDone(**fields | changed)


FAILED = RunClosed(
    host=HOST,
    run=1,
    verdict="failed",
    reason="StartFailed",
    message="it died",
    key=digest("key"),
    quarantines=True,
    log=("bad",),
)


def told(slice_: Slice, observed: Observed, hints: Hints = NO_HINTS) -> dict[str, Condition]:
    status = host_status(slice_, observed, hints, plan(target(slice_), observed, hints))
    (of_model,) = (one.conditions for one in status.models)
    return {one.type: one for one in status.conditions} | {
        f"model {one.type}": one for one in of_model
    }


def words(condition: Condition) -> tuple[str, str, str]:
    return condition.status, condition.reason, condition.message


def test_a_host_that_serves_what_is_wanted_is_ready() -> None:
    conditions = told(WANTED, world(WANTED, {"a": unit("a")}))
    assert words(conditions["Ready"]) == ("True", "InSync", "in sync (a)")
    assert words(conditions["model Ready"]) == ("True", "Serving", "")
    assert len(conditions) == 2


def test_what_did_not_come_back_and_what_is_damaged_is_noted() -> None:
    seen = world(WANTED, {"a": unit("a")}, saved_a=Saved(problems=("slot file x is missing",)))
    hints = replace(NO_HINTS, notes=("a: slot 0 (500 tokens) started cold",))
    status = host_status(WANTED, seen, hints, plan(target(WANTED), seen, hints))
    assert status.notes == ("a: slot 0 (500 tokens) started cold", "a: slot file x is missing")


def test_a_model_that_is_missing_has_drifted() -> None:
    conditions = told(WANTED, world(WANTED))
    assert words(conditions["Ready"]) == ("False", "ChangesPending", "nothing -> a")
    assert words(conditions["model Ready"]) == ("False", "NotRunning", "")
    assert words(conditions["model Drifted"]) == ("True", "NotRunning", "it should be active")


@pytest.mark.parametrize(
    ("served", "running", "message"),
    [
        (("a",), {}, "nothing -> a; a served before, and is gone"),
        (("b",), {}, "nothing -> a"),
        (None, {}, "nothing -> a"),
        (("a",), {"a": unit("a", digest="v1:older")}, "a -> a"),
    ],
)
def test_a_model_that_served_and_was_not_stopped_here_is_said_to_be_gone(
    served: tuple[str, ...] | None, running: dict[str, Unit], message: str
) -> None:
    hints = Hints(last_good=slice_of(served, A, model("b")), last_good_digest="v1:x")
    assert told(WANTED, world(WANTED, running), hints)["Ready"].message == message


def test_a_model_that_runs_and_should_not_has_drifted() -> None:
    none = slice_of((), A)
    assert told(none, world(none, {"a": unit("a")}))["model Drifted"].reason == "Running"
    assert "model Drifted" not in told(none, world(none))


def test_a_model_of_another_definition_has_drifted() -> None:
    conditions = told(WANTED, world(WANTED, {"a": unit("a", digest=digest("before"))}))
    assert conditions["model Drifted"].reason == "OtherDefinition"


def test_an_unmanaged_model_never_drifts() -> None:
    unmanaged = slice_of(None, A)
    assert "model Drifted" not in told(unmanaged, world(unmanaged, {"a": unit("a")}))


def test_a_model_that_loads_is_not_ready_and_says_so() -> None:
    loading = world(
        WANTED, {"a": unit("a")}, health_a=Health(phase="loading", message="half of it")
    )
    assert words(told(WANTED, loading)["model Ready"]) == (
        "False",
        "NotServing",
        "loading: half of it",
    )


def test_settings_of_a_service_that_differ_are_told_of_it_and_change_nothing() -> None:
    seen = told(
        WANTED,
        world(WANTED, {"a": unit("a")}, health_a=Health(phase="ready", notes=("it holds less",))),
    )
    assert words(seen["Ready"])[:2] == ("True", "InSync")
    assert words(seen["model Ready"]) == ("True", "Serving", "it holds less")


@pytest.mark.parametrize(
    ("phase", "of_host", "of_model"),
    [
        ("locked", ("True", "InSync"), ("Unknown", "Locked")),
        ("unclear", ("False", "Unmet"), ("Unknown", "Unclear")),
        ("other", ("False", "Unmet"), ("False", "OtherModel")),
    ],
)
def test_a_model_that_answers_in_another_way_is_named_as_what_it_is(
    phase: Phase, of_host: tuple[str, str], of_model: tuple[str, str]
) -> None:
    seen = told(
        WANTED, world(WANTED, {"a": unit("a")}, health_a=Health(phase=phase, message="so it says"))
    )
    assert words(seen["Ready"])[:2] == of_host
    assert words(seen["model Ready"]) == (*of_model, "so it says")
    assert ("model Drifted" in seen) == (phase == "other")


def test_a_model_that_cannot_be_seen_is_unknown() -> None:
    hidden = world(WANTED).seeing({UNIT(HOST, "a"): Unknown("no answer")})
    conditions = told(WANTED, hidden)
    assert words(conditions["model Ready"]) == ("Unknown", "NotSeen", "no answer")
    assert conditions["Ready"].status == "Unknown"
    assert conditions["Ready"].reason == "Refused"


def test_a_run_that_is_open_is_said_with_its_time() -> None:
    conditions = told(WANTED, world(WANTED), fold(rows(opened()))[HOST])
    assert words(conditions["Reconciling"]) == (
        "True",
        "RunOpen",
        "run 1 was opened and has not ended",
    )
    assert conditions["Reconciling"].since == 101.0


def test_a_failure_is_said_with_its_time_and_the_generation_it_was_judged_at() -> None:
    hints = fold(rows(opened(), FAILED))[HOST]
    observed = world(WANTED)
    status = host_status(WANTED, observed, hints, plan(target(WANTED), observed, hints))
    stalled = status.conditions[-1]
    assert (stalled.reason, stalled.since, stalled.observed_generation) == ("StartFailed", 102.0, 3)
    assert status.conditions[0].since == 102.0
    assert (status.failure, status.log) == ("StartFailed: it died", ("bad",))


def test_history_tells_every_run_with_its_steps_and_its_end() -> None:
    slots = {"slots": [{"slot": 0, "tokens": 500, "outcome": "proven"}]}
    (run,) = history(rows(opened(), done(), done(step="restore_slots", evidence=slots), FAILED))
    assert [step["said"] for step in run["steps"]] == ["", "slot 0: 500 tokens proven"]
    assert (run["verdict"], run["message"], run["log"]) == ("failed", "it died", ["bad"])


@pytest.mark.parametrize(
    ("lost", "said"), [([2], "lost: what was in slot 2"), ([0, 3], "lost: what was in slots 0, 3")]
)
def test_history_tells_what_ended_with_a_unit_although_it_was_to_be_kept(
    lost: list[int], said: str
) -> None:
    (run,) = history(rows(opened(), done(step="stop", evidence={"gone": True, "lost": lost})))
    assert [step["said"] for step in run["steps"]] == [said]


def test_a_run_that_is_restated_while_its_opening_is_still_kept_is_told_once() -> None:
    said = rows(opened(), done())
    (restated,) = carried(said, ())
    (run,) = history([*said, *rows(opened(), done(), restated, done(step="stop"))[2:]])
    assert [step["step"] for step in run["steps"]] == ["start", "stop"]


def test_history_leaves_out_the_end_of_a_run_that_it_does_not_know() -> None:
    assert history(rows(done(run=7), FAILED.model_copy(update={"run": 7}))) == []


@pytest.mark.parametrize(
    ("kind", "value", "phrase"),
    [
        ("power", "on", "power box: on"),
        ("unit", unit("a", 7), "unit box: runs (pid 7)"),
        ("unit", None, "unit box: not there"),
        ("port", PortState(), "port box: nothing listens"),
        (
            "port",
            PortState(owner=PortOwner(pid=None, name="nginx")),
            "port box: nginx listens (pid unknown)",
        ),
        ("health", Health(phase="ready"), "health box: ready"),
        ("health", Health(phase="loading", message="half"), "health box: loading: half"),
        ("gpu", Gpu(), ""),
        ("gpu", CARD, "gpu box: 1.0 GiB are free; memory is held by no process that can be named"),
        ("power", Power(state="on"), "power box: on (it answers)"),
        ("fingerprint", Fingerprint(digest="x"), ""),
    ],
)  # fmt: skip
def test_what_was_seen_is_said_in_words(kind: str, value: FactValue, phrase: str) -> None:
    key = FactKey[Any](cast("FactKind", kind), HOST)
    assert seen([key], Observed({key: Known(value)})) == phrase


def test_what_is_unknown_for_one_reason_is_said_once() -> None:
    keys = [POWER(HOST), UNIT(HOST, "a"), HEALTH(HOST, "a")]
    observed = Observed(
        {
            keys[0]: Unknown("it is silent"),
            keys[1]: Unknown("it is silent"),
            keys[2]: Known(Health(phase="ready")),
        }
    )
    assert seen(keys, observed) == "power box is not known: it is silent; health box/a: ready"


def test_a_host_that_is_held_is_not_ready_and_says_why_and_until_when() -> None:
    hints = fold(rows(opened(), Hold(host=HOST, reason="a game", until=86_400.0 * 400)))[HOST]
    conditions = told(WANTED, world(WANTED), hints)
    assert (conditions["Ready"].status, conditions["Ready"].reason) == ("False", "Held")
    held = conditions["Held"]
    assert held.message.startswith("held until 1971-02-0")
    assert held.message.endswith(": a game; `reconciler resume box` ends it")


def test_a_wish_left_by_rollback_is_no_failure_and_the_way_on_is_said() -> None:
    gone_back = RollBack(host=HOST, slice=WANTED, digest=digest(WANTED), leaves=digest("key"))
    hints = fold(rows(opened(), gone_back))[HOST]
    made = plan(target(WANTED), world(WANTED), NO_HINTS)
    refused = made.model_copy(
        update={"refusals": ("left by `reconciler rollback`",), "cause": hints.quarantine}
    )
    status = host_status(WANTED, world(WANTED), hints, refused)
    (ready,) = [one for one in status.conditions if one.type == "Ready"]
    assert (ready.status, ready.reason) == ("False", "RolledBack")
    assert "`reconciler retry`" in ready.message
    assert (status.failure, [one.type for one in status.conditions if one.type == "Stalled"]) == (
        "",
        [],
    )
    (edited,) = [
        one
        for one in host_status(WANTED, world(WANTED), hints, made).conditions
        if one.type == "Ready"
    ]
    assert edited.reason == "ChangesPending"


def test_a_wish_that_failed_says_once_what_failed_and_ready_says_the_way_on() -> None:
    hints = fold(rows(opened(), FAILED))[HOST]
    assert hints.quarantine is not None
    made = plan(target(WANTED), world(WANTED), NO_HINTS)
    aim = Aim(target(WANTED), "forward", digest(WANTED), hints.quarantine)
    refused = made.model_copy(
        update={
            "refusals": (aim.refusal, "start a: weights are missing"),
            "cause": hints.quarantine,
        }
    )
    conditions = {
        one.type: one for one in host_status(WANTED, world(WANTED), hints, refused).conditions
    }
    ready, stalled = conditions["Ready"], conditions["Stalled"]
    assert (ready.status, ready.reason) == ("False", "Quarantined")
    assert f"failed in run 1, and {WAITS}; start a: weights" in ready.message
    assert stalled.message == FAILED.message
    assert stalled.message not in ready.message


def test_a_model_that_serves_has_an_address_and_no_other_has() -> None:
    both = slice_of(("a",), A, model("b"))
    up = world(both, {"a": unit("a")})
    told = host_status(both, up, NO_HINTS, plan(target(both), up, NO_HINTS)).model_dump(mode="json")
    assert [one["url"] for one in told["models"]] == [f"http://127.0.0.1:{A.port}/v1", ""]
    here = {"hosts": [told | {"host": "local"}]}
    narrow = status_text(here, Look(width=80)).splitlines()
    assert next(line for line in narrow if "/v1" in line).endswith(
        f"  http://127.0.0.1:{A.port}/v1"
    )
    assert max(map(len, narrow)) <= 80
    assert f" http://127.0.0.1:{A.port}/v1\n" in status_text(here, Look(width=30))
    away = status_text({"hosts": [told | {"host": "tower"}]})
    assert f"http://127.0.0.1:{A.port}/v1 on tower" in away
