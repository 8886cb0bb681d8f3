"""Call what may hang, such as a library of a device driver, without ever waiting for it longer than is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Generic, TypeVar

import anyio
from anyio import from_thread, lowlevel

T = TypeVar("T")


class AbandonedThread(Generic[T]):
    """Call something in a thread that nobody waits for, neither after its deadline nor when the program ends."""

    def __init__(self, call: Callable[[], T]) -> None:
        """Call `call`, which answers whatever it finds and raises nothing."""
        self._call = call
        self._is_out = False

    async def answer(self, seconds: float) -> T:
        """Return the answer.

        Raise TimeoutError after `seconds`, and at once while an earlier call has not come back.
        """
        if self._is_out:
            raise TimeoutError
        self._is_out = True
        answers: list[T] = []
        token, came = lowlevel.current_token(), anyio.Event()

        def work() -> None:
            try:
                answers.append(self._call())
            finally:
                self._is_out = False
            with suppress(anyio.RunFinishedError):
                from_thread.run_sync(came.set, token=token)

        Thread(target=work, name="reconciler aside", daemon=True).start()
        with anyio.fail_after(seconds):
            await came.wait()
        return answers[0]
