"""Beside which models that cannot be seen the rest of a plan goes on."""

from __future__ import annotations

import pytest

from reconciler.core.recovery import Hints
from reconciler.core.unseen import Switch, Unseen
from reconciler.model.facts import Known
from reconciler.model.gpu import Card, Gpu
from reconciler.model.observed import GPU, ORPHANS, UNIT, Observed
from tests.sample_worlds import HOST, model, slice_of

A, B = model("a"), model("b", port=8081)
HIDDEN = Unseen("it is frozen", UNIT(HOST, "c"))
SEEN = Observed({GPU(HOST): Known(Gpu(cards=(Card(total=10, free=10),)))})


def goes_on(hints: Hints, one: Unseen = HIDDEN) -> bool:
    wanted = slice_of(("b",), A, B, model("c", port=8082))
    return Switch(wanted, hints, {"a"}, {"b"}).goes_on_beside(one, SEEN)


def test_what_may_listen_by_a_former_definition_keeps_its_port() -> None:
    before = slice_of(("c",), model("c", port=B.port))
    assert goes_on(Hints())
    assert not goes_on(Hints(last_good=before))
    assert not goes_on(Hints(wanted=before))


@pytest.mark.parametrize("key", [None, ORPHANS(HOST), UNIT(HOST, "in no inventory")])
def test_beside_what_is_no_model_nothing_goes_on(key: None) -> None:
    assert not goes_on(Hints(), Unseen("it is hidden", key))
