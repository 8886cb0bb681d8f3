"""Ports cache: one host's ports, the same ones for as long as its definitions stay the same."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model.spec import Slice
from reconciler.ports import HostPorts

CACHED_SLICES = 2
"""What is wanted of a host, and what it goes back to."""


class PortsCache:
    """The ports of one host, made again only where host or models are defined otherwise."""

    def __init__(self, make: Callable[[Slice], HostPorts]) -> None:
        """Make them with `make`."""
        self._make = make
        self._made: tuple[tuple[Slice, HostPorts], ...] = ()

    def __call__(self, slice_: Slice) -> HostPorts:
        """The ports of a slice."""
        for known, ports in self._made:
            if known.host == slice_.host and known.models == slice_.models:
                return ports
        # Not more often than needed: drivers remember what they did, and what hangs.
        ports = self._make(slice_)
        self._made = (*self._made, (slice_, ports))[-CACHED_SLICES:]
        return ports
