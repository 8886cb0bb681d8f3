"""What is told of units that exist already when one of them does not let itself be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from reconciler.drivers.launchers import docker, lxc, systemd
from reconciler.drivers.launchers.shared import given
from reconciler.model.facts import Known, Unknown
from reconciler.model.held_unit import UnseenUnit
from reconciler.model.spec import Kind
from tests.rig import value
from tests.sample_worlds import model, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from reconciler.model.facts import Fact
    from reconciler.model.onhost import Question
    from reconciler.model.spec import ModelSpec

RUNNING = unit("a").model_dump(mode="json", exclude={"mark", "launcher", "image"})
BAD = "bad"


class Host:
    """A host on which what is called bad cannot be seen, and all else runs."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs
        self.asked: list[list[str]] = []

    async def ask(self, questions: Sequence[Question]) -> tuple[Fact[dict[str, JsonValue]], ...]:
        said: dict[str, Any] = questions[0].model_dump()
        (plural,) = said.keys() & {"containers", "services"}
        names = [one["name"] for one in said[plural]]
        self.asked.append(names)
        if any(BAD in name for name in names):
            if self.hangs:
                await anyio.sleep_forever()
            return (Unknown("it is frozen"),)
        seen: JsonValue = {"binary": {"path": "engine"}, "unit": RUNNING}
        return (Known({plural: [seen for _ in names]}),)


def models(kind: str, *names: str, **options: JsonValue) -> list[ModelSpec]:
    return [model(name, launcher=Kind(kind=kind, options={**options})) for name in names]


async def told(driver: Any) -> list[str]:
    """The model of each unit, and why it was not seen."""
    held = value(await driver.units())
    return [
        f"{one.model}: {one.reason}" if isinstance(one, UnseenUnit) else one.mark.model
        for one in held
    ]


@pytest.mark.parametrize(("hangs", "reason"), [(False, "it is frozen"), (True, given.LATE)])
@pytest.mark.parametrize("launcher", [docker, lxc])
async def test_a_container_that_fails_or_hangs_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, launcher: Any, reason: str, *, hangs: bool
) -> None:
    monkeypatch.setattr(given, "LOOK_SECONDS", 0.05)
    kind = launcher.__name__.rpartition(".")[2]
    driver = launcher.Driver(Host(hangs=hangs), models(kind, "a", BAD, "c"))
    assert await told(driver) == ["a", f"{BAD}: {reason}", "c"]


async def test_services_are_asked_for_at_once_of_each_systemd() -> None:
    host: Any = Host(hangs=False)
    named = [*models("systemd", "a", "b"), *models("systemd", BAD, scope="user")]
    driver = systemd.Driver(host, named)._given
    assert await told(driver) == ["a", "b", f"{BAD}: it is frozen"]
    assert host.asked == [["a.service", "b.service"], ["bad.service"]]


async def test_two_models_of_one_container_are_not_seen_and_hide_no_third() -> None:
    host: Any = Host(hangs=False)
    both = models("lxc", "a", "b", name="one")
    why = "a and b are both the container one; give each its own with name: in inventory.yaml"
    driver = lxc.Driver(host, [*both, *models("lxc", "c")])
    assert await told(driver) == [f"a: {why}", f"b: {why}", "c"]
    assert await lxc.Driver(host, []).units() == Known(())
