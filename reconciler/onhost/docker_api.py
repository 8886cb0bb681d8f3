"""One exchange with a container engine: HTTP on the Unix socket that it listens on.

Paths name no version: the engine then speaks its newest.
"""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple

from reconciler.onhost.bounded import HEADERS, Bounded, TooLarge
from reconciler.onhost.problem import HostProblem, explain

SECONDS = 10.0
LIMIT = 8 * 1024 * 1024
BODY_LIMIT = 1024 * 1024


class DockerAnswer(NamedTuple):
    """What an engine answered, with at most the beginning of a long body."""

    status: int
    body: bytes

    @property
    def value(self) -> Any:  # noqa: ANN401 - it is JSON
        """Its body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """Why it refused, in its own words."""
        value = self.value
        told = value.get("message") if isinstance(value, dict) else None
        return " ".join(str(told).split()) if told else f"it answered {self.status}"


def ask(place: str, method: str, path: str, seconds: float = SECONDS) -> DockerAnswer:
    """Ask the engine that listens on a socket; raise HostProblem where there is no answer."""
    try:
        with Bounded(seconds, LIMIT, socket.AF_UNIX) as connection:
            connection.connect(place)
            return _exchanged(connection, method, path)
    except socket.timeout:
        raise HostProblem(f"dockerd did not answer within {seconds:g} s ({place})") from None
    except PermissionError:
        raise HostProblem(
            f"this account may not use {place}; add it to the group that owns the socket"
        ) from None
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise HostProblem(
            f"dockerd does not answer ({place}: {explain(error)}); `systemctl status docker` says"
            " more, and socket: in inventory.yaml names another place"
        ) from error
    except (HTTPException, TooLarge, OSError) as error:
        raise HostProblem(
            f"what listens on {place} answered as no dockerd does ({type(error).__name__}); name"
            " its socket with socket: in inventory.yaml"
        ) from error


def _exchanged(connection: Bounded, method: str, path: str) -> DockerAnswer:
    http = HTTPConnection("docker")
    http.sock = connection
    http.request(method, path, headers=HEADERS)
    with http.getresponse() as response:
        return DockerAnswer(response.status, response.read(BODY_LIMIT))
