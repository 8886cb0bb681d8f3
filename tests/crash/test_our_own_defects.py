"""Whatever of ours breaks about one host, the others end as wanted and the watch lives."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.core import gate, planner, policy
from reconciler.core.report import findings
from reconciler.errors import WriteFailed
from reconciler.loop import hints_cache
from reconciler.steps.await_healthy import AwaitHealthy
from reconciler.steps.start import Start
from reconciler.verbs import apply, doctor, plan, status
from reconciler.verbs.context import Caller
from tests.trio import Trio

HEALTHY = ("one", "two")
WORDS = "nobody thought of this"
IN_A_PASS: list[tuple[Any, str]] = [
    (policy, "aim"), (planner, "plan"), (gate, "refusals"), (hints_cache, "after"),
    (policy, "is_reached"), (Start, "blocked_by"), (AwaitHealthy, "holds"),
]  # fmt: skip
"""Where it breaks: before a run is opened, and while it is."""

BETWEEN_PASSES: tuple[Any, str] = (policy, "next_look")
AS_WANTED = {name: ["a"] for name in HEALTHY}


def broken(
    patch: pytest.MonkeyPatch, owner: Any, name: str, error: Exception | None = None
) -> None:
    """Have a function of ours raise whenever it is asked about what is on the one host."""
    true: Callable[..., Any] = getattr(owner, name)

    def breaks(*given: Any, **more: Any) -> Any:
        if "'bad'" in repr(given) and "defect of reconciler" not in repr(given):
            raise error or ZeroDivisionError(WORDS)
        return true(*given, **more)

    patch.setattr(owner, name, breaks)


def whole(tmp_path: Path) -> Trio:
    return Trio(tmp_path, frozenset(), "raises")


def applied(trio: Trio) -> dict[str, str]:
    outcome = trio.run(
        apply.run,
        trio.context,
        apply.ApplyRequest(approved=True),
        Caller(lambda _: True, trio.said.append),
    )
    return {host.host: host.outcome for host in outcome.document.hosts}


def serving(trio: Trio) -> dict[str, list[str]]:
    return {name: trio.serving(name) for name in HEALTHY}


@pytest.mark.parametrize("place", IN_A_PASS, ids=lambda one: one[1])
def test_what_breaks_in_the_pass_of_one_host_leaves_its_outcome_unknown_and_the_others_as_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]
) -> None:
    trio = whole(tmp_path)
    with monkeypatch.context() as patch:
        broken(patch, *place)
        assert applied(trio) == {"one": "applied", "bad": "unknown", "two": "applied"}
    assert serving(trio) == AS_WANTED
    assert applied(trio)["bad"] in {"applied", "in_sync"}
    assert trio.serving("bad") == ["a"]


@pytest.mark.parametrize("place", [*IN_A_PASS, BETWEEN_PASSES], ids=lambda one: one[1])
def test_a_watch_outlives_what_breaks_about_one_host_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str]
) -> None:
    trio = whole(tmp_path)
    with monkeypatch.context() as patch:
        broken(patch, *place)
        trio.clock.run(trio.watched, 600.0)
    assert serving(trio) == AS_WANTED
    said = (
        f"bad: unknown; this is a defect of reconciler: ZeroDivisionError: {WORDS}; its traceback"
        " is in "
    )
    assert {line for line in trio.said if line.startswith("bad: unknown")} == {
        f"{said}{file}" for file in tmp_path.iterdir()
    }
    assert trio.life.calls.count("contact") < 600 * 3


def test_every_command_that_looks_says_what_breaks_of_one_host_and_all_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = whole(tmp_path)
    applied(trio)
    for owner, name in ((planner, "plan"), (status, "host_status"), (findings, "of_silence")):
        with monkeypatch.context() as patch:
            broken(patch, owner, name)
            shown = [
                trio.document(partial(plan.run, trio.context, detailed=False))["hosts"],
                trio.document(partial(status.run, trio.context, exit_code=False))["hosts"],
            ]
            found = trio.document(doctor.run, trio.context, None)
        (file,) = tmp_path.iterdir()
        assert str(file) in json.dumps([*shown, found])
        assert all(
            str(file) not in json.dumps(one)
            for hosts in shown
            for one in hosts
            if one["host"] != "bad"
        )
        assert found["hosts"] == ["bad", "one", "two"]
        file.unlink()


def test_a_plan_that_fits_no_more_refuses_its_host_and_no_other(tmp_path: Path) -> None:
    trio = whole(tmp_path)
    applied(trio)
    trio.slices = {name: one.model_copy(update={"active": ()}) for name, one in trio.slices.items()}

    def approve(_: object) -> bool:
        trio.worlds["bad"].processes.clear()
        return True

    outcome = trio.run(
        apply.run, trio.context, apply.ApplyRequest(), Caller(approve, trio.said.append)
    )
    ended = {host.host: (host.outcome, *host.reasons) for host in outcome.document.hosts}
    assert ended == {
        "bad": (
            "refused",
            (
                "PlanStale: this plan is not the one that was approved; look again with `reconciler"
                " plan`"
            ),
        ),
        "one": ("applied",),
        "two": ("applied",),
    }


def test_what_can_be_recorded_no_more_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, policy, "aim", WriteFailed("the disk is full"))
    with pytest.raises(ExceptionGroup) as ended:
        applied(whole(tmp_path))
    assert ended.group_contains(WriteFailed)
