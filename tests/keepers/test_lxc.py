"""A model that is a container of LXC or of Proxmox VE, beside a process, by the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lxc_stack import ApartStack, InnerStack, LxcStack
from tests.lxcs import Lxc
from tests.pcts import Pct
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def here(lxc: Lxc, tmp_path: Path) -> Iterator[LxcStack]:
    made = LxcStack(tmp_path, lxc)
    with ending(made):
        yield made
    lxc.remove(made.name)


def test_a_container_and_a_process_take_turns(here: LxcStack) -> None:
    here.takes_turns()


def test_a_container_that_cannot_start_leaves_the_model_before_in_service(here: LxcStack) -> None:
    here.apply()
    here.lxc.create(here.name, [], here.folder, lxc__init__cmd="/nowhere/llama-server")
    here.desire("tiny-b")
    assert f"{here.name} did not start: " in here.apply(3).stdout
    assert here.pid() == 0
    assert list(here.engines()) == ["tiny-a"]


def test_a_service_in_a_container_and_a_process_take_turns(pct: Pct, tmp_path: Path) -> None:
    here = InnerStack(tmp_path, pct)
    with ending(here):
        here.desire("tiny-b")
        here.apply()
        container = pct.pid(here.name)
        assert here.talk()["prompt_n"] > 1
        here.desire("tiny-a")
        here.apply()
        assert list(here.engines()) == ["tiny-a"]
        assert pct.pid(here.name) == container, "it stays up"
        here.desire("tiny-b")
        here.apply()
        assert here.engines() == {}
        assert here.talk()["prompt_n"] == 1, "its conversation came back"
    pct.remove(here.name)


def test_a_container_in_a_network_of_its_own_and_a_process_take_turns(
    pct: Pct, tmp_path: Path
) -> None:
    here = ApartStack(tmp_path, pct)
    with ending(here):
        here.desire("tiny-b")
        here.apply()
        assert here.talk(here.address)["prompt_n"] > 1
        here.desire("tiny-a")
        here.apply()
        assert list(here.engines()) == ["tiny-a"]
        assert pct.pid(here.name) == 0
        here.listening("127.0.0.1")
        here.desire("tiny-b")
        assert "add to the end of lxc.init.cmd" in here.apply(4).stdout
        here.listening("0.0.0.0")  # noqa: S104
        here.apply()
        assert here.engines() == {}
        assert here.talk(here.address)["prompt_n"] == 1, "its conversation came back"
    pct.remove(here.name)
