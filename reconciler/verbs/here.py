"""Here: a machine as a host before or beside what the files say of it: the controller's own, or one at an address."""

from __future__ import annotations

from pydantic import ValidationError

from reconciler.errors import Unreachable
from reconciler.model.facts import Fact, Unknown
from reconciler.model.inventory import LOCAL
from reconciler.model.machine import Machine
from reconciler.model.onhost import AskMachine
from reconciler.model.spec import Capabilities, HostSpec, Kind, Slice
from reconciler.ports import AccessReader, Json


def at(host: str, access: Kind) -> Slice:
    """Return a host of which nothing is known but how to reach it."""
    spec = HostSpec(name=host, access=access, power=Kind(kind="none"), gpu=Kind(kind="auto"), capabilities=Capabilities())
    return Slice(host=spec, power=None, enforce=False, active=None, models=())


HERE = at(LOCAL, Kind(kind="local"))


async def machine(access: AccessReader, question: AskMachine) -> Machine:
    """Return what a host has; raise Unreachable."""
    (answer,) = await access.ask([question])
    return _understood(answer)


def _understood(answer: Fact[Json]) -> Machine:
    if isinstance(answer, Unknown):
        raise Unreachable(answer.reason)
    try:
        return Machine.model_validate(answer.value)
    except ValidationError as error:
        raise Unreachable(f"its answer cannot be understood: {error.error_count()} fields are wrong") from error
