"""Every way in which systemd says that a service ended is a true clause."""

from __future__ import annotations

import pytest

from reconciler.model.facts import Health
from reconciler.model.observed import HEALTH
from reconciler.onhost.results import CONTROLS, PROPERTIES, ending
from reconciler.steps.await_healthy import AwaitHealthy
from tests.sample_worlds import HOST, model, slice_of, unit, world

NOTHING = (
    "nothing of it ran, or it was over at once: a condition of its unit is not met, or a unit that"
    " it requires failed"
)


def state(result: str, code: str = "0", status: str = "0", **changed: str) -> dict[str, str]:
    return {
        **dict.fromkeys(PROPERTIES, ""),
        "Result": result,
        "ExecMainCode": code,
        "ExecMainStatus": status,
        **changed,
    }


def ran(code: str, status: str) -> str:
    """Return how `systemctl show` tells of a program beside a service's own."""
    return (
        f"={{ path=/bin/sh ; argv[]=/bin/sh -c x ; start_time=[n/a] ; pid=97 ; code={code} ;"
        f" status={status} }}"
    )


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (state("success", "1", "0"), "it ended with status 0 before it served"),
        (state("exit-code", "1", "3"), "it ended with status 3 before it served"),
        (state("signal", "2", "9"), "it was ended by SIGKILL before it served"),
        (state("signal", "2", "999"), "it was ended by signal 999 before it served"),
        (state("core-dump", "3", "11"), "it crashed by SIGSEGV before it served"),
        (
            state("exit-code", "1", "203"),
            (
                "it ended with status 203, with which systemd says that it could not run it"
                " (systemd.exec(5)) before it served"
            ),
        ),
        (
            state("timeout", "2", "15"),
            "a time limit of its unit had passed (TimeoutStartSec=, RuntimeMaxSec=)",
        ),
        (state("watchdog", "2", "6"), "it gave no sign of life within WatchdogSec="),
        (
            state("protocol", "1", "0"),
            "it ended, or left no PID file, before it said that it is ready, as its Type= wants",
        ),
        (state("oom-kill", "2", "9"), "the kernel ended it because memory ran out"),
        (
            state("start-limit-hit", "1", "1"),
            "it was started too often in a short time (StartLimitBurst=)",
        ),
        (state("exec-condition"), "its ExecCondition= did not let it start"),
        (state("resources"), "systemd could not get what it needs to start it"),
        (state("success"), NOTHING),
        (state("success", ""), NOTHING),
        (state("success", ConditionResult="no", ConditionTimestampMonotonic="0"), NOTHING),
        (
            state("success", ConditionResult="no", ConditionTimestampMonotonic="7"),
            "a condition of its unit is not met (Condition...=)",
        ),
    ],
)
def test_every_result_of_systemd_is_a_clause(seen: dict[str, str], said: str) -> None:
    assert ending(seen, {}, " before it served") == said


@pytest.mark.parametrize("name", CONTROLS)
def test_a_program_beside_the_service_that_failed_is_named_and_not_the_service(name: str) -> None:
    both = ran("exited", "0") + "\n" + ran("exited", "32")
    assert (
        ending(state("exit-code", "2", "15"), {name: both}) == f"its {name}= ended with status 32"
    )
    assert (
        ending(state("signal"), {name: ran("killed", "9")}) == f"its {name}= was ended by SIGKILL"
    )
    assert (
        ending(state("core-dump"), {name: ran("dumped", "11")}) == f"its {name}= crashed by SIGSEGV"
    )
    assert (
        ending(state("timeout"), {name: ran("killed", "15")})
        == f"its {name}= ran too long (TimeoutStartSec=)"
    )


def test_a_program_beside_the_service_that_did_not_fail_is_not_blamed() -> None:
    beside = {"ExecStartPre": ran("exited", "0"), "ExecStartPost": "={ code=(null) ; status=0/0 }"}
    assert ending(state("exit-code", "1", "3"), beside) == "it ended with status 3"
    assert (
        ending(state("exec-condition"), {"ExecCondition": ran("exited", "1")})
        == "its ExecCondition= did not let it start"
    )


def test_a_wait_for_a_service_that_fails_says_how_it_did() -> None:
    step = AwaitHealthy(host=HOST, model="a", port=8080, digest="v1:a")
    failed = world(
        slice_of(("a",), model("a")), {"a": unit("a", leader=False, ended="it ended with status 3")}
    )
    assert step.blockers(failed) == ("it ended with status 3",)
    left = world(slice_of(("a",), model("a")), {"a": unit("a", leader=False)})
    assert step.blockers(left) == ("it exited while loading, and left processes behind",)
    assert step.blockers(world(slice_of(("a",), model("a")))) == ("it exited while loading",)


def test_a_wait_for_a_model_whose_port_another_process_took_is_pointless() -> None:
    step = AwaitHealthy(host=HOST, model="a", port=8080, digest="v1:a")
    other = Health(phase="stranger", message="nginx listens there")
    taken = world(slice_of(("a",), model("a")), {"a": unit("a")}, health_a=other)
    assert step.blockers(taken) == (f"{HEALTH(HOST, 'a')}: nginx listens there",)
