"""Machine probe: a machine as a host before or beside what the files say of it: the controller's own, or one at an address."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from reconciler.errors import Unreachable
from reconciler.model.facts import Binary, Fact, Known, Unknown
from reconciler.model.inventory import LOCAL
from reconciler.model.machine import Machine
from reconciler.model.onhost.host import AskMachine
from reconciler.model.onhost.processes import AskProgram
from reconciler.model.spec import Capabilities, HostSpec, Kind, Slice
from reconciler.ports import AccessReader, Json


def at(host: str, access: Kind) -> Slice:
    """Return a host of which nothing is known but how to reach it."""
    spec = HostSpec(name=host, access=access, gpu=Kind(kind="auto"), capabilities=Capabilities())
    return Slice(host=spec, power=None, enforce=False, active=None, models=())


HERE = at(LOCAL, Kind(kind="local"))


async def machine(access: AccessReader, question: AskMachine) -> Machine:
    """Return what a host has; raise Unreachable."""
    (answer,) = await access.ask([question])
    return _understood(answer)


async def lacking(access: AccessReader, programs: Sequence[str]) -> tuple[str, ...]:
    """Return in words which programs a host cannot run, nothing of one of which it does not say."""
    answers = await access.ask([AskProgram(program=name) for name in programs])
    programs_there = (
        Binary.model_validate(answer.value) for answer in answers if isinstance(answer, Known)
    )
    return tuple(one.problem.found for one in programs_there if one.problem)


def _understood(answer: Fact[Json]) -> Machine:
    if isinstance(answer, Unknown):
        raise Unreachable(answer.reason)
    try:
        return Machine.model_validate(answer.value)
    except ValidationError as error:
        raise Unreachable(
            f"its answer cannot be understood: {error.error_count()} fields are wrong"
        ) from error
