"""Words: what was seen of a host, as a person would say it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.moments import said_at
from reconciler.model.facts import FactKey, FactValue, Gpu, Health, Observed, PortState, Unit, Unknown
from reconciler.model.records import Hold


def seen(keys: Iterable[FactKey], observed: Observed) -> str:
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


def held(hold: Hold) -> str:
    """Return why nothing is done to a host, until when, and what ends that."""
    until = "" if hold.until is None else f" until {said_at(hold.until)}"
    return f"held{until}: {hold.reason}; `reconciler resume {hold.host}` ends it"


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
            return f"{value.owner.name} listens (pid {value.owner.pid or 'unknown'})" if value.owner else "nobody listens"
        case Health():
            return f"{value.phase}: {value.message}" if value.message else value.phase
        case Gpu():
            return value.message
        case _:
            return ""
