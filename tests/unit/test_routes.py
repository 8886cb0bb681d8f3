"""The one table of ways into the gateway."""

from __future__ import annotations

import pytest

from reconciler.gateway.head import Refusal
from reconciler.gateway.routes import ROUTER, TABLE, Entered, Entrance, Router


def found(method: str, path: str, *table: Entrance) -> Entered | Refusal:
    return (Router(table) if table else ROUTER).find(method, path)


@pytest.mark.parametrize(
    ("method", "path", "answer", "named"),
    [
        ("POST", "/v1/messages", "engine", {}),
        ("GET", "/models", "models", {}),
        ("HEAD", "/v1/models", "models", {}),
        ("GET", "/v1/models/a", "models", {"model": "a"}),
        ("GET", "/models/org/a", "models", {"model": "org/a"}),
    ],
)
def test_a_request_finds_its_way_in(
    method: str, path: str, answer: str, named: dict[str, str]
) -> None:
    entered = found(method, path)
    assert isinstance(entered, Entered)
    assert (entered.entrance.answer, entered.named) == (answer, named)


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/nowhere", 404, "nothing is served at /nowhere"),
        ("GET", "/v1/models/", 404, "nothing is served"),
        ("GET", "/v1/messages", 405, "found GET, expected POST"),
        ("POST", "/v1/models/a", 405, "found POST, expected GET"),
    ],
)
def test_what_has_no_way_in_is_told_why(method: str, path: str, status: int, said: str) -> None:
    refusal = found(method, path)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    assert said in refusal.reason


def test_a_word_is_one_segment_or_all_that_follows() -> None:
    one = Entrance("*", "/a.b/{one}", "none", "models")
    rest = Entrance("GET", "/c/{one}/{two...}", "none", "models")
    assert found("PUT", "/a.b/x", one, rest) == Entered(one, {"one": "x"})
    assert isinstance(found("PUT", "/a.b/x/y", one, rest), Refusal)
    assert isinstance(found("PUT", "/a-b/x", one, rest), Refusal)
    assert found("GET", "/c/x/y/z", one, rest) == Entered(rest, {"one": "x", "two": "y/z"})


def test_a_way_in_without_a_scope_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="scope"):
        Entrance("GET", "/open")  # type: ignore[call-arg]


def test_no_two_ways_in_are_one() -> None:
    assert len({(one.method, one.shape) for one in TABLE}) == len(TABLE)


def test_errors_are_told_in_the_protocol_of_a_path() -> None:
    assert ROUTER.spoken("/v1/messages") == "anthropic"
    assert ROUTER.spoken("/v1/models/a") == ROUTER.spoken("/nowhere") == "openai"
