"""Models of one port, each kept by something else on one host, take turns by the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.engines import embedded
from tests.booted import Booted, booted_systemd
from tests.lxcs import Lxc
from tests.service_podman import ServicePodman
from tests.service_stack import ServiceStack
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ("tiny-a", "tiny-b", "tiny-c", "tiny-d")
MODEL = """  {name}:
    engine: {{kind: embedded, weights: {weights}}}
    launcher: {launcher}
    port: {port}
    stable_for: 200ms
"""


class MixedStack(ServiceStack):
    """A process, a service, a container of LXC, and a container that a service makes."""

    def __init__(self, folder: Path, booted: Booted) -> None:
        super().__init__(folder, booted)
        self.lxc = Lxc(booted)
        self.name = self.lxc.name("tiny-c")
        self.lxc.create(self.name, self._argv("third"), folder)
        unit = ServicePodman(booted, folder).unit(
            "tiny-d", self._argv("fourth"), [f"{folder}:{folder}"]
        )
        booted.define("tiny-d.service", unit)
        self._add("tiny-c", self.lxc.launcher("tiny-c").model_dump())
        self._add("tiny-d", {"kind": "systemd", "options": {"container": True}})

    def _argv(self, name: str) -> tuple[str, ...]:
        slots = self.folder / "slots"
        (slots / name).mkdir()
        options = embedded.Options(weights=str(self.weights), slots=str(slots))
        return embedded.command(options, name, self.port).argv

    def _add(self, name: str, launcher: dict[str, object]) -> None:
        kind, options = launcher["kind"], launcher["options"]
        assert isinstance(options, dict)
        words = json.dumps({"kind": kind, **options})
        file = self.folder / "state" / "inventory.yaml"
        more = MODEL.format(name=name, weights=self.weights, launcher=words, port=self.port)
        file.write_text(file.read_text() + more)

    def running(self) -> set[str]:
        """Return which of the models run, by what keeps them."""
        services = {"tiny-b": "tiny", "tiny-d": "tiny-d"}
        up = {
            model
            for model, unit in services.items()
            if self.booted.shows(unit, "ActiveState") == "active"
        }
        return up | self.engines().keys() | ({"tiny-c"} if self.lxc.pid(self.name) else set())


@pytest.fixture
def here(tmp_path: Path) -> Iterator[MixedStack]:
    with booted_systemd() as booted:
        made = MixedStack(tmp_path, booted)
        with ending(made):
            yield made
        made.lxc.remove(made.name)


def test_each_comes_back_with_its_conversation_and_no_two_run_at_once(here: MixedStack) -> None:
    for is_back in (False, True):
        for model in KINDS:
            here.desire(model)
            assert "drop" not in here.apply().stderr, model
            assert here.running() == {model}
            assert (here.talk()["prompt_n"] == 1) is is_back, model
    assert here.run("plan", "--detailed-exitcode").returncode == 0
