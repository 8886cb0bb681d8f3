"""With a full folder of conversations, the plan counts losses, and stops none that is required."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import faults
from tests.needs import Wanting, need_root
from tests.stack import Stack, stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_SAVED = "note: tiny-a: 1 conversation cannot be saved: to save what it holds takes 0."
REFUSED = "refused: tiny-a has `conversations: require`, but to save what it holds takes 0."


def tell(here: Stack, option: str, beside: str = "") -> None:
    """Write an option of the engine of tiny-a, and one of the model."""
    here.inventory()
    inventory = here.folder / "state" / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("}, port", f", {option}}}{beside}, port", 1))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stack]:
    with stack(tmp_path) as made:
        yield made


@pytest.fixture
def full(here: Stack) -> Iterator[str]:
    """The option of a folder without room for a conversation: a full disk, where one can mount."""
    need_root()
    folder = here.folder / "slots"
    with faults.disk(folder) as is_disk:
        if not is_disk:
            raise Wanting("a file system of its own", "this machine lets not even root mount one")
        tell(here, f"slots: {folder}")
        here.apply()
        assert here.remembered() > 100
        faults.full(folder)
        yield f"slots: {folder}"


def test_what_a_full_disk_will_not_take_is_said_before_and_is_no_failure_then(
    here: Stack, full: str
) -> None:
    _ = full
    here.desire("tiny-b")
    planned = here.run("plan")
    assert planned.returncode == 0
    assert NOT_SAVED in planned.stdout
    assert "0.0 MiB can be made free; make space there" in planned.stdout
    assert "1 conversation lost." in planned.stdout
    done = here.apply(0)
    assert "tiny-b" in here.engines()
    assert "note:" not in done.stdout, "nothing was lost that the plan had not said"
    assert NOT_SAVED in here.run("history").stdout


def test_what_must_be_kept_and_cannot_be_saved_is_not_stopped(here: Stack, full: str) -> None:
    tell(here, full, ", conversations: require")
    here.desire("tiny-b")
    planned = here.run("plan")
    assert planned.returncode == 4
    assert REFUSED in planned.stdout
    before = here.engines()
    assert REFUSED.removeprefix("refused: ") in here.apply(4).stdout
    faults.emptied(here.folder / "slots")
    faults.read_only(here.folder / "slots", is_disk=True)
    assert "slots/tiny-a is read-only; `findmnt -T " in here.apply(4).stdout
    assert here.engines() == before


def test_a_budget_that_no_conversation_fits_into_is_named_before_anything_is_lost(
    here: Stack,
) -> None:
    tell(here, "slots_budget: 1000")
    here.apply()
    assert here.remembered() > 100
    here.desire("tiny-b")
    planned = here.run("plan").stdout
    assert NOT_SAVED in planned
    assert "raise `slots_budget`, which is 0.0 MiB" in planned
    tell(here, "slots_budget: 10000000")
    assert "0 conversations lost." in here.run("plan").stdout
    here.apply()
    assert "cannot be saved" not in here.run("history").stdout
