"""Judging a server by its answer to /props.

The answer came from the unit's own process, so whatever it is, it is a sign of life: only silence,
and words that are not HTTP, leave room for doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.drivers.engines.llama.api import REFUSES, Props, read_props, unexpected
from reconciler.edge.http_reply import HttpFault
from reconciler.errors import DriverError

if TYPE_CHECKING:
    from reconciler.drivers.engines.llama.key import Key
    from reconciler.drivers.engines.llama.port_page import NoPage, Page
    from reconciler.model.facts import Phase

TLS = (
    "it is looked at over plain http: take --ssl-key-file and --ssl-cert-file away, or put a proxy"
    " in front for clients"
)


class SelfReport(NamedTuple):
    """A server's own word on how far it is, and all that it says of itself where it serves."""

    phase: Phase
    message: str = ""
    props: Props | None = None


def heard(page: Page | NoPage, asked: str, key: Key, *, young: bool) -> SelfReport:
    """Judge an answer that was asked for with a key.

    A `young` server may not have begun to listen.
    """
    try:
        reply = page.reply(asked)
    except HttpFault as fault:
        return _unanswered(fault, young=young)
    if reply.status in REFUSES:
        return SelfReport("locked", f"{key.lesson} ({unexpected(reply).message})")
    try:
        props = read_props(reply)
    except DriverError as error:
        return SelfReport("unclear", error.message)
    if props is None:
        return SelfReport("loading", "it loads its model")
    if props.sleeping:
        return SelfReport("sleeping", "it sleeps until it is asked something", props)
    return SelfReport("ready", "", props)


def _unanswered(fault: HttpFault, *, young: bool) -> SelfReport:
    if fault.fault == "tls":
        return SelfReport("locked", f"{fault.message}; {TLS}")
    if fault.fault == "busy":
        return SelfReport("busy", fault.message)
    if fault.fault == "too large":
        return SelfReport("unclear", fault.message)
    # Between taking the port and serving there, it does not accept connections yet, or hangs up.
    starting = young and fault.fault in {"refused", "broken"}
    return SelfReport("loading" if starting else "unresponsive", fault.message)
