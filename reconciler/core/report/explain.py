"""Explain: what is known of a model, host, run or kind of step, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import starmap
from typing import Any, TypeAlias

from reconciler.core import conversations, lending, phrases
from reconciler.core.deadlines import said_time
from reconciler.core.phrases import said
from reconciler.core.recovery import Hints
from reconciler.core.report.conditions import host_conditions, model_conditions
from reconciler.core.retries import retry_at
from reconciler.core.wording import listed, preceded
from reconciler.model.explanation import Explanation, Statement, SubjectKind
from reconciler.model.facts import Fingerprint, Saved, Unit, Weights
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
from reconciler.model.records import PASSING, Lease, OpenRun, Quarantine
from reconciler.model.spec import Kind, ModelSpec, Slice
from reconciler.model.status import Condition
from reconciler.steps.plan import STEPS, HostPlan
from reconciler.steps.save_slots import REPLACED, UNCOUNTED, out_of_reach
from reconciler.steps.step import Step

Told: TypeAlias = Iterator[tuple[str, str]]
"""What a statement is about, and what it says."""

ENDS = {
    "promoted": "it was reached and stayed healthy: this is a state to go back to",
    "failed": "it failed",
    "interrupted": "it was interrupted before it was done",
    "superseded": "it stopped partway, because something else was wanted",
    "cut short": "it never ended, because its controller was killed or quit at once",
    "open": (
        "it has not ended: its controller is working on it, or was killed; the next"
        " `reconciler apply` continues from what is there"
    ),
}
IN_DOUBT = {
    "repeatable": "doing it twice does no harm",
    "observable": "before it is done again, it is checked whether it happened",
    "once": "it is not done twice",
    "irreversible": "nothing can take it back",
}
GOALS = {"forward": "to", "lease": "for a while to", "idle": "to rest, with", "release": "to"}
"""Modes of runs whose goal is no state to go back to."""

HOW = {"skipped": "was already so", "gave-up": "was given up, and the run continued"}
"""What became of a step, where the outcome alone does not say it."""


def _lent(slice_: Slice, model_name: str, lent: Mapping[str, Lease]) -> Told:
    """Why a model runs that is lent, or why it makes way for another."""
    if model_name in lent:
        yield "lent", phrases.lent(model_name, lent[model_name])
    for other in sorted(lending.rivals(slice_)[model_name].intersection(lent)):
        if model_name in (slice_.active or ()):
            yield "makes way", phrases.lent(other, lent[other])


def of_model(
    slice_: Slice, model: ModelSpec, observed: Observed, hints: Hints, plan: HostPlan
) -> Explanation:
    """Explain a model: its definition, what is wanted and seen of it, and what happens next."""
    host, name = slice_.host.name, model.name
    told = (
        *_definition(slice_, model, observed),
        *_conditions(model_conditions(lending.in_effect(slice_, plan), model, observed)),
        *_lent(slice_, name, plan.lent),
        *_trouble(observed.value(WEIGHTS(host, name))),
        ("memory", _memory(model, observed.value(WEIGHTS(host, name)))),
        ("conversations", _conversations(model, observed, host)),
        *(("saved", one) for one in conversations.saved_ones(observed, host, name)),
        *_duration(hints, name),
        ("next", _next(plan)),
    )
    return _explanation("model", name, told)


def _explanation(
    kind: SubjectKind, subject: str, told: Iterable[tuple[str, str]], log: Iterable[str] = ()
) -> Explanation:
    facts = tuple(starmap(_statement, told))
    return Explanation(kind=kind, subject=subject, facts=facts, log=tuple(log))


def _statement(about: str, says: str) -> Statement:
    return Statement(about=about, says=says)


def _definition(slice_: Slice, model: ModelSpec, observed: Observed) -> Told:
    engine, launcher = _kind(model.engine), _kind(model.launcher)
    yield "host", slice_.host.name
    yield "defined as", f"{engine}, run by {launcher}, port {model.port}, {model.task}"
    yield "wanted", _wanted(slice_, model)
    yield "seen", _seen(slice_.host.name, model, observed)


def _wanted(slice_: Slice, model: ModelSpec) -> str:
    if slice_.active is None:
        return "its host's models are not managed"
    return "active" if model.name in slice_.active else "not active"


def _seen(host: str, model: ModelSpec, observed: Observed) -> str:
    unit = observed.value(UNIT(host, model.name))
    health = observed.value(HEALTH(host, model.name))
    return f"{said(unit)}, {said(health)}" if unit and health else said(unit)


def _conditions(conditions: Iterable[Condition]) -> Told:
    for one in conditions:
        yield f"{one.type} {one.status}", f"{one.reason}: {one.message}".rstrip(": ")


def _kind(kind: Kind) -> str:
    options = ", ".join(_chosen(kind))
    return f"{kind.kind} ({options})" if options else kind.kind


def _chosen(kind: Kind) -> Iterator[str]:
    """Yield the options that say something; what is off or left to the driver may not apply."""
    for key, value in kind.options.items():
        if value is True:
            yield key
        elif value is not False and value not in (None, "", "auto", [], {}):
            yield f"{key} {value}"


def _trouble(weights: Weights | None) -> Told:
    """Yield what is wrong with weights that can be read; of others, their memory says so."""
    if weights is not None and weights.memory_bytes and weights.problem:
        yield "weights", weights.problem


def _memory(model: ModelSpec, weights: Weights | None) -> str:
    if model.vram_bytes is not None:
        return f"{model.vram_bytes / GIB:.1f} GiB, as `vram:` in inventory.yaml says"
    if weights is None:
        return "not known"
    if not weights.memory_bytes:
        return f"not known: {weights.problem or 'its weights are not there yet'}"
    return (
        f"about {weights.memory_bytes / GIB:.1f} GiB, estimated from its weights and a context of"
        f" {weights.context} tokens"
    )


def _conversations(model: ModelSpec, observed: Observed, host: str) -> str:
    saved = observed.value(SAVED(host, model.name)) or Saved()
    why_not = (
        _unkept_by_definition(model)
        or _unkept_by_weights(observed.value(WEIGHTS(host, model.name)))
        or _unkept_by_unit(model, observed, host)
    )
    if why_not:
        return f"not kept: {why_not}"
    return f"kept: saved before a stop, and put back after the start; {_kept(saved)}"


def _unkept_by_definition(model: ModelSpec) -> str:
    if model.conversations == "drop":
        return "its definition says `conversations: drop`"
    if not model.capabilities.keeps_conversations:
        return f"the engine {model.engine.kind} cannot save them"
    return ""


def _unkept_by_weights(weights: Weights | None) -> str:
    if weights is None or weights.keepable:
        return ""
    why = weights.unkept or f"{weights.architecture or 'this model'} cannot restore them"
    return f"{why}{preceded('; ', weights.remedy)}"


def _unkept_by_unit(model: ModelSpec, observed: Observed, host: str) -> str:
    unit = observed.value(UNIT(host, model.name))
    fingerprint = observed.value(FINGERPRINT(host, model.name))
    if unit is not None and (why_not := _unfit(model, unit, fingerprint)):
        return why_not
    activity = observed.value(ACTIVITY(host, model.name))
    return UNCOUNTED if activity is not None and activity.uncounted else ""


def _unfit(model: ModelSpec, unit: Unit, fingerprint: Fingerprint | None) -> str:
    # A unit of an older definition is saved too, with what its own conversations depend on
    # (ADR 0013): only what no definition can reach any more is lost.
    if unit.mark.digest != model.digest:
        return out_of_reach(unit, fingerprint)
    return REPLACED if fingerprint is not None and not fingerprint.fits(unit) else ""


def _kept(saved: Saved) -> str:
    """Count what is saved of a model, and what came of it when it was last put back."""
    if not saved.slots:
        return "none is saved now"
    tokens = sum(slot.tokens for slot in saved.slots)
    now = f"saved now: {len(saved.slots)} with {tokens:,} tokens"
    came = Counter(slot.attempts[-1].outcome for slot in saved.slots if slot.attempts)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(came.items()))
    return f"{now}{preceded('; last put back: ', outcomes)}"


def _duration(hints: Hints, name: str) -> Told:
    kinds = ("start", "await_healthy")
    seconds = [hints.typical_seconds(kind, name) for kind in kinds]
    known = [one for one in seconds if one is not None]
    if known:
        yield "to start", f"usually about {sum(known):.1f} s"


def of_host(
    slice_: Slice, observed: Observed, hints: Hints, plan: HostPlan, *, sleeps: bool = False
) -> Explanation:
    """Explain a host: what is wanted and seen of it, what failed, and what happens next."""
    failure = hints.quarantine
    told = (
        *_surroundings(slice_, observed, sleeps=sleeps),
        *_conditions(host_conditions(hints, plan)),
        *(("lent", phrases.lent(*one)) for one in plan.lent.items()),
        ("last good", _last_good(hints)),
        *_restless(hints),
        *(_quarantined(failure) if failure else ()),
        *(_unfinished(hints.open_run) if hints.open_run else ()),
        ("next", _next(plan)),
    )
    return _explanation("host", slice_.host.name, told, failure.log if failure else ())


def _surroundings(slice_: Slice, observed: Observed, *, sleeps: bool) -> Told:
    host = slice_.host.name
    yield "reached", _kind(slice_.host.access)
    power = slice_.power or ("auto" if sleeps else "is not managed")
    yield "wanted", f"power {power}, {_active(slice_)}"
    yield "power", _power(observed, host)
    gpu = observed.value(GPU(host))
    if gpu and gpu.message:
        yield "memory", gpu.message


def _active(slice_: Slice) -> str:
    if slice_.active is None:
        return "models are not managed"
    return f"active: {listed(slice_.active, 'nothing')}"


def _last_good(hints: Hints) -> str:
    good = hints.last_good
    return listed(good.active or (), "nothing active") if good else "none yet"


def _quarantined(failure: Quarantine) -> Told:
    tried = f", {failure.attempts} times" if failure.attempts > 1 else ""
    why = f"{failure.reason}: {failure.message}"
    yield "quarantined", f"since run {failure.run}{tried}: {why}; it {phrases.WAITS}"


def _restless(hints: Hints) -> Told:
    if hints.restless is not None:
        again = said_time(retry_at(hints.restless))
        yield "could not rest", f"{hints.restless.message}; it is tried again {again}"


def _unfinished(run: OpenRun) -> Told:
    where = _in_flight(run)
    yield "open run", f"run {run.seq} has not ended{where}; the next apply looks and continues"


def _in_flight(run: OpenRun) -> str:
    step = run.in_flight
    return f", in {step.step} {step.model}".rstrip() if step else ""


def _power(observed: Observed, host: str) -> str:
    power, unknown = observed.value(POWER(host)), observed.unknown(POWER(host))
    if power is not None:
        return str(power)
    return f"not known: {unknown.reason if unknown else 'it was not looked at'}"


def _next(plan: HostPlan) -> str:
    if plan.objections:
        return f"nothing: {'; '.join(plan.objections)}"
    if not plan.steps:
        return f"nothing: {plan.headline}"
    return f"`reconciler apply` would {_steps(plan)}"


def _steps(plan: HostPlan) -> str:
    steps = (planned.step for planned in plan.steps)
    return ", ".join(f"{step.kind} {step.target}" for step in steps)


def of_run(run: Mapping[str, Any], reasons: Mapping[str, Reason]) -> Explanation:
    """Explain a run of `history`: what caused it, each step, how it ended and what to do."""
    told = (
        ("cause", _cause(run)),
        ("goal", _goal(run)),
        *((f"{step['step']} {step['model']}".rstrip(), _step(step)) for step in run["steps"]),
        *_end(run, reasons),
    )
    return _explanation("run", str(run["run"]), told, run["log"])


def _cause(run: Mapping[str, Any]) -> str:
    command = f"`reconciler {run['trigger']}` of {run['provenance']} on {run['host']}"
    asked = f", for the request {run['request']}" if run["request"] else ""
    why = preceded(": ", ", ".join(run["causes"]))
    return f"{command}{_continued(run['continues'])}{asked}{why}"


def _continued(cut_short: int | None) -> str:
    return f", going on from run {cut_short}, which was cut short" if cut_short else ""


def _goal(run: Mapping[str, Any]) -> str:
    goal = GOALS.get(run["mode"], "back to")
    steps = listed(run["plan"], "to check that it is so")
    return f"{goal} {listed(run['active'], 'nothing')}: {steps}"


def _end(run: Mapping[str, Any], reasons: Mapping[str, Reason]) -> Told:
    ended = ENDS.get(run["verdict"], run["verdict"])
    if run["verdict"] == "promoted" and run["mode"] in PASSING:
        ended = "it was reached and stayed healthy"
    yield "end", ": ".join(filter(None, (ended, run["reason"], run["message"])))
    if todo := reasons.get(run["reason"], Reason()).fix:
        yield "to do", todo


def _step(step: Mapping[str, Any]) -> str:
    how = HOW.get(step["outcome"], step["outcome"])
    return f"{how} after {step['seconds']:.2f} s{preceded(': ', step['said'])}"


def of_reason(name: str, reason: Reason) -> Explanation:
    """Explain an error or reason, as docs/errors.md does."""
    return _explanation("reason", name, (("found", reason.found), ("to do", reason.fix)))


def of_word(word: str, means: str) -> Explanation:
    """Explain a word, as docs/questions.md does."""
    return _explanation("word", word, (("means", means),))


def of_step(kind: str) -> Explanation:
    """Explain a kind of step: what it ensures, within what time, and what happens if it fails."""
    step = STEPS[kind]
    deadline = step.model_fields["deadline"].default
    told = (
        ("ensures", f"{step.ensures}."),
        ("within", f"{deadline:.0f} s, unless the plan knows better"),
        ("when late", _when_late(step)),
        ("when cut short", IN_DOUBT[step.in_doubt]),
    )
    return _explanation("step", kind, told)


def _when_late(step: type[Step]) -> str:
    goes_on = "the run continues without it"
    if "required" in step.model_fields:
        return f"{goes_on}; with `conversations: require` nothing is stopped"
    if step.best_effort:
        return goes_on
    if step.of_power:
        return "the host is Stalled; nothing is rolled back"
    return "the run fails and goes back to last good"
