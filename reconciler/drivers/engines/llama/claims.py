"""Claims of the inventory about a service that was there before, beside what it really serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.drivers.engines.llama.import_flags import task_of
from reconciler.drivers.engines.llama.launch_config import PADDING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.drivers.engines.llama.api import Props
    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.model.spec import Task


def differences(props: Props, setup: Setup) -> Iterator[str]:
    """Yield the settings that the inventory names and the server does not have."""
    slots, context = props.slots, props.context
    # 1 is the default, and may not have been meant.
    if setup.parallel > 1 and slots != setup.parallel:
        claimed = f"inventory.yaml says `parallel: {setup.parallel}`"
        yield f"it holds {slots} conversations at a time; {claimed}"
    if setup.context is not None and context and not _holds(props, setup.context):
        held = f"each of its {slots} slots holds {context} tokens"
        yield f"{held}; inventory.yaml says `context: {setup.context}` for all together"


def other_task(argv: Sequence[str], task: Task) -> Iterator[str]:
    """Yield a sentence if a command line is one of another task."""
    told = task_of(argv)
    # Without a flag it is not known: a variable may stand for it.
    if told in {"embedding", "rerank"} and told != task:
        yield f"its command line is of `task: {told}`; inventory.yaml says `task: {task}`"


def _holds(props: Props, context: int) -> bool:
    """Whether slots of this size share such a context, or each have their part of it."""
    divided = context // max(props.slots, 1)
    return any(0 <= props.context - size < PADDING for size in (context, divided))
