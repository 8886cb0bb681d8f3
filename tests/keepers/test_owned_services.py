"""A model that is a service made for it, beside one that is a process, through the command line."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from reconciler.onhost import procfs
from tests.booted import Booted
from tests.running import until
from tests.service_stack import ServiceStack
from tests.stack import COMMAND_SECONDS, LEAST_REUSED, ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNIT = "reconciler-tiny-b.service"
OWNED = "{kind: systemd, owned: true}"


@pytest.fixture
def here(tmp_path: Path, booted: Booted) -> Iterator[ServiceStack]:
    made = ServiceStack(tmp_path, booted, OWNED)
    with ending(made):
        yield made
    booted.run("systemctl", "stop", "tiny.service")


def is_kept(here: ServiceStack) -> bool:
    return here.booted.shows(UNIT, "ActiveState") == "active"


def test_a_conversation_survives_a_switch_and_back(here: ServiceStack) -> None:
    here.desire("tiny-b")
    here.apply()
    assert (is_kept(here), list(here.engines())) == (True, ["tiny-b"])
    held = here.leaves_saved()
    assert not is_kept(here)
    here.comes_back_with(held)


def test_it_outlives_the_controller_that_made_it_and_is_found_by_the_next(
    here: ServiceStack,
) -> None:
    here.desire("tiny-b")
    with here.start("watch") as watching:
        until(lambda: here.engines() != {}, COMMAND_SECONDS)
        started = here.engines()
        for pid in procfs.offspring(watching.pid):
            os.kill(pid, signal.SIGKILL)
    here.apply()
    assert here.engines() == started
    assert here.run("plan", "--detailed-exitcode").returncode == 0


def test_a_name_that_is_masked_refuses_the_plan_before_anything_is_stopped(
    here: ServiceStack,
) -> None:
    here.apply()
    engines = here.engines()
    # What another test left may still be known as failed, by its transient file.
    here.booted.run("sh", "-c", f"systemctl reset-failed {UNIT}; systemctl mask --runtime {UNIT}")
    here.desire("tiny-b")
    refused = here.apply(4).stdout
    here.booted.run("systemctl", "unmask", "--runtime", UNIT)
    assert f"{UNIT} is masked; `systemctl unmask {UNIT}` frees its name" in refused
    assert here.engines() == engines


def test_one_that_fails_at_its_start_leaves_the_model_before_it_serving(
    here: ServiceStack,
) -> None:
    here.apply()
    program, file = here.folder / "broken", here.folder / "state" / "inventory.yaml"
    program.write_text("#!/bin/sh\necho no such card\nexit 3\n")
    program.chmod(0o755)
    broken = f"kind: llamacpp, binary: {program}, weights"
    file.write_text(file.read_text().replace("kind: embedded, weights", broken))
    here.desire("tiny-b")
    here.apply(3)
    assert "no such card" in here.run("status").stdout
    assert (is_kept(here), list(here.engines())) == (False, ["tiny-a"])


def test_a_model_moves_from_a_process_to_its_own_service_and_to_one_that_exists_and_back(
    here: ServiceStack,
) -> None:
    file = here.folder / "state" / "inventory.yaml"
    inventory = file.read_text()

    def moves(to: str) -> str:
        file.write_text(inventory.replace(OWNED, to))
        return here.apply().stderr

    here.desire("tiny-b")
    moves("{kind: process}")
    held = here.remembered()
    assert "its launcher changed from process to systemd" in moves(OWNED)
    assert is_kept(here)
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    assert here.talk()["cache_n"] >= LEAST_REUSED * held > 100
    assert "its definition changed" in moves("{kind: systemd, unit: tiny.service}")
    assert (is_kept(here), here.serves(), here.engines()) == (False, True, {})
    assert "its definition changed" in moves(OWNED)
    assert (is_kept(here), here.serves()) == (True, False)
    assert "its launcher changed from systemd to process" in moves("{kind: process}")
    assert (is_kept(here), list(here.engines())) == (False, ["tiny-b"])
