"""Run a program of JSON lines in another interpreter, here or elsewhere, and exchange requests with it.

The program goes in first, then one line for each request with an `id`; answers come in any order. The other side's
stderr is ours.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from reconciler.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from anyio.abc import Process
    from pydantic import JsonValue

LINE_LIMIT = 16 * 1024 * 1024
LEAVE_SECONDS = 2.0


class Interpreter:
    """Hold one running interpreter inside an `async with`; `exchange` may be called side by side."""

    def __init__(self, argv: Sequence[str], program: bytes) -> None:
        """Take the command of the interpreter and what it reads first."""
        self._argv, self._program = tuple(argv), program
        self._waiting: dict[int, tuple[anyio.Event, dict[str, JsonValue]]] = {}
        self._writing = anyio.Lock()
        self._next, self._ended = 0, ""
        self._stack = AsyncExitStack()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        """Start the interpreter; raise DriverError when it cannot be."""
        async with AsyncExitStack() as stack:
            try:
                # A session of its own: an interrupt at the terminal is ours to judge.
                self._process = await anyio.open_process(self._argv, stderr=None, start_new_session=True)
            except OSError as error:
                raise DriverError(f"cannot start {self._argv[0]}: {error.strerror}") from error
            stack.push_async_callback(self._leave)
            await self._write(self._program)
            readers = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(readers.cancel_scope.cancel)
            readers.start_soon(self._read)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close its stdin, at which it ends; kill it when it does not."""
        await self._stack.__aexit__(kind, error, trace)

    async def exchange(self, request: dict[str, JsonValue], seconds: float) -> dict[str, JsonValue]:
        """Send one request and return its answer; raise DriverError when there is none in time."""
        self._next += 1
        number, answered = self._next, anyio.Event()
        self._waiting[number] = (answered, {})
        try:
            with anyio.fail_after(seconds):
                await self._write(json.dumps({**request, "id": number}, separators=(",", ":")).encode() + b"\n")
                await answered.wait()
            answer = self._waiting[number][1]
        except TimeoutError as error:
            raise DriverError(f"{self._argv[0]} did not answer {request.get('do')} within {seconds:g} s") from error
        finally:
            del self._waiting[number]
        if not answer:
            raise DriverError(self._ended)
        return answer

    async def _write(self, content: bytes) -> None:
        """Write whole lines, one writer at a time."""
        if self._ended or self._process is None or self._process.stdin is None:
            raise DriverError(self._ended or "the interpreter is not running")
        if len(content) > LINE_LIMIT:
            raise DriverError(f"the request has {len(content)} bytes, more than the {LINE_LIMIT} that are allowed")
        async with self._writing:
            try:
                # A half-written line would spoil every line after it.
                with anyio.CancelScope(shield=True), anyio.fail_after(30):
                    await self._process.stdin.send(content)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError) as error:
                self._end("closed its input")
                raise DriverError(self._ended) from error

    async def _read(self) -> None:
        """Give each answer to who waits for it, until the output ends."""
        assert self._process is not None  # noqa: S101  the reader starts after the process
        assert self._process.stdout is not None  # noqa: S101
        stream = BufferedByteReceiveStream(self._process.stdout)
        try:
            while True:
                self._deliver(json.loads(await stream.receive_until(b"\n", LINE_LIMIT)))
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._end("ended")
        except (anyio.DelimiterNotFound, ValueError, TypeError):
            self._end("wrote something that is not an answer")

    def _deliver(self, answer: JsonValue) -> None:
        """Hand one answer over; one that nobody waits for any more is dropped. Raise TypeError when it is none."""
        if not isinstance(answer, dict):
            raise TypeError(answer)
        number = answer.pop("id", None)
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is not None:
            waiting[1].update(answer)
            waiting[0].set()

    def _end(self, what: str) -> None:
        """Tell everybody who waits that no answer will come."""
        self._ended = self._ended or f"{self._argv[0]}, which speaks for the host, {what}"
        for answered, _ in self._waiting.values():
            answered.set()

    async def _leave(self) -> None:
        """End the interpreter, gently first, also when we are cancelled."""
        process = self._process
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            if process.stdin is not None:
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                    await process.stdin.aclose()
            with anyio.move_on_after(LEAVE_SECONDS):
                await process.wait()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            await process.aclose()
