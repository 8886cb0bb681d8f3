"""What container engines that share an API call themselves, and where they differ.

Seen with dockerd 20.10.24 and podman 4.3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Dialect(NamedTuple):
    """What an engine is called, what a person types, and what says more of its service.

    Of a line in a log it tells the second, or the nanosecond.
    """

    daemon: str
    command: str
    service: str
    tells_seconds: bool = False


DOCKER = Dialect("dockerd", "docker", "systemctl status docker")
PODMAN = Dialect("podman", "podman", "systemctl status podman.socket", tells_seconds=True)


def of_server(name: str) -> Dialect:
    """Tell an engine by the `Server` field of its answers."""
    return PODMAN if name.startswith("Libpod") else DOCKER


def version(server: str) -> str:
    """Name an engine with its version."""
    number = server.partition("/")[2].partition(" ")[0]
    return f"{of_server(server).daemon} {number}".rstrip()


def of_socket(place: str) -> Dialect:
    """Guess who should listen on a socket, and as a service of whom."""
    guess = PODMAN if "podman" in place else DOCKER
    if "/run/user/" not in place:
        return guess
    return guess._replace(service=guess.service.replace("systemctl", "systemctl --user"))


def returns(name: str, seen: Mapping[str, Any], dialect: Dialect) -> str:
    """Tell that a container is started again at boot though it was stopped, and what ends that."""
    policy = seen["HostConfig"]["RestartPolicy"]
    # `unless-stopped` and `on-failure` leave one alone that was stopped.
    if policy.get("Name") != "always":
        return ""
    if dialect is PODMAN:
        return (
            f"podman-restart.service, where it is enabled, starts container {name} again at boot;"
            " make it again with `--restart=no`"
        )
    return (
        f"docker starts container {name} again at boot; `docker update --restart=no {name}` keeps"
        " it down"
    )


def is_up(seen: Mapping[str, Any]) -> bool:
    """Whether a container has processes, also where they are paused or being stopped."""
    state = seen["State"]
    # podman says of neither that it is running.
    return bool(state["Running"] or state["Paused"] or state["Status"] == "stopping")


def waits(seen: Mapping[str, Any]) -> bool:
    """Whether a container has no process, and its restart policy will start it again."""
    state, policy = seen["State"], seen["HostConfig"]["RestartPolicy"]
    if state["Restarting"]:
        return True
    # podman does not say so: it is "stopped" between two tries, and "exited" once it stays down.
    return state["Status"] == "stopped" and policy.get("Name", "no") not in {"", "no"}
