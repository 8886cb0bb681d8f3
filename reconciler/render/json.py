"""JSON documents: the truth that every text is rendered from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.steps.plan import HostPlan, Plan


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan: its meaning, and under `evidence` what may differ between two equal plans."""
    return {
        "version": plan.version,
        "hosts": [_meaning(host) for host in plan.hosts],
        "evidence": {
            "provenance": plan.provenance.model_dump(mode="json") | {"text": str(plan.provenance)},
            "hosts": [_evidence(host) for host in plan.hosts],
        },
    }


def _meaning(host: HostPlan) -> dict[str, Any]:
    steps = [{"number": number, **step.model_dump(mode="json")} for number, step in enumerate(host.meaning, start=1)]
    return {"host": host.host, "mode": host.mode, "digest": host.digest, "steps": steps}


def _evidence(host: HostPlan) -> dict[str, Any]:
    return {
        "host": host.host,
        "headline": host.headline,
        "steps": [
            {"number": step.number, "cause": step.cause, "note": step.note, "predicted": step.predicted} for step in host.steps
        ],
        "ignored": [change.model_dump(mode="json") for change in host.ignored],
        "notes": list(host.notes),
        "refusals": list(host.refusals),
        "lost_conversations": host.lost_conversations,
        "seconds": host.seconds,
    }
