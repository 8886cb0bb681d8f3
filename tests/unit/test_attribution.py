"""By which definitions units may still run."""

from __future__ import annotations

from reconciler.core.attribution import LauncherAnswers, former, owners_named
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.model.facts import Fact, Known, Unit, Unknown
from reconciler.model.held_unit import HeldUnit, UnseenUnit
from reconciler.model.observed import CONTACT, ORPHANS, PORT, UNIT, AnyFactKey, FactValue, Observed
from reconciler.model.port import PortOwner, PortState
from reconciler.model.spec import Kind, ModelSpec
from tests.sample_worlds import HOST, model, slice_of, unit

PROCESS = model("a")
SERVICE = model("a", launcher=Kind(kind="systemd"))
RENAMED = model("a", launcher=Kind(kind="systemd", options={"unit": "llm.service"}))


def test_nothing_ran_by_another_definition_where_nothing_is_remembered() -> None:
    assert former(slice_of(("a",), PROCESS), Hints()) == ()


def test_a_definition_that_names_the_same_launcher_is_no_former_one() -> None:
    before = slice_of(("a",), model("a", digest=digest("another")))
    assert former(slice_of(("a",), PROCESS), Hints(wanted=before, last_good=before)) == ()


def test_what_failed_last_and_what_was_good_before_are_former_definitions_newest_first() -> None:
    hints = Hints(wanted=slice_of(("a",), RENAMED), last_good=slice_of(("a",), SERVICE))
    assert former(slice_of(("a",), PROCESS), hints) == (RENAMED, SERVICE)
    assert former(slice_of(("a",), SERVICE), hints) == (RENAMED,)


def test_a_definition_that_both_remember_is_told_once() -> None:
    before = slice_of(("a",), SERVICE)
    assert former(slice_of(("a",), PROCESS), Hints(wanted=before, last_good=before)) == (SERVICE,)


def test_a_model_that_is_in_no_inventory_any_more_may_run_by_its_last_definition() -> None:
    assert former(slice_of(()), Hints(last_good=slice_of(("a",), SERVICE))) == (SERVICE,)


SILENT: Fact[tuple[Unit, ...]] = Unknown("systemctl does not answer")
ONE, OTHER = unit("a", pid=7), unit("a", pid=9, launcher=Kind(kind="systemd"))


def told(
    *models: ModelSpec, before: tuple[ModelSpec, ...] = (), **answers: Fact[tuple[HeldUnit, ...]]
) -> LauncherAnswers:
    return LauncherAnswers(slice_of(("a",), *models), before, answers, {"systemd"})


def test_a_unit_that_runs_as_defined_is_the_models_and_the_other_is_an_orphan() -> None:
    for wanted, mine, stray in ((PROCESS, ONE, OTHER), (SERVICE, OTHER, ONE)):
        units = told(wanted, process=Known((ONE,)), systemd=Known((OTHER,)))
        assert (units.fact(UNIT(HOST, "a")), units.fact(ORPHANS(HOST))) == (
            Known(mine),
            Known((stray,)),
        )


def test_of_two_units_that_run_otherwise_the_older_is_the_models() -> None:
    younger, older = unit("a", pid=9, digest=digest("x")), unit("a", pid=7, digest=digest("y"))
    assert told(PROCESS, process=Known((younger, older))).fact(UNIT(HOST, "a")) == Known(older)


def test_a_launcher_that_does_not_answer_hides_its_own_model_only() -> None:
    units = told(
        PROCESS, model("b", launcher=Kind(kind="systemd")), process=Known((ONE,)), systemd=SILENT
    )
    assert units.fact(UNIT(HOST, "a")) == Known(ONE)
    assert units.fact(UNIT(HOST, "b")) == SILENT
    assert units.fact(ORPHANS(HOST)) == Known(())


def unseen(model: ModelSpec) -> UnseenUnit:
    return UnseenUnit(model=model.name, launcher=model.launcher, reason=f"{model.name} is frozen")


def test_a_unit_that_cannot_be_seen_hides_its_own_model_only() -> None:
    services = [model(name, launcher=SERVICE.launcher) for name in "abc"]
    found = unit("b", pid=9, launcher=SERVICE.launcher)
    units = told(*services, process=Known(()), systemd=Known((unseen(services[0]), found)))
    assert units.fact(UNIT(HOST, "a")) == Unknown("a is frozen")
    assert units.fact(UNIT(HOST, "b")) == Known(found)
    assert units.fact(UNIT(HOST, "c")) == units.fact(UNIT(HOST, "gone")) == Known(None)
    assert units.fact(ORPHANS(HOST)) == Known(())


def test_a_unit_that_a_former_definition_names_and_that_cannot_be_seen_is_not_called_absent() -> (
    None
):
    units = told(SERVICE, before=(RENAMED,), process=Known(()), systemd=Known((unseen(RENAMED),)))
    why = "it was run by systemd before, and may be still: a is frozen"
    assert units.fact(UNIT(HOST, "a")) == Unknown(why)
    assert units.fact(ORPHANS(HOST)) == units.fact(UNIT(HOST, "gone")) == Unknown("a is frozen")
    seen = told(
        SERVICE, before=(RENAMED,), process=Known(()), systemd=Known((unseen(RENAMED), OTHER))
    )
    assert seen.fact(UNIT(HOST, "a")) == Known(OTHER)
    assert seen.fact(ORPHANS(HOST)) == Unknown("a is frozen")
    old = told(
        SERVICE, before=(RENAMED,), process=Known(()), systemd=Known((unseen(SERVICE), OTHER))
    )
    assert old.fact(UNIT(HOST, "a")) == Unknown("a is frozen")


def test_a_model_is_absent_where_the_launcher_that_held_it_answers_too() -> None:
    units = told(PROCESS, before=(SERVICE,), process=Known(()), systemd=Known(()))
    assert units.fact(UNIT(HOST, "a")) == Known(None)


def test_a_model_is_not_called_absent_while_a_launcher_that_held_it_does_not_answer() -> None:
    units = told(PROCESS, model("b"), before=(SERVICE,), process=Known(()), systemd=SILENT)
    why = "it was run by systemd before, and may be still: systemctl does not answer"
    assert units.fact(UNIT(HOST, "a")) == Unknown(why)
    assert units.fact(UNIT(HOST, "b")) == Known(None)
    seen = told(PROCESS, before=(SERVICE,), process=Known((ONE,)), systemd=SILENT)
    assert seen.fact(UNIT(HOST, "a")) == Known(ONE)


def test_what_a_former_launcher_holds_does_not_speak_for_the_one_that_is_to_hold_it() -> None:
    assert (
        told(SERVICE, before=(PROCESS,), process=Known((ONE,)), systemd=SILENT).fact(
            UNIT(HOST, "a")
        )
        == SILENT
    )


def test_orphans_are_hidden_by_what_may_hold_any() -> None:
    stray = unit("gone", pid=11)
    busy: Fact[tuple[Unit, ...]] = Unknown("the host is busy")
    marked = told(PROCESS, process=busy, systemd=Known(()))
    assert marked.fact(ORPHANS(HOST)) == marked.fact(UNIT(HOST, "gone")) == busy
    named = told(PROCESS, before=(SERVICE,), process=Known((stray,)), systemd=SILENT)
    assert named.fact(ORPHANS(HOST)) == named.fact(UNIT(HOST, "other")) == SILENT
    assert named.fact(UNIT(HOST, "gone")) == Known(stray)
    assert told(PROCESS, process=Known(())).fact(UNIT(HOST, "gone")) == Known(None)


def test_a_model_of_a_launcher_that_could_not_be_asked_is_not_called_absent() -> None:
    fact = told(SERVICE, process=Known(())).fact(UNIT(HOST, "a"))
    assert fact == Unknown("there is no launcher systemd")


def listening(pid: int | None, model_name: str | None = None) -> Known[FactValue]:
    return Known(PortState(owner=PortOwner(pid=pid, name="python", model=model_name)), 5.0)


def test_a_port_is_the_models_whose_unit_has_the_process_that_listens() -> None:
    found, stray = unit("a", pid=7), unit("gone", pid=9).model_copy(update={"members": (9, 10)})
    units: dict[AnyFactKey, Fact[FactValue]] = {
        UNIT(HOST, "a"): Known(found),
        ORPHANS(HOST): Known((stray,)),
    }
    ports: dict[AnyFactKey, Fact[FactValue]] = {
        PORT(HOST, 1): listening(7),
        PORT(HOST, 2): listening(10),
    }
    after = owners_named(Observed(units | ports), ports)
    assert [after.fact(key) for key in ports] == [listening(7, "a"), listening(10, "gone")]


def test_a_port_without_a_unit_stays_as_it_was_seen() -> None:
    ports: dict[AnyFactKey, Fact[FactValue]] = {
        PORT(HOST, 1): listening(11), PORT(HOST, 2): listening(None),
        PORT(HOST, 3): Known(PortState()), PORT(HOST, 4): Unknown("nobody says"),
    }  # fmt: skip
    seen = Observed({UNIT(HOST, "a"): Known(None), CONTACT(HOST): Unknown("it is silent"), **ports})
    assert owners_named(seen, ports) == seen


CONTAINER, OF_COMPOSE = Kind(kind="docker"), Kind(kind="compose")


def test_two_models_that_are_one_unit_are_both_unknown_whoever_keeps_it() -> None:
    both = (model("a", launcher=CONTAINER), model("b", launcher=OF_COMPOSE), model("c"))
    mine = unit("a", pid=7, launcher=CONTAINER)
    third = unit("c", pid=11)
    for theirs in (
        unit("b", pid=7, launcher=OF_COMPOSE),
        unit("b", pid=9, launcher=OF_COMPOSE).model_copy(update={"members": (7, 9)}),
        unit("b", pid=8, launcher=OF_COMPOSE).model_copy(update={"members": (7,)}),
    ):
        units = told(
            *both, docker=Known((mine,)), compose=Known((theirs,)), process=Known((third,))
        )
        told_of_both = units.fact(UNIT(HOST, "a"))
        assert told_of_both == units.fact(UNIT(HOST, "b"))
        assert isinstance(told_of_both, Unknown)
        assert told_of_both.reason.startswith("a (docker) and b (compose) are one and the same")
        assert units.fact(UNIT(HOST, "c")) == Known(third)
        assert units.fact(ORPHANS(HOST)) == Known(())


def test_a_unit_that_a_former_definition_calls_otherwise_is_no_orphan_beside_itself() -> None:
    before, wanted = model("a", launcher=CONTAINER), model("a", launcher=OF_COMPOSE)
    old = unit("a", pid=7, launcher=CONTAINER, digest=digest("x"))
    new = unit("a", pid=7, launcher=OF_COMPOSE)
    units = told(wanted, before=(before,), docker=Known((old,)), compose=Known((new,)))
    assert units.fact(UNIT(HOST, "a")) == Known(new)
    assert units.fact(ORPHANS(HOST)) == Known(())
    renamed = old.model_copy(update={"mark": unit("gone").mark})
    units = told(wanted, before=(before,), docker=Known((renamed,)), compose=Known((new,)))
    assert units.fact(UNIT(HOST, "a")) == Known(new)
    assert units.fact(UNIT(HOST, "gone")) == Known(None)
