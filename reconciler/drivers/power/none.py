"""Leave power alone: a host that answers is on, and nothing else is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from pydantic import BaseModel, ConfigDict

from reconciler.errors import DriverError
from reconciler.model.facts import Known, Unknown
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.facts import Fact, PowerState
    from reconciler.ports import AccessReader, Evidence

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """Take no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """Judge power by contact alone."""

    def __init__(self, options: Options, access: AccessReader) -> None:
        """Use a host."""
        self.options = options
        self._access = access

    async def power(self) -> Fact[PowerState]:
        """Return on when the host answers. A host that is silent may be off, suspended or cut off: Unknown."""
        fact = await self._access.contact()
        return Unknown(fact.reason) if isinstance(fact, Unknown) else Known("on")

    async def wake(self) -> Evidence:
        """Refuse."""
        _refuse("wake")

    async def shut_down(self) -> Evidence:
        """Refuse."""
        _refuse("shut down")

    async def suspend(self) -> Evidence:
        """Refuse."""
        _refuse("suspend")


def _refuse(what: str) -> NoReturn:
    raise DriverError(f"cannot {what} the host: its power driver is none; give it a `power:` that can")
