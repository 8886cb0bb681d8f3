"""What a host is at this moment: its boot, its clocks, its accelerators."""

from __future__ import annotations

import os
import platform
import socket
import time
from typing import Any

from reconciler.onhost import files, procfs

DEVICE_NODES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dri/renderD*")


def contact(directory: str) -> dict[str, Any]:
    """Answer how to tell this host and its boot from others; both clocks are in seconds."""
    return {
        "boot_id": procfs.boot_id(),
        "wall": time.time(),
        # The clock that goes on while the host sleeps, which CLOCK_MONOTONIC does not.
        "boot": time.clock_gettime(time.CLOCK_BOOTTIME),
        "python": platform.python_version(),
        "name": socket.gethostname(),
        "directory": os.path.abspath(directory),
    }


def gpus(root: str = "/") -> dict[str, Any]:
    """Answer which accelerators have a device node.

    With the memory of the host in bytes, which some of them use.
    """
    return {
        "nodes": sorted(files.matching(DEVICE_NODES, root)),
        "memory_total": procfs.memory_bytes("MemTotal"),
        "memory_available": procfs.memory_bytes("MemAvailable"),
    }
