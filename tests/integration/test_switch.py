"""A switch and back on a real engine, by the command line, despite accidents and mistakes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.app import build
from reconciler.settings import settings
from reconciler.verbs import apply
from reconciler.verbs.context import Caller
from tests.engine import Server
from tests.repository import git, repository
from tests.running import lives, until
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, stack


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def test_an_applied_state_is_a_fixpoint(here: Stack) -> None:
    assert here.run("plan", "--detailed-exitcode").returncode == 2
    here.apply()
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    rows, engines = here.rows(), here.engines()
    assert "in sync" in here.apply().stdout
    assert (here.rows(), here.engines()) == (rows, engines)


def test_looking_at_an_engine_loads_no_http_client(here: Stack) -> None:
    here.apply()
    done = here.run("plan", "--detailed-exitcode", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "http.client" in loaded, "the engine was asked"
    assert {"httpx", "httptools", "msgspec"} & loaded == set()


def test_a_conversation_survives_a_switch_and_back(tmp_path: Path, server: Server) -> None:
    with stack(tmp_path, server) as here:
        here.apply()
        held = here.remembered()
        here.desire("tiny-b")
        here.apply()
        assert list(here.engines()) == ["tiny-b"]
        here.desire("tiny-a")
        here.apply()
        assert re.search(
            r"^ +restore_slots +tiny-a +done .* slot 0: \d+ tokens proven$",
            here.run("history").stdout,
            re.MULTILINE,
        )
        assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("whatever", [False, True])
def test_a_plan_that_no_longer_fits_is_refused_unless_whatever_is_to_be_done_was_approved(
    here: Stack, whatever: bool
) -> None:
    here.apply()
    here.desire("tiny-b")
    (pid,) = here.engines().values()

    def approve(_: object) -> bool:
        os.kill(pid, signal.SIGKILL)
        # The kernel lets go of the port after it tells that the process has ended.
        until(lambda: not lives(pid) and not listens(here.port))
        return True

    app = build(settings(here.environment(), str(here.folder / "state"), str(here.folder / "data")))
    rows = here.rows()
    if whatever:
        assert (
            app.run(
                apply.run, app, apply.ApplyRequest(approved=True), Caller(approve, print)
            ).exit_code
            == 0
        )
        assert list(here.engines()) == ["tiny-b"]
        return
    refused = app.run(apply.run, app, apply.ApplyRequest(), Caller(approve, print))
    assert refused.exit_code == 4
    assert "PlanStale: this plan is not the one that was approved" in str(refused.document)
    assert (here.rows(), here.engines()) == (rows, {})


def test_a_plan_is_the_same_bytes_under_any_hash_seed(here: Stack) -> None:
    plans = set()
    for seed in range(10):
        document = json.loads(here.run("plan", "-o", "json", PYTHONHASHSEED=str(seed)).stdout)
        document.pop("evidence")
        plans.add(json.dumps(document))
    assert len(plans) == 1


def test_engines_are_adopted_when_the_journal_is_gone(here: Stack) -> None:
    here.apply()
    engines = here.engines()
    shutil.rmtree(here.folder / "data")
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    here.apply()
    assert here.engines() == engines


def test_retry_forgets_a_failure_and_tries_again(here: Stack) -> None:
    here.apply()
    here.inventory(', args: ["--threads", "many"]')
    here.desire("tiny-b")
    here.apply(3)
    assert here.run("retry").returncode == 4
    here.apply(4)
    assert here.run("retry", "--yes").returncode == 3
    assert len([run for run in here.document("history")["runs"] if run["verdict"] == "failed"]) == 2


def test_a_first_start_that_fails_is_stopped(here: Stack) -> None:
    here.inventory(', args: ["--threads", "many"]')
    here.desire("tiny-b")
    here.apply(3)
    assert here.engines() == {}


def test_rollback_goes_back_and_leaves_the_wish_alone(here: Stack) -> None:
    here.apply()
    here.desire("tiny-b")
    here.apply()
    here.remembered()
    assert here.run("rollback").returncode == 4
    here.apply()
    assert list(here.engines()) == ["tiny-b"]
    done = here.run("rollback", "--yes")
    assert "1 slot holds" in done.stderr
    assert "0 conversations lost" in done.stderr
    assert list(here.engines()) == ["tiny-a"], done.stdout + done.stderr
    assert (done.returncode, "fix the cause" in done.stdout) == (0, False)
    assert "the wanted state was left by `reconciler rollback`" in here.apply(4).stdout
    assert list(here.engines()) == ["tiny-a"]


def test_a_rollback_to_what_serves_already_is_in_sync_and_not_refused(here: Stack) -> None:
    here.apply()
    here.inventory(", context: 2048")
    here.apply()
    done = here.run("rollback", "--yes")
    assert (done.returncode, done.stdout) == (
        0,
        f"local: in sync\n  tiny-a               http://127.0.0.1:{here.port}/v1\n",
    )
    assert "quarantined" not in done.stderr
    said = here.apply(4).stdout
    assert said.count("was left by `reconciler rollback`") == 1
    assert "`reconciler retry local`" in said


def test_rollback_from_a_model_that_is_new_in_the_inventory_keeps_its_conversation(
    here: Stack,
) -> None:
    here.forget("tiny-b")
    here.apply()
    here.inventory()
    here.desire("tiny-b")
    here.apply()
    held = here.remembered()
    back = here.run("rollback", "--yes")
    assert (back.returncode, list(here.engines())) == (0, ["tiny-a"]), back.stderr
    assert "0 conversations lost" in back.stderr
    assert here.run("retry", "--yes").returncode == 0
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100


def test_rollback_goes_to_what_served_before_and_not_to_a_host_that_was_held(here: Stack) -> None:
    here.apply()
    here.desire("tiny-b")
    here.apply()
    freed = here.run("hold", "--reason", "a game", "--release", "--yes")
    assert ("note: held: a game" in freed.stderr, "refused" in freed.stderr) == (True, False)
    assert here.document("history")["runs"][-1]["mode"] == "release"
    assert here.run("resume", "--yes").returncode == 0
    back = here.run("rollback", "--yes")
    assert back.returncode == 0, back.stderr
    assert list(here.engines()) == ["tiny-a"]
    assert "refused" not in back.stderr


def test_a_stranger_on_the_port_is_named_and_left_alone(here: Stack) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", here.port))
        stranger.listen()
        refused = here.apply(4)
        assert f"pid {os.getpid()}" in refused.stdout
    assert here.engines() == {}


def test_a_second_apply_is_refused_and_told_who_acts(here: Stack) -> None:
    with here.start("apply", "--yes") as first:
        assert first.stderr is not None
        assert any(line.startswith("start ") for line in first.stderr)
        first.send_signal(signal.SIGSTOP)
        second = here.apply(4)
        first.send_signal(signal.SIGCONT)
        assert (
            f"LockHeld: reconciler apply (pid {first.pid}) acts on this data directory now"
            in second.stderr
        )
        assert f"wait for it, or `kill {first.pid}` stops it" in second.stderr
        assert first.wait(COMMAND_SECONDS) == 0


def test_a_second_controller_is_refused_until_it_takes_over(here: Stack) -> None:
    here.apply()
    here.desire("tiny-b")
    refused = here.run("apply", "--yes", directory="other")
    assert refused.returncode == 4
    assert (
        f"claimed by {socket.gethostname()} (data directory {here.folder / 'data'})"
        in refused.stdout
    )
    assert "stop that controller and use `reconciler apply --take-over`" in refused.stdout
    assert list(here.engines()) == ["tiny-a"]
    assert here.run("apply", "--yes", "--take-over", directory="other").returncode == 0


def test_nothing_happens_without_approval(here: Stack) -> None:
    refused = here.run("apply")
    assert refused.returncode == 4
    assert "--yes" in refused.stderr
    assert here.engines() == {}


def test_a_typo_is_placed_and_answered_with_the_nearest_name(here: Stack) -> None:
    here.desire("tiny-aa")
    wrong = here.run("plan")
    assert wrong.returncode == 1
    assert "desired.yaml:3:9" in wrong.stderr
    assert "tiny-a" in wrong.stderr


def test_an_unknown_word_is_a_usage_error(here: Stack) -> None:
    assert here.run("plan", "--bogus").returncode == 64
    assert here.run("rollback", "--host", "nowhere").returncode == 64
    assert here.run("retry", "nowhere").returncode == 64
    assert here.run("history", "7").returncode == 64


def test_a_saved_plan_is_judged_by_its_meaning(here: Stack) -> None:
    assert here.run("plan", "--save", "plan.json").returncode == 0
    assert here.run("apply", "plan.json").returncode == 0
    stale = here.run("apply", "plan.json")
    assert stale.returncode == 4
    assert "  - local: start tiny-a" in stale.stderr


def test_a_damaged_journal_stops_everything_and_says_the_way_out(here: Stack) -> None:
    here.apply()
    with sqlite3.connect(here.folder / "data" / "journal" / "journal.sqlite") as connection:
        connection.execute("UPDATE record SET host = 'other' WHERE seq = 2")
    connection.close()
    here.desire("tiny-b")
    damaged = here.apply(5)
    assert "move it aside" in damaged.stderr
    assert list(here.engines()) == ["tiny-a"]


def test_validate_reads_both_files(here: Stack) -> None:
    assert "valid: local" in here.run("validate").stdout


def test_what_is_not_committed_is_shown_and_not_applied_where_commits_are_asked_for(
    here: Stack,
) -> None:
    with (here.folder / "state" / "desired.yaml").open("a") as file:
        file.write("apply_from: committed\n")
    repository(here.folder)
    here.apply()
    rows, engines = here.rows(), here.engines()
    with (here.folder / "state" / "desired.yaml").open("a") as file:
        file.write("description: not committed yet\n")
    changed = (here.folder / "state" / "desired.yaml").read_text()
    for text in (changed, changed.replace("tiny-a", "tiny-b")):
        (here.folder / "state" / "desired.yaml").write_text(text)
        for words in (("plan",), ("apply", "--yes")):
            refused = here.run(*words)
            assert refused.returncode == 4
            assert (
                "desired.yaml says `apply_from: committed`, but desired.yaml or inventory.yaml is"
                " not as in" in refused.stdout
            )
        assert "is not as in commit" in here.run("status").stdout
        back = here.run("rollback", "--yes")
        assert (back.returncode, "reconciler: Refused: desired.yaml says" in back.stderr) == (
            4,
            True,
        )
        assert here.run("validate").returncode == 0
    assert (here.rows(), here.engines()) == (rows, engines)
    git(here.folder, "commit", "-qam", "Run the other model")
    here.apply()
    assert list(here.engines()) == ["tiny-b"]
