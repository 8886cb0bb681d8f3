"""Hold: leave a host alone, and free it first where that is asked; `resume` ends it."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.deadlines import parse_until
from reconciler.errors import LockHeld
from reconciler.model.records import Hold, Resume
from reconciler.render.documents import VerdictDocument
from reconciler.verbs import apply
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.hosts import chosen
from reconciler.verbs.result import Outcome


@dataclass(frozen=True)
class HoldWords:
    """How a hold was asked for.

    `release` frees the host, `now` ends a wait that is under way.
    """

    reason: str
    until: str | None = None
    release: bool = False
    now: bool = False
    approved: bool = False


async def hold(
    app: Actor, host: str | None, words: HoldWords, caller: Caller
) -> Outcome[VerdictDocument]:
    """Hold one host, or all.

    Raise Misused for a host that is not managed or an end that has passed.
    """
    until = None if words.until is None else parse_until("--until", words.until, app.clock.wall())
    noting = tuple(_row(name, words, until) for name in chosen(app, host))
    request = apply.ApplyRequest(trigger="hold", noting=noting, approved=words.approved)
    return await _tell(app, request, caller)


def _row(host: str, words: HoldWords, until: float | None) -> Hold:
    return Hold(host=host, reason=words.reason, until=until, release=words.release, now=words.now)


async def resume(
    app: Actor, host: str | None, caller: Caller, *, approved: bool
) -> Outcome[VerdictDocument]:
    """End the hold of one host, or of all, and bring it to what the file says; raise Misused."""
    noting = tuple(Resume(host=name) for name in chosen(app, host))
    request = apply.ApplyRequest(trigger="resume", noting=noting, approved=approved)
    return await _tell(app, request, caller)


async def _tell(
    app: Actor, request: apply.ApplyRequest, caller: Caller
) -> Outcome[VerdictDocument]:
    try:
        return await apply.run(app, request, caller)
    except LockHeld as held:
        await apply.note(app, request)
        # What acts now takes no requests, but the next command sees it.
        caller.say(f"recorded; it takes effect with the next command: {held.message}")
        return Outcome(VerdictDocument(hosts=()))
