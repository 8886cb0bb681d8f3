"""Two controllers with one id are two; one that was upgraded or rebooted is still the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import build
from reconciler.settings import settings
from tests.stack import COMMAND_SECONDS, Stack, stack


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        made.apply()
        made.desire("tiny-b")
        yield made


def claim(here: Stack, **changed: Any) -> dict[str, Any]:
    """Return the host's claim, changed by hand where that is asked for."""
    (file,) = (here.folder / "host").rglob("claim.json")
    content: dict[str, Any] = {**json.loads(file.read_text()), **changed}
    file.write_text(
        json.dumps({name: value for name, value in content.items() if value is not None})
    )
    return content


def refused(here: Stack, because: str, directory: str = "data") -> None:
    done = here.run("apply", "--yes", directory=directory)
    assert (done.returncode, list(here.engines())) == (4, ["tiny-a"]), done.stdout
    assert because in done.stdout
    assert "apply --take-over`" in done.stdout


def test_a_copied_directory_is_another_controller(here: Stack) -> None:
    shutil.copytree(here.folder / "data", here.folder / "copy")
    refused(
        here,
        f"under the id of {os.uname().nodename} (data directory {here.folder / 'copy'}): one is a"
        " copy",
        "copy",
    )
    assert here.run("apply", "--yes", "--take-over", directory="copy").returncode == 0
    here.desire("tiny-a")
    done = here.run("apply", "--yes")
    assert (done.returncode, list(here.engines())) == (4, ["tiny-b"])
    assert (
        f"claimed by {os.uname().nodename} (data directory {here.folder / 'copy'})" in done.stdout
    )


def test_a_clone_of_this_machine_that_booted_by_itself_is_another_controller(here: Stack) -> None:
    claim(here, boot="the clone's")
    refused(here, "in a boot that this journal does not know")
    assert "in a boot that this journal does not know" in here.run("doctor").stdout


@pytest.mark.skipif(
    os.getuid() != 0, reason="a host name of one's own needs root: run the tests as root to see it"
)
def test_a_machine_of_another_name_is_another_controller(here: Stack) -> None:
    argv = [
        "unshare",
        "--uts",
        "sh",
        "-c",
        'hostname other && exec "$@"',
        "sh",
        *here.argv("apply", "--yes"),
    ]
    done = subprocess.run(
        argv,
        cwd=here.folder,
        env=here.environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert (done.returncode, list(here.engines())) == (4, ["tiny-a"])
    assert "was moved or renamed" in done.stdout


def test_a_controller_keeps_its_hosts_after_a_reboot(here: Stack) -> None:
    """What an earlier boot left: its claim, and the row of the journal that announced it."""
    before = claim(here)
    app = build(settings({}, None, str(here.folder / "data")))
    rows = app.run(app.journal.since, 0)
    assert [row.when.boot_id for row in rows if row.record.kind == "claimed"] == [before["boot"]]
    here.apply()
    assert list(here.engines()) == ["tiny-b"]
    assert claim(here) == before, "a claim of this boot is not written again"


def test_a_controller_of_the_version_before_keeps_its_hosts(here: Stack) -> None:
    directory = (here.folder / "data").resolve()
    machine_id = (
        Path("/etc/machine-id").read_text().strip() if Path("/etc/machine-id").exists() else ""
    )
    former = hashlib.sha256(f"{machine_id}:{directory}".encode()).hexdigest()[:12]
    claim(here, controller=former, boot=None)
    (directory / "controller").unlink()
    shutil.rmtree(directory / "journal")
    here.apply()
    assert list(here.engines()) == ["tiny-b"]
    now = claim(here)
    assert now["controller"] == (directory / "controller").read_text().strip() != former
    assert now["boot"]


def test_an_emptied_directory_says_so(here: Stack) -> None:
    shutil.rmtree(here.folder / "data")
    refused(here, "like this one, but under another id: that directory was emptied")


def test_looking_makes_no_controller(here: Stack) -> None:
    for verb in ("plan", "status", "history"):
        here.run(verb, directory="fresh")
    assert not (here.folder / "fresh").exists()
