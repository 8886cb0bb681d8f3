"""What starts a process again when it is ended: a container runtime, a service, a supervisor."""

from __future__ import annotations

from typing import Any

from reconciler.onhost import containers, services


def origin(pid: int, proc: str = "/proc") -> dict[str, Any]:
    """Find container, service and supervisor of a process."""
    inside = containers.container(pid, proc)
    # What runs in a container is started by that alone, whatever its control group goes through.
    if inside is not None:
        return {"container": inside, "service": None, "supervisor": ""}
    return {
        "container": None,
        "service": services.service(pid, proc),
        "supervisor": services.supervisor(pid, proc),
    }
