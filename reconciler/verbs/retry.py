"""Retry: forget the failures of a host and apply again."""

from __future__ import annotations

from reconciler.errors import Misused
from reconciler.model.records import Retry
from reconciler.verbs import apply
from reconciler.verbs.given import Acting
from reconciler.verbs.outcome import Outcome


def run(app: Acting, host: str | None, approve: apply.Approve, say: apply.Say) -> Outcome:
    """Lift the quarantine of one host, or of all, and apply; raise Misused for a host that is not managed."""
    slices = app.source.read().slices
    if host is not None and host not in slices:
        raise Misused(f"host {host} is not managed; managed are: {', '.join(sorted(slices)) or 'none'}")
    noting = tuple(Retry(host=name) for name in sorted(slices) if host in {None, name})
    return apply.run(app, apply.Wishes(trigger="retry", noting=noting), approve, say)
