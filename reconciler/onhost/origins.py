"""What starts a process again when it is ended: its container's runtime, a systemd service, or a supervisor."""

from __future__ import annotations

from typing import Any

from reconciler.onhost import containers, services


def origin(pid: int, proc: str = "/proc") -> dict[str, Any]:
    """Return container, service and supervisor of a process.

    What runs in a container is started by that alone.
    """
    inside = containers.container(pid, proc)
    if inside is not None:
        return {"container": inside, "service": None, "supervisor": ""}
    return {
        "container": None,
        "service": services.service(pid, proc),
        "supervisor": services.supervisor(pid, proc),
    }
