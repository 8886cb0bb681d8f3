"""What a given service says of itself, beside what the inventory claims of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.engines.llama.api import Props
from reconciler.drivers.engines.llama.claims import differences, other_task
from reconciler.drivers.engines.llamacpp import Options

if TYPE_CHECKING:
    from reconciler.model.spec import Task


@pytest.mark.parametrize(
    ("slots", "each", "context", "parallel", "said"),
    [
        (4, 512, 2048, 4, []),
        (4, 2048, 2048, 4, []),
        (3, 512, 1000, 3, []),
        (1, 4096, None, 1, []),
        (4, 4096, None, 1, []),
        (1, 0, 4096, 1, []),
        (1, 512, 4096, 1, ["each of its 1 slots holds 512 tokens"]),
        (4, 4096, 2048, 4, ["each of its 4 slots holds 4096 tokens"]),
        (1, 4096, 4096, 4, ["it holds 1 conversations at a time"]),
        (
            2,
            256,
            8192,
            4,
            ["it holds 2 conversations at a time", "each of its 2 slots holds 256 tokens"],
        ),
    ],
)
def test_settings_that_differ_are_told_and_unset_ones_are_not(
    slots: int, each: int, context: int | None, parallel: int, said: list[str]
) -> None:
    props = Props(alias="", sleeping=False, context=each, slots=slots)
    setup = Options(weights="/m/a.gguf", context=context, parallel=parallel).setup()
    assert [one.partition(";")[0] for one in differences(props, setup)] == said


@pytest.mark.parametrize(
    ("argv", "task", "said"),
    [
        (("llama-server", "--reranking"), "chat", True),
        (("llama-server", "--embedding"), "rerank", True),
        (("llama-server", "--embedding"), "embedding", False),
        (("llama-server", "-c", "512"), "embedding", False),
    ],
)
def test_a_command_line_of_another_task_is_told(
    argv: tuple[str, ...], task: Task, said: bool
) -> None:
    assert bool(list(other_task(argv, task))) is said
