"""A try of a host's power: it goes down and up again, and what showed that is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import Misused, NotApproved, Refused
from reconciler.model.spec import Capabilities
from reconciler.render.documents import VerdictDocument
from reconciler.verbs import try_power
from tests.trio import Trio


def tried(trio: Trio, host: str | None, approve: Callable[[str], bool]) -> VerdictDocument:
    return trio.run(try_power.run, trio.context, host, approve, trio.said.append).document


@pytest.fixture
def trio(tmp_path: Path) -> Trio:
    return Trio(tmp_path, frozenset(), "raises")


def test_a_host_goes_down_and_comes_back_with_its_model(trio: Trio) -> None:
    (end,) = tried(trio, "one", lambda asked: "the conversations of one, stops its" in asked).hosts
    assert (end.outcome, trio.worlds["one"].power, trio.serving("one")) == ("in_sync", "on", ["a"])
    off, on, *_ = [line for line in trio.said if " after " in line]
    assert off.startswith("one: off after ")
    assert on.startswith("one: on after ")
    assert end.message.startswith("off after ")


def test_a_try_that_nothing_could_end_well_is_refused_before_it_is_asked_about(trio: Trio) -> None:
    host = trio.slices["one"].host
    deaf = host.model_copy(update={"capabilities": Capabilities(can_shut_down=True)})
    trio.slices["one"] = trio.slices["one"].model_copy(update={"host": deaf})
    with pytest.raises(Refused, match="nothing in `power:` of one can wake it"):
        tried(trio, "one", lambda _: pytest.fail("asked"))


def test_a_try_names_its_host_and_needs_a_yes(trio: Trio) -> None:
    with pytest.raises(Misused, match="expected the one to try"):
        tried(trio, None, lambda _: True)
    with pytest.raises(NotApproved, match="`reconciler doctor one --try-power --yes` does not ask"):
        tried(trio, "one", lambda _: False)
    assert trio.worlds["one"].power == "on"


def test_a_station_that_does_not_work_ends_the_try_and_says_the_way_on(tmp_path: Path) -> None:
    trio = Trio(tmp_path, frozenset({("power", "shut_down")}), "raises")
    (end,) = tried(trio, "bad", lambda _: True).hosts
    assert end.outcome == "stalled"
    assert end.message.startswith("off did not work: ")
    assert end.message.endswith("`reconciler apply` brings it to what the file says")
