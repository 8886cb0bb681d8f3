"""Which model a body asks for, and how errors are worded for each kind of client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.gateway.head import Refusal
from reconciler.gateway.naming import Routing, Spoken, sniffed
from reconciler.gateway.wording import cut_event, error_body, keep_alive

GONE = Refusal(503, "a is not ready: it loads")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"model": "a"}', Routing("a", stream=False)),
        (
            b'{"messages": [{"model": "b"}], "stream": true, "model": "a"}',
            Routing("a", stream=True),
        ),
        (b'{"model": "b", "model": "a"}', Routing("a", stream=False)),
        (b"{}", Routing("", stream=False)),
        (b'{"model": null, "stream": null}', Routing("", stream=False)),
    ],
)
def test_the_model_is_read_wherever_it_stands(body: bytes, found: Routing) -> None:
    assert sniffed(body) == found


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"model": 7}', b'{"stream": "yes"}', b'{"a": NaN}',
     b'{"model": "a"', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"],
)  # fmt: skip
def test_what_is_no_request_of_a_model_is_refused(body: bytes) -> None:
    found = sniffed(body)
    assert isinstance(found, Refusal)
    assert found.status == 400


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (
            "openai",
            {"message": GONE.reason, "type": "overloaded_error", "param": None, "code": 503},
        ),
        ("llamacpp", {"code": 503, "message": GONE.reason, "type": "overloaded_error"}),
        ("anthropic", {"type": "overloaded_error", "message": GONE.reason}),
    ],
)
def test_an_error_has_the_shape_of_its_protocol(spoken: Spoken, expected: dict[str, Any]) -> None:
    body = json.loads(error_body(GONE, spoken))
    assert body["error"] == {**expected, "src": "gateway"}
    assert body.get("type") == ("error" if spoken == "anthropic" else None)


def test_a_stream_that_cannot_go_on_ends_with_an_event_that_is_an_error() -> None:
    assert cut_event(GONE, "openai").startswith(b'data: {"error": ')
    assert cut_event(GONE, "anthropic").startswith(b'event: error\ndata: {"type": "error", ')


def test_a_response_that_fails_is_told_in_each_of_the_ways_that_clients_read() -> None:
    error, failed = cut_event(GONE, "responses").decode().rstrip().split("\n\n")
    kind, told = error.split("\n")
    assert kind == "event: error"
    flat = json.loads(told.removeprefix("data: "))
    assert (flat["code"], flat["message"]) == ("503", GONE.reason)
    assert flat["error"]["message"] == GONE.reason
    kind, told = failed.split("\n")
    assert kind == "event: response.failed"
    response = json.loads(told.removeprefix("data: "))["response"]
    assert response["error"] == {"code": "server_error", "message": GONE.reason}


def test_signs_of_life_are_no_events() -> None:
    assert keep_alive("openai") == b": keepalive\n"
    assert keep_alive("anthropic").startswith(b"event: ping\n")
