"""How long requests are kept from a model, and whether that is because it failed."""

from __future__ import annotations

import pytest

from reconciler.core import lending
from reconciler.core.outlook import outlooks
from reconciler.core.recovery import Hints
from reconciler.core.retries import retry_at
from reconciler.model.lending import Outlook
from reconciler.model.records import Held, Hold
from tests.sample_worlds import HOST
from tests.unit.test_lending import ANY, HOUR, NOW, failed, taken, wants

ONE = wants("a")
HOLD = Hold(host=HOST, reason="a game", until=HOUR)
LEFT = failed(ONE, "RolledBack").model_copy(update={"attempts": 0})
FAILED = failed(ONE)
DUE = retry_at(FAILED) - NOW.at


@pytest.mark.parametrize(
    ("hints", "expected"),
    [
        (Hints(), {}),
        (Hints(held=Held(hold=HOLD, since=NOW)), {"a": (HOUR - NOW.at, False)}),
        (
            Hints(held=Held(hold=HOLD.model_copy(update={"until": None}), since=NOW)),
            {"a": (None, False)},
        ),
        (taken(ONE, "b", HOUR), {"a": (HOUR - NOW.at, False)}),
        (Hints(quarantine=FAILED), {"a": (DUE, True)}),
        (Hints(unlendable={"a": FAILED}), {"a": (DUE, True)}),
        (Hints(quarantine=LEFT), {"a": (None, False)}),
    ],
    ids=["nothing", "held", "held for good", "taken", "failed", "not lent", "left"],
)
def test_what_keeps_requests_away_ends_when_it_does(
    hints: Hints, expected: dict[str, tuple[float | None, bool]]
) -> None:
    lent = lending.standing(ONE, ANY, hints, NOW)
    found = outlooks(ONE, hints, NOW, lent, ["a"])
    assert found == {
        name: Outlook(seconds=seconds, failed=has_failed)
        for name, (seconds, has_failed) in expected.items()
    }
