"""A container by its name, at the engine that keeps it, and what that says of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reconciler.onhost import (
    compose_client,
    docker_api,
    docker_dialect,
    docker_inspected,
    docker_ports,
    docker_sockets,
    process,
    procfs,
)
from reconciler.onhost.container_engine import KeptContainer
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from reconciler.onhost.docker_api import DockerAnswer

LABEL = "io.reconciler.mark"
"""What a container of ours carries. Its environment is seen by every process in it, which would
then all seem to be units of their own."""

_SHORT = 12
_OK, _NOT_FOUND = 200, 404

Inspected = dict[str, Any]


class HeldContainer:
    """A container, there or not.

    `dialect` and `version` are those of the engine that answered last, or that its socket is called
    after.
    """

    def __init__(self, one: dict[str, Any], name: str = "") -> None:
        """Mean the container that a request names; raise HostProblem without an engine.

        With a `name`, the request has its id.
        """
        self.name: str = name or one["name"]
        self.socket = docker_sockets.found(one["socket"])
        self.dialect = docker_dialect.of_socket(self.socket)
        self.version = self.dialect.daemon
        self._place = f"/containers/{quote(one['name'], safe='')}"

    def ask(self, method: str, path: str, seconds: float | None = None) -> DockerAnswer:
        """Ask its engine about it."""
        return self.ask_engine(method, f"{self._place}{path}", seconds)

    def ask_engine(
        self,
        method: str,
        path: str,
        seconds: float | None = None,
        body: dict[str, Any] | None = None,
    ) -> DockerAnswer:
        """Ask its engine; raise HostProblem where there is no answer."""
        answer = docker_api.ask(self.socket, method, path, seconds, body)
        self.dialect = docker_dialect.of_server(answer.server)
        self.version = docker_dialect.version(answer.server)
        return answer

    def inspected(self) -> Inspected | None:
        """Look at it, None where there is none; raise HostProblem when that is refused."""
        answer = self.ask("GET", "/json")
        if answer.status == _NOT_FOUND:
            return None
        seen = docker_inspected.whole(answer.value) if answer.status == _OK else None
        if seen is None:
            daemon = self.dialect.daemon
            raise HostProblem(f"{daemon} does not tell of container {self.name}: {answer.said}")
        return seen

    def ending(self, state: dict[str, Any]) -> str:
        """Tell how its program ended, as a clause."""
        if state["OOMKilled"]:
            return "the kernel ended it because memory ran out"
        if state["Error"]:
            words = " ".join(state["Error"].split())
            return f"{self.dialect.daemon} could not run it ({words})"
        # What has been noticed to be over is told with its status a moment later.
        is_noticed = not state["Running"] or state["Restarting"]
        return f"it ended with status {state['ExitCode']}" if is_noticed else "it ended"

    def unit(self, seen: Inspected) -> dict[str, Any] | None:
        """Describe what runs of it; None when nothing does and nothing will by itself."""
        if not runs(seen):
            return None
        main = first_process(seen)
        return {
            "identity": main or _no_process(seen),
            "members": _members(main["pid"], seen) if main else [],
            "leader": main is not None,
            "restarts": int(seen["RestartCount"]),
            "argv": procfs.argv(main["pid"]) if main else [],
            "ended": "" if main else self.ending(seen["State"]),
            "returns": self._returns(seen),
            **_times(procfs.process(main["pid"]) if main else None),
        }

    def _returns(self, seen: Inspected) -> str:
        """Tell what starts it again by itself, and what ends that."""
        one = KeptContainer(self.socket, seen, self.dialect.command)
        service = compose_client.service(one)
        by_policy = docker_dialect.returns(self.name, seen, self.dialect)
        if service is None:
            return by_policy
        mine = "--user " if service["scope"] == "user" else ""
        keeper = service["name"]
        by_service = (
            f"{keeper} starts container {self.name} again once it is stopped; `systemctl"
            f" {mine}disable --now {keeper}` leaves it to reconciler"
        )
        return "; ".join(filter(None, (by_service, by_policy)))


def _members(main: int, seen: Inspected) -> list[int]:
    # What listens for it is its own: no other container has the port then.
    return sorted({main, *procfs.offspring(main), *docker_ports.listeners(seen)})


def is_marked(seen: Inspected) -> bool:
    """Whether a container was made by a reconciler, which makes one for each start."""
    return LABEL in seen["Config"]["Labels"]


def runs(seen: Inspected | None) -> bool:
    """Whether something of a container runs, or its engine will start it again by itself."""
    return seen is not None and (docker_dialect.is_up(seen) or docker_dialect.waits(seen))


def _times(one: procfs.Process | None) -> dict[str, Any]:
    """Tell since when a container's first process runs."""
    if one is None:
        return {"uptime": 0.0, "started_at": None}
    uptime = procfs.age(one)
    # The end of its first tick: what was written just before the start must not seem newer.
    return {
        "uptime": max(0.0, uptime),
        "started_at": time.time() - uptime + 1 / procfs.ticks(),
    }


def first_process(seen: Inspected) -> dict[str, Any] | None:
    """Identify a container's first process, None when it has none."""
    pid = int(seen["State"]["Pid"])
    # Between two tries of its restart policy a container says that it runs, and has no process.
    one = process.identity(pid) if pid > 1 else None
    return {**one, "invocation": invocation(seen)} if one else None


def _no_process(seen: Inspected) -> dict[str, Any]:
    """Make the identity of a container that has no process at this moment."""
    none = {"pid": 0, "start": 0, "inode": 0, "boot_id": procfs.boot_id()}
    return {**none, "invocation": invocation(seen)}


def invocation(seen: Inspected | None) -> str:
    """Name one run of a container."""
    return f"{seen['Id'][:_SHORT]}@{seen['State']['StartedAt']}" if seen is not None else ""


def exit_code(seen: Inspected | None) -> int | None:
    """Tell how a container's last run ended."""
    return int(seen["State"]["ExitCode"]) if seen is not None else None
