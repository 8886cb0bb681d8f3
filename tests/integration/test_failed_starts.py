"""A model that cannot serve costs no conversation: it is refused before a stop, or undone."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import anyio.lowlevel
import pytest

from reconciler.app import build
from reconciler.drivers.launchers import process
from reconciler.model.facts import Mark, UnitIdentity
from reconciler.model.spec import ModelSpec
from reconciler.onhost import procfs
from reconciler.ports import Evidence
from reconciler.render.plan_document import PlanDocument
from reconciler.render.text import plan_text, verdict_text
from reconciler.settings import settings
from reconciler.verbs import apply
from reconciler.verbs.context import Caller
from tests import running, unhealthy_engine
from tests.clocks import HurriedClock
from tests.engine import Server, free_port, weights_in
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, Stack, stack

AT_ONCE = "tiny-b: it exited "
"""What is said of an engine that ends while it loads: after its start, or where this machine was
slower than it, in it."""

LONG = "60s"
"""A trial that nothing outlives which is killed in it."""


@pytest.fixture
def here(tmp_path: Path, server: Server) -> Iterator[Stack]:
    with stack(tmp_path, server) as made:
        made.apply()
        yield made


def cut_in_its_tensors(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_in_its_header(path: Path) -> None:
    os.truncate(path, 100)


def another_format(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" + bytes(10_000))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_in_its_tensors, "was the download interrupted?"),
        (cut_in_its_header, "its header is cut short"),
        (another_format, "it is not a GGUF file"),
        (Path.unlink, "there is no such file"),
    ],
)
def test_weights_that_cannot_be_used_are_refused_before_anything_stops(
    here: Stack, damage: Callable[[Path], None], said: str
) -> None:
    held = here.remembered()
    weights = weights_in(here.folder)
    damage(weights)
    here.inventory(engine=here.server.of_weights(weights))
    here.desire("tiny-b")
    rows, engines = here.rows(), here.engines()
    refused = here.apply(4)
    assert (str(weights) in refused.stdout, said in refused.stdout) == (True, True), refused.stdout
    assert said in here.run("status").stdout
    assert (here.rows(), here.engines()) == (rows, engines)
    assert here.talk()["cache_n"] >= LEAST_REUSED * held
    here.inventory()
    here.apply()
    assert list(here.engines()) == ["tiny-b"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ('["--flash-atn", "on"]', "--flash-atn: unknown to "),
        (
            '["--mmproj", "p.gguf"]',
            "--mmproj: HERE/host/reconciler-host/models/tiny-b/p.gguf cannot be read",
        ),
    ],
    ids=["a flag", "a file"],
)
def test_what_no_start_could_take_is_refused_before_anything_stops(
    here: Stack, args: str, said: str
) -> None:
    held = here.remembered()
    here.inventory(f", args: {args}")
    here.desire("tiny-b")
    rows, engines = here.rows(), here.engines()
    refused = here.apply(4)
    assert said.replace("HERE", str(here.folder)) in refused.stdout, refused.stdout
    assert (here.rows(), here.engines()) == (rows, engines)
    assert here.talk()["cache_n"] >= LEAST_REUSED * held


def goes_back(
    here: Stack, held: int, failed: CompletedProcess[str], said: str, last_word: str
) -> None:
    """Show that a failure cost nothing, is remembered with its reason, and forgotten once fixed."""
    assert failed.returncode == 3
    assert "rolled back" in failed.stdout
    assert said in failed.stdout, failed.stdout + failed.stderr
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100, (
        failed.stderr + here.run("history").stdout
    )
    engines = here.engines()
    assert list(engines) == ["tiny-a"]
    again = here.apply(4)
    assert "quarantined" in again.stdout
    assert here.engines() == engines
    log = here.folder / "host/reconciler-host/models/tiny-b/log"
    lost = here.server.binary != "" and last_word not in log.read_text(
        errors="replace"
    )  # as a busy llama-server's may be
    for shown in (
        failed.stdout,
        again.stdout,
        here.run("status").stdout,
        here.run("history").stdout,
    ):
        assert said in shown, shown
        assert lost or any(
            line.lstrip().startswith("|") and last_word in line for line in shown.splitlines()
        ), shown
    here.inventory()
    here.apply()
    assert list(here.engines()) == ["tiny-b"]


def of_no_known_architecture(folder: Path) -> Path:
    """Write weights whose header is in order, and which no engine can load."""
    path = weights_in(folder)
    before, key, after = path.read_bytes().partition(b"general.architecture")
    path.write_bytes(before + key + after.replace(b"llama", b"xlama", 1))
    return path


def test_weights_that_only_the_engine_can_judge_bring_the_previous_model_back(here: Stack) -> None:
    held = here.remembered()
    here.inventory(engine=here.server.of_weights(of_no_known_architecture(here.folder)))
    here.desire("tiny-b")
    goes_back(here, held, here.run("apply", "--yes"), AT_ONCE, "xlama")


def test_a_bad_flag_brings_the_previous_model_back(here: Stack) -> None:
    held = here.remembered()
    here.inventory(', args: ["--threads", "many"]')
    here.desire("tiny-b")
    goes_back(here, held, here.run("apply", "--yes"), AT_ONCE, "--threads")


def test_a_bad_definition_on_another_port_brings_the_one_before_back_where_that_listens(
    here: Stack,
) -> None:
    held = here.remembered()
    file = here.folder / "state" / "inventory.yaml"
    good = file.read_text()
    file.write_text(
        re.sub(
            r"(tiny-a: .*)}, port: \d+",
            rf'\1, args: ["--threads", "many"]}}, port: {free_port()}',
            good,
        )
    )
    assert "rolled back" in here.apply(3).stdout
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
    assert "model tiny-a               ready" in here.run("status").stdout
    assert "local: in sync (tiny-a)" in here.run("plan").stdout
    engines = here.engines()
    file.write_text(good)
    here.apply()
    assert here.engines() == engines


@pytest.fixture
def _seen_once_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tiny-b be looked at only after its program has ended, so that its own step sees it."""
    start = process.Driver.start

    async def ended(launcher: process.Driver, model: ModelSpec, mark: Mark) -> Evidence:
        evidence = await start(launcher, model, mark)
        pid = UnitIdentity.model_validate(evidence["identity"]).pid
        with anyio.fail_after(COMMAND_SECONDS):
            while model.name == "tiny-b" and (one := procfs.process(pid)) and one.alive:
                await anyio.lowlevel.checkpoint()
        return evidence

    monkeypatch.setattr(process.Driver, "start", ended)


@pytest.mark.usefixtures("_seen_once_it_ended")
@pytest.mark.parametrize("status", [0, 1])
def test_a_program_that_ends_at_once_brings_the_previous_model_back(
    here: Stack, status: int
) -> None:
    held = here.remembered()
    program = here.folder / "llama-server"
    program.write_text(f"#!/bin/sh\necho no such device\nexit {status}\n")
    program.chmod(0o755)
    here.inventory(engine=f"kind: llamacpp, binary: {program}, weights: {weights_in(here.folder)}")
    here.desire("tiny-b")
    goes_back(here, held, hurried(here), "start tiny-b: it exited at once", "no such device")


def hurried(here: Stack) -> CompletedProcess[str]:
    """Apply in this process with a clock on which two minutes are a few seconds."""
    app = build(settings(here.environment(), str(here.folder / "state"), str(here.folder / "data")))
    said: list[str] = []

    def approve(document: PlanDocument) -> bool:
        said.append(plan_text(document.model_dump(mode="json")))
        return True

    hurried = replace(app, clock=HurriedClock(30))
    outcome = hurried.run(apply.run, hurried, apply.ApplyRequest(), Caller(approve, said.append))
    return CompletedProcess(
        [],
        outcome.exit_code,
        verdict_text(outcome.document.model_dump(mode="json")),
        "\n".join(said),
    )


@pytest.mark.parametrize(
    ("mood", "said"),
    [("busy", "answered 503: the keeper lost the key"), ("silent", "nothing listens on")],
)
def test_an_engine_that_is_never_healthy_brings_the_previous_model_back(
    here: Stack, mood: str, said: str
) -> None:
    held = here.remembered()
    here.inventory(engine=here.frail_engine(mood))
    here.desire("tiny-b")
    goes_back(here, held, hurried(here), said, unhealthy_engine.WORDS)


def test_a_person_who_waits_no_longer_gets_the_previous_model_back(here: Stack) -> None:
    held = here.remembered()
    here.inventory(engine=here.frail_engine("silent"))
    here.desire("tiny-b")
    ended = here.apply(3, "--timeout", "3")
    assert "no end within the 3 s of --timeout" in ended.stdout
    assert "no end within the 3 s of --timeout" in here.run("history").stdout
    assert list(here.engines()) == ["tiny-a"]
    assert here.talk()["cache_n"] >= LEAST_REUSED * held


def tried(here: Stack, number: signal.Signals) -> CompletedProcess[str]:
    """Apply, and send the engine a signal as soon as it is on trial."""
    rows = here.rows()
    with here.start("apply", "--yes") as process:
        assert here.until(process, rows, "trial-opened")
        os.kill(here.engines()["tiny-b"], number)
        stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
    return CompletedProcess([], process.returncode, stdout, stderr)


def test_an_engine_that_dies_in_its_trial_brings_the_previous_model_back(here: Stack) -> None:
    held = here.remembered()
    here.inventory(stable_for=LONG)
    here.desire("tiny-b")
    goes_back(here, held, tried(here, signal.SIGKILL), "tiny-b died in its trial", "listening on")


def test_an_engine_that_does_not_answer_one_look_is_left_alone(here: Stack) -> None:
    here.inventory(engine=here.frail_engine("hiccup"))
    here.desire("tiny-b")
    here.apply()
    engines, rows = here.engines(), here.rows()
    os.kill(engines["tiny-b"], signal.SIGUSR1)
    running.wait_for_line(
        here.folder / "host/reconciler-host/models/tiny-b/log", unhealthy_engine.WORDS
    )
    here.apply()
    assert (here.engines(), here.rows()) == (engines, rows)


@pytest.mark.parametrize(("mood", "became"), [("well", "unresponsive"), ("overloaded", "unclear")])
def test_an_engine_that_stops_working_in_its_trial_brings_the_previous_model_back(
    here: Stack, mood: str, became: str
) -> None:
    held = here.remembered()
    here.inventory(engine=here.frail_engine(mood), stable_for=LONG)
    here.desire("tiny-b")
    goes_back(
        here,
        held,
        tried(here, signal.SIGUSR1),
        f"tiny-b became {became} in its trial",
        unhealthy_engine.WORDS,
    )
