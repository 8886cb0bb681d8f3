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
        return {
            "error": (
                f"this host knows no request {kind!r}; is the program there of another version?"
            )
        }
    try:
        return {"ok": serve(request, directory)}
    except HostProblem as problem:
        return {"error": str(problem)}
    except OSError as error:
        return {"error": f"{kind} failed: {error.filename or 'on this host'}: {explain(error)}"}
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        return {"error": f"the request {kind} cannot be understood: {type(error).__name__} {error}"}


def _spawn(request: Request, directory: str) -> Request:
    """Start a unit, and look at it first when a port is asked about."""
    evidence = process.spawn(request, directory)
    ports.expect(evidence["identity"]["pid"])
    return evidence


def _each(request: Request, directory: str) -> Request:
    """Answer many requests in one round trip, in order."""
    return {"answers": [answer(one, directory) for one in request["requests"][:EACH_LIMIT]]}


def _later(module: str) -> Any:  # noqa: ANN401 - it is a module
    """Return a module that is loaded when it is first needed: a host that has just booted is to answer soon."""
    return import_module(f"reconciler.onhost.{module}")


_KINDS: dict[str, Served] = {
    "each": _each,
    "contact": lambda _, directory: contact.contact(directory),
    "units": lambda request, directory: {"units": units.units(request.get("pids"), directory)},
    "port": lambda request, directory: ports.owner(int(request["port"]), directory),
    "page": lambda request, directory: _later("http_probe").page(request, directory),
    "program": lambda request, directory: files.program(request["program"], directory),
    "flags": lambda request, directory: _later("flags").refusal(request, directory),
    "place": lambda request, directory: files.place(
        files.absolute(request["path"], directory), request["folder"]
    ),
    "same-file": lambda request, directory: _later("identity").same(request, directory),
    "gguf": (
        lambda request, directory: _later("gguf").header(files.absolute(request["path"], directory))
    ),
    "fingerprint": lambda request, directory: _later("fingerprint").fingerprint(request, directory),
    "saved": lambda request, directory: _later("slots").saved(request, directory),
    "tail": lambda request, directory: files.tail(
        files.absolute(request["path"], directory), int(request["lines"]), request.get("after", "")
    ),
    "prepared": lambda _, directory: _later("prepare").prepared(directory),
    "claim": lambda _, directory: files.claim(directory),
    "gpus": lambda *_: contact.gpus(),
    "nvidia": lambda *_: _later("nvidia").cards(),
    "machine": lambda request, directory: _later("machine").machine(request, directory),
    "guards": lambda request, directory: _later("guards").guards(request, directory),
    "wake-on": lambda request, directory: _later("network").wake_on(request, directory),
    "neighbour": lambda request, directory: _later("network").neighbour(request, directory),
    "spawn": _spawn,
    "stop": lambda request, _: _later("terminate").stop(request),
    "services": lambda request, directory: _later("systemd").services(request, directory),
    "service-log": lambda request, directory: _later("systemd").log(request, directory),
    "start-service": lambda request, directory: _later("systemd").start(request, directory),
    "stop-service": lambda request, directory: _later("systemd").stop(request, directory),
    "send-down": lambda request, directory: _later("guards").send_down(request, directory),
    "wake": lambda request, directory: _later("network").wake(request, directory),
    "prepare": lambda request, directory: _later("prepare").prepare(request, directory),
    "run": lambda request, directory: _later("programs").run(request, directory),
    "exit": lambda request, _: process.wait_exit(request["identity"], float(request["timeout"])),
    "seal": lambda request, directory: _later("slots").seal(request, directory),
    "check": lambda request, directory: _later("slots").check(request, directory),
    "note": lambda request, directory: _later("slots").note(request, directory),
    "room": lambda request, directory: _later("slots").room(request, directory),
    "prefetch": lambda request, directory: files.prefetch(
        files.absolute(request["path"], directory)
    ),
    "write-claim": files.write_claim,
}


class LineServer:
    """Serve lines from one stream to another, each in a thread of its own, so that a long stop delays no question."""

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
    """Say hello and serve stdin to stdout, for the host whose own files live in `directory` (`~` is the user's home)."""
    try:
        LineServer(sys.stdin.buffer, sys.stdout.buffer, os.path.expanduser(directory)).run(hello)
    finally:
        # Threads that still work are left behind: a stop in flight is observed again by whoever
        # comes next.
        os._exit(0)
