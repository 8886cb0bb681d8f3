"""Explain: what is known of a model, a host, a run or a kind of step, as sentences a person can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from reconciler.core import conversations
from reconciler.core.phrases import said
from reconciler.core.recovery import Hints
from reconciler.core.report.conditions import host_conditions, model_conditions
from reconciler.model.explanation import Explanation, Statement
from reconciler.model.facts import Saved, Unit
from reconciler.model.gpu import GIB
from reconciler.model.observed import (
    ACTIVITY,
    FINGERPRINT,
    GPU,
    HEALTH,
    POWER,
    SAVED,
    UNIT,
    WEIGHTS,
    Observed,
)
from reconciler.model.reason import Reason
from reconciler.model.spec import Kind, ModelSpec, Slice
from reconciler.steps.plan import STEPS, HostPlan
from reconciler.steps.save_slots import REPLACED, UNCOUNTED, out_of_reach

ENDS = {
    "promoted": "it was reached and stayed healthy: this is a state to go back to",
    "failed": "it failed",
    "interrupted": "it was ended before it was done",
    "superseded": "it went as far as it came when something else was wanted",
    "cut short": "it never ended, because its controller was killed or left at once",
    "open": (
        "it has not ended: its controller is at it, or was killed; the next `reconciler apply`"
        " continues from what is there"
    ),
}
IN_DOUBT = {
    "repeatable": "doing it twice does no harm",
    "observable": "whether it happened is looked for before it is done again",
    "once": "it is not done twice",
    "irreversible": "nothing can take it back",
}


def of_model(
    slice_: Slice, model: ModelSpec, observed: Observed, hints: Hints, plan: HostPlan
) -> Explanation:
    """Return what is known of a model of a host."""
    host, name = slice_.host.name, model.name
    unit = observed.value(UNIT(host, name))
    health = observed.value(HEALTH(host, name))
    wanted = (
        "its host's models are not managed"
        if slice_.active is None
        else "to be active"
        if name in slice_.active
        else "not to be active"
    )
    facts = [
        Statement(about="host", says=host),
        Statement(
            about="defined as",
            says=(
                f"{_kind(model.engine)}, run by {_kind(model.launcher)}, port {model.port},"
                f" {model.task}"
            ),
        ),
        Statement(about="wanted", says=wanted),
        Statement(
            about="seen", says=f"{said(unit)}, {said(health)}" if unit and health else said(unit)
        ),
        *(
            Statement(
                about=f"{one.type} {one.status}", says=f"{one.reason}: {one.message}".rstrip(": ")
            )
            for one in model_conditions(slice_, model, observed)
        ),
        Statement(about="memory", says=_memory(model, observed, host)),
        Statement(about="conversations", says=_conversations(model, unit, observed, host)),
        *(
            Statement(about="saved", says=one)
            for one in conversations.saved_ones(observed, host, name)
        ),
    ]
    seconds = [
        known
        for kind in ("start", "await_healthy")
        if (known := hints.typical_seconds(kind, name)) is not None
    ]
    if seconds:
        facts.append(Statement(about="to start", says=f"usually about {sum(seconds):.1f} s"))
    facts.append(Statement(about="next", says=_next(plan)))
    return Explanation(kind="model", subject=name, facts=tuple(facts))


def _kind(kind: Kind) -> str:
    options = ", ".join(
        f"{key} {value}" for key, value in kind.options.items() if value not in (None, "", [], {})
    )
    return f"{kind.kind} ({options})" if options else kind.kind


def _memory(model: ModelSpec, observed: Observed, host: str) -> str:
    weights = observed.value(WEIGHTS(host, model.name))
    if model.vram_bytes is not None:
        return f"{model.vram_bytes / GIB:.1f} GiB, as `vram:` in inventory.yaml says"
    if weights is None or not weights.memory_bytes:
        return (
            f"not known: {weights.problem or 'its weights are not there yet'}"
            if weights
            else "not known"
        )
    return (
        f"about {weights.memory_bytes / GIB:.1f} GiB, estimated from its weights and a context of"
        f" {weights.context} tokens"
    )


def _conversations(model: ModelSpec, unit: Unit | None, observed: Observed, host: str) -> str:
    weights = observed.value(WEIGHTS(host, model.name))
    fingerprint = observed.value(FINGERPRINT(host, model.name))
    if model.conversations == "drop":
        return "not kept: it says `conversations: drop`"
    if not model.capabilities.keeps_conversations:
        return f"not kept: the engine {model.engine.kind} cannot save them"
    if weights is not None and not weights.keepable:
        remedy = f"; {weights.remedy}" if weights.remedy else ""
        return f"not kept: {weights.architecture or 'this model'} cannot restore them{remedy}"
    outdated = unit is not None and unit.mark.digest != model.digest
    if unit is not None and outdated and (why_not := out_of_reach(unit, fingerprint)):
        return f"not kept: {why_not}"
    if unit is not None and not outdated and fingerprint is not None and not fingerprint.fits(unit):
        return f"not kept: {REPLACED}"
    activity = observed.value(ACTIVITY(host, model.name))
    if activity is not None and activity.uncounted:
        return f"not kept: {UNCOUNTED}"
    saved = observed.value(SAVED(host, model.name)) or Saved()
    return f"kept: saved before a stop, and put back after the start; {_kept(saved)}"


def _kept(saved: Saved) -> str:
    """Return what is saved of a model, and what came of it when it was last put back."""
    if not saved.slots:
        return "none is saved now"
    now = f"saved now: {len(saved.slots)} with {sum(slot.tokens for slot in saved.slots):,} tokens"
    came = Counter(slot.attempts[-1].outcome for slot in saved.slots if slot.attempts)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(came.items()))
    return f"{now}; last put back: {outcomes}" if outcomes else now


def of_host(slice_: Slice, observed: Observed, hints: Hints, plan: HostPlan) -> Explanation:
    """Return what is known of a host."""
    gpu = observed.value(GPU(slice_.host.name))
    good, failure, run = hints.last_good, hints.quarantine, hints.open_run
    active = (
        "models are not managed"
        if slice_.active is None
        else f"active: {', '.join(slice_.active) or 'nothing'}"
    )
    facts = [
        Statement(about="reached", says=_kind(slice_.host.access)),
        Statement(about="wanted", says=f"power {slice_.power or 'is not managed'}, {active}"),
        Statement(about="power", says=_power(observed, slice_.host.name)),
        *([Statement(about="memory", says=gpu.message)] if gpu and gpu.message else ()),
        *(
            Statement(
                about=f"{one.type} {one.status}", says=f"{one.reason}: {one.message}".rstrip(": ")
            )
            for one in host_conditions(hints, plan)
        ),
        Statement(
            about="last good",
            says=", ".join(good.active or ()) or "nothing active" if good else "none yet",
        ),
    ]
    if failure:
        tried = f", {failure.attempts} times" if failure.attempts > 1 else ""
        says = f"since run {failure.run}{tried}: {failure.reason}: {failure.message}"
        facts.append(
            Statement(
                about="quarantined",
                says=f"{says}; it is left alone until it changes, or `reconciler retry`",
            )
        )
    if run:
        during = (
            f", in {run.in_flight.step} {run.in_flight.model}".rstrip() if run.in_flight else ""
        )
        facts.append(
            Statement(
                about="open run",
                says=f"run {run.seq} has not ended{during}; the next apply looks and continues",
            )
        )
    facts.append(Statement(about="next", says=_next(plan)))
    return Explanation(
        kind="host",
        subject=slice_.host.name,
        facts=tuple(facts),
        log=failure.log if failure else (),
    )


def _power(observed: Observed, host: str) -> str:
    power, unknown = observed.value(POWER(host)), observed.unknown(POWER(host))
    return (
        str(power)
        if power is not None
        else f"not known: {unknown.reason if unknown else 'nobody looked'}"
    )


def _next(plan: HostPlan) -> str:
    steps = ", ".join(f"{planned.step.kind} {planned.step.target}" for planned in plan.steps)
    if plan.refusals:
        return f"nothing: {'; '.join(plan.refusals)}"
    return f"`reconciler apply` would {steps}" if steps else f"nothing: {plan.headline}"


def of_run(run: Mapping[str, Any], reasons: Mapping[str, Reason]) -> Explanation:
    """Return a run as sentences: what caused it, each step, how it ended and what to do."""
    active = ", ".join(run["active"]) or "nothing"
    ended = ENDS.get(run["verdict"], run["verdict"])
    goal = "to" if run["mode"] == "forward" else "back to"
    again = (
        f", going on from run {run['continues']}, which was cut short" if run["continues"] else ""
    )
    facts = [
        Statement(
            about="cause",
            says=f"`reconciler {run['trigger']}` of {run['provenance']} on {run['host']}{again}",
        ),
        Statement(
            about="goal",
            says=f"{goal} {active}: {', '.join(run['plan']) or 'to look whether it is so'}",
        ),
        *(
            Statement(about=f"{step['step']} {step['model']}".rstrip(), says=_step(step))
            for step in run["steps"]
        ),
        Statement(
            about="end", says=": ".join(filter(None, (ended, run["reason"], run["message"])))
        ),
    ]
    if todo := reasons.get(run["reason"], Reason()).fix:
        facts.append(Statement(about="to do", says=todo))
    return Explanation(
        kind="run", subject=str(run["run"]), facts=tuple(facts), log=tuple(run["log"])
    )


def _step(step: Mapping[str, Any]) -> str:
    how = {"skipped": "was so already", "gave-up": "was given up, and the run continued"}.get(
        step["outcome"], step["outcome"]
    )
    return f"{how} after {step['seconds']:.2f} s{': ' if step['said'] else ''}{step['said']}"


def of_reason(name: str, reason: Reason) -> Explanation:
    """Return what docs/errors.md says of an error or reason."""
    facts = (Statement(about="found", says=reason.found), Statement(about="to do", says=reason.fix))
    return Explanation(kind="reason", subject=name, facts=facts)


def of_word(word: str, means: str) -> Explanation:
    """Return what docs/questions.md says of a word."""
    return Explanation(kind="word", subject=word, facts=(Statement(about="means", says=means),))


def of_step(kind: str) -> Explanation:
    """Return what a kind of step does."""
    step = STEPS[kind]
    goes_on = "the run continues without it"
    back = (
        "the host is Stalled; nothing is gone back to"
        if step.of_power
        else "the run fails, and goes back to last good"
    )
    fails = goes_on if step.best_effort else back
    if "required" in step.model_fields:
        fails = f"{goes_on}; with `conversations: require` nothing is stopped"
    facts = (
        Statement(about="ensures", says=f"{step.ensures}."),
        Statement(
            about="within",
            says=f"{step.model_fields['deadline'].default:.0f} s, unless the plan knows better",
        ),
        Statement(about="when late", says=fails),
        Statement(about="when cut short", says=IN_DOUBT[step.in_doubt]),
    )
    return Explanation(kind="step", subject=kind, facts=facts)
