"""Restore slots: checked before, noted before and after, proven by replaying their tokens.

The server answers 200 to restores that restore nothing (sliding windows, recurrent states), aborts
on a file that is cut short, and answers garbage from one whose values changed; a failed restore may
damage later inference, so that the engine must be started again. A slot file that does not fit or
is damaged is never put in: the slot stays cold, and the engine as good as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from reconciler.drivers.engines.llama.save import BYTES_PER_SECOND, SLACK_SECONDS
from reconciler.edge.http_reply import HttpFault
from reconciler.errors import DriverError
from reconciler.model.facts import RestoreAttempt, SavedSlot, Unit
from reconciler.model.onhost.slots import CheckSlot, NoteAttempt

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.drivers.engines.llama.api import LlamaApi, SlotRoom
    from reconciler.ports import Access, Json

Outcome: TypeAlias = Literal["open", "proven", "cold", "unverified", "failed"]

REPLAY_SECONDS = 15.0
REUSED = 0.95


class Verdict(NamedTuple):
    """The outcome of one slot."""

    outcome: Outcome
    reason: str = ""
    milliseconds: float = 0.0


class SlotFileContent(NamedTuple):
    """The tokens of a slot file, or None and in words how it is laid out."""

    tokens: list[JsonValue] | None
    layout: str


@dataclass(frozen=True)
class Restoring:
    """A restore of the slots that are saved in one directory, into one unit."""

    api: LlamaApi
    access: Access
    unit: Unit
    directory: str
    fingerprint: str

    async def restore(self, saved: tuple[SavedSlot, ...]) -> Json:
        """Put slots back one by one, and tell what came of each.

        `restart` says that the engine must not be used any more.
        """
        slots: list[JsonValue] = []
        for one in saved:
            verdict = await self._restored(one)
            await self._note(one, verdict.outcome, verdict.reason)
            slots.append(_told(one, verdict))
            if verdict.outcome == "failed":
                return {"slots": slots, "restart": True}
        return {"slots": slots}

    async def _restored(self, one: SavedSlot) -> Verdict:
        """Put one file in, only when nothing speaks against it."""
        tried = own_attempt(one, self.unit)
        obstacle = self._obstacle(one, tried, await self._place(one))
        if obstacle:
            return Verdict("cold", obstacle)
        try:
            content = await self._checked(one)
        except DriverError as error:
            return Verdict("cold", error.message)
        if tried and await self._is_there(one, content):
            return Verdict("proven", "it had been put in before")
        # Reading a large file takes long enough for a client to come; after our own replay the
        # slot is ours.
        late = "" if tried else self._obstacle(one, None, await self._place(one))
        return Verdict("cold", late) if late else await self._put_in(one, content)

    async def _is_there(self, one: SavedSlot, content: SlotFileContent) -> bool:
        if content.tokens is None:
            return False
        return (await self._proof(one, content.tokens)).outcome == "proven"

    async def _put_in(self, one: SavedSlot, content: SlotFileContent) -> Verdict:
        # Noted durably before it is tried: a file that kills its engine is not tried for ever.
        await self._note(one, "open", "")
        try:
            count, milliseconds = await self.api.restore(one.slot, one.file, _deadline(one))
        except DriverError as error:
            return Verdict("failed", error.message)
        verdict = await self._judged(one, count, content)
        return verdict._replace(milliseconds=milliseconds)

    async def _judged(self, one: SavedSlot, count: int, content: SlotFileContent) -> Verdict:
        if count != one.tokens:
            return Verdict("failed", f"the engine took {count} of {one.tokens} tokens")
        if content.tokens is None:
            why = f"which tokens its file holds cannot be read: {content.layout}"
            return Verdict("unverified", why)
        return await self._proof(one, content.tokens)

    def _obstacle(
        self, one: SavedSlot, tried: RestoreAttempt | None, place: SlotRoom | None
    ) -> str:
        """Explain why a slot file must not be put in, if it must not."""
        if one.fingerprint != self.fingerprint:
            return "it was saved with other weights, program or flags"
        if place is None:
            return f"the engine has no slot {one.slot} any more"
        if one.tokens > place.capacity:
            return f"it holds {one.tokens} tokens, and {place.capacity} fit in the slot"
        slot = place.slot
        is_ours = tried is not None and slot.tokens == one.tokens
        if slot.busy or slot.uncounted or (slot.holds_conversation and not is_ours):
            return "clients use the slot already"
        return ""

    async def _place(self, one: SavedSlot) -> SlotRoom | None:
        return next((place for place in await self.api.places() if place.slot.id == one.slot), None)

    async def _checked(self, one: SavedSlot) -> SlotFileContent:
        """Read what stands in a file that is as it was saved; raise DriverError."""
        answer = await self.access.act(CheckSlot(directory=self.directory, file=one.file))
        tokens, layout = answer.get("tokens"), str(answer.get("layout", ""))
        return SlotFileContent(tokens if isinstance(tokens, list) else None, layout)

    async def _proof(self, one: SavedSlot, tokens: list[JsonValue]) -> Verdict:
        """Replay the tokens: a slot that holds them has to read one at most."""
        try:
            reused = await self.api.replay(one.slot, tokens, REPLAY_SECONDS)
            place = await self._place(one)
        except HttpFault as error:
            return _unproven(one, error)
        except DriverError as error:
            return Verdict("unverified", error.message)
        if reused < min(one.tokens - 1, REUSED * one.tokens):
            said = f"the engine said that it restored {one.tokens} tokens"
            return Verdict("cold", f"{said}, and remembered {reused}")
        held = place.slot.tokens if place else 0
        if place is None or held != one.tokens:
            return Verdict("unverified", f"a client used the slot meanwhile: {held} tokens")
        return Verdict("proven")

    async def _note(self, one: SavedSlot, outcome: Outcome, reason: str) -> None:
        """Write the attempt into the sidecar; raise DriverError when it cannot be recorded."""
        await self.access.act(
            NoteAttempt(
                directory=self.directory,
                file=one.file,
                identity=self.unit.identity,
                outcome=outcome,
                reason=reason[:1000],
            )
        )


def _unproven(one: SavedSlot, error: HttpFault) -> Verdict:
    if error.fault != "timeout":
        return Verdict("failed", error.message)
    # A cold slot reads all of its tokens, which is cut off at the deadline.
    return Verdict(
        "cold", f"the slot was reading its {one.tokens} tokens again after {REPLAY_SECONDS:g} s"
    )


def _told(one: SavedSlot, verdict: Verdict) -> dict[str, JsonValue]:
    return {
        "slot": one.slot,
        "tokens": one.tokens,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "restore_ms": round(verdict.milliseconds, 1),
    }


def own_attempt(one: SavedSlot, unit: Unit) -> RestoreAttempt | None:
    """Find the open attempt of this very unit: the file may be in the slot already."""
    last = one.attempts[-1] if one.attempts else None
    if last is None or last.identity != unit.identity or last.outcome != "open":
        return None
    return last


def _deadline(one: SavedSlot) -> float:
    return one.bytes / BYTES_PER_SECOND + SLACK_SECONDS
