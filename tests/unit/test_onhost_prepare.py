"""A host is prepared once each time it comes up: settings, a check, remedies until it passes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.onhost import prepare as module
from reconciler.onhost import procfs
from reconciler.onhost.serve import answer
from tests.running import ok

LOG = ("sh", "-c", 'echo "$1" >> "$0"')


def prepare(directory: Path, digest: str = "d1", **fields: Any) -> dict[str, Any]:
    whole = {"run": [], "check": None, "remedies": [], "timeout": 10.0, **fields}
    return answer({"do": "prepare", "preparation": whole, "digest": digest}, str(directory))


def prepared(directory: Path) -> str:
    return str(ok(answer({"do": "prepared"}, str(directory)))["digest"])


def test_a_host_that_was_never_prepared_says_so(tmp_path: Path) -> None:
    assert prepared(tmp_path) == ""


def test_programs_run_in_order_and_are_remembered(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    ok(
        prepare(
            tmp_path / "host",
            run=[[*LOG, log, "one"], [*LOG, log, "two"]],
            check=[*LOG, log, "three"],
        )
    )
    assert (tmp_path / "log").read_text().split() == ["one", "two", "three"]
    assert prepared(tmp_path / "host") == "d1"
    assert (tmp_path / "host" / module.NOTE).stat().st_mode & 0o777 == 0o600


def test_the_first_program_that_fails_ends_it_and_nothing_is_remembered(tmp_path: Path) -> None:
    ok(prepare(tmp_path, run=[["true"]], digest="d0"))
    log = str(tmp_path / "log")
    said = prepare(tmp_path, run=[["ls", "/nowhere"], [*LOG, log, "two"]])
    assert said["error"].startswith("`ls /nowhere` ended with 2: ls: cannot access '/nowhere'")
    assert not (tmp_path / "log").exists()
    assert prepared(tmp_path) == "d0"


def test_a_program_that_is_not_there_or_hangs_is_named(tmp_path: Path) -> None:
    assert prepare(tmp_path, run=[["no-such-program"]])["error"].startswith(
        "`no-such-program` cannot be run: "
    )
    assert (
        prepare(tmp_path, run=[["sleep", "60"]], timeout=0.1)["error"]
        == "`sleep` did not end within 0.1 s"
    )


def test_remedies_are_tried_until_the_check_passes(tmp_path: Path) -> None:
    cure = str(tmp_path / "cured")
    remedies = [["false"], ["touch", cure], ["touch", str(tmp_path / "never")]]
    assert ok(prepare(tmp_path, check=["test", "-e", cure], remedies=remedies)) == {
        "tried": ["`false` ended with 1: it wrote nothing", f"`touch {cure}`"]
    }
    assert not (tmp_path / "never").exists()
    assert prepared(tmp_path) == "d1"


def test_a_check_that_nothing_helps_says_what_was_tried(tmp_path: Path) -> None:
    said = prepare(
        tmp_path, check=["sh", "-c", "echo no device >&2; exit 3"], remedies=[["true"], ["false"]]
    )
    failed = "`sh -c echo no device >&2; exit 3` ended with 3: no device"
    assert said["error"] == f"{failed}; tried `true`; tried `false` ended with 1: it wrote nothing"
    assert prepared(tmp_path) == ""


def test_remedies_are_not_tried_while_the_check_passes(tmp_path: Path) -> None:
    never = str(tmp_path / "never")
    assert ok(prepare(tmp_path, check=["true"], remedies=[["touch", never]])) == {"tried": []}
    assert not Path(never).exists()


def test_another_boot_has_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(prepare(tmp_path, run=[["true"]]))
    monkeypatch.setattr(procfs, "boot_id", lambda: "another")
    assert prepared(tmp_path) == ""


def test_a_host_that_slept_since_has_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(prepare(tmp_path, run=[["true"]]))
    real = time.clock_gettime

    def slept(clock: int) -> float:
        return real(clock) + (7.0 if clock == time.CLOCK_BOOTTIME else 0.0)

    monkeypatch.setattr(time, "clock_gettime", slept)
    assert prepared(tmp_path) == ""
    ok(prepare(tmp_path, run=[["true"]], digest="d2"))
    assert prepared(tmp_path) == "d2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        json.dumps({"digest": "d1", "boot_id": procfs.boot_id(), "slept": "x"}),
    ],
)
def test_a_note_that_makes_no_sense_remembers_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / module.NOTE).write_text(text)
    assert prepared(tmp_path) == ""
    ok(prepare(tmp_path, run=[["true"]]))
    assert prepared(tmp_path) == "d1"
