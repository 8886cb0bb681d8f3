"""Every file that a flag names is looked at like the weights, and said with flag and path."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio
import pytest

from reconciler.drivers.engines import llamacpp
from reconciler.drivers.launchers import process
from reconciler.embedded.weights import write_weights
from reconciler.model.facts import Known
from tests.contracts.hosts import here
from tests.rig import spec

if TYPE_CHECKING:
    from pathlib import Path

OWN = "models/m"
"""Where relative paths begin."""


def problem(host: Path, *args: str, weights: str = "w.gguf") -> str:
    """What is wrong with the files of a model with these words, on a host with good weights."""
    (host / OWN).mkdir(parents=True, exist_ok=True)
    write_weights(host / OWN / "w.gguf", seed=1)
    options = llamacpp.Options(weights=weights, args=args)
    engine = llamacpp.Driver(
        options, spec(llamacpp.command(options, "m", 8080), 8080), here(host), lambda: 0.0
    )
    fact = anyio.run(engine.weights)
    assert isinstance(fact, Known)
    assert fact.value.exists
    return fact.value.problem


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "--mmproj p.gguf",
            "--mmproj: OWN/p.gguf cannot be read: there is no such file or directory",
        ),
        (
            "-md /nowhere/draft.gguf",
            "--model-draft: /nowhere/draft.gguf cannot be read: there is no such file or directory",
        ),
        (
            "--spec-draft-model cut.gguf",
            "--model-draft: OWN/cut.gguf cannot be used: its header is cut short",
        ),
        (
            "-md w-00001-of-00002.gguf",
            "--model-draft: its part OWN/w-00002-of-00002.gguf cannot be read",
        ),
        ("--lora w.gguf,a.gguf", "--lora: OWN/a.gguf cannot be read"),
        ("--lora-scaled w.gguf:0.5,a.gguf:2", "--lora-scaled: OWN/a.gguf cannot be read"),
        (
            "--control-vector text",
            "--control-vector: OWN/text cannot be used: it is not a GGUF file",
        ),
        (
            "--control_vector_scaled folder:1",
            "--control-vector-scaled: OWN/folder cannot be read: it is not a regular file",
        ),
        (
            "--grammar-file g.gbnf",
            "--grammar-file: OWN/g.gbnf cannot be read: there is no such file or directory",
        ),
        ("-jf folder", "--json-schema-file: OWN/folder cannot be read: it is not a regular file"),
        (
            "--chat-template-file pipe",
            "--chat-template-file: OWN/pipe cannot be read: it is not a regular file",
        ),
        ("--webui-config-file u", "--ui-config-file: OWN/u cannot be read"),
        ("--mcp-servers-config c", "--mcp-servers-config: OWN/c cannot be read"),
        ("-lcs c", "--lookup-cache-static: OWN/c cannot be read"),
        ("--media-path text", "--media-path: OWN/text cannot be read: it is not a folder"),
        ("--path www", "--path: OWN/www cannot be read: there is no such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_flag(
    tmp_path: Path, words: str, said: str
) -> None:
    own = tmp_path / OWN
    (own / "folder").mkdir(parents=True)
    (own / "text").write_text("root ::= .")
    os.mkfifo(own / "pipe")
    (own / "cut.gguf").write_bytes(b"GGUF\x03")
    write_weights(own / "w-00001-of-00002.gguf", seed=1)
    assert said.replace("OWN", str(own)) in problem(tmp_path, *words.split())


def test_files_that_are_there_and_what_the_program_makes_itself_are_no_problem(
    tmp_path: Path,
) -> None:
    own = tmp_path / OWN
    (own / "www").mkdir(parents=True)
    (own / "t.jinja").write_text("{{ messages }}")
    words = (
        "--chat-template-file t.jinja --path www -md w.gguf --log-file new.log -lcd cache"
        " --log-prompts-dir new --lora"
    )
    assert problem(tmp_path, *words.split()) == ""


def test_every_problem_is_said(tmp_path: Path) -> None:
    assert problem(tmp_path, "--lora", "a,b", "--grammar-file", "c").count("cannot be read") == 3


def test_a_file_that_may_not_be_read_by_this_user_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / OWN).mkdir(parents=True)
    (tmp_path / OWN / "g").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot be read by this user; check its permission bits" in problem(
        tmp_path, "--grammar-file", "g"
    )


def test_what_the_host_does_not_know_of_a_program_does_not_keep_it_from_being_started(
    tmp_path: Path,
) -> None:
    """A host whose program is of another version answers with an error; that is no judgement."""
    options = llamacpp.Options(weights="w.gguf", binary="/bin/sh", args=("--flash-atn",))
    model = spec(llamacpp.command(options, "m", 8080), 8080)
    fact = anyio.run(process.Driver(here(tmp_path)).flags, model)
    assert isinstance(fact, Known)
    assert fact.value.problem == ""
