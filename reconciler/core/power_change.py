"""Power change: how the power of a host differs from what is wanted, or why it is left alone."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.core.canonical import digest
from reconciler.core.power import is_settling, stayed_up
from reconciler.core.recovery import Hints
from reconciler.model.change import Ignored, PowerChange
from reconciler.model.observed import CONTACT, POWER, Observed
from reconciler.model.power import PowerState
from reconciler.model.spec import Slice, WantedPower

POWER_STATES: Mapping[WantedPower, PowerState] = {"on": "on", "off": "off", "suspend": "suspended"}
"""What a host is once a wish for its power is fulfilled."""

NO_WITNESS = (
    "nothing says that it is off: name a witness under `proof:`, or switch it on, and it is shut"
    " down from there"
)
SWITCHED_ON = (
    "it was switched on in the meantime; it stays on until `power` in the file changes, or"
    " `enforce: true` stands beside it"
)

SILENT, GOING_DOWN = "silent", "going down"
"""What a host has of power that does not answer, and one that has accepted to go down and may still
answer."""


def power_change(
    wanted: Slice, observed: Observed, hints: Hints
) -> PowerChange | Ignored | str | None:
    """How the power of a host differs, why that is left alone, or why it is not known."""
    host, have = wanted.host.name, observed.power(wanted.host.name)
    if _is_hidden(host, observed) and (change := _of_hidden(wanted, observed, hints)):
        return change
    if have is None:
        return _unknown_reason(wanted, observed, hints)
    if wanted.power is None or _satisfies(wanted.power, have):
        return None
    if have == "on" and not wanted.enforce and _was_reached(wanted, observed, hints):
        return Ignored(host=host, subject="power", cause=SWITCHED_ON)
    return PowerChange(host=host, have=have, want=POWER_STATES[wanted.power])


def awaits_silence(wanted: Slice, observed: Observed, hints: Hints) -> bool:
    """Whether a host is left alone only because it has not been silent for long enough.

    Where a step waits for that or wakes the host meanwhile, it is not.
    """
    change = power_change(wanted, observed, hints)
    return isinstance(change, str) and is_settling(observed, wanted.host.name, hints.sent_down)


def _is_hidden(host: str, observed: Observed) -> bool:
    have = observed.power(host)
    return have is None or (have == "on" and not _answers(host, observed))


def _answers(host: str, observed: Observed) -> bool:
    return observed.unknown(CONTACT(host)) is None


def _of_hidden(wanted: Slice, observed: Observed, hints: Hints) -> PowerChange | None:
    """What can be done about the power of a host though it cannot be seen."""
    host = wanted.host.name
    # To wake what is on already does no harm, so silence is enough; to call a host off takes
    # evidence (ADR 0009).
    if wanted.power == "on" and wanted.host.capabilities.can_wake:
        have = GOING_DOWN if _answers(host, observed) else SILENT
        return PowerChange(host=host, have=have, want="on")
    going = _shutting_down_to(hints)
    if wanted.power is None or going is None or not _satisfies(wanted.power, going):
        return None
    # An accepted request is waited for and not repeated: a second one could meet the next boot (ADR
    # 0009).
    return PowerChange(host=host, have=GOING_DOWN, want=going)


def _unknown_reason(wanted: Slice, observed: Observed, hints: Hints) -> str:
    key = POWER(wanted.host.name)
    unknown = observed.unknown(key)
    reason = f"{key}: {unknown.reason if unknown else 'not known'}"
    if is_settling(observed, wanted.host.name, hints.sent_down):
        return f"{reason}; `reconciler apply` waits for that"
    can_be_known = hints.sent_down is not None or wanted.host.capabilities.can_testify
    if wanted.power in {None, "on"} or can_be_known:
        return reason
    return f"{reason}; {NO_WITNESS}"


def _shutting_down_to(hints: Hints) -> PowerState | None:
    """The state that a host agreed to go to, None where it did not or was seen in it since."""
    sent = hints.sent_down
    return sent.state if sent is not None and sent.is_heard and not sent.seen else None


def _satisfies(wanted: WantedPower, have: PowerState) -> bool:
    """Whether a host in this state is as wanted; what is off need not be woken to sleep."""
    return have == POWER_STATES[wanted] or (wanted == "suspend" and have == "off")


def _was_reached(wanted: Slice, observed: Observed, hints: Hints) -> bool:
    """Whether this very wish is the newest and was fulfilled: what differs, others did since."""
    if stayed_up(hints.sent_down, observed.value(CONTACT(wanted.host.name))):
        return False
    newest = hints.wanted_digest
    return newest is not None and newest == hints.last_good_digest == digest(wanted)
