"""Text for people, rendered from the JSON documents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.model.inventory import LOCAL
from reconciler.render.terminal_style import PLAIN, Look, Mood, wide

INSTEAD = {
    "heal": "what the files say is left alone: this goes back to the last good state",
    "release": "the host is held and released: this stops what runs there",
}
"""What a plan says when it does not go where the file says."""

_MOODS: dict[str, Mood] = {
    "promoted": "good", "failed": "bad", "interrupted": "doubtful", "superseded": "doubtful",
    "cut short": "doubtful", "open": "doubtful", "in_sync": "good", "applied": "good",
    "rolled_back": "bad", "unhealthy": "bad", "stalled": "bad", "refused": "bad", "unknown": "bad",
}  # fmt: skip
_OF_CONDITIONS: dict[tuple[str, str], Mood] = {
    ("Ready", "True"): "good", ("Ready", "False"): "bad", ("Stalled", "True"): "bad",
    ("Drifted", "True"): "doubtful",
}  # fmt: skip


def plan_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return a plan as a person reads it."""
    evidence = document["evidence"]
    lines: list[str] = []
    for host, beside in zip(document["hosts"], evidence["hosts"], strict=True):
        headline = f"{host['host']}: {beside['headline']}"
        lines.append(look.row(f"{headline:<60}  {evidence['provenance']['text']}"))
        if host["mode"] in INSTEAD:
            lines.append(f"  {INSTEAD[host['mode']]}")
        column = wide((step["target"] for step in host["steps"]), 20)
        lines += [
            look.row(_step(step, more, column))
            for step, more in zip(host["steps"], beside["steps"], strict=True)
        ]
        lines += [
            f"  ignored: {change['subject']}: {change['cause']}" for change in beside["ignored"]
        ]
        lines += [f"  note: {note}" for note in beside["notes"]]
        lines += [f"  {look.paint('refused', 'bad')}: {reason}" for reason in beside["refusals"]]
    origin = evidence["provenance"]
    if origin["trouble"] and origin["trouble"] not in origin["objection"]:
        lines.append(f"note: {origin['trouble']}")
    return "\n".join([*lines, _total(document)])


def _step(step: dict[str, Any], more: dict[str, Any], column: int) -> str:
    after = f"after {','.join(map(str, step['after']))}" if step["after"] else ""
    mark = "~" if more["predicted"] else " "
    reason = more["note"] or more["cause"]
    return (
        f" {mark}{step['number']:>2}  {step['kind']:<14} {step['target']:<{column}} {after:<12}"
        f" {reason}"
    )


def _total(document: dict[str, Any]) -> str:
    kinds = [step["kind"] for host in document["hosts"] for step in host["steps"]]
    beside = document["evidence"]["hosts"]
    if not kinds:
        return (
            "Plan: nothing will be done."
            if any(host["refusals"] for host in beside)
            else "Plan: nothing to do."
        )
    counted = [
        (kinds.count(kind), words)
        for kind, words in (
            ("wake", "to wake"),
            ("prepare", "to prepare"),
            ("stop", "to stop"),
            ("start", "to start"),
            ("suspend", "to suspend"),
            ("shutdown", "to shut down"),
        )
    ]
    parts = ", ".join(f"{count} {words}" for count, words in counted if count) or _count(
        len(kinds), "step"
    )
    seconds = sum(host["seconds"] or 0 for host in beside)
    about = f" About {seconds:.0f} s." if seconds else ""
    return f"Plan: {parts}.{about} {_lost([host['lost_conversations'] for host in beside])} lost."


def _lost(numbers: list[int | None]) -> str:
    least = sum(number or 0 for number in numbers)
    if None not in numbers:
        return _count(least, "conversation")
    return (
        f"At least {_count(least, 'conversation')}"
        if least
        else "An unknown number of conversations"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def status_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return status as a person reads it."""
    lines: list[str] = []
    for host in document["hosts"]:
        lines += [
            f"{host['host']}: power {host['power']}, generation {host['generation']}",
            *_power(host),
        ]
        for condition in host["conditions"]:
            what = f"{condition['type']}={condition['status']}"
            painted = look.paint(what, _OF_CONDITIONS.get((condition["type"], condition["status"])))
            lines.append(
                f"  {painted}{' ' * (20 - len(what))} {condition['reason']}: {condition['message']}".rstrip(
                    ": "
                )
            )
        column = wide((model["model"] for model in host["models"]), 20)
        for model in host["models"]:
            wanted = {True: "wanted", False: "not wanted", None: "not managed"}[model["wanted"]]
            row = look.row(f"  model {model['model']:<{column}} {model['phase']:<12} {wanted:<11}")
            # An address is copied: half of one is none.
            lines.append(
                f"{row:<{column + 33}} {model['url']}{_where(host['host'])}"
                if model["url"]
                else row
            )
        lines += [f"  note: {note}" for note in host["notes"]]
        if host["failure"] and not any(
            condition["type"] == "Stalled" for condition in host["conditions"]
        ):
            lines.append(f"  last failure: {host['failure']}")
        lines += [f"    | {line}" for line in host["log"]]
    return "\n".join(lines)


def _power(host: dict[str, Any]) -> Iterator[str]:
    """Yield what the power of a host was judged by, unless it simply answers, and what it draws."""
    if host["power_evidence"] and host["power"] != "on":
        yield f"  evidence             {host['power_evidence']}"
    if host["watts"] is not None:
        counted = (
            "" if host["watt_hours"] is None else f", {host['watt_hours'] / 1000:,.1f} kWh counted"
        )
        yield f"  draws                {host['watts']:.1f} W{counted}"


def history_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return runs, newest last, as a person reads them."""
    column = wide((run["host"] for run in document["runs"]), 10)
    lines = [_run(run, look, column) for run in document["runs"]]
    return (
        "\n".join(lines)
        if lines
        else f"No runs yet in {document['directory']}; `--data DIR` looks elsewhere."
    )


def _run(run: dict[str, Any], look: Look, column: int) -> str:
    when = datetime.fromtimestamp(run["at"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    verdict = run["verdict"]
    row = (
        f"{run['run']:>5}  {when} {run['host']:<{column}} {run['mode']:<9} {verdict:<12}"
        f" {run['provenance']}"
    )
    lines = [look.row(row, verdict, _MOODS.get(verdict))]
    if run["message"]:
        lines.append(f"       {run['message']}")
    lines += [f"       note: {note}" for note in run["notes"]]
    model = wide((step["model"] for step in run["steps"]), 16)
    lines += [
        look.row(
            f"       {step['step']:<14} {step['model']:<{model}} {step['outcome']:<8}"
            f" {step['seconds']:.2f} s  {step['said']}"
        )
        for step in run["steps"]
    ]
    lines += [f"       | {line}" for line in run["log"]]
    return "\n".join(lines)


def verdict_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return how a pass ended, as a person reads it."""
    lines: list[str] = []
    for host in document["hosts"]:
        mood = (
            "bad"
            if host["lost_conversations"]
            else "doubtful"
            if host["held"]
            else _MOODS.get(host["outcome"])
        )
        what = look.paint("on hold" if host["held"] else host["outcome"].replace("_", " "), mood)
        lines.append(f"{host['host']}: {what}{': ' if host['message'] else ''}{host['message']}")
        lines += [f"  {reason}" for reason in host["reasons"]]
        lines += [f"  note: {note}" for note in host["notes"]]
        column = wide(host["serving"], 20)
        lines += [
            f"  {model:<{column}} {url}{_where(host['host'])}"
            for model, url in host["serving"].items()
        ]
        lines += [f"  | {line}" for line in host["log"]]
    return "\n".join(lines)


def _where(host: str) -> str:
    """Return on which machine an address holds, nothing for this one."""
    return "" if host == LOCAL else f" on {host}"


def ended_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return why a watch ended, as a person reads it."""
    _ = look
    return f"ended by {document['ended']}"


def valid_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return that both files are right, and what they manage."""
    _ = look
    return f"valid: {', '.join(document['hosts']) or 'nothing managed'} ({document['provenance']})"


def logs_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return the lines of a log as they were written."""
    _ = look
    return "\n".join(document["lines"])


def explain_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return what is known of a subject, a sentence to a line."""
    lines: list[str] = []
    for one in document["explanations"]:
        column = wide((fact["about"] for fact in one["facts"]), 14)
        lines.append(f"{one['kind']} {one['subject']}")
        lines += [
            look.sentence(f"  {fact['about']:<{column}}  ", fact["says"]) for fact in one["facts"]
        ]
        lines += [f"  | {line}" for line in one["log"]]
    return "\n".join(lines)
