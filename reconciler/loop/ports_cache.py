"""Ports cache: one host's ports, the same for as long as it is defined so: drivers remember what they did, and what hangs."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model.spec import Slice
from reconciler.ports import HostPorts

CACHED_SLICES = 2
"""What is wanted of a host, and what it goes back to."""


class PortsCache:
    """Give the ports of one host for a slice, made anew only where host or models are defined otherwise."""

    def __init__(self, make: Callable[[Slice], HostPorts]) -> None:
        """Make them with `make`."""
        self._make = make
        self._made: tuple[tuple[Slice, HostPorts], ...] = ()

    def __call__(self, slice_: Slice) -> HostPorts:
        """Return the ports of a slice."""
        for known, ports in self._made:
            if known.host == slice_.host and known.models == slice_.models:
                return ports
        ports = self._make(slice_)
        self._made = (*self._made, (slice_, ports))[-CACHED_SLICES:]
        return ports
