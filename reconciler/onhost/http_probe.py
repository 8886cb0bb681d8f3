"""What a program of ours says under a path of its port: HTTP on the loopback.

It is bounded in time and in bytes, and who owns the port is known before anything is sent there.
Redirects are answers, and no connection stays open.
"""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import Any

from reconciler.onhost import doors, ports, saturation
from reconciler.onhost.bounded import HEADERS, Bounded, TooLarge

TLS_SECONDS = 2.0


def page(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer who listens on a port, and what it says under a path.

    The page is None unless that is one of `pids`.
    """
    door, port = request.get("door"), int(request["port"])
    found = doors.owner(door, port) if door else ports.owner(port, directory)
    owner = found["owner"]
    # Nothing is sent to another program: a key would be told to it (ADR 0011).
    is_ours = owner and owner["pid"] in request["pids"]
    if not is_ours:
        return {**found, "page": None}
    asked = {**request, "address": doors.address(door, port) if door else doors.LOOPBACK}
    return {**found, "page": _fetched(asked, owner["pid"])}


def _fetched(request: dict[str, Any], pid: int) -> dict[str, Any]:
    """Get status, reason and body, or tell which `fault` it was, with `words` that say more.

    It has `seconds` in all, and `limit` bytes for head and body.
    """
    seconds, limit = float(request["seconds"]), int(request["limit"])
    try:
        with Bounded(seconds, limit) as connection:
            connection.connect((request["address"], int(request["port"])))
            worked = saturation.cpu_seconds(pid)
            try:
                return _read(connection, request["path"], _headers(request), limit)
            except socket.timeout:
                worked = saturation.cpu_seconds(pid) - worked
                return _silence(request, connection, worked / seconds, pid)
    except socket.timeout:
        return _fault("timeout", f"{seconds:g} s")
    except TooLarge:
        return _fault("too large", f"{limit} bytes")
    except ConnectionRefusedError as error:
        return _fault("refused", str(error.strerror))
    except (HTTPException, OSError) as error:
        return _fault(_kind(error, request), f"{type(error).__name__}: {error}")
    except ValueError as error:
        # Its words could quote what was to be sent, which may be a secret.
        return _fault("broken", type(error).__name__)


def _silence(
    request: dict[str, Any], connection: Bounded, share: float, pid: int
) -> dict[str, Any]:
    """Tell a server that works for others, with a `share` of a core, from one that is silent."""
    port = connection.getsockname()[1]
    others = saturation.clients_before(int(request["port"]), port, pid)
    if others and share >= saturation.BUSY_SHARE:
        return _fault("busy", f"{others} connection{'s' if others > 1 else ''}")
    return _fault("timeout", f"{float(request['seconds']):g} s")


def _fault(kind: str, words: str) -> dict[str, Any]:
    return {"fault": kind, "words": words}


def _kind(error: Exception, request: dict[str, Any]) -> str:
    """Tell a server that speaks TLS from one that breaks off."""
    # A server that expects TLS hangs up on plain words, or answers with an alert: that is no sign
    # of death. One that began an answer does speak HTTP.
    is_tls = not isinstance(error, IncompleteRead) and _speaks_tls(request)
    return "tls" if is_tls else "broken"


def _speaks_tls(request: dict[str, Any]) -> bool:
    """Whether a TLS handshake succeeds, or is refused in the way that TLS has for it."""
    import ssl  # noqa: PLC0415  heavy, and hardly ever needed

    # Whose certificate it is does not matter: nothing is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address, seconds = (request["address"], int(request["port"])), float(request["seconds"])
    try:
        with socket.create_connection(address, min(seconds, TLS_SECONDS)) as raw:
            context.wrap_socket(raw).close()
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False
    return True


def _headers(request: dict[str, Any]) -> dict[str, str]:
    key = request.get("key")
    return {**HEADERS, "Authorization": f"Bearer {key}"} if key else HEADERS


def _read(connection: Bounded, path: str, headers: dict[str, str], limit: int) -> dict[str, Any]:
    """Get an answer; raise IncompleteRead for a body that breaks off."""
    http = HTTPConnection(*connection.getpeername())
    http.sock = connection
    http.request("GET", path, headers=headers)
    with http.getresponse() as response:
        body = response.read(limit)
        # http.client lets that pass.
        if response.length:
            raise IncompleteRead(body, response.length)
        text = body.decode("utf-8", "replace")
        return {"status": response.status, "reason": response.reason, "body": text}
