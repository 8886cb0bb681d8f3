"""Machine probe: a machine as a host, without what the files say of it, if they say anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError

from reconciler.errors import Unreachable
from reconciler.model.facts import Binary, Fact, Known, Unknown
from reconciler.model.found_service import FoundServices
from reconciler.model.inventory import LOCAL
from reconciler.model.machine import Machine
from reconciler.model.onhost.host import AskMachine
from reconciler.model.onhost.processes import AskProgram
from reconciler.model.onhost.services import AskFoundServices
from reconciler.model.spec import Capabilities, HostSpec, Kind, Slice
from reconciler.ports import AccessReader, Json

Answered = TypeVar("Answered", Machine, FoundServices)


def at(host: str, access: Kind) -> Slice:
    """Describe a host of which nothing is known but how to reach it."""
    spec = HostSpec(name=host, access=access, gpu=Kind(kind="auto"), capabilities=Capabilities())
    return Slice(host=spec, power=None, enforce=False, active=None, models=())


HERE = at(LOCAL, Kind(kind="local"))


async def machine(access: AccessReader, question: AskMachine) -> Machine:
    """Ask what a host has; raise Unreachable."""
    (answer,) = await access.ask([question])
    return _understood(answer, Machine)


async def services(access: AccessReader) -> FoundServices:
    """Ask which services of a host run an engine; raise Unreachable."""
    (answer,) = await access.ask([AskFoundServices()])
    return _understood(answer, FoundServices)


async def lacking(access: AccessReader, programs: Sequence[str]) -> tuple[str, ...]:
    """Tell in words which programs a host cannot run."""
    answers = await access.ask([AskProgram(program=name) for name in programs])
    # A question that failed is not a "no": of a program that was not answered nothing is said.
    known = [answer for answer in answers if isinstance(answer, Known)]
    there = (Binary.model_validate(answer.value) for answer in known)
    return tuple(one.problem.found for one in there if one.problem)


def _understood(answer: Fact[Json], as_what: type[Answered]) -> Answered:
    if isinstance(answer, Unknown):
        raise Unreachable(answer.reason)
    try:
        return as_what.model_validate(answer.value)
    except ValidationError as error:
        wrong = f"{error.error_count()} fields are wrong"
        raise Unreachable(f"its answer cannot be understood: {wrong}") from error
