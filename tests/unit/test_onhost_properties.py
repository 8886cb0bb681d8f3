"""What `systemctl show` prints is read back as systemd means it; the lines are of systemd 252."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.onhost.properties import (
    environment_files,
    key_source,
    missing_environment,
    program,
    states,
    words,
    written_by_hand,
)

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.onhost.properties import State

NAMES = ("ExecStart", "FragmentPath", "DropInPaths", "EnvironmentFiles", "Environment")
EXEC = (
    "{{ path={} ; argv[]={} ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; code=(null) ;"
    " status=0/0 }}"
)


def shown(**changed: str) -> State:
    """Read one unit, whose properties are given as systemctl prints them."""
    (state,) = states("\n".join(f"{name}={value}" for name, value in changed.items()), NAMES)
    return state


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        ("", []),
        ("/d/a.conf /d/b.conf", ["/d/a.conf", "/d/b.conf"]),
        ('"/d/my override.conf" /d/b.conf', ["/d/my override.conf", "/d/b.conf"]),
        (r'"/d/q\"uote.conf" "/d/back\\slash.conf"', ['/d/q"uote.conf', "/d/back\\slash.conf"]),
        (r'"/d/new\nline.conf" "/d/tab\t.conf"', ["/d/new\nline.conf", "/d/tab\t.conf"]),
        ('"/d/a\'b.conf" /d/ünï.conf /d/50%.conf', ["/d/a'b.conf", "/d/ünï.conf", "/d/50%.conf"]),
        (r'"K=a \"b" "D=\$\$x" N=1', ['K=a "b', "D=$$x", "N=1"]),
        (r'"\x41\101"', ["AA"]),
    ],
)
def test_words_in_quotes_are_read_as_they_were_written(printed: str, meant: list[str]) -> None:
    assert words(printed) == meant


def test_every_line_of_a_list_counts_and_units_are_told_apart() -> None:
    listed = ("/a (ignore_errors=no)", "/b (ignore_errors=yes)")
    one, other = states(
        "Job=1\n"
        + "\n".join(f"EnvironmentFiles={line}" for line in listed)
        + "\n\nan empty line above, in the words of a program\n\nJob=2\nFragmentPath=/c",
        NAMES,
    )
    assert one["EnvironmentFiles"].splitlines() == [*listed]
    assert (one["FragmentPath"], other["FragmentPath"], other["EnvironmentFiles"]) == ("", "/c", "")


def test_a_program_is_named_whatever_stands_in_its_path() -> None:
    assert (
        program(shown(ExecStart=EXEC.format("/opt/my dir/run ; me", "/opt/my dir/run ; me a")))
        == "/opt/my dir/run ; me"
    )
    assert program(shown()) == ""


def test_every_file_that_says_how_a_service_runs_counts_when_it_is_there(tmp_path: Path) -> None:
    names = ("w.service", "my drop-in.conf", "my llm.env", "g-1.env", "g-2.env", "a (b).env")
    for name in names:
        (tmp_path / name).touch()
    read = ("my llm.env", "g-*.env", "a (b).env", "not there.env")
    files = "\nEnvironmentFiles=".join(f"{tmp_path}/{name} (ignore_errors=no)" for name in read)
    drop_ins = f'"{tmp_path}/my drop-in.conf" /not/there'
    state = shown(
        FragmentPath=f"{tmp_path}/w.service", DropInPaths=drop_ins, EnvironmentFiles=files
    )
    assert [path.rpartition("/")[2] for path in written_by_hand(state)] == [*names]
    assert len(environment_files(state)) == 4


def test_a_file_that_has_to_be_there_is_missed_and_one_that_is_not_seen_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "g-1.env").touch()
    hidden = tmp_path / "file"
    hidden.touch()
    lines = [f"{tmp_path}/g-*.env (ignore_errors=no)", f"{tmp_path}/may (ignore_errors=yes)"]
    lines.append(f"{hidden}/below (ignore_errors=no)")
    assert missing_environment(shown(EnvironmentFiles="\nEnvironmentFiles=".join(lines))) == ""
    lines.append(f"{tmp_path}/gone (ignore_errors=no)")
    state = shown(EnvironmentFiles="\nEnvironmentFiles=".join(lines))
    assert missing_environment(state) == f"{tmp_path}/gone"


@pytest.mark.parametrize(
    ("changed", "content", "said"),
    [
        (
            {"Environment": '"A=1 LLAMA_API_KEY=x" LLAMA_API_KEY=sk-mine'},
            "",
            "LLAMA_API_KEY in its Environment=",
        ),
        ({"Environment": '"LLAMA_API_KEY=two words"'}, "", "LLAMA_API_KEY in its Environment="),
        ({"Environment": '"A=1 LLAMA_API_KEY=x" LLAMA_API_KEY='}, "", ""),
        ({}, "A=1\n LLAMA_API_KEY = sk-mine\n", "LLAMA_API_KEY in {file}"),
        ({}, "# LLAMA_API_KEY=sk-mine\nLLAMA_API_KEY=\n", ""),
        (
            {"ExecStart": EXEC.format("/x", "/x --api-key sk-mine")},
            "",
            "--api-key in its ExecStart=",
        ),
        (
            {"ExecStart": EXEC.format("/x", "/x --api-key-file=/k")},
            "",
            "--api-key-file in its ExecStart=",
        ),
        ({"ExecStart": EXEC.format("/x", "/x --alias api-key")}, "", ""),
    ],
)
def test_what_makes_a_service_want_a_key_is_named_and_the_key_is_not(
    tmp_path: Path, changed: dict[str, str], content: str, said: str
) -> None:
    file = tmp_path / "llm.env"
    file.write_text(content)
    found = key_source(shown(**{"EnvironmentFiles": f"{file} (ignore_errors=yes)", **changed}))
    assert found == said.format(file=file)
    assert "sk-mine" not in found


def test_a_file_that_this_account_cannot_read_says_nothing(tmp_path: Path) -> None:
    assert key_source(shown(EnvironmentFiles=f"{tmp_path} (ignore_errors=yes)")) == ""
