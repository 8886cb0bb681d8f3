"""Look after no accelerator memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from reconciler.model.facts import Known
from reconciler.model.gpu import Gpu
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.facts import Fact
    from reconciler.ports import AccessReader

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """No options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """A host without memory to look after."""

    def __init__(self, options: Options, access: AccessReader) -> None:
        self.options = options
        self._access = access

    async def gpu(self) -> Fact[Gpu]:
        """Find no cards, without a look."""
        return Known(Gpu())
