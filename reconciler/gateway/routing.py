"""Routing: which model a request is for, and whether its answer is a stream."""

from __future__ import annotations

from reconciler.gateway.head import BODILESS, Refusal, Request
from reconciler.gateway.multipart import form_model
from reconciler.gateway.naming import Routing, sniffed
from reconciler.gateway.routes import Entered

JSON = b"application/json"
ENCODED = Refusal(415, "found a Content-Encoding, expected JSON as it is: it names the model")


def routing(request: Request, entered: Entered, body: bytes) -> Routing | Refusal:
    """Read them where the way in has them."""
    if entered.entrance.answer == "upstream":
        return _beneath(request, entered, body)
    if request.method in BODILESS:
        return Routing(request.asked("model"), stream=False, only_looks=True)
    if entered.entrance.body == "form":
        found = form_model(_value(request, b"content-type"), body)
        return found if isinstance(found, Refusal) else Routing(found, stream=False)
    said = sniffed(body)
    return ENCODED if isinstance(said, Refusal) and _is_encoded(request) else said


def _beneath(request: Request, entered: Entered, body: bytes) -> Routing:
    """What is asked of an engine's own path, whose body may be anything."""
    said = sniffed(body) if _value(request, b"content-type").startswith(JSON) else None
    query = request.target.partition(b"?")
    return Routing(
        entered.named["model"],
        stream=isinstance(said, Routing) and said.stream,
        only_looks=request.method in BODILESS and not request.upgrades,
        target=b"/" + entered.named.get("path", "").encode() + query[1] + query[2],
    )


def _is_encoded(request: Request) -> bool:
    return _value(request, b"content-encoding").lower() not in {b"", b"identity"}


def _value(request: Request, name: bytes) -> bytes:
    return next((value.strip() for found, value in request.fields if found.lower() == name), b"")
