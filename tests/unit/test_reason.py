"""A reason is its sentence wherever one is wanted, and keeps its two parts apart."""

from __future__ import annotations

import copy

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.model.reason import Reason

REASONS = TypeAdapter(Reason)


def test_a_reason_is_its_sentence() -> None:
    reason = Reason("its card is deaf", "arm it")
    assert (reason, reason.found, reason.fix) == (
        "its card is deaf; arm it",
        "its card is deaf",
        "arm it",
    )
    assert (Reason("its card is deaf"), bool(Reason())) == ("its card is deaf", False)


@pytest.mark.parametrize("copied", [copy.deepcopy, REASONS.validate_python])
def test_a_copy_keeps_the_parts(copied: object) -> None:
    assert callable(copied)
    again = copied(Reason("a; b", "c"))
    assert (again.found, again.fix) == ("a; b", "c")


def test_what_a_host_sends_has_parts_and_what_was_written_is_a_sentence() -> None:
    sent = REASONS.validate_python({"found": "it may not", "fix": "let it"})
    assert (sent, sent.fix) == ("it may not; let it", "let it")
    assert REASONS.dump_json(sent) == b'"it may not; let it"'
    read = REASONS.validate_json(REASONS.dump_json(sent))
    assert (read, read.found, read.fix) == (sent, sent, "")
    assert REASONS.json_schema() == {"type": "string"}


@pytest.mark.parametrize(
    "other", [7, None, {"found": "a"}, {"found": "a", "fix": "b", "more": "c"}]
)
def test_anything_else_is_no_reason(other: object) -> None:
    with pytest.raises(ValidationError):
        REASONS.validate_python(other)
