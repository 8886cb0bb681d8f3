"""One exchange with a container engine: HTTP on the Unix socket that it listens on.

Paths name no version: the engine then speaks its newest.
"""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

from reconciler.onhost import docker_dialect, files
from reconciler.onhost.bounded import HEADERS, Bounded, TooLarge
from reconciler.onhost.problem import HostProblem, explain

SECONDS = 10.0
LOOK_SECONDS = 7.0
"""Less than a question is waited for: so it is told which engine does not answer."""

LIMIT = 8 * 1024 * 1024
BODY_LIMIT = 1024 * 1024
_HOST = "docker"
_OK = 200


class DockerAnswer(NamedTuple):
    """What an engine answered, with at most the beginning of a long body.

    `server` is what it calls itself.
    """

    status: int
    body: bytes
    server: str = ""

    @property
    def value(self) -> Any:  # noqa: ANN401 - it is JSON
        """Its body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def listed(self) -> list[dict[str, Any]] | None:
        """The containers that it lists, None where it answers something else."""
        rows = self.value if self.status == _OK else None
        if not isinstance(rows, list) or not all(_is_row(one) for one in rows):
            return None
        return [
            {**one, "Labels": one.get("Labels") or {}, "Names": one.get("Names") or []}
            for one in rows
        ]

    @property
    def said(self) -> str:
        """Why it refused, in its own words."""
        value = self.value
        told = value.get("message") if isinstance(value, dict) else None
        if told:
            return " ".join(str(told).split())
        return "its answer is not readable" if self.status == _OK else f"it answered {self.status}"


def _is_row(one: object) -> bool:
    return isinstance(one, dict) and bool(one.get("Id"))


def ask(
    place: str,
    method: str,
    path: str,
    seconds: float | None = None,
    body: dict[str, Any] | None = None,
) -> DockerAnswer:
    """Ask the engine that listens on a socket; raise HostProblem where there is no answer."""
    engine = docker_dialect.of_socket(place)
    seconds = seconds or (LOOK_SECONDS if method == "GET" else SECONDS)
    try:
        with Bounded(seconds, LIMIT, socket.AF_UNIX) as connection:
            connection.connect(place)
            return _exchanged(connection, method, path, body)
    except socket.timeout:
        raise HostProblem(
            f"{engine.daemon} did not answer within {seconds:g} s ({place})"
        ) from None
    except PermissionError:
        group = files.group(place) or "GROUP"
        raise HostProblem(
            f"this account may not use {place}; `sudo usermod -aG {group} $USER` and a new login"
            " let it in; members of that group may do what root may"
        ) from None
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise HostProblem(
            f"{engine.daemon} does not answer ({place}: {explain(error)}); `{engine.service}` says"
            " more, and socket: in inventory.yaml names another place"
        ) from error
    except (HTTPException, TooLarge, OSError) as error:
        raise HostProblem(
            f"what listens on {place} answered as no {engine.daemon} does ({type(error).__name__});"
            " name its socket with socket: in inventory.yaml"
        ) from error


def _exchanged(
    connection: Bounded, method: str, path: str, body: dict[str, Any] | None
) -> DockerAnswer:
    http = HTTPConnection(_HOST)
    http.sock = connection
    words = None if body is None else json.dumps(body)
    http.request(method, path, words, {**HEADERS, "Content-Type": "application/json"})
    with http.getresponse() as response:
        content = response.read(BODY_LIMIT)
        return DockerAnswer(response.status, content, response.getheader("Server", ""))
