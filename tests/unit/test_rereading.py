"""What keeps an engine from using what it remembers is known by what a prompt begins with."""

from __future__ import annotations

import json

import pytest

from reconciler.gateway.rereading import rereader
from reconciler.model.facts import Known
from tests.gateway_stand import standing
from tests.sample_worlds import HOST
from tests.scripted_engine import answers, scripted

LINE = "x-anthropic-billing-header: cc_version={}; cc_entrypoint=cli; cch=fa690;"


def asked(*system: str) -> dict[str, object]:
    return {
        "model": "a",
        "messages": [{"role": "user", "content": "Hello"}],
        "system": [{"type": "text", "text": text} for text in system],
    }


@pytest.mark.parametrize(
    ("system", "client"),
    [
        (LINE.format("2.1.37.0d9"), "Claude Code 2.1.37"),
        (LINE.format("2.1.180"), "Claude Code 2.1.180"),
        (LINE.format("1.9.300"), "Claude Code 1.9.300"),
        (LINE.format("2.1.181"), ""),
        (LINE.format("2.1.332.1a"), ""),
        (LINE.format("3.0.0"), ""),
        (LINE.format("2.1.37").replace(" cch=fa690;", ""), ""),
        (LINE.format("2.x"), ""),
        ("You are Claude Code", ""),
    ],
)
def test_a_prompt_that_begins_differently_each_time_is_told_by_its_client(
    system: str, client: str
) -> None:
    assert rereader(json.dumps(asked(system, "You are helpful.")).encode()) == client


async def test_the_newest_prompt_of_a_model_counts() -> None:
    async with standing() as stand, scripted(answers) as engine:
        await stand.admit(engine)
        gate = stand.front.doors.gate(HOST)
        for system, client in ((LINE.format("2.1.37"), "Claude Code 2.1.37"), ("Hello", "")):
            answer = await stand.client.post("/v1/messages", json=asked(system))
            assert answer.is_success
            traffic = await gate.traffic("a")
            assert isinstance(traffic, Known)
            assert traffic.value.rereader == client
