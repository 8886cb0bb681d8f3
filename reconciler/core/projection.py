"""Projection: status and history as pure folds of journal and observation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core import lending, phrases
from reconciler.core.recovery import Hints
from reconciler.core.report.conditions import (
    SERVES,
    host_conditions,
    left_by_rollback,
    model_conditions,
)
from reconciler.model.facts import Saved
from reconciler.model.gpu import GIB
from reconciler.model.leasing import Leased
from reconciler.model.observed import POWER, TESTIMONY, UNIT, Observed
from reconciler.model.records import (
    Carried,
    OpenRun,
    Row,
    RunClosed,
    RunOpened,
    StepDone,
)
from reconciler.model.sight import ModelSight
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.status import HostStatus, ModelStatus
from reconciler.steps.plan import HostPlan
from reconciler.steps.save_slots import slots_named


def host_status(slice_: Slice, observed: Observed, hints: Hints, plan: HostPlan) -> HostStatus:
    """The status of one host: whether it is as wanted, acted on, or stuck."""
    host = slice_.host.name
    failure = None if left_by_rollback(hints) else hints.quarantine
    witness = observed.value(TESTIMONY(host))
    return HostStatus(
        host=host,
        power=observed.power(host) or "unknown",
        power_evidence=_evidence(observed, host),
        watts=witness.watts if witness else None,
        watt_hours=witness.watt_hours if witness else None,
        generation=hints.generation,
        observed_generation=hints.judged_generation,
        conditions=host_conditions(hints, plan),
        models=tuple(_model(slice_, model, observed, plan) for model in slice_.models),
        notes=(*hints.notes, *_damaged(slice_, observed)),
        failure=f"{failure.reason}: {failure.message}" if failure else "",
        log=failure.log if failure else (),
    )


def _damaged(slice_: Slice, observed: Observed) -> Iterator[str]:
    """What is wrong with the folders of saved conversations: none of that comes back."""
    for model in slice_.models:
        saved = ModelSight(observed, slice_.host.name, model.name).saved or Saved()
        yield from (f"{model.name}: {problem}" for problem in saved.problems)


def _evidence(observed: Observed, host: str) -> str:
    """What the power of a host was judged by."""
    power = observed.value(POWER(host))
    unknown = observed.unknown(POWER(host))
    if power is None:
        return unknown.reason if unknown else ""
    return power.because if power.grade == "answers" else f"{power.grade}: {power.because}"


def _model(slice_: Slice, model: ModelSpec, observed: Observed, plan: HostPlan) -> ModelStatus:
    wanted = None if slice_.active is None else model.name in slice_.active
    phase = _phase(slice_.host.name, model.name, observed)
    url = phrases.url(model) if phase in SERVES else ""
    conditions = model_conditions(lending.in_effect(slice_, plan), model, observed)
    return ModelStatus(model=model.name, wanted=wanted, phase=phase, conditions=conditions, url=url)


def _phase(host: str, model_name: str, observed: Observed) -> str:
    if observed.unknown(UNIT(host, model_name)):
        return "unknown"
    seen = ModelSight(observed, host, model_name)
    return seen.health.phase if seen.health and seen.unit is not None else "absent"


class RunHistory:
    """Every run of the rows that it takes; of the rows themselves nothing is kept."""

    def __init__(self) -> None:
        self._runs = dict[int, dict[str, Any]]()
        self._requests = dict[str, str]()
        self._early = defaultdict[int, list[StepDone]](list)

    def told(self) -> list[dict[str, Any]]:
        """The runs with their provenance, steps and verdict, oldest first."""
        return [self._runs[number] for number in sorted(self._runs)]

    def take(self, row: Row) -> None:
        """Take a row; they come in their order."""
        match row.record:
            case Leased() as leased:
                self._requests[leased.host] = leased.request
            case RunOpened() as opened:
                self._open(OpenRun(seq=row.seq, at=row.at, opened=opened))
                if opened.mode == "lease":
                    self._runs[row.seq]["request"] = self._requests.get(opened.host, "")
            case Carried(open_run=OpenRun() as run):
                self._open(run)
            case StepDone() as done if done.run in self._runs:
                self._runs[done.run]["steps"].append(_step(done))
            case StepDone() as done:
                # What opened its run may be forgotten, and the run restated after its first steps.
                self._early[done.run].append(done)
            case RunClosed() as closed if closed.run in self._runs:
                self._runs[closed.run].update(_ended(closed))
            case _:
                pass

    def _open(self, run: OpenRun) -> None:
        if run.seq in self._runs:
            return
        told = self._runs[run.seq] = _opened(run)
        told["steps"] += map(_step, self._early.pop(run.seq, ()))
        before = self._runs.get(told["continues"])
        if before is not None:
            says = f"run {run.seq} continued from what was there"
            before.update(verdict="cut short", message=says)


def _ended(closed: RunClosed) -> Mapping[str, Any]:
    log = list(closed.log)
    return {
        "verdict": closed.verdict, "reason": closed.reason, "message": closed.message, "log": log,
    }  # fmt: skip


def _opened(run: OpenRun) -> dict[str, Any]:
    record = run.opened
    provenance = record.provenance
    return {
        "run": run.seq, "at": run.at, "host": record.host, "mode": record.mode,
        "trigger": record.trigger, "request": "", "active": list(record.slice.active or ()),
        "provenance": f"{provenance} {provenance.subject}".strip(), "digest": record.digest,
        "continues": record.continues, "plan": list(record.plan),
        "causes": list(record.causes), "steps": [], "verdict": "open",
        "reason": "", "message": "", "log": [], "notes": list(record.notes),
    }  # fmt: skip


def _step(record: StepDone) -> dict[str, Any]:
    return {
        "step": record.step, "model": record.model, "outcome": record.outcome,
        "seconds": record.seconds, "said": record.message or _said(record.evidence),
        "evidence": record.evidence,
    }  # fmt: skip


def _said(evidence: Mapping[str, Any]) -> str:
    """What a person wants to know of a step's evidence: conversations, and the cards' memory."""
    slots, lost, memory = (evidence.get(key) for key in ("slots", "lost", "card_memory"))
    said = [f"lost: what was in {slots_named(lost)}"] if isinstance(lost, list) else []
    said += map(_of_slot, slots) if isinstance(slots, list) else []
    said += _of_cards(memory) if isinstance(memory, dict) else []
    return ", ".join(said)


MOMENTS = ("before_stop", "after_stop", "after_settle", "after_start")


def _of_cards(memory: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """How much of each card was held at each moment, in their order."""
    for card in sorted({card for held in memory.values() for card in held}):
        moments = (memory.get(moment, {}) for moment in MOMENTS)
        sizes = (held[card] / GIB for held in moments if card in held)
        yield f"card {card} held {' then '.join(f'{size:.1f} GiB' for size in sizes)}"


def _of_slot(slot: Mapping[str, Any]) -> str:
    return f"slot {slot.get('slot')}: {slot.get('tokens')} tokens {_became(slot)}".strip()


def _became(slot: Mapping[str, Any]) -> str:
    """What came of a saved slot, empty in a save; why is said of what was not proven."""
    outcome, reason = slot.get("outcome", ""), slot.get("reason", "")
    return f"{outcome} ({reason})" if reason and outcome != "proven" else outcome
