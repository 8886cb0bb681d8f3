"""Fetch what a program of ours says under a path of its port: HTTP on the loopback, bounded in time and in bytes.

Who owns the port is known before anybody speaks with it. Redirects are answers, and no connection
stays open.
"""

from __future__ import annotations

import socket
import time
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import Any

from reconciler.onhost import ports

LOOPBACK = "127.0.0.1"
TLS_SECONDS = 2.0
HEADERS = {"Connection": "close", "Accept-Encoding": "identity"}


class TooLarge(Exception):
    """An answer has more bytes than it may."""


class Bounded(socket.socket):
    """A connection that ends in `seconds` and after `limit` bytes, however slowly and however much the other end sends."""

    def __init__(self, seconds: float, limit: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_STREAM)
        self._until, self._left = time.monotonic() + seconds, limit
        self.settimeout(seconds)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401  whatever can be written into
        """Receive what comes next in the time that is left.

        Every reader of a socket's file goes through here.
        """
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise socket.timeout
        self.settimeout(seconds)
        size = super().recv_into(buffer, nbytes, flags)
        self._left -= size
        if self._left < 0:
            raise TooLarge
        return size


def page(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer who listens on a port, and what it says under a path: None unless it is one of `pids`."""
    found = ports.owner(int(request["port"]), directory)
    owner = found["owner"]
    return {
        **found,
        "page": _fetched(request) if owner and owner["pid"] in request["pids"] else None,
    }


def _fetched(request: dict[str, Any]) -> dict[str, Any]:
    """Return status, reason and body of a GET, or which `fault` it was, with `words` that say more.

    It has `seconds` in all, and `limit` bytes for head and body.
    """
    seconds, limit = float(request["seconds"]), int(request["limit"])
    try:
        with Bounded(seconds, limit) as connection:
            connection.connect((LOOPBACK, int(request["port"])))
            return _read(connection, request["path"], _headers(request), limit)
    except socket.timeout:
        return {"fault": "timeout", "words": f"{seconds:g} s"}
    except TooLarge:
        return {"fault": "too large", "words": f"{limit} bytes"}
    except ConnectionRefusedError as error:
        return {"fault": "refused", "words": str(error.strerror)}
    except (HTTPException, OSError) as error:
        # A server that expects TLS hangs up on plain words, or answers with an alert: that is no
        # sign of death.
        tls = not isinstance(error, IncompleteRead) and _speaks_tls(
            int(request["port"]), min(seconds, TLS_SECONDS)
        )
        return {"fault": "tls" if tls else "broken", "words": f"{type(error).__name__}: {error}"}
    except ValueError as error:
        # Its words could quote what was to be sent, which may be a secret.
        return {"fault": "broken", "words": type(error).__name__}


def _speaks_tls(port: int, seconds: float) -> bool:
    """Return whether a TLS handshake succeeds, or is refused in the way that TLS has for it."""
    import ssl  # noqa: PLC0415  heavy, and hardly ever needed

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((LOOPBACK, port), seconds) as raw, context.wrap_socket(raw):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False


def _headers(request: dict[str, Any]) -> dict[str, str]:
    key = request.get("key")
    return {**HEADERS, "Authorization": f"Bearer {key}"} if key else HEADERS


def _read(connection: Bounded, path: str, headers: dict[str, str], limit: int) -> dict[str, Any]:
    """Return the answer to a GET; raise IncompleteRead for a body that breaks off, which http.client lets pass."""
    http = HTTPConnection(*connection.getpeername())
    http.sock = connection
    http.request("GET", path, headers=headers)
    with http.getresponse() as response:
        body = response.read(limit)
        if response.length:
            raise IncompleteRead(body, response.length)
        return {
            "status": response.status,
            "reason": response.reason,
            "body": body.decode("utf-8", "replace"),
        }
