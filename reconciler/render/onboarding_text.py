"""Text of `init` and `doctor`, rendered from their JSON documents."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.core.wording import listed
from reconciler.render.terminal_style import PLAIN, Look, Mood
from reconciler.render.text import plan_text

_MOODS: dict[str, Mood] = {"wrong": "bad", "note": "doubtful"}


def init_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render what was seen and written, the plan over it, and what to do next."""
    directory = shlex.quote(document["directory"])
    lines = (
        f"Wrote {', '.join(document['files'])} in {directory}: {document['git']}.",
        *_found(document),
        "",
        f"$ reconciler plan --state {directory}",
        plan_text(document["plan"], look),
        "",
        "Next:",
        *_next(document, directory),
        *_units(document, directory),
    )
    return "\n".join(lines)


def _found(document: dict[str, Any]) -> Iterator[str]:
    machine = document["machine"]
    servers = _count(machine["servers"], "llama-server")
    yield f"{servers} listening, {_count(machine['weights'], 'GGUF file')} found."
    if machine["cut"]:
        yield f"Note: {machine['cut']}."
    yield from (f"Note: {note}" for note in document["notes"])
    if not document["models"]:
        yield (
            "Nothing of your own was found: these are two demo models. inventory.yaml says how to"
            " add your own."
        )


def _next(document: dict[str, Any], directory: str) -> Iterator[str]:
    if document["models"] and not document["served"] and not _has_steps(document):
        yield from _first(document, directory)
        return
    for step in document["steps"]:
        yield from (f"  # {sentence}" for sentence in step["why"])
        if step["command"]:
            yield f"  {step['command']}"
    yield from applying(document, directory)


def applying(document: dict[str, Any], directory: str) -> Iterator[str]:
    """Yield how what was written is applied, and what that is for where there is no step."""
    in_the_way = any(host["refusals"] for host in document["plan"]["evidence"]["hosts"])
    if document["served"] and not in_the_way and not _has_steps(document):
        yield "  # It changes nothing: what runs now is what a start that fails goes back to."
    if in_the_way and not document.get("steps"):
        yield "  # It is refused until what the plan names above is out of the way."
    yield f"  reconciler apply --state {directory}"


def _has_steps(document: dict[str, Any]) -> bool:
    return any(host["steps"] for host in document["plan"]["hosts"])


def _first(document: dict[str, Any], directory: str) -> Iterator[str]:
    """Yield how a model is made to run where none should run yet."""
    if not document["machine"]["programs"]:
        yield (
            "  # No llama-server was found: install it, or say in inventory.yaml where it is, with"
            " `binary:`."
        )
    yield "  # Nothing is active yet: choose a model from inventory.yaml."
    yield f"  reconciler use {shlex.quote(document['models'][0])} --state {directory}"


def _units(document: dict[str, Any], directory: str) -> Iterator[str]:
    for name in document["files"]:
        if name.endswith(".service"):
            yield (
                f"Or keep it under systemd as it is: {directory}/{name} is a unit that does, and"
                " says how."
            )


def doctor_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render every finding with its fix, and a last line that counts."""
    findings = document["findings"]
    lines = [line for finding in findings for line in _finding(finding, look)]
    wrong = [finding for finding in findings if finding["level"] == "wrong"]
    looked = f"Looked at files, journal and {listed(document['hosts'], 'no host')}"
    counted = _count(wrong, "thing") if wrong else "nothing"
    return "\n".join([*lines, f"{looked}: {counted} wrong."])


def _finding(finding: dict[str, Any], look: Look) -> Iterator[str]:
    level = look.paint(f"{finding['level']:<5}", _MOODS[finding["level"]])
    about = "/".join(filter(None, (finding["host"], finding["model"])))
    subject = f"{finding['subject']} {about}".rstrip()
    yield f"{level}  {subject}: {finding['found']}"
    yield f"       do: {finding['fix']}"


def _count(items: Sequence[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
