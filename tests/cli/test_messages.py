"""A wrong command line is answered in one sentence, with the word and what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.arguments import ELSEWHERE, parse, parsers
from reconciler.cli.main import main
from reconciler.errors import Misused
from tests.engine import free_port

FILES = {
    "desired.yaml": "version: 1\nactive: tiny\n",
    "inventory.yaml": (
        "version: 1\nmodels: {tiny: {engine: {kind: embedded, seed: 1}, port: PORT}}\n"
    ),
}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "state").mkdir()
    for name, text in FILES.items():
        (tmp_path / "state" / name).write_text(text.replace("PORT", str(free_port())))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "host"))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "aply",
            'unknown command: aply; `reconciler --help` lists them all; did you mean "apply"?',
        ),
        ("frobnicate", "unknown command: frobnicate; `reconciler --help` lists them all"),
        (
            "help",
            'unknown command: help; `reconciler --help` lists them all; did you mean "--help"?',
        ),
        ("ps", 'unknown command: ps; `reconciler --help` lists them all; did you mean "status"?'),
        (
            "stop",
            'lists them all; did you mean "hold --release"?',
        ),
        (
            "version",
            'lists them all; did you mean "--version"?',
        ),
        (
            "start",
            'unknown command: start; `reconciler --help` lists them all; did you mean "use MODEL"?',
        ),
        (
            "run gemma3",
            'unknown command: run; `reconciler --help` lists them all; did you mean "use MODEL"?',
        ),
        (
            "--state s status",
            "found --state before the command, expected it after: `reconciler status --state s`",
        ),
        ("--foo", "unexpected: --foo; see `reconciler --help`"),
        (
            "hold --reason \udcff",
            r"found \xff, expected text in UTF-8; see `reconciler hold --help`",
        ),
        ("plan --foo", "unexpected: --foo; see `reconciler plan --help`"),
        ("apply --timeout soon", "found soon, expected a number of seconds, such as 120"),
        ("apply --timeout -3", "found -3, expected a number of seconds, such as 120"),
        ("apply --timeout inf", "found inf, expected a number of seconds"),
        (
            "history last",
            "found last, expected the number of a run; `reconciler history` shows them",
        ),
        ("history -n 0", "found 0, expected a number of runs, such as 50"),
        ("history 3 -n 2", "not allowed with argument"),
        ("plan -o yaml", "found yaml, expected text, json; see `reconciler plan --help`"),
        ("plan -o jsn", 'did you mean "json"?'),
        (
            "import dockr stack",
            'found dockr, expected docker, compose, systemd, gguf-dir; did you mean "docker"?',
        ),
    ],
)
def test_a_wrong_word_is_named_with_what_to_say_instead(line: str, said: str) -> None:
    with pytest.raises(Misused) as caught:
        parse(line.split())
    assert said in caught.value.message


def test_the_usage_of_import_says_which_words_there_are_and_in_which_order() -> None:
    _, verbs = parsers()
    usage = verbs["import"].format_usage()
    assert usage.splitlines()[0].endswith(" SOURCE [FILE] DIR")
    options = (flag for action in verbs["import"]._actions for flag in action.option_strings[:1])
    assert [flag for flag in options if flag not in usage] == []


@pytest.mark.parametrize("word", sorted(ELSEWHERE))
def test_what_other_programs_call_a_command_leads_to_one_that_is_there(word: str) -> None:
    _, verbs = parsers()
    meant = ELSEWHERE[word].split()[0]
    assert word not in verbs
    assert meant in {*verbs, "--help", "--version"}


def test_nothing_to_do_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 64
    assert "found no command, expected one such as `reconciler plan`" in capsys.readouterr().err


def test_every_problem_begins_alike_so_that_a_search_finds_all(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (there / "state" / "desired.yaml").write_text("version: 1\nactive: tinny\nenforced: 1\n")
    assert main(["validate"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("reconciler: ConfigError: state/desired.yaml:2:9: active: ")
    assert second.startswith("reconciler: ConfigError: state/desired.yaml:3:1: enforced: ")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("verb", ["apply", "retry"])
def test_without_a_terminal_nothing_is_asked_and_the_way_without_asking_is_named(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb]) == 4
    said = capsys.readouterr().err
    assert "there is no terminal to ask for confirmation" in said
    assert "; `--yes` applies without asking" in said


@pytest.mark.usefixtures("there")
def test_a_host_or_an_earlier_state_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rollback", "--host", "tower"]) == 64
    assert "host tower is not managed; the managed hosts are: local" in capsys.readouterr().err
    assert main(["rollback"]) == 64
    assert (
        "there is no earlier state to go back to; runs that reached what was wanted and stayed"
        " healthy: none" in capsys.readouterr().err
    )
    assert main(["rollback", "7"]) == 64
    assert "there is no run 7 to go back to" in capsys.readouterr().err


def test_a_file_that_is_no_plan_is_told_from_the_way_to_apply_the_files(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("tiny", str(there / "state" / "desired.yaml")):
        assert main(["apply", name]) == 1
        said = capsys.readouterr().err
        assert "saved plan" in said
        assert (
            "`reconciler plan --save FILE` writes one, `reconciler apply` alone takes the files"
            in said
        )


@pytest.mark.usefixtures("there")
def test_a_plan_that_cannot_be_saved_is_an_error_and_no_doubt_about_what_happened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "--save", "/proc/sys/plan.json"]) == 1
    assert (
        "Unreachable: the plan was not saved: /proc/sys/plan.json cannot be written"
        in capsys.readouterr().err
    )


def test_a_plan_that_no_longer_fits_says_how_to_look_again(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--save", "plan.json"]) == 0
    (there / "state" / "desired.yaml").write_text("version: 1\nactive: []\n")
    capsys.readouterr()
    assert main(["apply", "plan.json"]) == 4
    assert (
        "`reconciler plan` shows what would be done now. The differences:\n  - local: start"
        " tiny" in capsys.readouterr().err
    )


def test_a_doctor_names_a_program_that_a_host_would_be_prepared_with_and_does_not_have(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = there / "state" / "inventory.yaml"
    prepare = (
        '{run: [[no-such-program, "1"], ["true"]], check: [no-such-program], remedies: [["true"]]}'
    )
    inventory.write_text(f"{inventory.read_text()}hosts: {{local: {{prepare: {prepare}}}}}\n")
    assert main(["doctor"]) == 1
    (found,) = [
        line
        for line in capsys.readouterr().out.splitlines()
        if "prepare" in line and line.startswith("wrong")
    ]
    assert found.startswith(
        "wrong  prepare local: there is no program no-such-program on this host's PATH"
    )


@pytest.mark.usefixtures("there")
def test_a_demo_without_git_says_so_before_it_does_anything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["demo"]) == 1
    assert (
        capsys.readouterr().err
        == "reconciler: Unreachable: git is not installed, and the demo needs it\n"
    )


NEEDS = "the embedded engine needs the Python package xllamacpp: "


@pytest.mark.parametrize(
    ("package", "why", "remedy"),
    [
        (
            "raise ModuleNotFoundError(\"No module named 'xllamacpp'\")",
            f"{NEEDS}No module named",
            "`pipx install --force '.[embedded]'` in a clone of the project brings it",
        ),
        (
            "raise ImportError('libgomp.so.1: cannot open shared object file')",
            f"{NEEDS}libgomp.so.1",
            "`sudo apt-get install libgomp1` brings that",
        ),
        (
            '__version__ = "2025.1"',
            "the embedded engine needs another xllamacpp: found xllamacpp 2025.1, expected ",
            "`pip install --upgrade 'xllamacpp>=",
        ),
        ("import os; os._exit(132)", "its engine ended with 132 and no word", ""),
    ],
    ids=["missing", "without its library", "too old", "dies at once"],
)
def test_a_demo_whose_engine_cannot_run_says_so_with_the_remedy_before_it_does_anything(
    package: str,
    why: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "xllamacpp.py").write_text(f"{package}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert main(["demo"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"reconciler: Unreachable: the demo cannot run: {why}")
    assert remedy in said.err
