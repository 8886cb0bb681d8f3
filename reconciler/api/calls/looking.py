"""Looking: the verbs that change nothing."""

from __future__ import annotations

from functools import cache

from anyio import to_thread

from reconciler import __version__
from reconciler.api.call import ApiCall
from reconciler.api.reply import looked, number, told
from reconciler.api.served import Served
from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.model.facts import Known
from reconciler.model.findings import Findings
from reconciler.model.status import Status
from reconciler.model.traffic import GateDocument
from reconciler.render.documents import (
    ExplainDocument,
    HistoryDocument,
    ValidDocument,
)
from reconciler.render.plan_document import PlanDocument
from reconciler.schemas import real
from reconciler.verbs import doctor, explain, history, plan, status, validate

SCHEMAS = cache(real)


async def _status(served: Served, _: ControlRequest) -> ControlReply:
    return looked(await status.run(served, exit_code=False))


async def _plan(served: Served, _: ControlRequest) -> ControlReply:
    return looked(await plan.run(served, detailed=True))


async def _history(served: Served, asked: ControlRequest) -> ControlReply:
    run = asked.named.get("run")
    outcome = await history.run(served, None if run is None else number(run, "a run"))
    # Hundreds of runs are written out beside what is carried, not before it.
    return await to_thread.run_sync(looked, outcome)


async def _explain(served: Served, asked: ControlRequest) -> ControlReply:
    # Describing everything takes longer than a client's next event may, and is always the same.
    schemas = await to_thread.run_sync(SCHEMAS)
    subject = asked.named["subject"]
    return looked(await explain.run(served, served.source, schemas, subject))


async def _doctor(served: Served, asked: ControlRequest) -> ControlReply:
    return looked(await doctor.run(served, asked.query.get("host")))


async def _validate(served: Served, _: ControlRequest) -> ControlReply:
    return looked(await validate.run(served.source))


async def _gate(served: Served, asked: ControlRequest) -> ControlReply:
    host = asked.named["host"]
    names, gate = served.doors.lobby(host).demands(), served.doors.gate(host)
    admitting = {name: await gate.admitting(name) for name in names}
    traffic = {name: await gate.traffic(name) for name in names}
    document = GateDocument(
        admitting={name: one.value for name, one in admitting.items() if isinstance(one, Known)},
        traffic={name: one.value for name, one in traffic.items() if isinstance(one, Known)},
    )
    return told(200, document.model_dump(mode="json"))


async def _version(_: Served, __: ControlRequest) -> ControlReply:
    return told(200, {"version": __version__})


CALLS = (
    ApiCall("GET", "/api/v1/status", "What is, and what is wanted.", _status, Status),
    ApiCall("GET", "/api/v1/plan", "What would be done.", _plan, PlanDocument),
    ApiCall("GET", "/api/v1/history", "Every run.", _history, HistoryDocument),
    ApiCall("GET", "/api/v1/history/{run}", "One run.", _history, HistoryDocument),
    ApiCall(
        "GET",
        "/api/v1/explain/{subject...}",
        "All that is known of a model, host, run, error, word or key.",
        _explain,
        ExplainDocument,
    ),
    ApiCall(
        "GET",
        "/api/v1/doctor",
        "What is wrong, with its fix.",
        _doctor,
        Findings,
        query={"host": "One host only."},
    ),
    ApiCall("GET", "/api/v1/validate", "Whether both files can be used.", _validate, ValidDocument),
    ApiCall(
        "GET",
        "/api/v1/gate/{host}",
        "Which unit of each model requests reach, and how many are under way.",
        _gate,
        GateDocument,
    ),
    ApiCall("GET", "/api/v1/version", "The version of this program.", _version),
)
