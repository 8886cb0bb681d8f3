"""What becomes of what works where something beside it fails, and when that is tried again."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import lending, policy
from reconciler.core.attempts import attempt_key
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.model.leasing import Idled
from tests.clocks import instant
from tests.sample_worlds import HOST, slice_of, unit, world
from tests.unit.test_lending import ALL, ANY, HOUR, NOW, ONE, failed, leased


def test_what_failed_is_tried_again_for_a_request_where_the_host_rests() -> None:
    idled = Idled(host=HOST, then="unload", wanted=digest(ONE), boot_id="boot")
    for known, refused in ((Hints(), True), (Hints(idled=idled), False)):
        hints = replace(known, quarantine=failed(ONE))
        assert ("a" in policy.not_lent(ONE, ANY, hints, instant(HOUR))) is refused
        assert "a" in policy.not_lent(ONE, ANY, hints, NOW), "its wait is not over"


def test_what_serves_beside_a_failure_is_neither_blamed_nor_stopped() -> None:
    there = world(ONE, {"e": unit("e"), "b": unit("b")})
    assert lending.newcomers("be", world(ONE, {"e": unit("e")}), Hints(), HOST) == ["b"]
    assert lending.newcomers("be", there, Hints(unproven=frozenset("b")), HOST) == ["b"]
    assert lending.newcomers("be", there, Hints(), HOST) == []
    assert lending.lent_alone(ONE, "b") == digest(lending.lend(ONE, ["b"]))


def test_what_works_of_a_wish_that_failed_stays_beside_what_is_lent() -> None:
    wanted = slice_of(("a", "e"), *ALL)
    there = world(wanted, {"e": unit("e")})
    key = attempt_key(wanted, digest(wanted), there)
    failure = failed(wanted).model_copy(update={"key": key})
    aim = policy.aim(wanted, leased(wanted, "b", quarantine=failure), there, NOW, rules=ANY)
    assert aim.target.slice.active == ("b", "e")
