"""Exchange requests, as JSON lines, with a program in another interpreter, here or elsewhere.

The program goes in first, then one line for each request with an `id`; answers come in any order.
What comes before the program's own first line, such as the greeting of a login shell, is dropped;
the end of stderr says why it ended.
"""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, suppress
from subprocess import PIPE
from typing import TYPE_CHECKING, Self, TypeVar

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from reconciler.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from anyio.abc import ByteSendStream, Process
    from pydantic import JsonValue

Thing = TypeVar("Thing")

LINE_LIMIT = 16 * 1024 * 1024
WRITE_SECONDS = 30.0
LEAVE_SECONDS = 2.0
WORDS_SECONDS = 0.5
"""How long its stderr is read on once it is gone: what it started may keep that open."""

OVER = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
NOISE_LIMIT = 64 * 1024
WORDS_LIMIT = 4096


class Interpreter:
    """One running interpreter inside an `async with`; `exchange` may be called side by side.

    `ready` is set when its first line was read, `ended` when no answer will come any more; `words`
    is the end of its stderr.
    """

    def __init__(self, argv: Sequence[str], program: bytes, hello: bytes) -> None:
        """Take the interpreter's command, its program, and the line that this writes first."""
        self._argv, self._program, self._hello = tuple(argv), program, hello
        self.ready, self.ended = anyio.Event(), anyio.Event()
        self.words = ""
        self._begun, self._heard = anyio.Event(), anyio.Event()
        self._waiting: dict[int, tuple[anyio.Event, dict[str, JsonValue]]] = {}
        self._writing = anyio.Lock()
        self._next, self._ended = 0, ""
        self._stack = AsyncExitStack()
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        """Start the interpreter; raise DriverError when it cannot be."""
        async with AsyncExitStack() as stack:
            self._process = await self._started()
            stack.push_async_callback(self._leave)
            readers = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(readers.cancel_scope.cancel)
            for task in (self._read, self._listen, self._begin):
                readers.start_soon(task)
            self._stack = stack.pop_all()
        return self

    async def _started(self) -> Process:
        try:
            # In its own session: an interrupt at the terminal is ours to judge.
            return await anyio.open_process(self._argv, stderr=PIPE, start_new_session=True)
        except OSError as error:
            raise DriverError(f"cannot start {self._argv[0]}: {error.strerror}") from error

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its stdin, at which it ends; kill it when it does not."""
        await self._stack.__aexit__(kind, error, trace)

    async def exchange(self, request: dict[str, JsonValue], seconds: float) -> dict[str, JsonValue]:
        """Send one request and return its answer; raise DriverError when there is none in time."""
        self._next += 1
        number, answered = self._next, anyio.Event()
        answer: dict[str, JsonValue] = {}
        self._waiting[number] = (answered, answer)
        try:
            with anyio.fail_after(seconds):
                await self._begun.wait()
                await self._write(_line({**request, "id": number}))
                await answered.wait()
        except TimeoutError as error:
            raise DriverError(
                f"{self._argv[0]} did not answer {request.get('do')} within {seconds:g} s"
            ) from error
        finally:
            del self._waiting[number]
        if not answer:
            raise DriverError(self._ended)
        return answer

    async def _begin(self) -> None:
        """Hand the program over; one that ends before has said so by itself."""
        with suppress(DriverError):
            await self._write(self._program)
        self._begun.set()

    async def _write(self, content: bytes) -> None:
        """Write whole lines, one writer at a time."""
        if self._ended or self._process is None or self._process.stdin is None:
            raise DriverError(self._ended or "the interpreter is not running")
        if len(content) > LINE_LIMIT:
            raise DriverError(
                f"the request has {len(content)} bytes, more than the {LINE_LIMIT} that are allowed"
            )
        async with self._writing:
            await self._send(content, self._process.stdin)

    async def _send(self, content: bytes, stdin: ByteSendStream) -> None:
        try:
            # A half-written line would spoil every line after it.
            with anyio.CancelScope(shield=True), anyio.fail_after(WRITE_SECONDS):
                await stdin.send(content)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError) as error:
            # What it said as it ended is a better reason than that its input is closed.
            with anyio.move_on_after(LEAVE_SECONDS):
                await self.ended.wait()
            self._end("closed its input")
            raise DriverError(self._ended) from error

    async def _read(self) -> None:
        """Hand out the answers until the output ends."""
        stream = BufferedByteReceiveStream(_given(self._process.stdout if self._process else None))
        try:
            await self._skip(stream)
            while True:
                self._deliver(json.loads(await stream.receive_until(b"\n", LINE_LIMIT)))
        except (anyio.IncompleteRead, *OVER):
            await self._last_words()
            self._end("ended")
        except (anyio.DelimiterNotFound, ValueError, TypeError):
            self._end("wrote something that is not an answer")

    async def _skip(self, stream: BufferedByteReceiveStream) -> None:
        """Drop what others write before the program begins.

        Raise DelimiterNotFound when that is too much.
        """
        dropped = 0
        while not (line := await stream.receive_until(b"\n", NOISE_LIMIT)).endswith(self._hello):
            dropped += len(line)
            if dropped > NOISE_LIMIT:
                raise anyio.DelimiterNotFound(NOISE_LIMIT)
        self.ready.set()

    async def _listen(self) -> None:
        """Keep the end of what it says on stderr."""
        with suppress(*OVER):
            async for part in _given(self._process.stderr if self._process else None):
                self.words = (self.words + part.decode("utf-8", "replace"))[-WORDS_LIMIT:]
        self._heard.set()

    async def _last_words(self) -> None:
        """Wait a moment for how it ended, and for all that it said of that."""
        with anyio.move_on_after(LEAVE_SECONDS):
            await _given(self._process).wait()
        with anyio.move_on_after(WORDS_SECONDS):
            await self._heard.wait()

    def _deliver(self, answer: JsonValue) -> None:
        """Hand one answer over; raise TypeError when it is none.

        One whose request was given up is dropped.
        """
        if not isinstance(answer, dict):
            raise TypeError(answer)
        number = answer.pop("id", None)
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is not None:
            answered, place = waiting
            place.update(answer)
            answered.set()

    def _end(self, what: str) -> None:
        """Wake all that wait for an answer, because none will come."""
        said = self.words.strip().splitlines()
        last = f": {said[-1].strip()}" if said else ""
        self._ended = self._ended or f"{self._argv[0]}, which speaks for the host, {what}{last}"
        self.ended.set()
        for answered, _ in self._waiting.values():
            answered.set()

    async def _leave(self) -> None:
        """End the interpreter, gently first, also when we are cancelled."""
        if self._process is not None:
            with anyio.CancelScope(shield=True):
                await _let_end(self._process)


async def _let_end(process: Process) -> None:
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


def _line(request: dict[str, JsonValue]) -> bytes:
    return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def _given(thing: Thing | None) -> Thing:
    assert thing is not None  # noqa: S101  the readers start after the process
    return thing
