"""Status: what is, against what is wanted, and why not."""

from __future__ import annotations

import anyio

from reconciler.core.projection import host_status
from reconciler.model.status import Status
from reconciler.verbs.given import Looking
from reconciler.verbs.outcome import ERROR, OK, Outcome
from reconciler.verbs.plan import look


def run(looking: Looking, *, exit_code: bool) -> Outcome:
    """Return the status of every managed host; with `exit_code`, 1 says that one is not ready."""
    seen = anyio.run(look, looking, looking.source.read())
    hosts = tuple(host_status(one.slice, one.observed, one.hints, one.plan) for one in seen)
    ready = all(host.conditions[0].status == "True" for host in hosts)
    return Outcome(Status(hosts=hosts).model_dump(mode="json"), ERROR if exit_code and not ready else OK)
