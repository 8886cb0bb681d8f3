"""New host: a machine of which no file says anything yet."""

from __future__ import annotations

import re

from reconciler.core.onboarding import draft_files
from reconciler.core.onboarding.draft_files import Where
from reconciler.errors import Misused
from reconciler.model import address
from reconciler.model.facts import Fact, Unknown
from reconciler.model.gpu import Gpu
from reconciler.model.machine import Machine
from reconciler.model.names import NAME_PATTERN
from reconciler.model.onhost.host import AskMachine
from reconciler.model.spec import Kind
from reconciler.ports import HostReaders
from reconciler.verbs import machine_probe
from reconciler.verbs.context import Reader


def where(to: str | None, by: str = draft_files.HERE.by) -> Where:
    """Name the host that is meant, and what looks at it.

    An address that makes no name is called gpu-host.
    """
    if to is None:
        return Where(by=by)
    user, _, place = to.rpartition("@")
    label = place.partition(".")[0].lower()
    access = {"address": place, "user": user} if user else {"address": place}
    return Where(label if _is_name(label) else "gpu-host", access, by)


def _is_name(label: str) -> bool:
    # The first part of an IP address would be a number.
    return re.fullmatch(NAME_PATTERN, label) is not None and not label.isdecimal()


def readers(app: Reader, where: Where) -> HostReaders:
    """What can be asked of it; raise Misused for an address that ssh cannot reach."""
    if where.access is None:
        return app.readers(machine_probe.HERE)
    _refuse_address(where.access["address"], where.access.get("user", ""))
    # Until a file names it, it is known by what was typed.
    typed = where.access["address"].lower()
    name = typed if re.fullmatch(NAME_PATTERN, typed) else where.host
    return app.readers(machine_probe.at(name, Kind(kind="ssh", options=dict(where.access))))


def _refuse_address(machine: str, user: str) -> None:
    try:
        address.machine(machine)
        if user:
            address.account(user)
    except ValueError as error:
        found = f"{user}@{machine}".lstrip("@")
        raise Misused(
            f"found --host {found}, expected an address that ssh can reach, such as llm@gpu-box.lan"
        ) from error


async def look(readers: HostReaders, question: AskMachine) -> tuple[Machine, str]:
    """See what is there, and why memory of its accelerators cannot be read, "" when it can.

    Raise Unreachable.
    """
    machine = await machine_probe.machine(readers.access, question)
    gpu: Fact[Gpu] = await readers.gpu.gpu()
    return machine, gpu.reason if isinstance(gpu, Unknown) else ""
