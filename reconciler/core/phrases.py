"""Phrases: what was seen of a host, as a person would say it."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from reconciler.core.deadlines import said_at
from reconciler.model.facts import Health, Unit, Unknown
from reconciler.model.gpu import GIB, Gpu
from reconciler.model.machine import Obstacle
from reconciler.model.observed import AnyFactKey, FactValue, Observed
from reconciler.model.port import PortState
from reconciler.model.power import Power
from reconciler.model.records import Hold, Quarantine
from reconciler.model.spec import ModelSpec, Slice


def seen(keys: Iterable[AnyFactKey], observed: Observed) -> str:
    """Return what was seen under the keys; many facts that are unknown for one reason are one."""
    ordered = tuple(keys)
    unknown: dict[str, str] = {}
    known: list[str] = []
    for key in ordered:
        fact = observed.fact(key)
        if isinstance(fact, Unknown):
            unknown.setdefault(fact.reason, f"{key} is not known: {fact.reason}")
        elif phrase := said(fact.value):
            known.append(f"{key}: {phrase}")
    return "; ".join((*unknown.values(), *known))


def size(count: int) -> str:
    """Return bytes as a person reads them."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 1024**2:.1f} MiB"


def urls(slice_: Slice) -> dict[str, str]:
    """Return where each model of a host that is as wanted answers: the base URL of its OpenAI API, as seen on the host."""
    active = () if slice_.power in {"off", "suspend"} else slice_.active or ()
    return {model.name: url(model) for model in slice_.models if model.name in active}


def url(model: ModelSpec) -> str:
    """Return the base URL of a model's OpenAI API, as seen on its host."""
    return f"http://127.0.0.1:{model.port}/v1"


def failed(step: str) -> str:
    """Return the reason of a run that failed at a step of a kind, or in its `trial`."""
    return "".join(word.title() for word in f"{step}_failed".split("_"))


def is_left(failure: Quarantine) -> bool:
    """Return whether a wish did not fail: a person went back from it."""
    return failure.reason == "RolledBack"


def quarantined(failure: Quarantine) -> str:
    """Return what failed of what is wanted, or who left it, so that it is left alone."""
    if is_left(failure):
        return f"the wanted state was {failure.message}"
    return f"quarantined since run {failure.run}: {failure.reason}: {failure.message}"


def held(hold: Hold) -> str:
    """Return why nothing is done to a host, until when, and what ends that."""
    until = "" if hold.until is None else f" until {said_at(hold.until)}"
    why = f": {hold.reason}" if hold.reason else ""
    return f"held{until}{why}; `reconciler resume {hold.host}` ends it"


def obstacle(why: Obstacle, folder: str, user: str = "this user") -> str:
    """Return why nobody writes into a folder, and what to do about it."""
    above = quote(folder)
    match why:
        case "":
            return ""
        case "no folder":
            return f"{folder} is not a folder; move it aside"
        case "closed":
            return f"{user} may not enter {folder}; `ls -ld {above}` shows who may"
        case "read-only":
            return f"the file system of {folder} is read-only; `findmnt -T {above}` shows why"
        case "no files":
            return f"no more files fit on the disk of {folder}; `df -i {above}` counts them"
    return f"{user} may not write into {folder}; `ls -ld {above}` shows who may"


def said(value: FactValue) -> str:
    """Return a fact in a few words, empty for one that nobody waits for."""
    match value:
        case None:
            return "not there"
        case str():
            return value
        case Unit():
            return f"runs (pid {value.identity.pid})"
        case PortState():
            return (
                f"{value.owner.name} listens (pid {value.owner.pid or 'unknown'})"
                if value.owner
                else "nothing listens"
            )
        case Health():
            return f"{value.phase}: {value.reason}" if value.message else value.phase
        case Gpu():
            return value.message
        case Power():
            return str(value)
        case _:
            return ""
