"""Whatever one host's driver raises, answers or leaves open, the other hosts end as wanted."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from reconciler.verbs import apply, doctor, plan, status
from reconciler.verbs.context import Caller
from tests.trio import BADNESS, MEMBERS, WORDS, Badness, Trio

ALL = frozenset(MEMBERS)
DAY = 600.0
HEALTHY = ("one", "two")


def applied(trio: Trio) -> dict[str, str]:
    outcome = trio.run(
        apply.run, trio.context, apply.ApplyRequest(), Caller(lambda _: True, trio.said.append)
    )
    return {host.host: host.outcome for host in outcome.document.hosts}


def violations(trio: Trio) -> list[object]:
    return [one for name in HEALTHY for one in trio.worlds[name].violations]


@pytest.mark.parametrize("badness", ["raises", "hangs", "knows nonsense"])
@pytest.mark.parametrize(("role", "name"), MEMBERS)
def test_a_driver_that_is_bad_at_one_thing_is_the_trouble_of_its_host_alone(
    tmp_path: Path, role: str, name: str, badness: Badness
) -> None:
    trio = Trio(tmp_path, frozenset({(role, name)}), badness)
    outcomes = applied(trio)
    assert {host: outcomes[host] for host in HEALTHY} == dict.fromkeys(HEALTHY, "applied")
    assert {
        host["host"]
        for host in trio.document(partial(plan.run, trio.context, detailed=True))["hosts"]
    } == {
        "one",
        "bad",
        "two",
    }
    assert trio.serving("one") == trio.serving("two") == ["a"]
    assert violations(trio) == []


@pytest.mark.parametrize("badness", BADNESS)
def test_a_driver_that_is_bad_at_everything_is_said_of_its_host_by_every_command(
    tmp_path: Path, badness: Badness
) -> None:
    trio = Trio(tmp_path, ALL, badness)
    assert applied(trio) == {"one": "applied", "bad": "refused", "two": "applied"}
    shown = {
        "plan": trio.document(partial(plan.run, trio.context, detailed=False)),
        "status": trio.document(partial(status.run, trio.context, exit_code=False)),
        "doctor": trio.document(doctor.run, trio.context, "bad"),
    }
    for command, document in shown.items():
        said = json.dumps(document)
        if badness == "hangs":
            assert "no answer within" in said or "did not answer" in said, command
        else:
            assert any(str(path) in said for path in tmp_path.iterdir()), command
        if badness == "raises":
            assert "bad: its access driver failed at `" in said, command
            assert f"defect of the driver: ZeroDivisionError: {WORDS};" in said, command


@pytest.mark.parametrize("badness", BADNESS)
@pytest.mark.parametrize(
    "bad",
    [ALL, frozenset({("access", "changes")}), frozenset({("engine", "health"), ("gpu", "gpu")})],
)
def test_a_watch_outlives_a_bad_driver(
    tmp_path: Path, bad: frozenset[tuple[str, str]], badness: Badness
) -> None:
    trio = Trio(tmp_path, bad, badness)
    trio.clock.run(trio.watched, DAY)
    assert trio.serving("one") == trio.serving("two") == ["a"]
    assert violations(trio) == []
    assert trio.life.calls.count("contact") < DAY * 3
