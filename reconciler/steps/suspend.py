"""The step `suspend`."""

from typing import ClassVar, Literal

from reconciler.model.power import PowerState
from reconciler.steps.shutdown import Descent


class Suspend(Descent):
    """The suspending of a host to RAM."""

    ensures: ClassVar[str] = "the host sleeps with its memory kept"
    ends: ClassVar[PowerState] = "suspended"

    kind: Literal["suspend"] = "suspend"
    deadline: float = 90.0
