"""Plan: show what would be done, and touch nothing."""

from __future__ import annotations

from reconciler.loop.survey import survey
from reconciler.render.json import plan_document
from reconciler.render.plan_document import PlanDocument
from reconciler.steps.plan import Plan
from reconciler.verbs.context import Reader
from reconciler.verbs.result import OK, PENDING, REFUSED, Outcome


async def run(reader: Reader, *, detailed: bool) -> Outcome[PlanDocument]:
    """Plan every host; with `detailed`, exit 2 says that there is something to do."""
    wanted = reader.source.read()
    surveys = await survey(reader, wanted)
    plan = Plan(provenance=wanted.provenance, hosts=tuple(one.plan for one in surveys))
    return Outcome(plan_document(plan), _exit_code(plan, detailed=detailed))


def _exit_code(plan: Plan, *, detailed: bool) -> int:
    if any(host.refusals for host in plan.hosts):
        return REFUSED
    return PENDING if detailed and plan.has_changes else OK
