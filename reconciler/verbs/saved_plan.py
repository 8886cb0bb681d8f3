"""Saved plan: what `plan --save` wrote may be applied only while it would do the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.errors import ConfigError, PlanStale
from reconciler.render.plan_document import PlanDocument


def compare(now: PlanDocument, saved: Mapping[str, Any]) -> None:
    """Raise PlanStale when a saved plan means something else than the plan that is made now."""
    if "hosts" not in saved:
        raise ConfigError(
            "this is not a saved plan: it names no hosts; `reconciler plan --save FILE` writes one"
        )
    # The evidence beside `hosts`, such as durations, may differ: it changes nothing that is done.
    document = now.model_dump(mode="json")
    if saved["hosts"] != document["hosts"]:
        raise PlanStale(
            "the saved plan no longer fits; `reconciler plan` shows what would be done now. The"
            f" differences:\n{_difference(_lines(saved), _lines(document))}"
        )


def _difference(before: list[str], after: list[str]) -> str:
    changes = [*_only_in(before, after, "-"), *_only_in(after, before, "+")]
    return "\n".join(changes or ["  the wanted state"])


def _only_in(lines: list[str], others: list[str], sign: str) -> list[str]:
    return [f"  {sign} {line}" for line in lines if line not in others]


def _lines(document: Mapping[str, Any]) -> list[str]:
    return [_line(host, step) for host in document["hosts"] for step in host["steps"]]


def _line(host: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    return f"{host['host']}: {step['kind']} {step['target']} {step['digest'][-8:]}".rstrip()
