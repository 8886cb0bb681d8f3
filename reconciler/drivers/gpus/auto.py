"""Let the host's device nodes decide which cards are read; a host without any has none."""

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
    """The accelerators of a host, and their memory where that can be read."""

    def __init__(
        self, options: Options, access: AccessReader, nvml: Callable[[], Any] | None = None
    ) -> None:
        """Use a host; `nvml` loads NVIDIA's library."""
        self.options = options
        self._access = access
        self._nvidia = nvidia.Driver(options, access, nvml)

    async def gpu(self) -> Fact[Gpu]:
        """Look for nodes under /dev, then as kind `nvidia`; without any there are no cards."""
        (fact,) = await self._access.ask([AskGpus()])
        if isinstance(fact, Unknown):
            return fact
        found = fact.value["nodes"]
        return await self._of([str(node) for node in found] if isinstance(found, list) else [])

    async def _of(self, nodes: list[str]) -> Fact[Gpu]:
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
