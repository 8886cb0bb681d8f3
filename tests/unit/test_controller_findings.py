"""What is wrong with the controller's own journal, clock, files and machine is found."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from reconciler.core import phrases
from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints
from reconciler.core.report import findings
from reconciler.model.machine import FolderState, Obstacle
from reconciler.model.reason import Reason
from reconciler.model.records import OpenRun, RunOpened
from reconciler.model.target import Provenance
from tests.machines import folder, machine
from tests.sample_worlds import HOST, PROVENANCE, model, slice_of

SLICE = slice_of(("a",), model("a"))


@pytest.mark.parametrize(
    ("place", "fix"),
    [
        (
            folder("/var/my d", writable=False),
            "`sudo install -d -m 700 -o ann '/var/my d'`, or choose another with --data",
        ),
        (
            folder("/d", nearest="/d", writable=False),
            "`sudo chown ann /d`, or choose another with --data",
        ),
        (
            folder("/d/e", nearest="/d", writable=False, obstacle="no folder"),
            "/d is not a folder; move it aside, or choose another with --data",
        ),
        (
            folder("/d", nearest="/d", writable=False, obstacle="closed"),
            "ann may not enter /d; `ls -ld /d` shows who may, or choose another with --data",
        ),
        (
            folder("/d", nearest="/d", writable=False, obstacle="read-only"),
            (
                "the file system of /d is read-only; `findmnt -T /d` shows why, or choose another"
                " with --data"
            ),
        ),
        (
            folder("/d", nearest="/d", writable=False, obstacle="no files"),
            (
                "no more files fit on the disk of /d; `df -i /d` counts them, or choose another"
                " with --data"
            ),
        ),
        (
            folder("/.local/state/reconciler", nearest="/", writable=False),
            "HOME is not set; set it, or XDG_STATE_HOME, or --data",
        ),
    ],
)
def test_an_unwritable_place_for_the_journal_is_named_and_no_folder_of_others_is_given_away(
    place: FolderState, fix: str
) -> None:
    (found,) = findings.of_journal_place(machine(folders=(place,)))
    assert (found.level, found.subject, found.fix) == ("wrong", "data directory", fix)


@pytest.mark.parametrize("why", [one for one in get_args(Obstacle) if one])
def test_every_obstacle_names_the_folder_and_what_shows_more_or_helps(why: Obstacle) -> None:
    said, _, fix = phrases.obstacle(why, "/a b").partition("; ")
    assert "/a b" in said
    assert "'/a b'" in fix or fix == "move it aside"


@pytest.mark.parametrize(
    ("wall", "said"), [(100.0, ""), (99.5, ""), (40.0, "the clock is 60 s behind the newest row")]
)
def test_a_clock_behind_the_journal_is_named(wall: float, said: str) -> None:
    assert "".join(one.found for one in findings.of_time(100.0, wall)).startswith(said)
    assert bool(list(findings.of_time(100.0, wall))) == bool(said)


def test_a_run_that_never_ended_is_named() -> None:
    opened = RunOpened(
        host=HOST, mode="forward", trigger="apply", slice=SLICE, digest=digest(SLICE), plan=(),
        provenance=PROVENANCE, key=digest(SLICE), generation=1,
    )  # fmt: skip
    assert list(findings.of_run(HOST, Hints())) == []
    (found,) = findings.of_run(HOST, Hints(open_run=OpenRun(seq=7, at=1.0, opened=opened)))
    assert (found.level, found.subject, found.host) == ("wrong", "run", HOST)


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({"state": "modified"}, "note"),
        ({"state": "not in git"}, "note"),
        ({"state": "not in git", "trouble": "git refuses; say so"}, "note"),
        ({"state": "untracked", "objection": Reason("but", "commit")}, "wrong"),
    ],
)
def test_files_that_git_does_not_know_are_a_note_unless_they_must_be_committed(
    changed: dict[str, Any], level: str
) -> None:
    (found,) = findings.of_provenance(Provenance(**{**PROVENANCE.model_dump(), **changed}))
    assert (found.level, found.subject) == (level, "git")
    assert list(findings.of_provenance(PROVENANCE)) == []


def test_where_git_does_not_answer_it_is_not_advised_to_begin_another_repository() -> None:
    trouble = Reason("git refuses: not yours", "trust it")
    (found,) = findings.of_provenance(
        PROVENANCE.model_copy(update={"state": "not in git", "trouble": trouble})
    )
    assert (found.found, found.fix) == (
        "git refuses: not yours, so nothing remembers what the files were",
        "trust it",
    )


def test_a_controller_that_cannot_look_at_its_own_machine_says_so() -> None:
    found = findings.of_own_silence("it broke")
    assert (found.level, found.host, found.found) == (
        "wrong",
        "",
        "this machine cannot be inspected: it broke",
    )
