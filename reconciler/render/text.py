"""Text for people, rendered from the JSON documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reconciler.core.deadlines import said_second
from reconciler.core.wording import listed, preceded
from reconciler.model.inventory import LOCAL
from reconciler.render.terminal_style import PLAIN, Look, Mood, wide

INSTEAD = {
    "heal": "what the files say is left alone: this goes back to the last good state",
    "lease": "what is lent for a while comes before what the files say",
    "idle": "no request asked for a model for a while: this lets the host rest until one does",
    "release": "the host is held and released: this stops what runs there",
}
"""What a plan says when it does not go where the file says."""

_MOODS: dict[str, Mood] = {
    "promoted": "good", "failed": "bad", "interrupted": "doubtful", "superseded": "doubtful",
    "cut short": "doubtful", "open": "doubtful", "in_sync": "good", "applied": "good",
    "rolled_back": "bad", "unhealthy": "bad", "stalled": "bad", "refused": "bad", "unknown": "bad",
}  # fmt: skip
_TOTALS = {
    "wake": "to wake",
    "prepare": "to prepare",
    "stop": "to stop",
    "start": "to start",
    "suspend": "to suspend",
    "shutdown": "to shut down",
}
"""The kinds of step that the last line of a plan counts; the others are in their service."""

_OF_CONDITIONS: dict[tuple[str, str], Mood] = {
    ("Ready", "True"): "good", ("Ready", "False"): "bad", ("Stalled", "True"): "bad",
    ("Drifted", "True"): "doubtful",
}  # fmt: skip


def plan_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render a plan: for each host what is done and what is in the way, then the total."""
    evidence = document["evidence"]
    origin = evidence["provenance"]
    lines: list[str] = []
    for host, beside in zip(document["hosts"], evidence["hosts"], strict=True):
        headline = f"{host['host']}: {beside['headline']}"
        lines.append(look.row(f"{headline:<60}  {origin['text']}"))
        lines += [*_steps(host, beside, look), *_remarks(beside, look)]
    # An objection quotes what git said: once is enough.
    if origin["trouble"] and origin["trouble"] not in origin["objection"]:
        lines.append(f"note: {origin['trouble']}")
    return "\n".join([*lines, _total(document)])


def _steps(host: dict[str, Any], beside: dict[str, Any], look: Look) -> Iterator[str]:
    if host["mode"] in INSTEAD:
        yield f"  {INSTEAD[host['mode']]}"
    column = wide((step["target"] for step in host["steps"]), 20)
    for step, more in zip(host["steps"], beside["steps"], strict=True):
        yield look.row(_step(step, more, column))


def _remarks(beside: dict[str, Any], look: Look) -> Iterator[str]:
    for change in beside["ignored"]:
        yield f"  ignored: {change['subject']}: {change['cause']}"
    yield from _notes(beside)
    for reason in beside["refusals"]:
        yield f"  {look.paint('refused', 'bad')}: {reason}"


def _notes(host: dict[str, Any], indent: str = "  ") -> list[str]:
    return [f"{indent}note: {note}" for note in host["notes"]]


def _log(one: dict[str, Any], before: str) -> list[str]:
    return [f"{before}{line}" for line in one["log"]]


def _step(step: dict[str, Any], more: dict[str, Any], column: int) -> str:
    after = f"after {','.join(map(str, step['after']))}" if step["after"] else ""
    mark = "~" if more["predicted"] else " "
    what = f"{step['number']:>2}  {step['kind']:<14} {step['target']:<{column}}"
    return f" {mark}{what} {after:<12} {more['note'] or more['cause']}"


def _total(document: dict[str, Any]) -> str:
    kinds = [step["kind"] for host in document["hosts"] for step in host["steps"]]
    beside = document["evidence"]["hosts"]
    if not kinds:
        refused = any(host["refusals"] for host in beside)
        return "Plan: nothing will be done." if refused else "Plan: nothing to do."
    return f"Plan: {_counted(kinds)}.{_about(beside)} {_lost(beside)} lost."


def _counted(kinds: Sequence[str]) -> str:
    counts = ((kinds.count(kind), words) for kind, words in _TOTALS.items())
    parts = ", ".join(f"{count} {words}" for count, words in counts if count)
    return parts or _count(len(kinds), "step")


def _about(hosts: Iterable[dict[str, Any]]) -> str:
    seconds = sum(host["seconds"] or 0 for host in hosts)
    return f" About {seconds:.0f} s." if seconds else ""


def _lost(hosts: Sequence[dict[str, Any]]) -> str:
    numbers = [host["lost_conversations"] for host in hosts]
    least = sum(number or 0 for number in numbers)
    if None not in numbers:
        return _count(least, "conversation")
    # Of some engine it is not known what it holds: "0 lost" would be a promise.
    at_least = f"At least {_count(least, 'conversation')}"
    return at_least if least else "An unknown number of conversations"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def status_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render status: for each host its power, conditions, models, and what failed last."""
    return "\n".join(line for host in document["hosts"] for line in _host(host, look))


def _host(host: dict[str, Any], look: Look) -> Iterator[str]:
    yield f"{host['host']}: power {host['power']}, generation {host['generation']}"
    yield from _power(host)
    for condition in host["conditions"]:
        yield _condition(condition, look)
    yield from _models(host, look)
    yield from _notes(host)
    # Stalled has said it already.
    if host["failure"] and not _is_stalled(host):
        yield f"  last failure: {host['failure']}"
    yield from _log(host, "    | ")


def _condition(condition: dict[str, Any], look: Look) -> str:
    what = f"{condition['type']}={condition['status']}"
    mood = _OF_CONDITIONS.get((condition["type"], condition["status"]))
    # Padded by hand: the codes of a colour take no room on a terminal.
    padding = " " * (20 - len(what))
    why = f"{condition['reason']}: {condition['message']}".rstrip(": ")
    return f"  {look.paint(what, mood)}{padding} {why}"


def _models(host: dict[str, Any], look: Look) -> Iterator[str]:
    column = wide((model["model"] for model in host["models"]), 20)
    for model in host["models"]:
        row = look.row(
            f"  model {model['model']:<{column}} {model['phase']:<12} {_wanted(model):<11}"
        )
        url = f" {model['url']}{_where(host['host'])}" if model["url"] else ""
        # Beside the row, not in it: an address is copied, and half of one is none.
        yield f"{row:<{column + 33}}{url}" if url else row


def _wanted(model: dict[str, Any]) -> str:
    return {True: "wanted", False: "not wanted", None: "not managed"}[model["wanted"]]


def _is_stalled(host: dict[str, Any]) -> bool:
    return any(condition["type"] == "Stalled" for condition in host["conditions"])


def _power(host: dict[str, Any]) -> Iterator[str]:
    """Yield what the power of a host was judged by, unless it simply answers, and what it draws."""
    if host["power_evidence"] and host["power"] != "on":
        yield f"  evidence             {host['power_evidence']}"
    if host["watts"] is not None:
        yield f"  draws                {host['watts']:.1f} W{_metered(host['watt_hours'])}"


def _metered(watt_hours: float | None) -> str:
    return "" if watt_hours is None else f", {watt_hours / 1000:,.1f} kWh counted"


def history_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render runs, the newest last."""
    runs = document["runs"]
    if not runs:
        return f"No runs yet in {document['directory']}; `--data DIR` looks elsewhere."
    column = wide((run["host"] for run in runs), 10)
    lines = [line for run in runs for line in _run(run, look, column)]
    return "\n".join([*_earlier(document), *lines])


def _earlier(document: dict[str, Any]) -> Iterator[str]:
    if earlier := document["earlier"]:
        every = earlier + len(document["runs"])
        yield f"({_count(earlier, 'earlier run')}; `reconciler history -n {every}` lists all)"


def _run(run: dict[str, Any], look: Look, column: int) -> Iterator[str]:
    verdict = run["verdict"]
    what = f"{run['run']:>5}  {said_second(run['at'])} {run['host']:<{column}} {run['mode']:<9}"
    row = f"{what} {verdict:<12} {run['provenance']}"
    yield look.row(row, verdict, _MOODS.get(verdict))
    # What a person asked for needs no reason.
    if run["trigger"] == "watch" and run["causes"]:
        yield f"       because: {', '.join(run['causes'])}"
    if run["request"]:
        yield f"       for the request {run['request']}"
    if run["message"]:
        yield f"       {run['message']}"
    yield from _notes(run, " " * 7)
    yield from (look.row(f"       {line}") for line in _steps_of_run(run))
    yield from _log(run, "       | ")


def _steps_of_run(run: dict[str, Any]) -> Iterator[str]:
    column = wide((step["model"] for step in run["steps"]), 16)
    for step in run["steps"]:
        what = f"{step['step']:<14} {step['model']:<{column}} {step['outcome']:<8}"
        yield f"{what} {step['seconds']:.2f} s  {step['said']}"


def verdict_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render how a pass ended: for each host the outcome, why, and what serves."""
    return "\n".join(line for host in document["hosts"] for line in _end(host, look))


def _end(host: dict[str, Any], look: Look) -> Iterator[str]:
    what = "on hold" if host["held"] else host["outcome"].replace("_", " ")
    yield f"{host['host']}: {look.paint(what, _mood_of(host))}{preceded(': ', host['message'])}"
    yield from (f"  {reason}" for reason in host["reasons"])
    yield from _notes(host)
    column = wide(host["serving"], 20)
    for model, url in host["serving"].items():
        yield f"  {model:<{column}} {url}{_where(host['host'])}"
    yield from _log(host, "  | ")


def _mood_of(host: dict[str, Any]) -> Mood | None:
    # Applied, but with losses that its plan had not announced: that is no success.
    if host["lost_conversations"]:
        return "bad"
    return "doubtful" if host["held"] else _MOODS.get(host["outcome"])


def _where(host: str) -> str:
    """Tell on which machine an address holds, nothing for this one."""
    return "" if host == LOCAL else f" on {host}"


def ended_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render why a watch ended."""
    _ = look
    return f"ended by {document['ended']}"


def valid_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render that both files are right, and what they manage."""
    _ = look
    return f"valid: {listed(document['hosts'], 'nothing managed')} ({document['provenance']})"


def logs_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render the lines of a log as they were written."""
    _ = look
    return "\n".join(document["lines"])


def explain_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render what is known of a subject, a sentence to a line."""
    explanations = document["explanations"]
    return "\n".join(line for one in explanations for line in _explanation(one, look))


def _explanation(one: dict[str, Any], look: Look) -> Iterator[str]:
    column = wide((fact["about"] for fact in one["facts"]), 14)
    yield f"{one['kind']} {one['subject']}"
    for fact in one["facts"]:
        yield look.sentence(f"  {fact['about']:<{column}}  ", fact["says"])
    yield from _log(one, "  | ")
