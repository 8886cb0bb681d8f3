"""On a terminal rows are cut to its width and a few words coloured; elsewhere nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reconciler.render.terminal_style import PLAIN, Look
from reconciler.render.text import history_text, plan_text, status_text, verdict_text
from tests.casefile import FOLDER
from tests.unit.test_documents import plan_of

NARROW = Look(width=30)
COLOURED = Look(colour=True)
RUN = {
    "run": 1,
    "at": 0.0,
    "host": "tower-under-the-desk",
    "mode": "forward",
    "trigger": "apply",
    "verdict": "failed",
    "provenance": "desired 4f1c2ab",
    "request": "",
    "message": "a sentence that is longer than the terminal is wide",
    "log": [],
    "notes": [],
    "steps": [
        {
            "step": "start",
            "model": "a",
            "outcome": "failed",
            "seconds": 1.0,
            "said": "what it said at length",
        }
    ],
}


def past(*runs: Mapping[str, Any], look: Look = PLAIN) -> str:
    return history_text({"earlier": 0, "runs": runs}, look)


def test_rows_are_cut_to_the_width_and_sentences_are_not() -> None:
    head, message, step = past(RUN, look=NARROW).splitlines()
    assert (len(head), head[-1]) == (30, "…")
    assert (len(step) <= 30, step[-1]) == (True, "…")
    assert message.strip() == RUN["message"]


def test_what_nobody_asked_for_by_hand_says_why() -> None:
    run = {**RUN, "trigger": "watch", "causes": ["requests ask for it", "it died"]}
    assert "       because: requests ask for it, it died\n" in past(run)


@pytest.mark.usefixtures("in_berlin")
def test_a_moment_is_in_the_time_of_this_place_and_names_it() -> None:
    shown = past(RUN)
    assert "  1970-01-01 01:00:00 CET tower-under-the-desk " in shown


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_runs_that_are_not_listed_are_counted_with_how_to_see_them() -> None:
    first = history_text({"earlier": 3, "runs": [RUN]}).splitlines()[0]
    assert first == "(3 earlier runs; `reconciler history -n 4` lists all)"


def test_nothing_is_cut_where_no_width_is_known() -> None:
    assert "…" not in past(RUN, look=PLAIN)
    assert "what it said at length" in past(RUN)


def test_a_row_that_just_fits_stays_whole() -> None:
    assert Look(width=5).row("12345  ") == "12345"
    assert Look(width=4).row("12345") == "123…"


def test_a_long_name_moves_its_column_and_not_its_neighbours() -> None:
    short = {**RUN, "host": "nuc"}
    long, other = (line for line in past(RUN, short).splitlines() if "forward" in line)
    assert long.index("forward") == other.index("forward")


def test_colour_is_only_where_it_is_asked_for_and_says_how_it_went() -> None:
    end = {
        "host": "box", "outcome": "rolled_back", "message": "", "reasons": [], "log": [],
        "notes": [], "lost_conversations": 0, "held": False, "serving": {},
    }  # fmt: skip
    assert verdict_text({"hosts": [end]}) == "box: rolled back"
    assert verdict_text({"hosts": [end]}, COLOURED) == "box: \x1b[31mrolled back\x1b[0m"
    assert "\x1b[31mfailed\x1b[0m" in past(RUN, look=COLOURED)


def test_a_switch_that_lost_what_it_meant_to_keep_looks_like_no_success_and_says_what() -> None:
    note = "a: 2 conversations were lost that the plan meant to keep"
    end = {
        "host": "box", "outcome": "applied", "message": "", "reasons": [], "log": [],
        "notes": [note], "lost_conversations": 2, "held": False, "serving": {},
    }  # fmt: skip
    assert (
        verdict_text({"hosts": [end]}, COLOURED) == f"box: \x1b[31mapplied\x1b[0m\n  note: {note}"
    )
    assert f"       note: {note}" in past({**RUN, "notes": [note]}).splitlines()


@pytest.mark.parametrize("name", ["switch", "program_missing", "quarantined"])
def test_colour_changes_no_word(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    document = plan_of(path)
    assert bare(plan_text(document, COLOURED)) == plan_text(document)


def test_the_conditions_of_a_host_are_coloured_by_what_they_mean() -> None:
    condition = {"type": "Ready", "status": "True", "reason": "InSync", "message": ""}
    host = {
        "host": "box", "power": "on", "power_evidence": "it answers", "watts": None,
        "generation": 1, "conditions": [condition], "models": [], "failure": "", "log": [],
        "notes": ["a: slot 0 (500 tokens) starts cold"],
    }  # fmt: skip
    coloured = status_text({"hosts": [host]}, COLOURED)
    assert "\x1b[32mReady=True\x1b[0m" in coloured
    assert "  note: a: slot 0 (500 tokens) starts cold" in coloured
    assert bare(coloured) == status_text({"hosts": [host]})


def bare(text: str) -> str:
    for code in ("31", "32", "33", "0"):
        text = text.replace(f"\x1b[{code}m", "")
    return text
