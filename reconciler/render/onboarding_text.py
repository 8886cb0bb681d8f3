"""Text of `init` and `doctor`, rendered from their JSON documents."""

from __future__ import annotations

import shlex
from typing import Any

from reconciler.render.terminal_style import PLAIN, Look
from reconciler.render.text import plan_text


def init_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return what was seen and written, the plan over it, and what to do next, as a person reads it."""
    machine, directory = document["machine"], shlex.quote(document["directory"])
    lines = [f"Wrote {', '.join(document['files'])} in {directory}: {document['git']}."]
    servers, weights = (
        _count(machine["servers"], "llama-server"),
        _count(machine["weights"], "GGUF file"),
    )
    lines.append(f"{servers} listening, {weights} found.")
    lines += [f"Note: {machine['cut']}."] if machine["cut"] else []
    lines += [f"Note: {note}" for note in document["notes"]]
    if not document["models"]:
        lines.append(
            "Nothing of your own was found: these are two demo models. inventory.yaml says how to"
            " add your own."
        )
    lines += [
        "",
        f"$ reconciler plan --state {directory}",
        plan_text(document["plan"], look),
        "",
        "Next:",
    ]
    if (
        document["models"]
        and not document["served"]
        and not any(host["steps"] for host in document["plan"]["hosts"])
    ):
        lines += _first(document, directory)
    else:
        for step in document["steps"]:
            lines += [
                *(f"  # {sentence}" for sentence in step["why"]),
                *([f"  {step['command']}"] if step["command"] else []),
            ]
        lines.append(f"  reconciler apply --state {directory}")
    units = [name for name in document["files"] if name.endswith(".service")]
    lines += [
        f"Or keep it under systemd as it is: {directory}/{name} is a unit that does, and says how."
        for name in units
    ]
    return "\n".join(lines)


def _first(document: dict[str, Any], directory: str) -> list[str]:
    """Return how a model is made to run where none is to run yet."""
    programs = document["machine"]["programs"]
    missing = (
        "  # No llama-server was found: install it, or say in inventory.yaml where it is, with"
        " `binary:`."
    )
    return [
        *([] if programs else [missing]),
        "  # Nothing is to run yet: choose a model of inventory.yaml.",
        f"  reconciler use {shlex.quote(document['models'][0])} --state {directory}",
    ]


def doctor_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Return every finding with its fix, and a last line that counts, as a person reads it."""
    lines: list[str] = []
    for finding in document["findings"]:
        about = "/".join(filter(None, (finding["host"], finding["model"])))
        level = look.paint(
            f"{finding['level']:<5}", "bad" if finding["level"] == "wrong" else "doubtful"
        )
        lines += [
            f"{level}  {finding['subject']}{f' {about}' if about else ''}: {finding['found']}"
        ]
        lines += [f"       do: {finding['fix']}"]
    wrong = [finding for finding in document["findings"] if finding["level"] == "wrong"]
    looked = f"Looked at files, journal and {', '.join(document['hosts']) or 'no host'}"
    return "\n".join([*lines, f"{looked}: {_count(wrong, 'thing') if wrong else 'nothing'} wrong."])


def _count(items: list[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
