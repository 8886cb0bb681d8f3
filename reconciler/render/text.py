"""Text for people, rendered from the JSON documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

INSTEAD = {
    "rollback": "the wanted state is quarantined: this goes to the last good one",
    "release": "the host is held and released: this stops what runs there",
}
"""What a plan says when it does not go where the file says."""


def plan_text(document: dict[str, Any]) -> str:
    """Return a plan as a person reads it."""
    evidence = document["evidence"]
    lines: list[str] = []
    for host, beside in zip(document["hosts"], evidence["hosts"], strict=True):
        headline = f"{host['host']}: {beside['headline']}"
        lines.append(f"{headline:<60}  {evidence['provenance']['text']}")
        if host["mode"] in INSTEAD:
            lines.append(f"  {INSTEAD[host['mode']]}")
        lines += [_step(step, more) for step, more in zip(host["steps"], beside["steps"], strict=True)]
        lines += [f"  ignored: {change['subject']}: {change['cause']}" for change in beside["ignored"]]
        lines += [f"  note: {note}" for note in beside["notes"]]
        lines += [f"  refused: {reason}" for reason in beside["refusals"]]
    return "\n".join([*lines, _total(document)])


def _step(step: dict[str, Any], more: dict[str, Any]) -> str:
    after = f"after {','.join(map(str, step['after']))}" if step["after"] else ""
    mark = "~" if more["predicted"] else " "
    reason = more["note"] or more["cause"]
    return f" {mark}{step['number']:>2}  {step['kind']:<14} {step['target']:<20} {after:<12} {reason}".rstrip()


def _total(document: dict[str, Any]) -> str:
    kinds = [step["kind"] for host in document["hosts"] for step in host["steps"]]
    beside = document["evidence"]["hosts"]
    if not kinds:
        return "Plan: nothing will be done." if any(host["refusals"] for host in beside) else "Plan: nothing to do."
    counted = [
        (kinds.count(kind), words)
        for kind, words in (
            ("wake", "to wake"),
            ("stop", "to stop"),
            ("start", "to start"),
            ("suspend", "to suspend"),
            ("shutdown", "to shut down"),
        )
    ]
    parts = ", ".join(f"{count} {words}" for count, words in counted if count) or _count(len(kinds), "step")
    seconds = sum(host["seconds"] or 0 for host in beside)
    about = f" About {seconds:.0f} s." if seconds else ""
    return f"Plan: {parts}.{about} {_lost([host['lost_conversations'] for host in beside])} lost."


def _lost(numbers: list[int | None]) -> str:
    least = sum(number or 0 for number in numbers)
    if None not in numbers:
        return _count(least, "conversation")
    return f"At least {_count(least, 'conversation')}" if least else "An unknown number of conversations"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def status_text(document: dict[str, Any]) -> str:
    """Return status as a person reads it."""
    lines: list[str] = []
    for host in document["hosts"]:
        lines.append(f"{host['host']}: power {host['power']}, generation {host['generation']}")
        for condition in host["conditions"]:
            what = f"{condition['type']}={condition['status']}"
            lines.append(f"  {what:<20} {condition['reason']}: {condition['message']}".rstrip(": "))
        for model in host["models"]:
            wanted = {True: "wanted", False: "not wanted", None: "not managed"}[model["wanted"]]
            lines.append(f"  model {model['model']:<20} {model['phase']:<14} {wanted}")
        if host["failure"]:
            lines.append(f"  last failure: {host['failure']}")
        lines += [f"    | {line}" for line in host["log"]]
    return "\n".join(lines)


def history_text(document: dict[str, Any]) -> str:
    """Return runs, newest last, as a person reads them."""
    lines = [_run(run) for run in document["runs"]]
    return "\n".join(lines) if lines else "No runs yet."


def _run(run: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(run["at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
    lines = [f"{run['run']:>5}  {when}  {run['host']:<10} {run['mode']:<9} {run['verdict']:<12} {run['provenance']}"]
    if run["message"]:
        lines.append(f"       {run['message']}")
    lines += [
        f"       {step['step']:<14} {step['model']:<16} {step['outcome']:<8} {step['seconds']:.2f} s  {step['said']}".rstrip()
        for step in run["steps"]
    ]
    lines += [f"       | {line}" for line in run["log"]]
    return "\n".join(lines)


def verdict_text(document: dict[str, Any]) -> str:
    """Return how a pass ended, as a person reads it."""
    lines: list[str] = []
    for host in document["hosts"]:
        what = host["outcome"].replace("_", " ")
        lines.append(f"{host['host']}: {what}{': ' if host['message'] else ''}{host['message']}")
        lines += [f"  {reason}" for reason in host["reasons"]]
        lines += [f"  | {line}" for line in host["log"]]
    return "\n".join(lines)


def ended_text(document: dict[str, Any]) -> str:
    """Return why a watch ended, as a person reads it."""
    return f"ended by {document['ended']}"
