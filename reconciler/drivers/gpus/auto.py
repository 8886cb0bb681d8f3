"""Let the host's device nodes decide: without any there is no accelerator memory to look after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from reconciler.model.facts import Gpu, Known, Unknown
from reconciler.model.onhost import AskGpus
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from reconciler.model.facts import Fact
    from reconciler.ports import AccessReader

CAPABILITIES = Capabilities()


class Options(BaseModel):
    """Take no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Driver:
    """Read which accelerators a host has."""

    def __init__(self, options: Options, access: AccessReader) -> None:
        """Use a host."""
        self.options = options
        self._access = access

    async def gpu(self) -> Fact[Gpu]:
        """Return nothing to look after when no device node exists. Source: nodes under /dev."""
        (fact,) = await self._access.ask([AskGpus()])
        if isinstance(fact, Unknown):
            return fact
        nodes = fact.value["nodes"]
        if not nodes:
            return Known(Gpu())
        seen = ", ".join(str(node) for node in nodes) if isinstance(nodes, list) else str(nodes)
        return Unknown(f"found {seen}, whose memory cannot be read yet; `gpu: none` starts models without checking memory")
