"""Verbs are coroutines: whoever has a loop may run several of them in it."""

from __future__ import annotations

from collections.abc import Awaitable
from pathlib import Path

import anyio

from reconciler.model.names import Value
from reconciler.verbs import apply, doctor, plan, status
from reconciler.verbs.context import Caller
from reconciler.verbs.result import Outcome
from tests.trio import HOSTS, Trio


def test_verbs_run_side_by_side_in_one_loop(tmp_path: Path) -> None:
    trio = Trio(tmp_path, frozenset(), "raises")
    ended: dict[str, Value] = {}

    async def answered(name: str, verb: Awaitable[Outcome[Value]]) -> None:
        ended[name] = (await verb).document

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(
                answered,
                "apply",
                apply.run(trio.context, apply.ApplyRequest(), Caller(lambda _: True, print)),
            )
            group.start_soon(answered, "plan", plan.run(trio.context, detailed=False))
            group.start_soon(answered, "status", status.run(trio.context, exit_code=False))
            group.start_soon(answered, "doctor", doctor.run(trio.context, None))

    trio.run(all_at_once)
    assert ended.keys() == {"apply", "plan", "status", "doctor"}
    assert all(host in str(document) for document in ended.values() for host in HOSTS)
    assert [trio.serving(host) for host in HOSTS] == [["a"]] * len(HOSTS)
