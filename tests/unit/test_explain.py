"""An explanation says what is known of a thing, why it is so, and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import phrases
from reconciler.core.report.explain import of_host, of_model, of_reason, of_run, of_step
from reconciler.edge.error_pages import reasons
from reconciler.loop.survey import HostSurvey
from reconciler.model.explanation import Explanation
from reconciler.model.facts import Weights
from reconciler.model.gpu import GIB, Card
from reconciler.model.spec import Kind
from reconciler.steps.plan import STEPS
from tests.casefile import (
    FOLDER,
    Case,
    Given,
    ModelGiven,
    RunningGiven,
    SavedGiven,
    SlotGiven,
    WantedGiven,
    read,
)
from tests.casework import looked
from tests.rules.test_errors import said
from tests.rules.tree import for_each
from tests.sample_worlds import unit


def says(explanation: Explanation) -> dict[str, str]:
    return {fact.about: fact.says for fact in explanation.facts}


def a_looked(model: ModelGiven | None = None, **given: Any) -> HostSurvey:
    wanted = WantedGiven(active=("a",), models={"a": model or ModelGiven()})
    return looked(Case(says="", wanted=wanted, given=Given(**given)))


def model_a(*, model: ModelGiven | None = None, **given: Any) -> dict[str, str]:
    seen = a_looked(model, **given)
    return says(of_model(seen.slice, seen.slice.models[0], seen.observed, seen.hints, seen.plan))


def host_of(name: str) -> Explanation:
    seen = looked(read(FOLDER / f"{name}.yaml"))
    return of_host(seen.slice, seen.observed, seen.hints, seen.plan)


def test_a_model_is_told_by_what_is_wanted_and_seen_of_it() -> None:
    told = model_a(running={"a": RunningGiven(slots=(SlotGiven(tokens=500),))})
    assert told["wanted"] == "active"
    assert told["seen"] == "runs (pid 100), ready"
    assert told["Ready True"] == "Serving"
    assert told["next"] == "nothing: in sync (a)"


def test_memory_says_whether_it_is_written_or_estimated_or_not_known() -> None:
    weights = Weights(path="a.gguf", exists=True, memory_bytes=3 * GIB, context=4096)
    assert (
        model_a(model=ModelGiven(vram=4 * GIB))["memory"]
        == "4.0 GiB, as `vram:` in inventory.yaml says"
    )
    assert model_a(weights={"a": weights})["memory"].startswith(
        "about 3.0 GiB, estimated from its weights and a context of 4096"
    )
    assert (
        model_a(weights={"a": Weights(path="a", exists=False, problem="gone")})["memory"]
        == "not known: gone"
    )
    assert model_a(unknown={"weights a": "nobody answers"})["memory"] == "not known"


def test_weights_that_are_not_as_the_inventory_says_are_told() -> None:
    weights = Weights(path="a.gguf", exists=True, memory_bytes=3 * GIB, context=4096)
    assert "weights" not in model_a(weights={"a": weights})
    others = weights.model_copy(update={"problem": "its command line loads b.gguf"})
    assert model_a(weights={"a": others})["weights"] == "its command line loads b.gguf"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"model": ModelGiven(conversations="drop")},
            "not kept: its definition says `conversations: drop`",
        ),
        (
            {"model": ModelGiven(engine_keeps=False)},
            "not kept: the engine llamacpp cannot save them",
        ),
        (
            {
                "weights": {
                    "a": Weights(
                        path="a",
                        exists=True,
                        architecture="mamba",
                        keepable=False,
                        remedy="use another",
                    )
                }
            },
            "not kept: mamba cannot restore them; use another",
        ),
        (
            {"running": {"a": RunningGiven(definition="older")}},
            "not kept: it runs with another definition",
        ),
        (
            {"running": {"a": RunningGiven(replaced=True)}},
            "not kept: its weights or its program changed since it started",
        ),
        (
            {"saved": {"a": (SavedGiven(tokens=8112),)}},
            "kept: saved before a stop, and put back after the start",
        ),
        ({"saved": {"a": (SavedGiven(tokens=8112),)}}, "saved now: 1 with 8,112 tokens"),
        (
            {
                "saved": {
                    "a": (
                        SavedGiven(tried={90: ("failed",), 99: ("proven",)}),
                        SavedGiven(slot=1, tried={99: ("unverified",)}),
                    )
                }
            },
            "saved now: 2 with 1,000 tokens; last put back: 1 proven, 1 unverified",
        ),
        (
            {"running": {"a": RunningGiven(slots=(SlotGiven(counted=False),))}},
            "not kept: its server does not say what its slots hold",
        ),
        ({}, "none is saved now"),
    ],
)
def test_conversations_are_kept_or_it_is_said_why_not(given: dict[str, Any], said: str) -> None:
    assert said in model_a(**given)["conversations"]


def test_a_host_is_told_with_last_good_what_failed_and_what_would_come() -> None:
    told = says(host_of("quarantined"))
    assert told["last good"] == "a"
    assert told["quarantined"].startswith(
        "since run 3: AwaitHealthyFailed: out of memory; it is tried again once it changes"
    )
    assert told["next"].startswith("nothing: quarantined since run 3")
    assert told["Stalled True"] == "AwaitHealthyFailed: out of memory"


def test_a_host_whose_cards_can_be_read_says_what_is_free_on_them() -> None:
    seen = a_looked(gpu=(Card(total=2 * GIB, free=GIB),))
    told = says(of_host(seen.slice, seen.observed, seen.hints, seen.plan))
    assert told["memory"].startswith("1.0 GiB are free")


def test_models_that_are_not_managed_are_said_to_be_so() -> None:
    assert says(host_of("active_not_managed"))["wanted"].endswith(", models are not managed")
    seen = looked(read(FOLDER / "active_not_managed.yaml"))
    told = of_model(seen.slice, seen.slice.models[0], seen.observed, seen.hints, seen.plan)
    assert says(told)["wanted"] == "its host's models are not managed"


def test_a_host_whose_run_was_cut_short_says_in_which_step() -> None:
    told = says(host_of("cut_short_after_start"))
    assert told["open run"] == "run 1 has not ended, in start b; the next apply looks and continues"
    assert told["next"] == "`reconciler apply` would await_healthy b"
    assert told["last good"] == "none yet"


def test_the_power_of_a_host_is_told_with_what_it_was_judged_by() -> None:
    assert says(host_of("power_off_empty"))["power"] == "on (it answers)"
    assert says(host_of("power_off_proved"))["power"] == "off (proved: its plug draws 1 W)"
    inferred = says(host_of("power_off_inferred"))["power"]
    assert inferred.startswith("off (inferred: accepted to go down (run 1, ")
    assert inferred.endswith("), then silent for 30 s while the gateway answered)")
    assert says(host_of("power_nobody_asked"))["power"] == "not known: box does not answer"


def run_that(verdict: str, reason: str = "", **more: Any) -> Explanation:
    step = {
        "step": "start",
        "model": "b",
        "outcome": "failed",
        "seconds": 0.5,
        "said": "ended at once",
    }
    run = {
        "run": 7, "trigger": "use", "provenance": "desired 4f1c2ab", "host": "box", "continues": 3,
        "mode": "forward", "active": ["b"], "plan": ["start b"], "steps": [step],
        "causes": ["active model changes"], "request": "",
        "verdict": verdict, "reason": reason, "message": "start b: gone",
        "log": ["error: no such flag"],
    }  # fmt: skip
    return of_run(run | more, reasons())


def test_a_run_is_told_from_its_cause_to_what_to_do() -> None:
    explained = run_that("failed", "StartFailed")
    told = says(explained)
    assert (
        told["cause"]
        == "`reconciler use` of desired 4f1c2ab on box, going on from run 3, which was cut short:"
        " active model changes"
    )
    assert told["goal"] == "to b: start b"
    assert told["start b"] == "failed after 0.50 s: ended at once"
    assert told["end"] == "it failed: StartFailed: start b: gone"
    assert told["to do"].startswith("read its last words.")
    assert explained.log == ("error: no such flag",)


def test_a_run_that_went_well_leaves_nothing_to_do() -> None:
    told = says(run_that("promoted", message="", continues=None, mode="rollback"))
    assert told["end"] == "it was reached and stayed healthy: this is a state to go back to"
    assert told["goal"].startswith("back to b")
    assert "to do" not in told


def test_a_run_for_requests_says_so_and_is_no_state_to_go_back_to() -> None:
    lent: dict[str, Any] = {"mode": "lease", "trigger": "watch", "request": "req-1"}
    told = says(run_that("promoted", message="", continues=None, causes=["x"], **lent))
    said = "`reconciler watch` of desired 4f1c2ab on box, for the request req-1: x"
    assert (told["cause"], told["goal"]) == (said, "for a while to b: start b")
    assert told["end"] == "it was reached and stayed healthy"


@for_each(said)
def test_every_error_and_reason_is_told_with_what_to_do(name: str) -> None:
    told = says(of_reason(name, reasons()[name]))
    assert told["found"]
    assert told["to do"]
    assert "#" not in told["to do"]


@pytest.mark.parametrize("kind", STEPS)
def test_every_step_is_told_by_what_it_ensures(kind: str) -> None:
    told = says(of_step(kind))
    assert told["ensures"].endswith(".")
    assert told["when cut short"]


def test_a_model_that_was_started_before_says_how_long_that_takes() -> None:
    seen = looked(Case(says="", wanted=WantedGiven(active=("a",)), given=Given()))
    hints = replace(seen.hints, durations={("start", "a"): (1.0,), ("await_healthy", "a"): (4.5,)})
    told = says(of_model(seen.slice, seen.slice.models[0], seen.observed, hints, seen.plan))
    assert told["to start"] == "usually about 5.5 s"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": None, "scope": "user", "container": False, "owned": True}, "scope user, owned"),
        ({"container": "gemma", "image": None, "devices": "auto"}, "container gemma"),
    ],
)
def test_an_option_that_is_off_or_left_to_the_driver_is_not_told(
    options: dict[str, Any], said: str
) -> None:
    seen = a_looked()
    (model,) = seen.slice.models
    given = model.model_copy(update={"launcher": Kind(kind="systemd", options=options)})
    told = says(of_model(seen.slice, given, seen.observed, seen.hints, seen.plan))
    assert f"run by systemd ({said}), port" in told["defined as"]


def test_what_waits_to_be_started_again_has_no_process_to_name() -> None:
    assert (
        phrases.said(unit("a", pid=0, ended="it ended with status 1")) == "it ended with status 1"
    )
    assert phrases.said(unit("a", pid=0)) == "it waits to be started again"
    assert phrases.said(unit("a", pid=7)) == "runs (pid 7)"
