"""What a host is at this moment: its boot, its clocks, its accelerators."""

from __future__ import annotations

import glob
import os
import platform
import socket
import time
from typing import Any

from reconciler.onhost import procfs

DEVICE_NODES = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dri/renderD*")


def contact(directory: str) -> dict[str, Any]:
    """Answer boot id, wall and boot clock in seconds, Python version, host name and the absolute host directory."""
    return {
        "boot_id": procfs.boot_id(),
        "wall": time.time(),
        "boot": time.clock_gettime(time.CLOCK_BOOTTIME),
        "python": platform.python_version(),
        "name": socket.gethostname(),
        "directory": os.path.abspath(directory),
    }


def gpus(root: str = "/") -> dict[str, Any]:
    """Answer which accelerator device nodes exist, and the memory of the host in bytes, which some of them use."""
    found = (glob.glob(os.path.join(root, pattern[1:])) for pattern in DEVICE_NODES)
    return {
        "nodes": sorted(node for nodes in found for node in nodes),
        "memory_total": procfs.memory_bytes("MemTotal"),
        "memory_available": procfs.memory_bytes("MemAvailable"),
    }
