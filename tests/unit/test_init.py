"""Init asks only what it could not see."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.cli.terminal import ask
from reconciler.core.onboarding.candidates import Candidate
from reconciler.core.onboarding.draft_files import InitAnswers
from reconciler.render.onboarding_text import init_text
from reconciler.verbs.init import _answers
from tests.machines import adopted, file, machine, server

FOUND = (Candidate("a", file("/m/a.gguf")), Candidate("b", file("/m/b.gguf")))
SERVED = (Candidate("a", file("/m/a.gguf"), adopted(), server()),)
WITH_PROGRAM = machine(programs=("/usr/bin/llama-server",))


def saying(*answers: str) -> Callable[[str], str]:
    """Answer one question after the other; fail when more are put."""
    rest = iter(answers)
    return lambda _: next(rest)


@pytest.mark.parametrize(
    ("said", "active"),
    [
        (("2",), ("b",)),
        (("a",), ("a",)),
        (("",), None),
        (("7", "c", "b"), ("b",)),
        (("c", ""), None),
    ],
)
def test_which_model_shall_run_is_asked_until_it_is_understood(
    said: tuple[str, ...], active: tuple[str, ...] | None
) -> None:
    assert _answers(WITH_PROGRAM, FOUND, saying(*said)) == InitAnswers(active, "")


def test_where_the_program_is_is_asked_when_none_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert _answers(machine(), FOUND, saying("~/llama-server", "1")) == InitAnswers(
        ("a",), "/home/ann/llama-server"
    )
    assert _answers(machine(), FOUND, saying("", "")) == InitAnswers(None, "")


def test_nothing_is_asked_of_what_is_served_or_where_nothing_is_or_without_a_person() -> None:
    assert _answers(machine(), SERVED, saying()) == InitAnswers(None, "")
    assert _answers(machine(), (), saying()) == InitAnswers()
    assert _answers(machine(), FOUND, None) == InitAnswers()


@pytest.fixture
def _plan_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plan out of what init says."""
    monkeypatch.setattr("reconciler.render.onboarding_text.plan_text", lambda *_: "its plan")


def begun(**changed: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "machine": machine(servers=(server(),)).model_dump(mode="json"), "directory": "/s",
        "files": [], "git": "committed", "models": ["a"], "served": ["a"], "notes": [], "steps": [],
        "plan": {"hosts": [], "evidence": {"hosts": []}},
    }  # fmt: skip
    return fields | changed


@pytest.mark.usefixtures("_plan_elsewhere")
def test_a_step_without_a_command_is_told_in_its_sentences_alone() -> None:
    planned: dict[str, Any] = {"hosts": [{"steps": [{}]}], "evidence": {"hosts": []}}
    told = init_text(begun(steps=[{"command": "", "why": ["End it there."]}], plan=planned))
    assert told.endswith("Next:\n  # End it there.\n  reconciler apply --state /s")


@pytest.mark.usefixtures("_plan_elsewhere")
def test_where_the_plan_is_empty_it_is_said_what_applying_it_is_for() -> None:
    said = "# It changes nothing: what runs now is what a start that fails goes back to."
    assert f"  {said}\n  reconciler apply --state /s" in init_text(begun())
    refused: dict[str, Any] = {"hosts": [], "evidence": {"hosts": [{"refusals": [{}]}]}}
    assert said not in init_text(begun(plan=refused))


@pytest.mark.usefixtures("_plan_elsewhere")
def test_where_the_plan_is_refused_applying_it_waits_for_what_is_in_the_way() -> None:
    said = "  # It is refused until what the plan names above is out of the way.\n"
    refused: dict[str, Any] = {"hosts": [], "evidence": {"hosts": [{"refusals": [{}]}]}}
    assert init_text(begun(plan=refused)).endswith(f"{said}  reconciler apply --state /s")
    # A step says already what to end.
    ended = [{"command": "kill 9", "why": []}]
    assert said not in init_text(begun(plan=refused, steps=ended))


@pytest.mark.usefixtures("_plan_elsewhere")
def test_what_serves_and_is_no_model_is_noted_and_the_models_there_wait_for_a_choice() -> None:
    told = init_text(begun(served=[], notes=["pid 812 serves weights that could not be seen."]))
    assert "\nNote: pid 812 serves weights that could not be seen.\n" in told
    assert told.endswith("  reconciler use a --state /s")


def test_a_question_goes_to_stderr_and_the_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(" 2 \n3\n"))
    assert (ask("Which? "), ask("And? "), ask("Still? ")) == ("2", "3", "")
    assert capsys.readouterr() == ("", "Which? And? Still? ")
