"""Days on which the files cannot be used, are odd, or change all the time, one a row.

Bad days of engines are in test_bad_engines, of places in test_bad_places, of the journal and of
clocks in test_bad_journals; kill -9 at every row is in test_sigkill, Ctrl-C in test_interrupts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from reconciler.config.file_watch import PATIENT_SECONDS
from reconciler.config.source import LARGEST
from tests import faults
from tests.bad_days import WITHOUT_EFFECT, Day, lives_through, settled, watched_stack
from tests.faults import said, writing
from tests.stack import COMMAND_SECONDS, Stack, stack

DAYS = {
    "broken": Day(
        writing(b"version: 1\nmodels: [\n"),
        ".yaml:3:1: this is not YAML: found the end of a list, a mapping or the file, expected a"
        " value",
    ),
    "empty": Day(writing(b""), ".yaml:1:1: the file is empty; expected at least `version: 1`"),
    "huge": Day(
        writing(b"#" * (LARGEST + 1)),
        ".yaml: cannot be read: it is larger than 1 MiB, expected a few kilobytes",
    ),
    "twice": Day(
        writing(b"version: 1\nversion: 1\n"),
        '.yaml:2:1: version: found "version" twice, first in line 1; remove one',
    ),
    "tab": Day(
        writing(b"version: 1\n\tpower: on\n"),
        ".yaml:2:1: found a tab before the first word, expected spaces",
    ),
    "no mapping": Day(writing(b"tiny-a\n"), '.yaml:1:1: found "tiny-a", expected a mapping'),
    "latin-1": Day(
        writing(b"version: 1\n# caf\xe9\n"),
        ".yaml:2:6: found the byte 0xe9, which is not UTF-8; save the file as UTF-8",
    ),
    "utf-16": Day(
        writing("version: 1\n".encode("utf-16")), ".yaml:1:1: the file is UTF-16; save it as UTF-8"
    ),
    "missing": Day(
        faults.missing,
        ".yaml: not found; write it, or name the directory of both files with --state",
    ),
    "unreadable": Day(faults.unreadable, ".yaml: cannot be read: "),
    "circular links": Day(
        faults.circular,
        ".yaml: cannot be read: Too many levels of symbolic links; let the link name the file",
    ),
    "no folder": Day(
        faults.gone,
        "state is not a directory; name the one that holds both files with --state",
        faults.back,
    ),
    "type": Day(
        writing(b"version: 1\nactive: 7\n", "desired.yaml"),
        "desired.yaml:2:9: active: found 7, expected a model, a list",
    ),
    "name": Day(
        writing(b"version: 1\nactive: tiny-q\n", "desired.yaml"),
        'desired.yaml:2:9: active: found "tiny-q", expected a model of local; did you mean "tiny-',
    ),
    "one port": Day(
        writing(b"version: 1\nactive: [tiny-a, tiny-b]\n", "desired.yaml"),
        "desired.yaml:2:18: active.1: tiny-b and tiny-a both use port ",
    ),
    "model gone": Day(
        writing(
            b"version: 1\nmodels:\n  tiny-c: {engine: {kind: embedded, seed: 1}, port: PORT}\n",
            "inventory.yaml",
        ),
        "expected a model of local",
    ),
    "driver": Day(
        writing(
            b"version: 1\nmodels:\n  tiny-a: {engine: {kind: lama, seed: 1}, port: x}\n",
            "inventory.yaml",
        ),
        'inventory.yaml:3:27: models.tiny-a.engine.kind: found "lama", expected ',
    ),
}
CONFLICT = (
    "found <<<<<<<, which git leaves where two versions differ; keep one of them and remove such"
    " lines"
)
DAYS |= {
    "rebase": Day(
        faults.rebase,
        "waiting: git is in the middle of a rebase (",
        faults.resolved("rebase", "--continue"),
        1,
        CONFLICT,
    ),
    "merge": Day(
        faults.merge,
        "waiting: git is in the middle of a merge (",
        faults.resolved("commit", "-qam", "Both"),
        1,
        CONFLICT,
    ),
    "marks": Day(faults.committed_marks, f"desired.yaml:3:1: {CONFLICT}"),
    "index.lock": Day(
        faults.stale_lock,
        "writing its index; if no git runs there, remove index.lock",
        faults.unlocked,
        0,
    ),
}

SAVES = 200
SAVING_SECONDS = 10.0

FEW_AT_FIRST = 5
"""How many saves of a storm are read until it is known as one; then it is one in PATIENT_SECONDS.

A machine that is itself late reads a few: each of them stood still for long enough.
"""

FINE = {
    "byte order mark": faults.with_a_mark,
    "line ends of other systems": faults.with_other_line_ends,
    "from the future": faults.from_the_future,
    "links of Kubernetes": faults.by_links_of_kubernetes,
    "a link elsewhere": faults.by_a_link_elsewhere,
}
"""Ways to save that look odd, and are followed."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose watch lives through all days of this module."""
    with watched_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_files_that_cannot_be_used_change_nothing_until_they_can(watched: Stack, day: Day) -> None:
    lives_through(watched, day)


@pytest.mark.parametrize("save", FINE.values(), ids=FINE)
def test_files_that_are_odd_and_right_are_followed(watched: Stack, save: faults.Fault) -> None:
    wanted = faults.other(watched)
    save(watched)
    watched.becomes(wanted)
    faults.fixed(watched)
    watched.becomes(faults.other(watched))


def test_a_file_that_is_half_written_is_never_acted_upon(watched: Stack) -> None:
    settled(watched)
    wanted, engines, rows, before = (
        faults.other(watched),
        watched.engines(),
        watched.rows(),
        len(watched.watched()),
    )
    content = faults.wish(watched)
    with faults.cleared(watched.folder / "state" / "desired.yaml").open(
        "wb", buffering=0
    ) as writing_slowly:
        writing_slowly.write(content[:-4])
        said(watched, 'active: found "tin", expected a model of local; did you mean "tiny-', before)
        assert watched.engines() == engines
        assert set(watched.moments(rows)) <= WITHOUT_EFFECT
        writing_slowly.write(content[-4:])
    watched.becomes(wanted)


def test_a_model_that_is_renamed_while_it_runs_serves_until_both_files_say_so(
    watched: Stack,
) -> None:
    settled(watched)
    before, file = len(watched.watched()), watched.folder / "state" / "inventory.yaml"
    file.write_text(file.read_text().replace("tiny-a", "tiny-c"))
    said(
        watched, 'active: found "tiny-a", expected a model of local; did you mean "tiny-c"?', before
    )
    assert list(watched.engines()) == ["tiny-a"]
    watched.desire("tiny-c")
    watched.becomes("tiny-c")
    assert (
        "stop tiny-a (it is in no inventory and its port is needed)" in watched.watched()[before:]
    )
    settled(watched)


def test_of_a_storm_of_saves_the_last_one_wins_and_few_are_carried_out(watched: Stack) -> None:
    settled(watched)
    rows, before, pause = watched.rows(), len(watched.watched()), threading.Event()
    saved, gap = [time.monotonic()], SAVING_SECONDS / SAVES
    for number in range(SAVES):
        watched.desire(("tiny-b", "tiny-a")[number % 2])
        saved.append(time.monotonic())
        pause.wait(gap)
        if number == SAVES // 2:
            assert watched.run("status").returncode == 0
    watched.desire("tiny-b")
    # A writer that the machine holds up for a while has made an edit, and begins another.
    edits = sum(later - earlier > 2 * gap for earlier, later in pairwise(saved))
    few = FEW_AT_FIRST + edits + (time.monotonic() - saved[0]) / PATIENT_SECONDS
    watched.becomes("tiny-b")
    said_of = [line for line in watched.watched()[before:] if line.startswith("following")]
    assert len(said_of) <= few
    assert watched.moments(rows).count("intent start") <= few
    assert watched.moments(rows).count("forward opened") <= few


def test_what_apply_was_asked_is_carried_out_whatever_the_file_says_meanwhile(here: Stack) -> None:
    here.apply()
    for meanwhile, pending in (("tiny-a", 2), ("tiny-b", 0)):
        here.desire("tiny-b")
        rows = here.rows()
        with here.start("apply", "--yes") as process:
            assert here.until(process, rows, "intent start")
            for wish in ("tiny-a", meanwhile):
                here.desire(wish)
            _, stderr = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == 0, stderr
        assert list(here.engines()) == ["tiny-b"]
        assert here.run("plan", "--detailed-exitcode").returncode == pending
        here.desire("tiny-a")
        here.apply()
