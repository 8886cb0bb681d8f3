"""Power: whether a host is on, off or suspended, by what was seen and asked of it before.

A host that answers is on. One that is silent is off only when a witness outside of it says so, or
when it said that it would go down and was silent for long enough while its neighbours answered.
Whatever else is silent is not known.
"""

from __future__ import annotations

from reconciler.core.deadlines import said_at
from reconciler.model.facts import Contact, Fact, Known, Unknown
from reconciler.model.observed import CANARY, CONTACT, TESTIMONY, FactValue, Observed
from reconciler.model.power import Canary, Power
from reconciler.model.records import Instant, SentDown

SILENCE_SECONDS = 30.0
"""How long a host that went down must have been silent to count as down."""

GOING_SECONDS = 180.0
"""How long a host that accepted to go down, and still answers, counts as on its way."""


def judged(seen: Observed, host: str, sent: SentDown | None, now: Instant) -> Fact[Power]:
    """What the power of a host is, and why."""
    contact, silence = seen.value(CONTACT(host)), seen.unknown(CONTACT(host))
    # What answers is on, whatever a witness says (ADR 0009).
    if silence is None:
        return _of_answering(contact, sent, now)
    proved = _proved(seen, host, sent)
    return Known(proved) if proved is not None else _of_silent(seen, host, silence, sent, now)


def _of_silent(
    seen: Observed, host: str, silence: Unknown, sent: SentDown | None, now: Instant
) -> Fact[Power]:
    """What is known of a silent host of which no witness can tell."""
    reason = "; ".join(filter(None, (silence.reason, _undecided(seen, host))))
    if sent is None:
        return Unknown(reason)
    if sent.seen:
        because = f"{sent.seen}; silent ever since"
        return Known(Power(state=sent.state, grade="inferred", because=because))
    # Whether a request was heard decides: silence after one that may have been lost proves nothing
    # (ADR 0009).
    if not sent.is_heard:
        return Unknown(
            f"{reason}; whether it heard that it was to go down ({_asked(sent)}) is not known"
        )
    return _inferred(seen.fact(CANARY(host)), silence, sent, now)


def _of_answering(contact: Contact | None, sent: SentDown | None, now: Instant) -> Fact[Power]:
    if sent is not None and contact is not None and is_going(sent, contact, now):
        return Unknown(f"it accepted to go down ({_asked(sent)}) and has not gone yet")
    return Known(Power(state="on"))


def is_going(sent: SentDown, contact: Contact, now: Instant) -> bool:
    """Whether a host that answers is on its way down: in the boot that accepted, not long ago."""
    accepted = sent.is_heard and not sent.seen and sent.boot_id == contact.boot_id
    return accepted and elapsed(sent.asked, now) < GOING_SECONDS


def stayed_up(sent: SentDown | None, contact: Contact | None) -> bool:
    """Whether a host that was taken for off answers in the boot that agreed: it never went."""
    if sent is None or contact is None:
        return False
    return sent.state == "off" and bool(sent.seen) and sent.boot_id == contact.boot_id


def needs_canary(seen: Observed, host: str, sent: SentDown | None) -> bool:
    """Whether the silence of a host decides, so that its neighbours are worth asking."""
    if sent is None or sent.seen or not sent.is_heard:
        return False
    return _proved(seen, host, sent) is None


def is_settling(seen: Observed, host: str, sent: SentDown | None) -> bool:
    """Whether all that a silent host lacks to count as down is to be silent for longer."""
    if seen.unknown(CONTACT(host)) is None or seen.power(host) is not None:
        return False
    answers = seen.value(CANARY(host)) is not None
    return answers and needs_canary(seen, host, sent)


def elapsed(since: Instant, now: Instant) -> float:
    """The seconds between two moments."""
    # Within one boot there is a clock that cannot be set.
    return now.boot - since.boot if since.boot_id == now.boot_id else max(0.0, now.at - since.at)


def _proved(seen: Observed, host: str, sent: SentDown | None) -> Power | None:
    """The power that a witness proves, None where none can tell."""
    witness = seen.value(TESTIMONY(host))
    if witness is None or witness.state is None:
        return None
    sleeps = sent is not None and sent.state == "suspended" and sent.is_heard
    # A plug sees a suspended host draw power, and cannot tell it from one that is on.
    if sleeps and witness.state == "on":
        return None
    state = "suspended" if sleeps else witness.state
    return Power(state=state, grade="proved", because=witness.words)


def _undecided(seen: Observed, host: str) -> str:
    """What a witness says that decides nothing, or why it could not be asked; empty without one."""
    unheard = seen.unknown(TESTIMONY(host))
    if unheard is not None:
        return unheard.reason
    heard = seen.value(TESTIMONY(host))
    return heard.words if heard is not None else ""


def steady(before: Fact[FactValue], canary: Fact[FactValue], now: Instant) -> Fact[FactValue]:
    """A canary that was just asked, with since when it answers, given what it said before."""
    if isinstance(canary, Unknown) or not isinstance(canary.value, Canary):
        return canary
    since = now.boot
    if isinstance(before, Known) and isinstance(before.value, Canary):
        since = before.value.since
    return Known(canary.value.model_copy(update={"since": since}), now.boot)


def _inferred(
    canary: Fact[FactValue], silence: Unknown, sent: SentDown, now: Instant
) -> Fact[Power]:
    """What the silence of a host that has agreed to go down says."""
    accepted = f"it accepted to go down ({_asked(sent)}) and is silent"
    if isinstance(canary, Unknown) or not isinstance(canary.value, Canary):
        why = getattr(canary, "reason", "no neighbour was asked")
        return Unknown(f"{accepted}, but so is its network: {why}")
    address = canary.value.address
    # Only silence during which the network worked is the host's own (ADR 0009).
    if now.boot - max(silence.since, canary.value.since) < SILENCE_SECONDS:
        return Unknown(
            f"{accepted}; {SILENCE_SECONDS:.0f} s of that while {address} answers count as down"
        )
    because = (
        f"accepted to go down ({_asked(sent)}), then silent for {SILENCE_SECONDS:.0f} s while"
        f" {address} answered"
    )
    return Known(Power(state=sent.state, grade="inferred", because=because))


def _asked(sent: SentDown) -> str:
    return f"run {sent.run}, {said_at(sent.asked.at)}"
