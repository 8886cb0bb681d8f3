"""Serve requests: in-process as a function, elsewhere as a loop over JSON lines.

A line is `{"id": n, "do": kind, ...}`; its answer is `{"id": n, "ok": {...}}` or `{"id": n,
"error": "sentence"}`, and answers come in the order in which they are ready. The loop ends quietly
when either end of it closes; whatever it started stays.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from reconciler.onhost import contact, files, ports, process, units
from reconciler.onhost.problem import HostProblem, explain

LINE_LIMIT = 16 * 1024 * 1024
AT_ONCE = 32
EACH_LIMIT = 1000

Request = dict[str, Any]
Served = Callable[[Request, str], Request]


def answer(request: Request, directory: str) -> Request:
    """Answer one request about the host whose own files live in `directory`.

    Never raise for what it finds.
    """
    kind = request.get("do")
    serve = _KINDS.get(kind) if isinstance(kind, str) else None
    if serve is None:
        said = f"this host knows no request {kind!r}; is the program there of another version?"
        return {"error": said}
    try:
        return {"ok": serve(_on_host(request), directory)}
    except HostProblem as problem:
        return {"error": str(problem)}
    except OSError as error:
        return {"error": f"{kind} failed: {error.filename or 'on this host'}: {explain(error)}"}
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return {"error": f"the request {kind} cannot be understood: {type(error).__name__} {error}"}


def _on_host(request: Request) -> Request:
    """Write the paths of a request as they are on this host."""
    if request.get("inside") is None or request["do"] == "door":
        return request
    translated: Request = _load("places").translated(request)
    return translated


def _spawn(request: Request, directory: str) -> Request:
    """Start a unit, and look at it first when a port is asked about."""
    evidence = process.spawn(request, directory)
    ports.expect(evidence["identity"]["pid"])
    return evidence


def _each(request: Request, directory: str) -> Request:
    """Answer many requests in one round trip, in order."""
    return {"answers": [answer(one, directory) for one in request["requests"][:EACH_LIMIT]]}


def _tail(request: Request, directory: str) -> Request:
    lines, after = int(request["lines"]), request.get("after", "")
    return files.tail(_path(request, directory), lines, after)


def _port(request: Request, directory: str) -> Request:
    door, port = request.get("door"), int(request["port"])
    if door is None:
        return ports.owner(port, directory)
    owned: Request = _load("doors").owner(door, port)
    return owned


def _place(request: Request, directory: str) -> Request:
    written, pid = bool(request.get("written")), int(request.get("pid", 0))
    return files.place(_path(request, directory), request["folder"], written=written, pid=pid)


def _path(request: Request, directory: str) -> str:
    return files.absolute(request["path"], directory)


def _load(module: str) -> Any:  # noqa: ANN401 - it is a module
    return import_module(f"reconciler.onhost.{module}")


class _Later:
    """A function of a module that is loaded when it is first needed."""

    # A host that has just booted reads its disk slowly, and must answer soon all the same.
    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, request: Request, directory: str) -> Request:
        answered: Request = getattr(_load(self.module), self.name)(request, directory)
        return answered


_KINDS: dict[str, Served] = {
    "each": _each,
    "contact": lambda _, directory: contact.contact(directory),
    "units": units.processes,
    "owned-services": units.services,
    "port": _port,
    "door": _Later("doors", "door"),
    "page": _Later("http_probe", "page"),
    "program": lambda asked, directory: files.program(asked["program"], directory),
    "flags": _Later("flags", "refusal"),
    "place": _place,
    "same-file": _Later("identity", "same"),
    "inside-file": _Later("inside_file", "lacks"),
    "gguf": lambda asked, directory: _load("gguf").header(_path(asked, directory)),
    "fingerprint": _Later("fingerprint", "fingerprint"),
    "saved": _Later("slots", "saved"),
    "tail": _tail,
    "prepared": lambda _, directory: _load("prepare").prepared(directory),
    "claim": lambda _, directory: files.claim(directory),
    "gpus": lambda *_: contact.gpus(),
    "nvidia": lambda *_: _load("nvidia").cards(),
    "machine": _Later("machine", "machine"),
    "guards": _Later("guards", "guards"),
    "wake-on": _Later("network", "wake_on"),
    "neighbour": _Later("network", "neighbour"),
    "spawn": _spawn,
    "stop": lambda asked, _: _load("terminate").stop(asked),
    "services": _Later("systemd", "services"),
    "found-services": _Later("found_services", "services"),
    "service-log": _Later("service_log", "log"),
    "service-name": _Later("owned_services", "name"),
    "service-command": _Later("given", "of_service"),
    "container-command": _Later("given", "of_container"),
    "start-service": _Later("systemd", "start"),
    "spawn-service": _Later("owned_services", "spawn"),
    "stop-service": _Later("systemd", "stop"),
    "containers": _Later("docker", "containers"),
    "owned-containers": _Later("docker_owned", "units"),
    "image": _Later("docker_owned", "image"),
    "run-container": _Later("docker_owned", "run"),
    "container-log": _Later("docker", "log"),
    "start-container": _Later("docker", "start"),
    "stop-container": _Later("docker", "stop"),
    "lxc": _Later("lxc_units", "containers"),
    "lxc-command": _Later("lxc_units", "command"),
    "lxc-log": _Later("lxc_units", "log"),
    "start-lxc": _Later("lxc_units", "start"),
    "stop-lxc": _Later("lxc_units", "stop"),
    "compose-services": _Later("compose", "services"),
    "compose-log": _Later("compose", "log"),
    "compose-command": _Later("compose", "command"),
    "start-compose": _Later("compose", "start"),
    "stop-compose": _Later("compose", "stop"),
    "send-down": _Later("guards", "send_down"),
    "wake": _Later("network", "wake"),
    "prepare": _Later("prepare", "prepare"),
    "run": _Later("programs", "run"),
    "exit": lambda asked, _: process.wait_exit(asked["identity"], float(asked["timeout"])),
    "seal": _Later("slots", "seal"),
    "check": _Later("slots", "check"),
    "note": _Later("slots", "note"),
    "room": _Later("slots", "room"),
    "prefetch": lambda asked, directory: files.prefetch(_path(asked, directory)),
    "write-claim": files.write_claim,
}
"""What serves each request of model/onhost, by what it calls itself."""


class LineServer:
    """A server of lines, each in its own thread, so that a long stop delays no question."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, directory: str) -> None:
        """Serve the host whose own files live in `directory`."""
        self._source, self._sink, self._directory = source, sink, directory
        self._writing = threading.Lock()
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def run(self, hello: str) -> None:
        """Say hello on a line of its own, then serve until the source ends."""
        self._write(hello.encode() + b"\n")
        for line in iter(lambda: self._source.readline(LINE_LIMIT + 1), b""):
            if len(line) > LINE_LIMIT:
                self._send({"id": None, "error": f"a request is longer than {LINE_LIMIT} bytes"})
                return
            self._free.acquire()
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: bytes) -> None:
        """Answer one line."""
        try:
            try:
                request = json.loads(line)
            except (ValueError, RecursionError):
                request = None
            if isinstance(request, dict):
                self._send({"id": request.get("id"), **answer(request, self._directory)})
            else:
                self._send({"id": None, "error": "a request is not a JSON object"})
        finally:
            self._free.release()

    def _send(self, value: Request) -> None:
        """Write one answer."""
        content = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        if len(content) > LINE_LIMIT:
            content = (
                json.dumps(
                    {"id": value["id"], "error": f"the answer is longer than {LINE_LIMIT} bytes"}
                ).encode()
                + b"\n"
            )
        self._write(content)

    def _write(self, content: bytes) -> None:
        """Write whole lines; leave at once when nobody reads any more."""
        try:
            with self._writing:
                self._sink.write(content)
                self._sink.flush()
        except (OSError, ValueError):
            os._exit(0)


def main(directory: str, hello: str) -> None:
    """Say hello and serve stdin to stdout.

    The host's own files live in `directory`, where `~` is the user's home.
    """
    try:
        LineServer(sys.stdin.buffer, sys.stdout.buffer, os.path.expanduser(directory)).run(hello)
    finally:
        # Threads that still work are left behind: a stop in flight is observed again by whoever
        # comes next.
        os._exit(0)
