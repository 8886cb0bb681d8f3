"""Worlds compare by what was seen, and facts say what a person wants to know of them."""

from __future__ import annotations

import pytest

from reconciler.core.safety import violations
from reconciler.model.facts import Fingerprint, Known, Unknown, Weights
from reconciler.model.gpu import GIB, Card, Gpu, Holder
from reconciler.model.observed import CLAIM, POWER, UNIT, Observed
from reconciler.model.power import Power
from tests.casefile import Case, WantedGiven
from tests.sample_worlds import HOST, model, slice_of, unit, whole, world
from tests.situations import made

ON, OFF = Known(Power(state="on")), Known(Power(state="off"))
ITS_POWER, ITS_CLAIM = POWER(HOST), CLAIM(HOST)


def test_worlds_are_equal_whatever_order_they_were_seen_in() -> None:
    one = Observed({ITS_POWER: ON, ITS_CLAIM: Known(None)})
    other = Observed({ITS_CLAIM: Known(None), ITS_POWER: ON})
    assert one == other
    assert hash(one) == hash(other)
    assert list(one) == list(other) == [ITS_CLAIM, ITS_POWER]
    assert one != one.seeing({ITS_POWER: OFF})
    assert one != "power box: on"


def test_a_key_is_tied_to_the_type_of_its_value() -> None:
    """mypy refuses what is marked here; a mark that is no longer needed fails `make check`."""
    seen = Observed({UNIT(HOST, "a"): Known(unit("a", 7))})
    found = seen.value(UNIT(HOST, "a"))
    assert found is not None
    assert found.identity.pid == 7
    weights: Weights | None = seen.value(UNIT(HOST, "a"))  # type: ignore[assignment]
    assert weights
    with pytest.raises(TypeError):
        UNIT(HOST)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        POWER(HOST, "a")  # type: ignore[call-arg]


def test_what_was_not_looked_at_is_unknown() -> None:
    assert Observed().fact(ITS_POWER) == Unknown("not observed")
    assert ITS_POWER not in Observed()


def test_a_host_without_accelerators_has_nothing_to_say_of_memory() -> None:
    assert Gpu().message == ""


def test_memory_says_how_much_is_free_and_who_holds_the_rest() -> None:
    holders = (
        Holder(pid=7, name="blender"),
        Holder(pid=8, name="llama-server", bytes=20 * GIB),
        Holder(pid=9),
    )
    held = Card(total=24 * GIB, free=2 * GIB, holders=holders)
    named = (
        "2.0 GiB are free; memory is held by blender (pid 7), llama-server (pid 8, 20.0 GiB), a"
        " process (pid 9)"
    )
    assert Gpu(cards=(held,)).message == named
    nobody = Card(index=1, total=24 * GIB, free=2 * GIB)
    unnamed = "2.0 GiB are free; memory is held by no process that can be named"
    assert Gpu(cards=(nobody,)).message == unnamed
    assert Gpu(cards=(held, nobody)).message == f"card 0: {named}; card 1: {unnamed}"
    assert Gpu(cards=(held, nobody)).only(1) == Gpu(cards=(nobody,))
    everybody = nobody.model_copy(update={"unified": True})
    assert everybody.message == "2.0 GiB are free; memory is held by the programs of this host"


def test_only_what_is_not_held_comes_back_by_itself() -> None:
    half = (Holder(pid=7, bytes=10 * GIB),)
    assert Card(total=24 * GIB, free=2 * GIB).unclaimed == 22 * GIB
    assert Card(total=24 * GIB, free=2 * GIB, holders=half).unclaimed == 12 * GIB
    assert Card(total=24 * GIB, free=16 * GIB, holders=half).unclaimed == 0
    assert Card(total=24 * GIB, free=2 * GIB, holders=(*half, Holder(pid=8))).unclaimed == 0
    assert Card(total=24 * GIB, free=2 * GIB, unified=True).unclaimed == 0


def test_power_says_what_it_was_judged_by_and_how_sure_that_is() -> None:
    assert str(Power(state="on")) == "on (it answers)"
    assert (
        str(Power(state="off", grade="proved", because="its plug draws 1 W"))
        == "off (proved: its plug draws 1 W)"
    )
    assert (
        str(Power(state="suspended", grade="inferred", because="it is silent"))
        == "suspended (inferred: it is silent)"
    )


def test_a_world_without_power_says_nothing_of_it() -> None:
    assert Observed({ITS_POWER: OFF}).power(HOST) == "off"
    assert Observed({ITS_POWER: Unknown("it is silent")}).power(HOST) is None
    assert Observed().power(HOST) is None


def test_a_unit_on_a_host_that_is_off_is_no_safe_world() -> None:
    wanted = slice_of(("a",), model("a"))
    off = world(wanted, {"a": unit("a")}, power=Power(state="off"))
    assert violations(off, wanted) == (f"{HOST} would be off with a on it",)


def test_two_units_on_one_port_are_no_safe_world() -> None:
    wanted = slice_of(("a",), model("a"), model("b"))
    both = world(wanted, {"a": unit("a"), "b": unit("b", pid=101)})
    assert violations(both, wanted) == (f"two units would share port 8080 of {HOST}",)


def test_every_model_has_a_directory_of_its_own_on_its_host() -> None:
    assert model("a").directory == "models/a"


def test_a_plan_says_whether_there_is_anything_to_do() -> None:
    assert whole(made(Case(says="", wanted=WantedGiven(active=("a",))))).has_changes
    assert not whole(made(Case(says="", wanted=WantedGiven(active=())))).has_changes


def test_a_unit_of_another_image_does_not_run_what_its_conversations_would_depend_on() -> None:
    contained = unit("a").model_copy(update={"image": "sha256:1"})
    assert Fingerprint(digest="", image="sha256:1").fits(contained)
    assert not Fingerprint(digest="", image="sha256:2").fits(contained)
    assert Fingerprint(digest="").fits(contained)
