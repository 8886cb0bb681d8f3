"""What a service that was there before really serves, beside what the inventory says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.drivers.engines.llama.import_flags import task_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.drivers.engines.llama.api import Props
    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.model.spec import Task

PADDING = 256
"""A context is rounded up to a multiple of so many tokens (b10434, b11549)."""


def differences(props: Props, setup: Setup) -> Iterator[str]:
    """Yield the settings that the inventory names and the server does not have.

    Nobody says that `parallel: 1` was meant.
    """
    if setup.parallel > 1 and props.slots != setup.parallel:
        yield (
            f"it holds {props.slots} conversations at a time; inventory.yaml says `parallel:"
            f" {setup.parallel}`"
        )
    if setup.context is not None and props.context and not _holds(props, setup.context):
        held = f"each of its {props.slots} slots holds {props.context} tokens"
        yield f"{held}; inventory.yaml says `context: {setup.context}` for all together"


def other_task(argv: Sequence[str], task: Task) -> Iterator[str]:
    """Yield that a command line is one of another task.

    Without a flag nobody can say: a variable may stand for it.
    """
    told = task_of(argv)
    if told in {"embedding", "rerank"} and told != task:
        yield f"its command line is of `task: {told}`; inventory.yaml says `task: {task}`"


def _holds(props: Props, context: int) -> bool:
    """Return whether slots of this size come of a context that they share, or that is divided among them."""
    return any(
        0 <= props.context - size < PADDING for size in (context, context // max(props.slots, 1))
    )
