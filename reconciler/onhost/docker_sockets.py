"""The socket of the container engine that is meant where none is named: the only one that answers.

Docker's and podman's own, and those of this account's rootless engines.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing, suppress

from reconciler.onhost.problem import HostProblem

PLACES = (
    "/var/run/docker.sock",
    "{runtime}/docker.sock",
    "{runtime}/podman/podman.sock",
    "/run/podman/podman.sock",
)
SECONDS = 2.0
_NAME_ONE = "name the one that is meant with socket: in inventory.yaml"


def found(named: str) -> str:
    """Find the socket: as it is named, or the only one; raise HostProblem where none is or two."""
    if named:
        return named
    places = there()
    refusals = {place: _refusal(place) for place in places}
    answer = [place for place, error in refusals.items() if error is None]
    silent = [
        place
        for place, error in refusals.items()
        if error and not isinstance(error, PermissionError)
    ]
    if len(answer) > 1:
        raise HostProblem(f"{' and '.join(answer)} both answer; {_NAME_ONE}")
    # The containers of one that is down are not missing.
    if answer and silent:
        raise HostProblem(f"{answer[0]} answers and {silent[0]} does not; {_NAME_ONE}")
    if not places:
        looked = ", ".join(_named())
        raise HostProblem(
            f"no container engine listens here (looked for {looked}); `systemctl start docker` or"
            " `systemctl start podman.socket` starts one, and socket: in inventory.yaml names"
            " another place"
        )
    return (answer or silent or places)[0]


def _named() -> list[str]:
    # Over ssh, a login may have no such variable.
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return [place.format(runtime=runtime) for place in PLACES]


def there(*more: str) -> list[str]:
    """List the sockets that there are, with those of `more` places first.

    One that is a link to another is that one.
    """
    found: dict[tuple[int, int], str] = {}
    for place in (*more, *_named()):
        with suppress(OSError):
            status = os.stat(place)
            if stat.S_ISSOCK(status.st_mode):
                found.setdefault((status.st_dev, status.st_ino), place)
    return list(found.values())


def _refusal(place: str) -> OSError | None:
    """Try a socket; tell why it takes no connection."""
    try:
        with closing(socket.socket(socket.AF_UNIX)) as tried:
            tried.settimeout(SECONDS)
            tried.connect(place)
    except OSError as error:
        return error
    return None
