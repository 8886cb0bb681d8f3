"""Text of `init` and `doctor`, rendered from their JSON documents."""

from __future__ import annotations

import shlex
from typing import Any

from reconciler.render.text import plan_text


def init_text(document: dict[str, Any]) -> str:
    """Return what was seen and written, the plan over it, and what to do next, as a person reads it."""
    machine, directory = document["machine"], shlex.quote(document["directory"])
    lines = [f"Wrote {', '.join(document['files'])} in {directory}: {document['git']}."]
    lines += [f"{_count(machine['servers'], 'llama-server')} listening, {_count(machine['weights'], 'GGUF file')} found."]
    lines += [f"Note: {machine['cut']}."] if machine["cut"] else []
    if not document["models"]:
        lines.append("Nothing of your own was found: these are two demo models. inventory.yaml says how to add your own.")
    lines += ["", f"$ reconciler plan --state {directory}", plan_text(document["plan"]), "", "Next:"]
    for step in document["steps"]:
        lines += [f"  # {step['why']}", f"  {step['command']}"]
    lines.append(f"  reconciler apply --state {directory}")
    units = [name for name in document["files"] if name.endswith(".service")]
    lines += [f"Or keep it under systemd as it is: {directory}/{name} is a unit that does, and says how." for name in units]
    return "\n".join(lines)


def _count(items: list[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
