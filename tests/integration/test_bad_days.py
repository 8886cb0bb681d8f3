"""Bad days, one a row: what a person reads, what goes on serving, how it goes away, and that all is
as the files say then.

A watch runs through most of them, on real engines. Bad days of the journal and of clocks are in
test_bad_journals, kill -9 of `apply` and `watch` at every row in test_sigkill, Ctrl-C twice of
`apply` in test_interrupts.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from reconciler.config.file_watch import PATIENT_SECONDS
from reconciler.config.source import LARGEST
from tests import faults
from tests.faults import said, writing
from tests.killed_at import stands_for
from tests.repository import repository
from tests.running import until
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, ending, stack


class Day(NamedTuple):
    """Be one bad day: what happens, what the watch says, how it goes away, what apply exits with
    and says meanwhile.

    Once it went away the watch brings the other model by itself. Where the code is 0, apply is not
    asked.
    """

    fault: faults.Fault
    sentence: str
    mend: faults.Fault = faults.mended
    code: int = 1
    answer: str = ""


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

WITHOUT_EFFECT = {"asked", "answered", "adopted"}
"""What the journal may say of a day that changes nothing; of two files that are saved one after the
other, a watch may follow the first by itself, and adopts what serves."""

SAVES = 200
SAVING_SECONDS = 10.0
FEW_AT_FIRST = 5
"""How often the files are read until a storm is known as one; then it is once in
PATIENT_SECONDS."""
"""What a machine that is itself late may make of a storm; each save that is read was one that stood
still for longer."""

UNFIT = {
    "weights missing": Day(
        faults.weights(Path.unlink),
        "there is no such file",
        faults.asked_again(faults.whole_weights),
        4,
    ),
    "weights cut": Day(
        faults.weights(lambda path: os.truncate(path, 10_000)),
        "was the download interrupted?",
        faults.asked_again(faults.whole_weights),
        4,
    ),
    "weights of another kind": Day(
        faults.weights(lambda path: path.write_bytes(b"PK" * 999)),
        "it is not a GGUF file",
        faults.asked_again(faults.whole_weights),
        4,
    ),
    "program missing": Day(
        faults.program(Path.unlink),
        "there is no such file",
        faults.asked_again(faults.whole_program),
        4,
    ),
    "program not executable": Day(
        faults.program(lambda path: path.chmod(0o644)),
        "is not executable",
        faults.asked_again(faults.whole_program),
        4,
    ),
}
"""What cannot run is refused before anything is stopped."""

FINE = {
    "byte order mark": faults.with_a_mark,
    "line ends of other systems": faults.with_other_line_ends,
    "from the future": faults.from_the_future,
    "links of Kubernetes": faults.by_links_of_kubernetes,
    "a link elsewhere": faults.by_a_link_elsewhere,
}
"""Ways to save that look odd, and are followed."""


SPARE = 4
"""How many more files and threads a watch may have after all its days than at first: fewer than it
has days."""


def held_by(pid: int) -> tuple[int, int]:
    """Return how many files and threads a process has."""
    files, threads = (len(list(Path(f"/proc/{pid}/{what}").iterdir())) for what in ("fd", "task"))
    return files, threads


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack that is in git, under a watch that lives through all of its rows."""
    with stack(tmp_path_factory.mktemp("stack")) as made:
        repository(made.folder)
        with made.watching() as process:
            made.becomes("tiny-a")
            before = held_by(process.pid)
            yield made
            until(
                lambda: all(
                    now <= then + SPARE
                    for now, then in zip(held_by(process.pid), before, strict=True)
                )
            )


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def lives_through(here: Stack, day: Day) -> None:
    """Show that a day harms nothing that serves, is told by the watch and by apply, and is over
    once its cause is gone.
    """
    wanted, engines, rows, before = (
        faults.other(here),
        here.engines(),
        here.rows(),
        len(here.watched()),
    )
    day.fault(here)
    if day.code:
        asked = here.run("apply", "--yes")
        assert asked.returncode == day.code, asked.stdout + asked.stderr
        assert (day.answer or day.sentence) in asked.stdout + asked.stderr
    said(here, day.sentence, before)
    assert here.engines() == engines
    assert set(here.moments(rows)) <= WITHOUT_EFFECT
    assert here.talk()["cache_n"] >= 0
    day.mend(here)
    here.becomes(wanted)


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_files_that_cannot_be_used_change_nothing_until_they_can(watched: Stack, day: Day) -> None:
    lives_through(watched, day)


@pytest.mark.parametrize("save", FINE.values(), ids=FINE)
def test_files_that_are_odd_and_right_are_followed(watched: Stack, save: faults.Fault) -> None:
    wanted = faults.other(watched)
    save(watched)
    watched.becomes(wanted)
    faults.mended(watched)
    watched.becomes(faults.other(watched))


@pytest.mark.parametrize("day", UNFIT.values(), ids=UNFIT)
def test_what_cannot_run_is_refused_before_anything_stops(watched: Stack, day: Day) -> None:
    settled(watched)
    lives_through(watched, day)


def settled(here: Stack) -> None:
    """Have tiny-a serve, with both models as they should be."""
    faults.cleared(here.folder / "state" / "desired.yaml")
    here.inventory()
    here.desire("tiny-a")
    here.becomes("tiny-a")


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


def test_an_engine_that_ends_at_once_costs_nothing_and_is_tried_again_once_it_is_mended(
    watched: Stack,
) -> None:
    settled(watched)
    held, before = watched.remembered(), len(watched.watched())
    watched.inventory(', args: ["--threads", "many"]')
    watched.desire("tiny-b")
    said(watched, "local: rolled back; ", before)
    told = watched.run("status").stdout
    assert "tiny-b: it exited " in told
    assert "--threads" in told
    assert list(watched.engines()) == ["tiny-a"]
    assert watched.talk()["cache_n"] >= LEAST_REUSED * held > 100
    watched.inventory()
    watched.becomes("tiny-b")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_engine_that_dies_or_hangs_is_replaced(watched: Stack, number: signal.Signals) -> None:
    settled(watched)
    (pid,), before = watched.engines().values(), len(watched.watched())
    os.kill(pid, number)
    watched.apply()
    said(watched, "start tiny-a (", before)
    watched.becomes("tiny-a")
    assert list(watched.engines().values()) != [pid]


def test_the_folder_of_saved_conversations_is_made_anew_and_what_stands_in_its_place_is_named(
    watched: Stack,
) -> None:
    settled(watched)
    held, before = watched.remembered(), len(watched.watched())
    folder = watched.folder / "host/reconciler-host/models/tiny-a/slots"
    shutil.rmtree(folder)
    folder.write_text("in the way")
    watched.desire("tiny-b")
    said(watched, f"saved failed: {folder}: a part of the path is not a directory", before)
    assert list(watched.engines()) == ["tiny-a"]
    folder.unlink()
    watched.becomes("tiny-b")
    watched.desire("tiny-a")
    watched.becomes("tiny-a")
    assert watched.talk()["cache_n"] >= LEAST_REUSED * held > 100


@pytest.mark.parametrize("moment", ["intent stop", "intent await_healthy"])
def test_a_switch_that_is_taken_back_half_way_ends_as_the_file_says(
    watched: Stack, moment: str
) -> None:
    settled(watched)
    held, rows, before = watched.remembered(), watched.rows(), len(watched.watched())
    watched.desire("tiny-b")
    until(
        lambda: any(stands_for(moment, seen) for seen in watched.moments(rows)),
        within=COMMAND_SECONDS,
    )
    watched.desire("tiny-a")
    said(watched, "local: applied", before)
    watched.becomes("tiny-a")
    assert watched.talk()["cache_n"] >= LEAST_REUSED * held > 100


def test_of_a_storm_of_saves_the_last_one_wins_and_few_are_carried_out(watched: Stack) -> None:
    settled(watched)
    rows, before, pause, began = (
        watched.rows(),
        len(watched.watched()),
        threading.Event(),
        time.monotonic(),
    )
    for number in range(SAVES):
        watched.desire(("tiny-b", "tiny-a")[number % 2])
        pause.wait(SAVING_SECONDS / SAVES)
        if number == SAVES // 2:
            assert watched.run("status").returncode == 0
    watched.desire("tiny-b")
    few = FEW_AT_FIRST + (time.monotonic() - began) / PATIENT_SECONDS
    watched.becomes("tiny-b")
    assert watched.watched()[before:].count("following") <= few
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


def test_ctrl_c_twice_leaves_while_an_engine_is_deaf_and_the_next_watch_goes_on(
    here: Stack,
) -> None:
    here.inventory(engine=here.frail_engine("deaf"))
    here.desire("tiny-b")
    with here.watching(code=130) as process:
        here.becomes("tiny-b")
        rows = here.rows()
        here.desire("tiny-a")
        until(lambda: "intent stop" in here.moments(rows), within=COMMAND_SECONDS)
        process.send_signal(signal.SIGINT)
        said(
            here,
            "stopping after the current action; engines keep running; once more quits at once",
            0,
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(COMMAND_SECONDS) == 130
        assert "what was begun is in the journal" in here.watched()
    with here.watching():
        said(
            here,
            "was cut short during stop tiny-b; looking again and going on from what is there",
            0,
        )
        here.becomes("tiny-a")
    assert here.processes() == list(here.engines().values())


NOWHERE = "/proc/sys/reconciler"
"""Nobody can write here, not even root."""


class Installed(Stack):
    """Run the command that an installation puts on the path."""

    def argv(self, *words: str, directory: str = "data") -> list[str]:
        command = str(Path(sys.executable).with_name("reconciler"))
        return [command, *super().argv(*words, directory=directory)[3:]]


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Stack]:
    made = Installed(tmp_path)
    with ending(made):
        yield made


@pytest.mark.parametrize(
    ("directory", "sentence"),
    [
        (
            NOWHERE,
            (
                f"{NOWHERE}/lock cannot be opened: No such file or directory; free space or fix the"
                " permissions, or choose"
            ),
        ),
        ("state/desired.yaml", "desired.yaml is not a directory; choose another place with --data"),
    ],
)
def test_a_journal_that_cannot_be_written_stops_apply_but_no_look(
    installed: Stack, directory: str, sentence: str
) -> None:
    for verb in ("plan", "status", "history", "validate"):
        assert installed.run(verb, directory=directory).returncode == 0
    refused = installed.run("apply", "--yes", directory=directory)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert installed.engines() == {}
    installed.apply()
    assert list(installed.engines()) == ["tiny-a"]


def test_a_host_directory_that_cannot_be_written_is_named_before_anything_starts(
    installed: Stack,
) -> None:
    refused = installed.run("apply", "--yes", XDG_STATE_HOME=NOWHERE)
    assert refused.returncode == 4
    assert f"the host could not be claimed: write-claim failed: {NOWHERE}" in refused.stdout
    assert installed.engines() == {}
    installed.apply()
    assert list(installed.engines()) == ["tiny-a"]


def test_without_git_a_switch_is_the_same(installed: Stack) -> None:
    subprocess.run(["git", "init", "--quiet", str(installed.folder)], check=True)  # noqa: S607 - the git of whoever runs the tests
    assert "(untracked)" in installed.run("plan").stdout
    without = installed.run("plan", PATH="/nowhere").stdout
    assert "(git does not answer)" in without
    assert (
        "note: git is not installed here, or not on the PATH of this process; install it" in without
    )
    applied = installed.run("apply", "--yes", PATH="/nowhere")
    assert applied.returncode == 0, applied.stderr
    assert list(installed.engines()) == ["tiny-a"]
