"""Power: judge whether a host is on, off or suspended by what was seen of it and what was asked of it before.

A host that answers is on. One that is silent is off only when a witness outside of it says so, or
when it said that it would go down and was silent for long enough while its neighbours answered.
Whatever else is silent is not known.
"""

from __future__ import annotations

from reconciler.core.deadlines import said_at
from reconciler.model.facts import Contact, Fact, Known, Unknown
from reconciler.model.observed import CANARY, CONTACT, TESTIMONY, FactValue, Observed
from reconciler.model.power import Canary, Power, Testimony
from reconciler.model.records import Instant, SentDown

SILENCE_SECONDS = 30.0
"""How long a host that went down must have been silent to count as down."""

GOING_SECONDS = 180.0
"""How long a host that accepted to go down, and still answers, counts as on its way."""


def judged(seen: Observed, host: str, sent: SentDown | None, now: Instant) -> Fact[Power]:
    """Return what the power of a host is, and why."""
    silence = seen.unknown(CONTACT(host))
    contact = seen.value(CONTACT(host))
    # What answers is on, whatever a witness says (ADR 0009).
    if silence is None:
        if sent is not None and contact is not None and is_going(sent, contact, now):
            return Unknown(f"it accepted to go down ({_asked(sent)}) and has not gone yet")
        return Known(Power(state="on"))
    witness = _witness(seen, host, sent)
    if witness is not None and witness.state is not None:
        return Known(
            Power(
                state="suspended" if _sleeps(sent) else witness.state,
                grade="proved",
                because=witness.words,
            )
        )
    reason = "; ".join(filter(None, (silence.reason, _undecided(seen, host))))
    if sent is None:
        return Unknown(reason)
    if sent.seen:
        return Known(
            Power(state=sent.state, grade="inferred", because=f"{sent.seen}; silent ever since")
        )
    # Whether a request was heard decides: silence after one that may have been lost proves nothing
    # (ADR 0009).
    if not sent.is_heard:
        return Unknown(
            f"{reason}; whether it heard that it was to go down ({_asked(sent)}) is not known"
        )
    return _inferred(seen.fact(CANARY(host)), silence, sent, now)


def is_going(sent: SentDown, contact: Contact, now: Instant) -> bool:
    """Return whether a host that answers is on its way down: in the boot that accepted, not long ago."""
    accepted = sent.is_heard and not sent.seen and sent.boot_id == contact.boot_id
    return accepted and elapsed(sent.asked, now) < GOING_SECONDS


def stayed_up(sent: SentDown | None, contact: Contact | None) -> bool:
    """Return whether a host that was taken for off answers in the boot that accepted to go down: it never went."""
    if sent is None or contact is None:
        return False
    return sent.state == "off" and bool(sent.seen) and sent.boot_id == contact.boot_id


def needs_canary(seen: Observed, host: str, sent: SentDown | None) -> bool:
    """Return whether the silence of a host decides, so that its neighbours are worth asking."""
    return (
        _witness(seen, host, sent) is None and sent is not None and sent.is_heard and not sent.seen
    )


def elapsed(since: Instant, now: Instant) -> float:
    """Return the seconds between two moments, by the clock that nobody moves where both are of one boot."""
    return now.boot - since.boot if since.boot_id == now.boot_id else max(0.0, now.at - since.at)


def _sleeps(sent: SentDown | None) -> bool:
    return sent is not None and sent.state == "suspended" and sent.is_heard


def _witness(seen: Observed, host: str, sent: SentDown | None) -> Testimony | None:
    """Return a witness that can tell.

    One that says that a host which went to sleep is on cannot tell those apart.
    """
    witness = seen.value(TESTIMONY(host))
    # A plug sees a suspended host draw power, and cannot tell it from one that is on.
    tells = (
        witness is not None
        and witness.state is not None
        and not (_sleeps(sent) and witness.state == "on")
    )
    return witness if tells else None


def _undecided(seen: Observed, host: str) -> str:
    """Return what a witness says that decides nothing, or why it could not be asked.

    Empty without one.
    """
    key = TESTIMONY(host)
    unheard, heard = seen.unknown(key), seen.value(key)
    return unheard.reason if unheard is not None else heard.words if heard is not None else ""


def steady(before: Fact[FactValue], canary: Fact[FactValue], now: Instant) -> Fact[FactValue]:
    """Return a canary that was just asked with since when it answers, given what it said before."""
    if isinstance(canary, Unknown) or not isinstance(canary.value, Canary):
        return canary
    known = (
        before.value
        if not isinstance(before, Unknown) and isinstance(before.value, Canary)
        else None
    )
    return Known(
        canary.value.model_copy(update={"since": known.since if known is not None else now.boot}),
        now.boot,
    )


def _inferred(
    canary: Fact[FactValue], silence: Unknown, sent: SentDown, now: Instant
) -> Fact[Power]:
    """Return what the silence of a host says that has accepted to go down: as much of it as its neighbours have answered in."""
    accepted = f"it accepted to go down ({_asked(sent)}) and is silent"
    if isinstance(canary, Unknown) or not isinstance(canary.value, Canary):
        return Unknown(
            f"{accepted}, but so is its network: {getattr(canary, 'reason', 'nobody was asked')}"
        )
    # Only silence during which the network worked is the host's own (ADR 0009).
    if now.boot - max(silence.since, canary.value.since) < SILENCE_SECONDS:
        return Unknown(
            f"{accepted}; {SILENCE_SECONDS:.0f} s of that while {canary.value.address} answers"
            " count as down"
        )
    because = (
        f"accepted to go down ({_asked(sent)}), then silent for {SILENCE_SECONDS:.0f} s while"
        f" {canary.value.address} answered"
    )
    return Known(Power(state=sent.state, grade="inferred", because=because))


def _asked(sent: SentDown) -> str:
    return f"run {sent.run}, {said_at(sent.asked.at)}"
