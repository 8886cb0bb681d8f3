"""The recipe of docs/proxies.md for Caddy, with a real Caddy: streams, keys and names."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx

from reconciler.gateway.front import SocketFront
from reconciler.model.access_key import AccessKey, KeyRing, hashed, written
from tests.engine import free_port
from tests.gateway_stand import CHAT, ROUTES, Stand, a_front
from tests.needs import program
from tests.scripted_engine import Heard, scripted

PAGE = Path(__file__).parents[2] / "docs" / "proxies.md"
NAME = "llm.home"
SECRET = "s" * 43
KEY = AccessKey(
    id="1" * 8, name="laptop", sha256=hashed(SECRET), scopes=("infer",), in_flight=9, waiting=9
)
SENT = {"Host": NAME, "Authorization": f"Bearer {written(KEY.id, SECRET)}"}
HERE = """{
	admin off
	skip_install_trust
	auto_https disable_redirects
	storage file_system FOLDER
}
"""
"""What keeps a Caddy of the tests from this machine's own."""

WITHIN = 20.0


def recipe(gateway: str, port: int, folder: Path) -> str:
    """The Caddyfile of the page, at other ports."""
    found = re.search(r"```text\n(llm\.home \{.*?\n\})\n```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    site = found[1].replace("llm.home {", f"{NAME}:{port} {{").replace("127.0.0.1:8400", gateway)
    return HERE.replace("FOLDER", str(folder)) + site + "\n"


@asynccontextmanager
async def proxied(folder: Path) -> AsyncIterator[tuple[SocketFront, httpx.AsyncClient]]:
    """Run a gateway behind Caddy, and a client that reaches it by the name of the site."""
    front, port = a_front(0.0, rings=lambda: KeyRing(keys=(KEY,))), free_port()
    front.doors.route(ROUTES.model_copy(update={"names": (NAME,)}))
    async with front.opened() as (address,):
        with caddy(recipe(address, port, folder), folder):
            trusted = await certificate(folder, port)
            url = f"https://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, verify=trusted, timeout=WITHIN) as client:
                yield front, client


@contextmanager
def caddy(recipe: str, folder: Path) -> Iterator[None]:
    (folder / "Caddyfile").write_text(recipe)
    argv = [program("caddy"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    with subprocess.Popen(
        argv, stderr=subprocess.DEVNULL, env={"HOME": str(folder)}, cwd=folder
    ) as running:
        try:
            yield
        finally:
            running.terminate()


async def certificate(folder: Path, port: int) -> ssl.SSLContext:
    """Wait until Caddy has its own certificate, and shows that of the site."""
    root = folder / "pki" / "authorities" / "local" / "root.crt"
    async with asyncio.timeout(WITHIN):
        while True:
            with suppress(OSError):
                trusted = ssl.create_default_context(cafile=str(root))
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=trusted, server_hostname=NAME
                )
                writer.close()
                return trusted
            await asyncio.sleep(0.02)


def asking(client: httpx.AsyncClient, **fields: str) -> httpx.Request:
    return client.build_request(
        "POST", CHAT, json={"model": "a", "stream": True}, headers={**SENT, **fields},
        extensions={"sni_hostname": NAME},
    )  # fmt: skip


async def test_events_come_as_they_are_sent_and_a_client_that_leaves_is_gone(
    tmp_path: Path,
) -> None:
    may_go_on, has_left = asyncio.Event(), asyncio.Event()

    async def script(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        await writer.drain()
        await may_go_on.wait()
        writer.write(b"9\r\ndata: 2\n\n\r\n")
        await writer.drain()
        await heard.reader.read()
        has_left.set()

    async with proxied(tmp_path) as (front, client), scripted(script) as engine:
        await Stand(front, "", client).admit(engine)
        answer = await client.send(asking(client), stream=True)
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"data: 1\n\n"
        may_go_on.set()
        assert await anext(pieces) == b"data: 2\n\n"
        await answer.aclose()
        async with asyncio.timeout(WITHIN):
            await has_left.wait()
        assert SECRET.encode() not in engine.heard[0].head


async def test_no_request_passes_without_a_key_or_by_another_name(tmp_path: Path) -> None:
    async with proxied(tmp_path) as (front, client):
        assert (await client.send(asking(client, Authorization=""))).status_code == 401
        front.doors.route(ROUTES)
        answer = await client.send(asking(client))
        assert (answer.status_code, "llm.home" in answer.text) == (421, True)


async def test_web_sockets_go_through(tmp_path: Path) -> None:
    async def echoes(heard: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
        writer.write(b"Connection: Upgrade\r\nSec-WebSocket-Accept: s\r\n\r\nhello")
        writer.write(await heard.reader.readexactly(5))
        await writer.drain()
        await heard.reader.read()

    asks = f"GET /upstream/a/v1/realtime HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\n"
    asks += "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n"
    asks += f"Authorization: {SENT['Authorization']}\r\n\r\n"
    async with proxied(tmp_path) as (front, client), scripted(echoes) as engine:
        await Stand(front, "", client).admit(engine)
        port = client.base_url.port or 0
        trusted = await certificate(tmp_path, port)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusted, server_hostname=NAME
        )
        writer.write(asks.encode())
        async with asyncio.timeout(WITHIN):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"again")
            assert await reader.readexactly(10) == b"helloagain"
        writer.close()
