"""JSON documents: the truth that every text is rendered from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.render.plan_document import (
    Evidence,
    HostEvidence,
    Meaning,
    PlanDocument,
    ProvenanceDocument,
    StepDocument,
    StepEvidence,
)

if TYPE_CHECKING:
    from reconciler.steps.plan import HostPlan, Plan, PlannedStep


def plan_document(plan: Plan) -> PlanDocument:
    """Render a plan: its meaning, and under `evidence` what may differ between two equal plans."""
    origin = ProvenanceDocument(**plan.provenance.model_dump(), text=str(plan.provenance))
    evidence = Evidence(provenance=origin, hosts=tuple(_beside(host) for host in plan.hosts))
    hosts = tuple(_meaning(host) for host in plan.hosts)
    return PlanDocument(version=plan.version, hosts=hosts, evidence=evidence)


def _meaning(host: HostPlan) -> Meaning:
    return Meaning(host=host.host, mode=host.mode, digest=host.digest, steps=_steps(host))


def _steps(host: HostPlan) -> tuple[StepDocument, ...]:
    return tuple(
        StepDocument(number=planned.number, **planned.meaning.model_dump())
        for planned in host.steps
    )


def _step_evidence(step: PlannedStep) -> StepEvidence:
    return StepEvidence(
        number=step.number,
        cause=step.cause,
        note=step.note,
        seconds=step.seconds,
        predicted=step.predicted,
    )


def _beside(host: HostPlan) -> HostEvidence:
    return HostEvidence(
        host=host.host,
        headline=host.headline,
        steps=tuple(map(_step_evidence, host.steps)),
        ignored=host.ignored,
        notes=host.notes,
        refusals=host.refusals,
        lost_conversations=host.lost_conversations,
        seconds=host.seconds,
    )
