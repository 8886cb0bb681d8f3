"""What a program would refuse is known before its start, unless it cannot say its flags."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from reconciler.drivers.engines import llamacpp
from reconciler.onhost import flags
from reconciler.onhost.serve import answer
from tests.engine import EMBEDDED, EMBEDDED_SERVER, SERVERS, Server
from tests.running import ok

HELP = """\
----- common params -----

-h,    --help, --usage                  print usage and exit
-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto')
                                        (env: LLAMA_ARG_FLASH_ATTN)
-ot,   --override-tensor <tensor name pattern>=<buffer type>,...
                                        override tensor buffer type
--temp, --temperature N                 temperature (default: 0.80)
--control-vector-layer-range START END
                                        layer range to apply the control vector(s) to


----- speculative params -----

--jinja, --no-jinja                     whether to use jinja
--draft, --draft-max N                  the argument has been removed. use --spec-draft-n-max or
                                        --spec-ngram-mod-n-max
                                        (env: LLAMA_ARG_DRAFT_MAX)
--spm-infill                            use Suffix/Prefix/Middle
"""


def program_saying(folder: Path, said: str, more: str = "") -> tuple[str, ...]:
    """Write a program that notes that it ran, and says something."""
    script = folder / "server.py"
    script.write_text(
        f"import os, sys, time\nopen({str(folder / 'ran')!r}, 'a').write(f'{{os.getpid()}}"
        f" ')\n{more}\nprint({said!r})\n"
    )
    return (sys.executable, str(script))


def refusal(program: tuple[str, ...], *words: str, **env: str) -> str:
    asked = {"do": "flags", "program": list(program), "words": list(words), "env": env}
    return str(ok(answer(asked, "/nowhere"))["problem"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--flash-atn on", "--flash-atn: unknown to PROGRAM; did you mean --flash-attn?"),
        ("--unheard-of", "--unheard-of: unknown to PROGRAM"),
        ("-ngl99 --jinja", "-ngl99: unknown to PROGRAM"),
        ("--temp=0.6", "--temp=0.6: unknown to PROGRAM; write --temp and 0.6 as two words"),
        (
            "--draft 4",
            "--draft: removed from PROGRAM; use --spec-draft-n-max or --spec-ngram-mod-n-max",
        ),
        ("--jinja --x --flash_attn --y -ot --z", "--x: unknown to PROGRAM"),
        ("--control-vector-layer-range --a --b --temp --c --no-jinja", ""),
        ("--jinja on --temp 1", "on: --jinja takes no value in PROGRAM; leave on out"),
        ("--no-jinja -1 -.5", "-1: --no-jinja takes no value in PROGRAM; leave -1 out"),
        ("--temp 0.6 stray --unheard-of stray", "--unheard-of: unknown to PROGRAM"),
        ("-fa on -ot exps=CPU --temp -0.5 --spm-infill", ""),
        ("--temp", ""),
    ],
)  # fmt: skip
def test_a_flag_that_the_program_does_not_list_is_named_with_the_nearest(
    tmp_path: Path, words: str, said: str
) -> None:
    program = program_saying(tmp_path, HELP)
    assert refusal(program, *words.split()) == said.replace("PROGRAM", program[-1])


def test_a_program_is_asked_once_for_as_long_as_it_stays_as_it_is(tmp_path: Path) -> None:
    program = program_saying(tmp_path, HELP)
    assert refusal(program, "--x") == refusal(program, "--x") != ""
    assert len((tmp_path / "ran").read_text().split()) == 1
    program_saying(tmp_path, HELP + "--x                 something new\n")
    assert refusal(program, "--x") == ""


@pytest.mark.parametrize(
    "said",
    [
        "",
        "usage: server [options]\n\n-m, --model FNAME   path\n",
        "\0\xff",
        HELP.replace("common", "other"),
    ],
    ids=ascii,
)
def test_what_another_program_says_is_no_judgement(tmp_path: Path, said: str) -> None:
    assert refusal(program_saying(tmp_path, said), "--flash-atn") == ""


def test_a_script_is_never_run_because_it_may_start_something_else(tmp_path: Path) -> None:
    script = tmp_path / "llama-server"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    script.chmod(0o755)
    assert refusal((str(script),), "--flash-atn") == ""
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "said",
    [
        (
            "error while loading shared libraries: libcudart.so.12: cannot open shared object file:"
            " No such file or directory"
        ),
        "version `GLIBC_2.38' not found (required by /opt/llama-server)",
    ],
)
def test_a_program_that_lacks_a_library_is_known_before_it_is_started(
    tmp_path: Path, said: str
) -> None:
    program = program_saying(tmp_path, "", f"sys.exit({'llama-server: ' + said!r})")
    assert refusal(program, "--jinja") == refusal(program, "--jinja")
    assert refusal(program).startswith(
        f"{program[-1]} cannot be run here: {said}; install what is missing, or name its folder"
    )
    assert len((tmp_path / "ran").read_text().split()) == 2


def test_a_program_that_fails_for_another_reason_is_no_judgement(tmp_path: Path) -> None:
    assert refusal(program_saying(tmp_path, "", "sys.exit('no card')"), "--flash-atn") == ""


@pytest.mark.parametrize("name", ["missing", "folder", "pipe"])
def test_what_is_no_program_is_no_judgement(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert refusal((str(tmp_path / name),), "--x") == ""


@pytest.mark.parametrize(
    "more", ["time.sleep(600)", "while True: print('x' * 65536)"], ids=["silent", "endless"]
)
def test_a_program_that_does_not_end_is_ended_and_is_no_judgement(
    tmp_path: Path, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flags, "SECONDS", 2.0)
    began = time.monotonic()
    assert refusal(program_saying(tmp_path, HELP, more), "--flash-atn") == ""
    assert time.monotonic() - began < 10
    (pid,) = (tmp_path / "ran").read_text().split()
    assert not Path(f"/proc/{pid}").exists()


def test_it_is_run_as_the_engine_would_be_but_shown_no_cards_and_no_settings_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_ARG_PORT", "no number")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    seen = (
        "{name: os.environ.get(name) for name in ('LLAMA_ARG_PORT', 'CUDA_VISIBLE_DEVICES',"
        " 'LD_LIBRARY_PATH')}"
    )
    program = program_saying(
        tmp_path, HELP, f"open({str(tmp_path / 'seen')!r}, 'w').write(str({seen}))"
    )
    assert refusal(program, "-fa", "on", LD_LIBRARY_PATH="/opt/lib") == ""
    assert (tmp_path / "seen").read_text() == str(
        {"LLAMA_ARG_PORT": None, "CUDA_VISIBLE_DEVICES": "-1", "LD_LIBRARY_PATH": "/opt/lib"}
    )


def test_the_embedded_engine_says_its_flags() -> None:
    said = refusal(
        (sys.executable, str(EMBEDDED_SERVER)),
        "--random-weights",
        "1",
        "-c",
        "4096",
        "--flash-atn",
        "on",
    )
    assert said == f"--flash-atn: unknown to {EMBEDDED_SERVER}; did you mean --flash-attn?"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (
            "raise ModuleNotFoundError('there is none')",
            "the embedded engine needs the Python package xllamacpp: there is none; ",
        ),
        (
            "__version__ = '2025.1'",
            "the embedded engine needs another xllamacpp: found xllamacpp 2025.1, expected ",
        ),
    ],
    ids=["missing", "too old"],
)
def test_an_embedded_engine_that_cannot_run_says_so_before_anything_is_stopped_for_it(
    tmp_path: Path, module: str, said: str
) -> None:
    (tmp_path / "xllamacpp.py").write_text(module)
    assert refusal(
        (sys.executable, str(EMBEDDED_SERVER)), "-c", "4096", PYTHONPATH=str(tmp_path)
    ).startswith(said)


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_every_server_takes_the_flags_that_every_engine_is_started_with(server: Server) -> None:
    options = llamacpp.Options(
        weights="w.gguf", context=4096, args=("-ngl", "99", "--ctx_checkpoints", "1", "-fa", "on")
    )
    assert refusal(tuple(server.program), *llamacpp.command(options, "m", 8080).argv[1:]) == ""
    said = refusal(tuple(server.program), "--swa-ful")
    assert said == f"--swa-ful: unknown to {server.program[-1]}; did you mean --swa-full?"


@pytest.mark.parametrize("server", SERVERS, ids=str)
def test_a_flag_that_was_removed_upstream_is_said_with_what_came_in_its_place(
    server: Server,
) -> None:
    program = server.program[-1]
    removed = (
        f"--draft-max: removed from {program}; use --spec-draft-n-max or --spec-ngram-mod-n-max"
    )
    expected = f"--draft-max: unknown to {program}" if server is EMBEDDED else removed
    assert (
        refusal(tuple(server.program), "--draft-max", "4", "-ctk", "q8_0").partition(
            "; did you mean"
        )[0]
        == expected
    )
