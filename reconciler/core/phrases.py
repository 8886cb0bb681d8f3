"""Phrases: what was seen of a host, as a person would say it."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from reconciler.core.deadlines import said_at
from reconciler.model.facts import Health, Unit, Unknown
from reconciler.model.gpu import GIB, Gpu
from reconciler.model.leasing import Term
from reconciler.model.machine import Obstacle
from reconciler.model.observed import AnyFactKey, FactValue, Observed
from reconciler.model.port import PortState
from reconciler.model.power import Power
from reconciler.model.records import Hold, Lease, Quarantine
from reconciler.model.spec import ModelSpec, Slice


def seen(keys: Iterable[AnyFactKey], observed: Observed) -> str:
    """What was seen under the keys; many facts that are unknown for one reason are one."""
    unknown: dict[str, str] = {}
    known: list[str] = []
    for key in keys:
        fact = observed.fact(key)
        if isinstance(fact, Unknown):
            unknown.setdefault(fact.reason, f"{key} is not known: {fact.reason}")
        elif phrase := said(fact.value):
            known.append(f"{key}: {phrase}")
    return "; ".join((*unknown.values(), *known))


def size(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / GIB:.1f} GiB" if count >= GIB / 10 else f"{count / 1024**2:.1f} MiB"


def counted(number: int, noun: str) -> str:
    """So many of something: `1 slot`, `2 slots`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def urls(slice_: Slice) -> dict[str, str]:
    """Where each model answers once its host is as wanted, by the model's name."""
    active = () if slice_.power in {"off", "suspend"} else slice_.active or ()
    return {model.name: url(model) for model in slice_.models if model.name in active}


def url(model: ModelSpec) -> str:
    """The base URL of a model's OpenAI API, as seen on its host, or its door elsewhere."""
    if isinstance(model.door, str):
        return model.door
    return f"http://127.0.0.1:{model.door}/v1"


def failed(step: str) -> str:
    """The reason of a run that failed at a step of a kind, or in its `trial`."""
    return "".join(word.title() for word in f"{step}_failed".split("_"))


def is_left(failure: Quarantine) -> bool:
    """Whether a wish did not fail: a person went back from it."""
    return failure.reason == "RolledBack"


WAITS = (
    "is tried again once it changes, by `reconciler retry`, or by a watch where nothing that serves"
    " is in its way"
)
"""When a wish that failed is tried again, after what names it."""


def quarantined(failure: Quarantine) -> str:
    """Why what is wanted is left alone: what failed of it, or that a person left it."""
    if is_left(failure):
        return f"the wanted state was {failure.message}"
    return f"quarantined since run {failure.run}: {failure.reason}: {failure.message}"


def left_alone(failure: Quarantine, host: str) -> str:
    """Why a plan leaves alone what is wanted, with what to do about it."""
    return f"{quarantined(failure)}; {way_out(failure, host)}"


def way_out(failure: Quarantine, host: str) -> str:
    """What to do about a wish that is left alone."""
    first = "fix the cause and apply again"
    if is_left(failure):
        first = "write into desired.yaml what is to stay"
    return f"{first}, or `reconciler retry {host}`"


def lent(model_name: str, lease: Lease) -> str:
    """Who brought a model in, and what ends that."""
    if lease.term is None:
        ends = "it goes when they stop (`return_after`)"
        sooner = "a load that no request waits for ends, unless it is nearly done"
        return f"requests brought in {model_name} (`allow`); {ends}, and {sooner}"
    sooner = "`reconciler use` of what desired.yaml says, or a change of it, ends that sooner"
    return f"{taken(model_name, lease.term)}; {sooner}"


def taken(model_name: str, term: Term) -> str:
    """Who took a model for a while, until when, and why."""
    why = f": {term.reason}" if term.reason else ""
    return f"{term.by} uses {model_name} until {said_at(term.until)}{why}"


def asked_for(lease: Lease) -> str:
    """Who wants a model that is lent, in a few words."""
    return "requests ask for it" if lease.term is None else f"{lease.term.by} uses it for a while"


IDLES = "its host comes to rest (`idle`)"
RESTS = "it rests, since no request asked for a model of it (`idle`); a request ends that"


def held(hold: Hold) -> str:
    """Why nothing is done to a host, until when, and what ends that."""
    until = "" if hold.until is None else f" until {said_at(hold.until)}"
    why = f": {hold.reason}" if hold.reason else ""
    return f"held{until}{why}; `reconciler resume {hold.host}` ends it"


def obstacle(why: Obstacle, folder: str, user: str = "this user") -> str:
    """Why a folder cannot be written into, and what to do about it."""
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


def _listener(port: PortState) -> str:
    if port.owner is None:
        return "nothing listens"
    return f"{port.owner.name} listens (pid {port.owner.pid or 'unknown'})"


def said(value: FactValue) -> str:
    """A fact in a few words, empty for one that no wait is for."""
    match value:
        case None:
            return "not there"
        case str():
            return value
        case Unit():
            # What its launcher waits to start again has no process now.
            again = value.ended or "it waits to be started again"
            return f"runs (pid {value.identity.pid})" if value.identity.pid else again
        case PortState():
            return _listener(value)
        case Health():
            return f"{value.phase}: {value.reason}" if value.message else value.phase
        case Gpu():
            return value.message
        case Power():
            return str(value)
        case _:
            return ""
