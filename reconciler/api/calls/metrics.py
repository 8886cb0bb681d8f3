"""Metrics: what Prometheus reads."""

from __future__ import annotations

from reconciler.api.call import ApiCall
from reconciler.api.served import Served
from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.render.exposition import CONTENT_TYPE, exposition


async def _metrics(served: Served, _: ControlRequest) -> ControlReply:
    body = exposition(await served.meter.read()).encode()
    return ControlReply(200, body, ((b"Content-Type", CONTENT_TYPE.encode()),))


CALLS = (ApiCall("GET", "/metrics", "Numbers, as Prometheus reads them.", _metrics),)
