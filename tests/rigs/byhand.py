"""Wake a host, start its engine, restore its slot, by hand; print the seconds of each part.

Run where the controller is. What is done on the host is this file too, given to its Python on
stdin.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

PAUSE = 0.01


def main() -> None:
    wish: dict[str, Any] = json.loads(sys.argv[1])
    began = time.monotonic()
    wake(wish["mac"], wish["broadcast"], wish["wol_port"])
    until(lambda: greets(wish["ip"], wish["ssh_port"]))
    booted = time.monotonic()
    command = f"{sys.executable} -I -S - {json.dumps(json.dumps(wish['engine']))}"
    argv = ["ssh", "-F", wish["config"], "-o", "BatchMode=yes", wish["host"], command]
    with Path(__file__).open("rb") as program:
        done = subprocess.run(argv, stdin=program, capture_output=True, check=True)
    parts: dict[str, float] = json.loads(done.stdout)
    login = time.monotonic() - booted - sum(parts.values())
    # That is what it is for.
    print(json.dumps({"boot": booted - began, "login": login, **parts}))  # noqa: T201


def wake(mac: str, broadcast: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        one.sendto(b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16, (broadcast, port))


def greets(ip: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((ip, port), timeout=0.2) as one:
        return one.recv(4) == b"SSH-"
    return False


def until(holds: Any) -> None:
    while not holds():
        time.sleep(PAUSE)


def there(engine: dict[str, Any]) -> None:
    """Start the engine on this host, wait for one token, and restore the slot."""
    began = time.monotonic()
    port = engine["port"]
    subprocess.Popen(
        engine["argv"], cwd=engine["cwd"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until(lambda: asked(port, "GET", "/health", None))
    asked(port, "POST", "/completion", {"prompt": "a", "n_predict": 1})
    started = time.monotonic()
    asked(port, "POST", "/slots/0?action=restore", {"filename": engine["file"]})
    # As above.
    print(json.dumps({"start": started - began, "restore": time.monotonic() - started}))  # noqa: T201


def asked(port: int, method: str, path: str, body: Any) -> bool:
    with (
        suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection("127.0.0.1", port)) as one,
    ):
        one.request(
            method,
            path,
            None if body is None else json.dumps(body),
            {"Content-Type": "application/json"},
        )
        answer = one.getresponse()
        answer.read()
        return answer.status == 200
    return False


if __name__ == "__main__":
    if sys.argv[0] == "-":
        there(json.loads(sys.argv[1]))
    else:
        main()
