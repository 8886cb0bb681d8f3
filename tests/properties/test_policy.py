"""Where a pass aims: failures are remembered, waits grow, and a rollback is a plan like any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core import policy
from reconciler.core.attempts import attempt_key
from reconciler.core.backoff import Backoff, next_delay
from reconciler.core.canonical import digest
from reconciler.core.expiry import TOLERATED_JUMP_SECONDS
from reconciler.core.planner import plan
from reconciler.core.recovery import Hints
from reconciler.core.retries import RETRY
from reconciler.model.facts import Health, Known, Phase
from reconciler.model.observed import WEIGHTS
from reconciler.model.records import Held, Hold, Instant, Quarantine
from tests.casefile import Case, Happened, WantedGiven
from tests.casework import hints, seen, wanted_slice
from tests.clocks import instant
from tests.sample_worlds import HOST, model, slice_of, target, unit, world
from tests.situations import cases

QUICK = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
"""How busy the machine is decides nothing."""


@QUICK
@given(cases())
def test_a_rollback_is_the_plan_that_would_lead_to_last_good(case: Case) -> None:
    good = wanted_slice(case)
    failing = good.model_copy(update={"active": ("a",) if good.active != ("a",) else ("b",)})
    world = seen(case)
    failure = Quarantine(
        key=attempt_key(failing, digest(failing), world),
        reason="StartFailed",
        message="it died",
        run=1,
        since=instant(0.0),
    )
    known = Hints(last_good=good, last_good_digest=digest(good), quarantine=failure)
    aim = policy.aim(failing, known, world, now=instant(1.0))
    nothing_ran = () if good.power in {"off", "suspend"} else good.active
    models = good.model_copy(update={"power": None, "active": nothing_ran})
    assert (aim.mode, aim.target) == ("heal", target(models))
    back = plan(aim.target, world, known, mode=aim.mode, prune=case.prune)
    assert back.model_copy(update={"mode": "forward"}) == plan(
        target(models), world, known, prune=case.prune
    )


def later(since: Instant, seconds: float) -> Instant:
    return since.model_copy(update={"at": since.at + seconds, "boot": since.boot + seconds})


def retold(case: Case) -> Hints:
    """Return what another process reads from the same journal."""
    return hints(Case.model_validate_json(case.model_dump_json()))


@QUICK
@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_every_wait_lies_within_the_policy(attempts: int, random: float) -> None:
    rule = Backoff()
    least = min(rule.initial * rule.factor ** min(attempts - 1, 64), rule.longest)
    assert least <= next_delay(rule, attempts, random) <= least * (1 + rule.jitter)
    assert next_delay(rule, attempts, random) <= next_delay(rule, attempts + 1, random)


@pytest.mark.parametrize("failures", [1, 2, 5, 9])
def test_failures_are_counted_across_restarts_and_grow_the_wait(failures: int) -> None:
    failed = Happened(run=("b",), ended="failed", said="it died", hours_ago=0.0)
    case = Case(says="", wanted=WantedGiven(active=("b",)), journal=(failed,) * failures)
    quarantine = retold(case).quarantine
    assert quarantine is not None
    assert quarantine.attempts == failures
    wait = policy.next_look(retold(case), now=quarantine.since)
    assert wait is not None
    least = next_delay(RETRY, failures, 0.0)
    assert least <= wait <= least * (1 + RETRY.jitter)
    assert policy.next_look(retold(case), now=later(quarantine.since, 5.0)) == pytest.approx(
        wait - 5.0
    )
    assert not policy.retry_is_due(retold(case), later(quarantine.since, wait * 0.99))
    assert policy.retry_is_due(retold(case), later(quarantine.since, wait * 1.01))
    assert policy.next_look(retold(case), now=later(quarantine.since, wait * 1.01)) is None


@pytest.mark.parametrize("failures", [1, 5])
def test_nothing_expires_while_the_clock_is_behind_the_journal(failures: int) -> None:
    failed = Happened(run=("b",), ended="failed", said="it died", hours_ago=0.0)
    known = retold(Case(says="", wanted=WantedGiven(active=("b",)), journal=(failed,) * failures))
    held = replace(
        known,
        newest_at=1e12,
        held=Held(hold=Hold(host=HOST, reason="a game", until=5.0), since=instant(1.0)),
    )
    assert policy.holding(held, now=instant(1e11)) is not None
    assert not policy.retry_is_due(held, now=instant(1e11))
    assert policy.holding(held, now=instant(1e12)) is None
    assert policy.retry_is_due(held, now=instant(1e12))
    assert policy.next_look(held, now=instant(1e12 - 3.0)) == 3.0


HOUR = 3600.0
UNTIL = 1000.0 + 2 * HOUR
GAME = Hints(held=Held(hold=Hold(host=HOST, reason="a game", until=UNTIL), since=instant(1000.0)))
FAILED_ONCE = Quarantine(
    key="v1:slice:" + "f" * 64,
    reason="StartFailed",
    message="it died",
    run=1,
    since=instant(1000.0),
    attempts=5,
)


@given(st.floats(-HOUR, 12 * HOUR), st.floats(0.0, 12 * HOUR))
def test_a_clock_that_was_put_forward_ends_nothing_before_its_time(
    jump: float, passed: float
) -> None:
    now = Instant(at=1000.0 + passed + jump, boot_id="boot", boot=1000.0 + passed)
    known = replace(GAME, quarantine=FAILED_ONCE)
    early = TOLERATED_JUMP_SECONDS
    ended = policy.holding(known, now) is None
    assert not ended or (passed >= 2 * HOUR - early and now.at >= UNTIL)
    assert ended or passed < 2 * HOUR or now.at < UNTIL
    assert not policy.retry_is_due(known, now) or passed >= RETRY.longest - early
    wait = policy.next_look(known, now)
    then = later(now, (wait or 0.0) + 0.001)
    assert wait is None or policy.holding(known, then) is None or policy.retry_is_due(known, then)


def test_in_another_boot_the_wall_clock_alone_tells_what_has_ended() -> None:
    again = Instant(at=UNTIL, boot_id="another", boot=5.0)
    assert policy.holding(GAME, again) is None
    assert policy.holding(GAME, again.model_copy(update={"at": UNTIL - 1.0})) is not None


def test_another_wish_and_a_retry_begin_to_count_again() -> None:
    failed = Happened(run=("b",), ended="failed", said="it died")
    other = Happened(run=("a",), ended="failed", said="it died")
    counted: Callable[..., int] = lambda *journal: (  # noqa: E731 - a fold in one line
        quarantine.attempts
        if (
            quarantine := retold(
                Case(says="", wanted=WantedGiven(active=("b",)), journal=journal)
            ).quarantine
        )
        else 0
    )
    assert counted(failed, failed) == 2
    assert counted(failed, other, failed) == 1
    assert counted(failed, failed.model_copy(update={"then": "retry"})) == 0
    assert counted(failed, failed.model_copy(update={"then": "retry"}), failed) == 1


@pytest.mark.parametrize(
    ("phase", "mode"), [("ready", None), ("loading", None), ("unresponsive", "forward")]
)
def test_a_retry_waits_for_what_lives_and_not_for_what_a_failed_start_left(
    phase: Phase, mode: str | None
) -> None:
    wanted = slice_of(("a",), model("a"), model("b"))
    left = unit("b", digest=digest("older"))
    seen = world(wanted, {"b": left}, health_b=Health(phase=phase, identity=left.identity))
    key = attempt_key(wanted, digest(wanted), seen)
    failure = FAILED_ONCE.model_copy(update={"key": key})
    now = later(failure.since, 12 * HOUR)
    aim = policy.aim(wanted, Hints(quarantine=failure), seen, now, retries=True)
    assert (aim.mode if aim.acts else None) == mode


def test_a_file_that_changed_lifts_a_quarantine() -> None:
    failed = Happened(run=("b",), ended="failed", said="it died")
    case = Case(says="", wanted=WantedGiven(active=("b",)), journal=(failed,))
    key = WEIGHTS(HOST, "b")
    world = seen(case)
    fact = world.fact(key)
    assert isinstance(fact, Known)
    assert policy.aim(wanted_slice(case), hints(case), world, now=instant(0.0)).cause
    newer = world.seeing({key: Known(fact.value.model_copy(update={"modified_ns": 1}))})  # type: ignore[union-attr]
    assert not policy.aim(wanted_slice(case), hints(case), newer, now=instant(0.0)).cause
