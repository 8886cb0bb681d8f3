"""When something is to end, as people say it."""

from __future__ import annotations

from datetime import datetime

import pytest

from reconciler.core.deadlines import parse_until
from reconciler.errors import Misused

NOON = datetime(2026, 3, 10, 12, 0).astimezone().timestamp()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("said", "hours"),
    [
        ("2h", 2.0),
        ("90m", 1.5),
        ("18:30", 6.5),
        ("11:00", 23.0),
        ("2026-03-11 12:00", 24.0),
        ("2026-03-11T13:00", 25.0),
    ],
)
def test_an_end_is_a_duration_the_next_such_time_or_a_date(said: str, hours: float) -> None:
    assert parse_until("--until", said, NOON) == NOON + hours * HOUR


@pytest.mark.parametrize(
    "said", ["soon", "25:00", "2026-13-40", "", "30", "9999999999999h", "2026-03-11 12:00 XST"]
)
def test_what_is_no_end_is_answered_with_what_is(said: str) -> None:
    with pytest.raises(Misused, match="expected when it ends"):
        parse_until("--until", said, NOON)


def test_an_end_that_has_passed_is_refused_with_what_time_it_is() -> None:
    with pytest.raises(Misused, match="--until 2026-03-09 has passed; it is 2026-03-10 12:00 "):
        parse_until("--until", "2026-03-09", NOON)
