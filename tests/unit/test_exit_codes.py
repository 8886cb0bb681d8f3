"""The exit codes that scripts rely on: one table of every error and every end of a pass."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from reconciler import errors
from reconciler.errors import ReconcilerError
from reconciler.model.verdict import EXIT_CODES, HostVerdict, Outcome
from reconciler.verbs.result import worst

OF_ERRORS = {
    "Misused": 64,
    "ConfigError": 1,
    "Unreachable": 1,
    "Unexpected": 1,
    "Refused": 4,
    "LockHeld": 4,
    "PlanStale": 4,
    "NotApproved": 4,
    "DriverError": 3,
    "Declined": 3,
    "Barred": 3,
    "NotOffered": 3,
    "HungUp": 3,
    "DurabilityError": 5,
    "JournalDamaged": 5,
    "WriteFailed": 5,
    "NetworkFileSystem": 5,
}
OF_OUTCOMES: dict[Outcome, int] = {
    "in_sync": 0,
    "applied": 0,
    "rolled_back": 3,
    "unhealthy": 3,
    "stalled": 3,
    "refused": 4,
    "unknown": 5,
    "interrupted": 130,
}


def verdicts(*outcomes: Outcome) -> list[HostVerdict]:
    return [
        HostVerdict(host=f"host{number}", outcome=outcome)
        for number, outcome in enumerate(outcomes)
    ]


def drawn() -> dict[str, int]:
    """Return the exit codes of the tree that is drawn at the top of errors.py."""
    rows = (line.split() for line in (errors.__doc__ or "").splitlines()[3:])
    return {row[0]: int(row[1]) for row in rows if row}


def test_the_table_names_every_error_of_the_tree() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ReconcilerError)
    ]
    assert {kind.__name__ for kind in kinds} - {"ReconcilerError"} == set(OF_ERRORS)


@pytest.mark.parametrize(("name", "code"), OF_ERRORS.items())
def test_an_error_has_its_exit_code_its_name_and_its_sentence(name: str, code: int) -> None:
    error: ReconcilerError = getattr(errors, name)("what was found")
    assert (error.exit_code, error.reason, error.message, str(error)) == (
        code,
        name,
        "what was found",
        "what was found",
    )


def test_the_tree_is_drawn_as_it_is() -> None:
    assert drawn() == OF_ERRORS


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_a_pass_that_ended_so_has_its_exit_code(outcome: Outcome) -> None:
    (verdict,) = verdicts(outcome)
    assert verdict.exit_code == EXIT_CODES[outcome] == OF_OUTCOMES[outcome]
    assert worst([verdict]) == OF_OUTCOMES[outcome]


@pytest.mark.parametrize("outcomes", [*itertools.permutations(get_args(Outcome), 2)], ids=" ".join)
def test_two_hosts_exit_with_the_worse_of_both(outcomes: tuple[Outcome, Outcome]) -> None:
    code = worst(verdicts(*outcomes))
    codes = {OF_OUTCOMES[outcome] for outcome in outcomes}
    if set(outcomes) == {"applied", "refused"}:
        assert code == 1, "4 would say that nothing was changed"
    else:
        assert code == next(one for one in (5, 130, 3, 4, 0) if one in codes)
    assert code or codes == {0}


@pytest.mark.parametrize("beside", get_args(Outcome))
def test_rolled_back_is_never_success(beside: Outcome) -> None:
    assert worst(verdicts("rolled_back", beside)) != 0


def test_no_host_at_all_is_in_order() -> None:
    assert worst([]) == 0
