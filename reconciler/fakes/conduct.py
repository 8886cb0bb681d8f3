"""Conduct: what a controller must not do to a host, and what is lost when it ends a process.

Each function yields sentences; a World keeps them as violations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.fakes.processes import Conversation, FakeProcess, FakeSlot, Loss, SlotFile
from reconciler.model.spec import ModelSpec, Slice


def wrongs_of_restore(file: SlotFile, process: FakeProcess, place: FakeSlot) -> Iterator[str]:
    """Yield what is wrong with restoring a file into a slot of a process."""
    theirs = place.conversation
    if theirs is not None and theirs != file.holds:
        yield f"{file.model}: a restore went over {theirs.name}, which a client had in the slot"
    if place.held == file.holds and file.holds is not None:
        yield f"{file.model}: {place.held} was restored twice into one process"
    yield from _wrongs_of_file(file, process.fingerprint)


def _wrongs_of_file(file: SlotFile, fingerprint: str) -> Iterator[str]:
    if file.fingerprint != fingerprint:
        yield f"{file.model}: a slot of {file.fingerprint} was restored into {fingerprint}"
    if file.holds is None:
        yield f"{file.model}: a damaged file was restored"


def losses(process: FakeProcess, files: Iterable[SlotFile], now: float) -> Iterator[Loss]:
    """Yield the conversations that end with a process, because no sealed file has them."""
    mark = process.mark
    if mark is None:
        return
    sealed = [file for file in files if file.sidecar and file.model == mark.model]
    for place in process.places:
        held = place.conversation
        if held is not None and not any(_was_saved(held, file) for file in sealed):
            answered, busy = process.is_ready(now), place.is_busy(now)
            yield Loss(process.identity, mark, held, answered, busy)


def _was_saved(held: Conversation, file: SlotFile) -> bool:
    # A file that was damaged since was good when it was sealed.
    if file.holds is None and file.sidecar is not None:
        return file.sidecar.tokens == held.tokens
    return file.holds == held


def wrongs_of_praise(slice_: Slice, units: Iterable[FakeProcess], now: float) -> Iterator[str]:
    """Yield each model that is called good before it was healthy for long enough."""
    by_model = [(unit.mark.model, unit) for unit in units if unit.mark]
    for model in _wanted(slice_):
        mine = [unit for name, unit in by_model if name == model.name]
        if not any(_has_been_ready(unit, model.stable_for, now) for unit in mine):
            yield (
                f"{model.name} was called good before it had been healthy for {model.stable_for} s"
            )


def _wanted(slice_: Slice) -> list[ModelSpec]:
    if slice_.power not in {None, "on"}:
        return []
    return [model for model in slice_.models if model.name in (slice_.active or ())]


def _has_been_ready(unit: FakeProcess, seconds: float, now: float) -> bool:
    # The clock adds up floats, so a whole number of seconds may come out a little shorter.
    return unit.is_ready(now) and now - unit.ready_at >= seconds - 1e-6
