"""Host findings: what is wrong with a host as a whole: logins, claim, cards, power, ports."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator

from reconciler.core.ownership import Ownership
from reconciler.core.report.levels import note, wrong
from reconciler.model.findings import Finding, Subject
from reconciler.model.machine import Machine
from reconciler.model.observed import CLAIM, GPU, GUARDS, PORT, UNIT, AnyFactKey, Observed
from reconciler.model.port import PortOwner
from reconciler.model.reason import Reason
from reconciler.model.spec import Kind, ModelSpec, Slice


def of_what_is_unknown(keys: Iterable[AnyFactKey], observed: Observed) -> Iterator[Finding]:
    """Yield what could not be seen, once for each reason: one cause hides many facts."""
    for reason, key in _by_reason(keys, observed).items():
        why = Reason.of(reason)
        fix = why.fix or "fix that"
        yield wrong("access", f"{key}: {why.found}", f"{fix}, then run this again")


def _by_reason(keys: Iterable[AnyFactKey], observed: Observed) -> dict[str, AnyFactKey]:
    # That a card's memory cannot be read is said of the card.
    others = (key for key in keys if key.kind != "gpu")
    first = {fact.reason: key for key in others if (fact := observed.unknown(key))}
    # What follows from another fact ends with the reason of that one.
    return {one: key for one, key in first.items() if not any(map(_follows_from(one), first))}


def _follows_from(reason: str) -> Callable[[str], bool]:
    return lambda other: reason.endswith(f": {other}")


def of_logins(slice_: Slice, machine: Machine) -> Iterator[Finding]:
    """Yield that engines end with the login under which they were started."""
    launchers = [model.launcher for model in slice_.models]
    if machine.logins.kills and any(one.kind == "process" for one in launchers):
        yield _killed_at_logout(machine.user)
    if not machine.logins.lingers and any(_is_of_a_user(one) for one in launchers):
        yield _ends_at_logout(machine.user)


def _is_of_a_user(launcher: Kind) -> bool:
    return launcher.kind == "systemd" and launcher.options.get("scope") == "user"


def _killed_at_logout(user: str) -> Finding:
    found = (
        f"what {user} starts from a login, or over ssh, ends with that login, engines too"
        " (KillUserProcesses=yes)"
    )
    fix = (
        "write `KillUserProcesses=no` into /etc/systemd/logind.conf and restart systemd-logind,"
        " or run models as services"
    )
    return wrong("logins", found, fix)


def _ends_at_logout(user: str) -> Finding:
    found = f"when {user} logs out, the services of {user} end, and none starts at boot"
    return wrong("logins", found, f"`sudo loginctl enable-linger {user}`")


def of_claim(host: str, observed: Observed, ours: Ownership) -> Iterator[Finding]:
    """Yield whose claim keeps this controller off the host."""
    objection = ours.objection(host, observed.value(CLAIM(host)))
    if objection:
        yield wrong("claim", objection.found, objection.fix)


def of_gpu(host: str, observed: Observed, machine: Machine) -> Iterator[Finding]:
    """Yield which device nodes are closed, by the group that would open them, and unread memory."""
    closed = [node for node in machine.nodes if not node.usable]
    for group in sorted({node.group for node in closed}):
        yield _closed(group, [node.path for node in closed if node.group == group], machine.user)
    yield from _unread_memory(host, observed)


def _unread_memory(host: str, observed: Observed) -> Iterator[Finding]:
    unknown = observed.unknown(GPU(host))
    if unknown is not None:
        fix = (
            f"fix that; or write `gpu: none` at {host} in inventory.yaml to start models without"
            " checking memory"
        )
        yield wrong("gpu", unknown.reason, fix)


def _closed(group: str, nodes: Iterable[str], user: str) -> Finding:
    found = f"{user} may not use {', '.join(nodes)}"
    return wrong("gpu", found, _admission(group, nodes, user))


def _admission(group: str, nodes: Iterable[str], user: str) -> str:
    # The group root would open far more than a card.
    if group in {"", "root"}:
        return f"`ls -l {' '.join(nodes)}` shows who may; a udev rule lets others in"
    return f"`sudo usermod -aG {group} {user}`, then log in again"


def of_power(slice_: Slice, observed: Observed) -> Iterator[Finding]:
    """Yield why the host could not be shut down, or not be woken again."""
    guards = observed.value(GUARDS(slice_.host.name))
    reasons = (guards.permission_problem, guards.wake_problem) if guards else ()
    # Where power is not managed, nothing shuts the host down, and nothing stands in the way.
    judge = wrong if slice_.power is not None else note
    otherwise = f"fix that, or `power:` of {slice_.host.name} in inventory.yaml"
    for reason in filter(None, reasons):
        yield judge("power", reason.found, reason.fix or otherwise)


def of_ports(slice_: Slice, observed: Observed) -> Iterator[Finding]:
    """Yield every port that a stranger holds, of the model that should have it now if one does."""
    active = slice_.active or ()
    for model in _one_for_each_port(slice_.models, active):
        state = observed.value(PORT(slice_.host.name, model.door))
        # Where its own unit is not seen, that may be what holds its port.
        is_told = observed.unknown(UNIT(slice_.host.name, model.name)) is None
        if is_told and state and state.owner and state.owner.model is None:
            yield _held(model, state.owner, wrong if model.name in active else note)


def _one_for_each_port(models: Iterable[ModelSpec], active: Container[str]) -> Iterable[ModelSpec]:
    """List one model for each port: the active one, where one is."""
    active_last = sorted(models, key=lambda one: one.name in active)
    return {one.door: one for one in active_last}.values()


def _held(
    model: ModelSpec, owner: PortOwner, judge: Callable[[Subject, str, str], Finding]
) -> Finding:
    found = f"port {model.port} is held by {_shown(owner)}"
    fix = f"{owner.remedy}; or give {model.name} another port: in inventory.yaml"
    return judge("port", found, fix).model_copy(update={"model": model.name})


def _shown(owner: PortOwner) -> str:
    service = f", {owner.service.name}" if owner.service else ""
    return f"{owner.name} (pid {owner.pid or 'unknown'}{service})"
