"""What lives as long as an event loop ends with it, and not before it was entered."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from reconciler.edge.loop_scope import LoopScope
from reconciler.errors import DriverError


async def test_tasks_end_with_the_loop() -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def task() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with LoopScope() as loop:
        loop.start(task)
        await began.wait()
    assert ended.is_set()


async def test_outside_of_the_loop_no_task_begins() -> None:
    loop = LoopScope()
    async with loop:
        pass
    with pytest.raises(DriverError, match="this command is ending"):
        loop.start(anyio.sleep_forever)


@pytest.mark.parametrize(("error", "said"), [(BrokenPipeError(), False), (ValueError("odd"), True)])
async def test_a_pipe_whose_reader_left_is_no_news_and_what_else_went_wrong_unseen_is(
    error: Exception, caplog: pytest.LogCaptureFixture, *, said: bool
) -> None:
    async with LoopScope():
        unseen = asyncio.get_running_loop().create_future()
        unseen.set_exception(error)
        del unseen
    assert ("never retrieved" in caplog.text) is said


async def test_what_goes_wrong_inside_is_told_as_it_is() -> None:
    async def fail() -> None:
        async with LoopScope() as loop:
            loop.start(anyio.sleep_forever)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()


def test_there_is_one_thing_for_each_key() -> None:
    loop = LoopScope()
    first = loop.one("a", object)
    assert loop.one("a", object) is first
    assert loop.one("b", object) is not first
