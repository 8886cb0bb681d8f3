"""`explain` answers for whatever a person has met: a name, number, reason, step or key."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from reconciler.cli.main import main
from reconciler.model.records import Mode, StepDone, Verdict
from reconciler.model.status import ConditionType
from reconciler.render.terminal_style import Look
from reconciler.render.text import explain_text
from tests.engine import free_port
from tests.jsonschema import unfit
from tests.rules.tree import ROOT
from tests.unit.test_documents import schema

INVENTORY = """version: 1
hosts:
  local:
    gpu: none
    engines: {llamacpp: {context: 2048}}
    launchers: {docker: {socket: /run/other.sock}}
models:
  qwen2.5: {engine: {kind: llamacpp, weights: /w.gguf, context: 512}, port: PORT}
  gemma3:
    engine: {kind: llamacpp, weights: /w.gguf}
    port: PORT
  phi4: {engine: {kind: llamacpp, weights: /w.gguf}, launcher: docker, port: PORT}
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "desired.yaml").write_text("version: 1\nactive: gemma3\n")
    (tmp_path / "state" / "inventory.yaml").write_text(INVENTORY.replace("PORT", str(free_port())))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "host"))
    return tmp_path / "state"


def told(subject: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["explain", subject]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("gemma3", "  wanted          active\n"),
        ("gemma3", "defined as      llamacpp (binary llama-server, weights /w.gguf, context 2048"),
        ("local", "  next            nothing: "),
        ("socket", "key models.NAME.launcher.socket\n"),
        ("StartFailed", "  to do           read its last words."),
        (
            "await_vram",
            "  ensures         enough accelerator memory is free, on every card that is meant.",
        ),
        ("active", '  written         "gemma3", in state/desired.yaml:2\n'),
        ("models.qwen2.5.engine.context", "  written         512, in state/inventory.yaml:8\n"),
        ("models.gemma3.engine.context", "  written         2048, in state/inventory.yaml:5\n"),
        (
            "models.phi4.launcher.socket",
            '  written         "/run/other.sock", in state/inventory.yaml:6\n',
        ),
        (
            "models.gemma3.stable_for",
            "  default         10.0\n  written         nowhere, so the default holds\n",
        ),
        (
            "stable_for",
            '  means           How long it must stay healthy to count as good, such as "10s".\n',
        ),
        ("parallel", "key models.NAME.engine.parallel\n"),
        (
            "save_slots",
            (
                "  when late       the run continues without it; with `conversations: require`"
                " nothing is stopped\n"
            ),
        ),
        (
            "models.NAME.port",
            "  means           The port that it answers on: of its host's loopback, or of",
        ),
        ("models.NAME.engine.seed", "  option of       embedded\n"),
        ("hosts.local.gpu", '  written         "none", in state/inventory.yaml:4\n'),
        ("Stalled", "word Stalled\n  means           the last attempt failed, and why;"),
        ("generation", "  means           how often what you want of a host has changed"),
        ("~", "word ~\n  means           before a line of a plan: predicted"),
        ("last good", "  means           the newest wanted state that was reached"),
    ],
)
def test_a_subject_is_explained(
    subject: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in told(subject, capsys)


def test_a_key_that_both_files_know_is_explained_for_both(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = told("hosts.local.power", capsys)
    assert "desired.yaml" in said
    assert "inventory.yaml" in said


@pytest.mark.parametrize(
    "subject", ["gemma3", "local", "ConfigError", "stop", "models.gemma3.port", "trial"]
)
def test_what_is_explained_as_json_is_what_its_schema_says(
    subject: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", subject, "-o", "json"]) == 0
    assert list(unfit(json.loads(capsys.readouterr().out), schema("explain"))) == []


@pytest.mark.parametrize(
    ("subject", "near"),
    [
        ("gema3", "gemma3"),
        ("StartFaild", "StartFailed"),
        ("models.gemma3.prot", "models.gemma3.port"),
        ("activ", "active"),
        ("stalled", "Stalled"),
    ],
)
def test_what_is_unknown_is_answered_with_the_nearest(
    subject: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", subject]) == 64
    said = capsys.readouterr().err
    assert f"nothing is called {subject}; what can be explained is" in said
    assert f'; did you mean "{near}"?' in said


def test_an_error_is_explained_also_while_the_files_are_wrong(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "desired.yaml").write_text("version: 2\n")
    assert "reconciler validate" in told("ConfigError", capsys)
    (state / "desired.yaml").unlink()
    assert "reconciler validate" in told("ConfigError", capsys)
    assert main(["explain", "gemma3"]) == 1
    assert "desired.yaml: not found" in capsys.readouterr().err


HISTORY = {
    *get_args(Mode),
    *get_args(Verdict),
    *get_args(StepDone.model_fields["outcome"].annotation),
    "cut short",
    "open",
}


@pytest.mark.parametrize("word", sorted({*get_args(ConditionType)} - {"Held"} | HISTORY - {"done"}))
def test_what_status_says_first_and_history_of_runs_and_steps_is_a_word_that_is_explained(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"word {word}\n" in told(word, capsys)


def test_the_installed_package_carries_the_pages_that_are_written_once() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"][
        "build"
    ]["targets"]["wheel"]
    assert built["force-include"] == {
        page: f"reconciler/{page}" for page in ("docs/errors.md", "docs/questions.md")
    }
    assert all((ROOT / page).is_file() for page in built["force-include"])


def test_a_default_of_one_of_several_hosts_is_not_taken_for_a_model_that_names_none(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = state / "inventory.yaml"
    file.write_text(file.read_text().replace("models:\n", "  other: {gpu: none}\nmodels:\n", 1))
    assert main(["explain", "models.gemma3.engine.context"]) == 0
    assert "in state/inventory.yaml" not in capsys.readouterr().out


def test_on_a_terminal_a_long_sentence_goes_on_below_between_its_words() -> None:
    says = (
        "llamacpp (weights /models/a-very-long-name-of-weights.gguf, context 4096), run by process"
    )
    fact = {
        "explanations": [
            {
                "kind": "model",
                "subject": "a",
                "facts": [{"about": "defined as", "says": says}],
                "log": [],
            }
        ]
    }
    first, *others = explain_text(fact, Look(width=40)).splitlines()[1:]
    assert first == "  defined as      llamacpp (weights"
    assert {line[:18] for line in others} == {" " * 18}
    assert " ".join([first[18:], *(line.strip() for line in others)]) == says
    assert explain_text(fact).splitlines()[1].endswith(says)


def test_an_undescribed_key_is_explained_by_what_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "  means" not in told("models.gemma3.engine.kind", capsys)
