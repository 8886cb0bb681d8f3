"""A program with llama-server's flags and routes that answers at once, and costs little to ask.

A POST gets a small answer; with `?events=N&each=MS` it gets so many events, one at each multiple
of that time, and each with the moment at which it was written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

SLOTS = 2000
LENGTH = b"Content-Length: "
SMALL = json.dumps(
    {
        "id": "chatcmpl-0", "object": "chat.completion", "created": 1, "model": "a",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": "the keeper counts ships " * 8}}],
        "content": "ba", "tokens_predicted": 1,
        "usage": {"prompt_tokens": 20, "completion_tokens": 40, "total_tokens": 60},
    }
).encode()  # fmt: skip
EVENT = b'data: {"t": %d, "choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n'
FILL = b"x" * 140


def whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


PAGES: dict[str, Any] = {
    "/props": {"default_generation_settings": {}, "total_slots": SLOTS, "model_alias": "a"},
    "/slots": [{"id": 0, "n_ctx": 4096, "is_processing": False, "n_prompt_tokens": 0}],
}
ANSWER = whole(SMALL)


class Answers(asyncio.Protocol):
    """One connection; a body is passed over as it comes, and not kept."""

    def __init__(self) -> None:
        self._head, self._missing = b"", 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        if self._missing:
            self._missing -= len(received)
        else:
            self._head += received
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            at = head.find(LENGTH)
            length = int(head[at + len(LENGTH) :].split(b"\r", 1)[0]) if at > 0 else 0
            self._missing = length - len(body)
        if self._missing <= 0:
            head, self._head = self._head, b""
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        target = head.split(b" ", 2)[1]
        if b"?" in target:
            wish = parse_qs(urlsplit(target.decode()).query)
            self._stream(int(wish["events"][0]), int(wish["each"][0]) / 1000)
        elif head.startswith(b"POST"):
            self._transport.write(ANSWER)
        else:
            page = PAGES.get(target.decode(), {})
            self._transport.write(whole(json.dumps(page).encode()))

    def _stream(self, events: int, each: float) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        self._transport.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        first = (asyncio.get_running_loop().time() // each + 1) * each
        self._tick(events, first, each)

    def _tick(self, missing: int, at: float, each: float) -> None:
        if self._transport.is_closing():
            return
        if not missing:
            self._transport.write(b"0\r\n\r\n")
            return
        asyncio.get_running_loop().call_at(at, self._event, missing, at, each)

    def _event(self, missing: int, at: float, each: float) -> None:
        event = EVENT % (time.monotonic_ns(), FILL)
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self._tick(missing - 1, at + each, each)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answers, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Serve until a signal ends the process."""
    flags = argparse.ArgumentParser()
    flags.add_argument("--port", type=int)
    flags.add_argument("--alias")
    given, _ = flags.parse_known_args()
    PAGES["/props"]["model_alias"] = given.alias
    asyncio.run(serve(given.port))


if __name__ == "__main__":
    main()
