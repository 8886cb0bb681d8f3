"""Let the host's device nodes decide: NVIDIA's cards are read, and without any node there is no memory to look after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.drivers.gpus import nvidia
from reconciler.drivers.gpus.nvidia import CAPABILITIES, LAST_RESORT, Options
from reconciler.model.facts import Known, Unknown
from reconciler.model.gpu import Card, Gpu
from reconciler.model.onhost.host import AskGpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model.facts import Fact
    from reconciler.ports import AccessReader

__all__ = ["CAPABILITIES", "Driver", "Options"]

HOST_MEMORY = Gpu(cards=(Card(name="the host's memory", total=0, free=0, unified=True),))


class Driver:
    """Read which accelerators a host has, and their memory where somebody can read it."""

    def __init__(
        self, options: Options, access: AccessReader, nvml: Callable[[], Any] | None = None
    ) -> None:
        """Use a host; `nvml` loads NVIDIA's library."""
        self.options = options
        self._access = access
        self._nvidia = nvidia.Driver(options, access, nvml)

    async def gpu(self) -> Fact[Gpu]:
        """Return nothing to look after when no device node exists.

        Source: nodes under /dev, then as kind `nvidia`.
        """
        (fact,) = await self._access.ask([AskGpus()])
        if isinstance(fact, Unknown):
            return fact
        found = fact.value["nodes"]
        nodes = [str(node) for node in found] if isinstance(found, list) else []
        if not nodes:
            return Known(Gpu())
        if any(node.startswith("/dev/nvidia") for node in nodes):
            return await self._nvidia.gpu()
        if self.options.memory == "unified":
            return await nvidia.with_host_memory(HOST_MEMORY, self._access)
        return Unknown(
            f"found {', '.join(nodes)}, whose memory cannot be read yet; `gpu: {{kind: auto,"
            f" memory: unified}}` counts the host's memory in its place, {LAST_RESORT}"
        )
