"""A watch over real engines: edits by editors and git, requests, deaths of engine and watch."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import ANY

import pytest

from reconciler.app import build
from reconciler.errors import NotApproved
from reconciler.render.plan_document import PlanDocument
from reconciler.settings import settings
from reconciler.verbs import apply
from reconciler.verbs.context import Caller
from tests.repository import git, repository
from tests.running import until
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, stack


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


def save(here: Stack, active: str) -> None:
    """Save as most editors do: another file that takes the name."""
    file = here.folder / "state" / "desired.yaml"
    beside = file.with_name(".desired.yaml.swp")
    beside.write_text(file.read_text().replace("tiny-a", active).replace("tiny-b", active))
    beside.replace(file)


def test_edits_by_editors_and_by_git_are_carried_out_with_the_conversation(here: Stack) -> None:
    repository(here.folder)
    with here.watching():
        here.becomes("tiny-a")
        held = here.remembered()
        save(here, "tiny-b")
        here.becomes("tiny-b")
        git(here.folder, "checkout", "-q", "--", "state")
        here.becomes("tiny-a")
        assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
        git(here.folder, "checkout", "-qb", "other")
        here.desire("tiny-b")
        git(here.folder, "commit", "-qam", "Run the other model")
        here.becomes("tiny-b")
        git(here.folder, "checkout", "-q", "-")
        here.becomes("tiny-a")
        git(here.folder, "merge", "-q", "other")
        here.becomes("tiny-b")
    assert list(here.engines()) == ["tiny-b"]


def test_a_commit_alone_is_carried_out_where_only_commits_count(here: Stack) -> None:
    here.desired("version: 1\napply_from: committed\npower: on\nactive: tiny-a\n")
    repository(here.folder)
    with here.watching():
        here.becomes("tiny-a")
        save(here, "tiny-b")
        until(lambda: "is not as in commit" in here.watched(), within=COMMAND_SECONDS)
        assert list(here.engines()) == ["tiny-a"]
        git(here.folder, "commit", "-qam", "Run the other model")
        here.becomes("tiny-b")


def test_what_is_pulled_is_carried_out(
    here: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repository(here.folder)
    away = tmp_path_factory.mktemp("away") / "clone"
    git(here.folder, "clone", "-q", str(here.folder), str(away))
    file = away / "state" / "desired.yaml"
    file.write_text(file.read_text().replace("tiny-a", "tiny-b"))
    git(away, "commit", "-qam", "Run the other model")
    with here.watching():
        here.becomes("tiny-a")
        git(here.folder, "pull", "-q", str(away))
        here.becomes("tiny-b")


def test_nothing_is_read_while_git_is_half_way(here: Stack) -> None:
    repository(here.folder)
    with here.watching():
        here.becomes("tiny-a")
        lock = here.folder / ".git" / "index.lock"
        lock.touch()
        save(here, "tiny-b")
        until(lambda: "waiting: git is in the middle of" in here.watched(), within=COMMAND_SECONDS)
        assert list(here.engines()) == ["tiny-a"]
        lock.unlink()
        here.becomes("tiny-b")


def test_edits_that_change_nothing_wanted_cut_no_stream(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
        engines, rows = here.engines(), here.rows()
        connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
        body = json.dumps(
            {"prompt": here.conversation, "n_predict": 400, "stream": True, "ignore_eos": True}
        )
        connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
        stream = connection.getresponse()
        assert stream.readline().startswith(b"data: ")
        file = here.folder / "state" / "desired.yaml"
        for number, text in enumerate(
            (
                "# a comment\nversion: 1\npower: on\nactive: tiny-a\n",
                "active: [tiny-a]\npower: on\nversion: 1\n",
            )
        ):
            file.write_text(text)
            here.inventory('}, description: "another", launcher: {kind: process')
            until(partial(here.has_followed, number + 2))
        rest = stream.read()
        connection.close()
        assert b'"stop":true' in rest
        assert (here.engines(), here.rows()) == (engines, rows)


def test_who_asks_ends_as_the_run_ended(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
        here.apply()
        held = here.run("hold", "--reason", "a game", "--release", "--yes")
        assert held.returncode == 0, held.stderr
        assert here.engines() == {}
        assert "a game" in here.apply(4).stdout
        assert here.run("resume", "--yes").returncode == 0
        assert list(here.engines()) == ["tiny-a"]
        here.desire("tiny-b")
        here.becomes("tiny-b")
        assert here.run("rollback", "--yes").returncode == 0
        assert list(here.engines()) == ["tiny-a"]
        here.apply(4)
        assert here.run("retry", "--yes").returncode == 0
        assert list(here.engines()) == ["tiny-b"]


def test_use_ends_well_while_a_watch_carries_out_what_it_writes(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
        for model in ("tiny-b", "tiny-a"):
            used = here.run("use", model, "--yes")
            assert used.returncode == 0, used.stdout + used.stderr
            assert list(here.engines()) == [model]


def test_an_engine_that_dies_is_started_again_with_its_conversation_of_before(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
        (pid,) = here.engines().values()
        os.kill(pid, signal.SIGKILL)
        until(lambda: list(here.engines().values()) not in ([], [pid]), within=COMMAND_SECONDS)
        here.becomes("tiny-a")


def test_engines_outlive_the_watch_and_the_next_one_finds_them(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
    engines = here.engines()
    assert list(engines) == ["tiny-a"]
    with here.watching(code=-signal.SIGKILL) as process:
        until(lambda: "in sync" in here.watched())
        process.kill()
        process.wait()
    assert here.engines() == engines
    rows = here.rows()
    with here.watching():
        until(lambda: "in sync" in here.watched())
    assert (here.engines(), here.rows()) == (engines, rows)


def test_a_command_that_asked_a_killed_watch_acts_itself(here: Stack) -> None:
    here.inventory(engine=here.frail_engine("silent"))
    with here.watching(code=-signal.SIGKILL) as process:
        here.becomes("tiny-a")
        rows = here.rows()
        here.desire("tiny-b")
        with here.start("apply", "--yes") as asking:
            until(lambda: "asked" in here.moments(rows), within=COMMAND_SECONDS)
            process.kill()
            process.wait()
            here.desire("tiny-a")
            _, stderr = asking.communicate(timeout=COMMAND_SECONDS)
        assert asking.returncode == 0, stderr
        assert "acting here" in stderr
    assert list(here.engines()) == ["tiny-a"]


def test_log_lines_are_json_for_what_collects_them(here: Stack) -> None:
    with here.watching("-o", "json"):
        here.becomes("tiny-a")
    lines = [json.loads(line) for line in here.watched().splitlines()]
    assert {"event": "local: applied", "timestamp": ANY} in lines


def test_a_second_watch_is_refused(here: Stack) -> None:
    with here.watching():
        here.becomes("tiny-a")
        second = here.run("watch")
        assert second.returncode == 4
        assert "LockHeld: reconciler watch (pid" in second.stderr


def test_a_hangup_reads_everything_again(here: Stack) -> None:
    with here.watching() as process:
        here.becomes("tiny-a")
        process.send_signal(signal.SIGHUP)
        until(lambda: "looking at everything again" in here.watched())


def test_ctrl_c_ends_a_watch_and_no_engine(here: Stack) -> None:
    with here.watching(code=130) as process:
        here.becomes("tiny-a")
        process.send_signal(signal.SIGINT)
        process.wait(COMMAND_SECONDS)
    assert list(here.engines()) == ["tiny-a"]


@pytest.mark.parametrize(("meanwhile", "asked"), [("tiny-b", 1), ("[]", 2)])
def test_who_asked_a_watch_that_dies_is_asked_again_where_the_plan_is_another(
    here: Stack, meanwhile: str, asked: int
) -> None:
    shown: list[object] = []
    with here.watching(code=-signal.SIGKILL) as process:
        here.becomes("tiny-a")
        os.kill(process.pid, signal.SIGSTOP)
        here.desire("tiny-b")

        def approve(document: PlanDocument) -> bool:
            shown.append(document.hosts)
            here.desire(meanwhile)
            process.kill()
            return len(shown) == 1

        app = build(
            settings(here.environment(), str(here.folder / "state"), str(here.folder / "data"))
        )
        if asked > 1:
            with pytest.raises(
                NotApproved, match="nothing more was done: the plan was not approved"
            ):
                app.run(apply.run, app, apply.ApplyRequest(), Caller(approve, print))
        else:
            assert (
                app.run(apply.run, app, apply.ApplyRequest(), Caller(approve, print)).exit_code == 0
            )
    assert len(shown) == asked
    assert list(here.engines()) == ["tiny-a" if asked > 1 else "tiny-b"]
