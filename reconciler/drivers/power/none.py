"""No power at all. Under `wake:` it says that a person brings the host up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from reconciler.errors import Declined
from reconciler.model.reason import Reason
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.ports import Evidence

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """No options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """A host that a person switches on."""

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._name = reach.name

    async def wake_problem(self) -> Reason:
        """Find none: a person will do it."""
        return Reason()

    async def wake(self) -> Evidence:
        """Refuse."""
        raise Declined(f"a person has to switch {self._name} on: its `wake:` is none")
