"""Wording: how an error is told to the clients of each protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.gateway.head import Refusal
    from reconciler.gateway.naming import Spoken

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
COMMENT = b": keepalive\n"

Body = Mapping[str, object]

TYPES: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "invalid_request_error",
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.BAD_GATEWAY: "api_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
}
"""OpenAI's and Anthropic's words for errors; both SDKs choose their exception by status."""


def error_body(refusal: Refusal, spoken: Spoken) -> bytes:
    """The body that says why there is no answer; `src` tells it from an engine's own errors."""
    return json.dumps(SHAPES[spoken](refusal)).encode()


def _type(refusal: Refusal) -> str:
    if refusal.is_final:
        # Claude Code asks for minutes after any `overloaded_error`, and shows this (2.1.332).
        return "api_error"
    return TYPES.get(refusal.status, "invalid_request_error")


def _openai(refusal: Refusal) -> Body:
    told = {"message": refusal.reason, "type": _type(refusal), "param": None}
    return {"error": {**told, "code": refusal.status, "src": "gateway"}}


def _anthropic(refusal: Refusal) -> Body:
    told = {"type": _type(refusal), "message": refusal.reason, "src": "gateway"}
    return {"type": "error", "error": told}


def _llamacpp(refusal: Refusal) -> Body:
    told = {"code": refusal.status, "message": refusal.reason, "type": _type(refusal)}
    return {"error": {**told, "src": "gateway"}}


SHAPES: Mapping[Spoken, Callable[[Refusal], Body]] = {
    "openai": _openai,
    "responses": _openai,
    "anthropic": _anthropic,
    "llamacpp": _llamacpp,
}


def keep_alive(spoken: Spoken) -> bytes:
    """What tells a client that its stream lives, and nothing else.

    A comment ends with one newline: an empty line after it would be an event without data, which
    OpenAI's SDKs try to parse. It is no event of its own: OpenAI's `responses.stream` gives up if
    one comes before `response.created` (3.57, and 2.30).
    """
    return PING if spoken == "anthropic" else COMMENT


def cut_event(refusal: Refusal, spoken: Spoken) -> bytes:
    """The event that ends a stream which cannot go on; its client takes it for an error."""
    body = SHAPES[spoken](refusal)
    if spoken == "responses":
        return _failed_response(refusal, body)
    return _event("error" if spoken == "anthropic" else "", body)


def _failed_response(refusal: Refusal, body: Body) -> bytes:
    """Two events, since clients differ.

    OpenAI's SDKs raise where an event holds `error`, whose fields its documentation has a level
    higher (3.57, and 2.30); Codex hears only of a response that failed (0.171).
    """
    flat = {"code": str(refusal.status), "message": refusal.reason, "param": None}
    told = {"code": "server_error", "message": refusal.reason}
    failed = {"id": "", "object": "response", "status": "failed", "error": told}
    return _event("error", {"type": "error", **flat, "sequence_number": 0, **body}) + _event(
        "response.failed", {"type": "response.failed", "sequence_number": 1, "response": failed}
    )


def _event(name: str, body: Body) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()
