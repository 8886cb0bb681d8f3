"""The API of a Proxmox VE cluster on a loopback port, over TLS."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from tests.needs import program
from tests.rigs.proxmox import LOCAL, Cluster, Refused, Request
from tests.served import served


class Stand(NamedTuple):
    """Where the API is, and which certificate it shows."""

    cluster: Cluster
    address: str
    certificate: Path


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Stand]:
    """Serve the API of a cluster with a self-signed certificate."""
    certificate, key = folder / "pve-ssl.pem", folder / "pve-ssl.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    named = ["-subj", f"/CN={LOCAL}.lan", "-addext", "subjectAltName=IP:127.0.0.1"]
    kept = ["-days", "2", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    made = [program("openssl"), "req", "-x509", *curve, *named, *kept]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Server(cluster, context)
    with served(server):
        try:
            yield Stand(cluster, f"127.0.0.1:{server.server_address[1]}", certificate)
        finally:
            cluster.over.set()
            cluster.faults.slow.set()


class _Server(ThreadingHTTPServer):
    def __init__(self, cluster: Cluster, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.cluster = cluster
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


class _Exchange(BaseHTTPRequestHandler):
    server: _Server

    def exchange(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = dict(parse_qsl(content.decode()))
        path = self.path.removeprefix("/api2/json/")
        try:
            request = Request(self.command, path, form, self.headers.get("Authorization", ""))
            self.reply(200, None, {"data": self.server.cluster.answer(request)})
        except Refused as refused:
            errors = {} if refused.errors is None else {"errors": refused.errors}
            self.reply(refused.status, refused.reason, {"data": None, **errors})

    def do_GET(self) -> None:
        self.exchange()

    def do_POST(self) -> None:
        self.exchange()

    def reply(self, status: int, reason: str | None, content: object) -> None:
        sent = json.dumps(content).encode()
        self.send_response(status, reason)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
