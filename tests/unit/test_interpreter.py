"""Another interpreter, and what happens when it is slow, silent, broken or gone."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from reconciler.edge.interpreter import Interpreter
from reconciler.errors import DriverError
from reconciler.onhost import bundle
from tests import running

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

RUN = [sys.executable, "-I", "-S", "-c"]


def served(directory: Path) -> Interpreter:
    return Interpreter([*RUN, bundle.BOOTSTRAP], bundle.framed(str(directory)), bundle.HELLO)


async def test_answers_find_their_requests_in_any_order(tmp_path: Path) -> None:
    results: dict[int, object] = {}
    async with served(tmp_path) as interpreter, anyio.create_task_group() as tasks:

        async def ask(number: int) -> None:
            answer = await interpreter.exchange(
                {"do": "tail", "path": f"{number}", "lines": 1}, running.DEADLINE
            )
            results[number] = running.ok(answer)["lines"]

        for number in range(50):
            (tmp_path / str(number)).write_text(str(number))
            tasks.start_soon(ask, number)
    assert results == {number: [str(number)] for number in range(50)}


async def test_an_interpreter_that_is_missing_is_named() -> None:
    with pytest.raises(DriverError, match="cannot start /nowhere/python3"):
        async with Interpreter(["/nowhere/python3"], b"", b""):
            pytest.fail("it started")


async def test_a_deadline_ends_the_wait_and_a_late_answer_is_dropped(tmp_path: Path) -> None:
    identity: JsonValue = {"pid": 2**22 + 1, "start": 0, "inode": 0, "boot_id": ""}
    async with served(tmp_path) as interpreter:
        with pytest.raises(DriverError, match="did not answer exit within 0 s"):
            await interpreter.exchange({"do": "exit", "identity": identity, "timeout": 1}, 0)
        assert "ok" in await interpreter.exchange({"do": "gpus"}, running.DEADLINE)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(1)", "ended|closed its input"),
        (
            "import sys; sys.stdin.readline(); print('hello\\nhi', flush=True); sys.stdin.read()",
            "not an answer",
        ),
        (
            "import sys; sys.stdin.readline(); print('hello\\n[1]', flush=True); sys.stdin.read()",
            "not an answer",
        ),
    ],
)
async def test_one_that_breaks_off_or_talks_nonsense_is_an_error(program: str, said: str) -> None:
    async with Interpreter([*RUN, program], b"", b"hello") as interpreter:
        with anyio.fail_after(running.DEADLINE), pytest.raises(DriverError, match=said):
            await interpreter.exchange({"do": "gpus"}, running.DEADLINE)


async def test_what_a_login_shell_says_before_the_program_begins_is_dropped(tmp_path: Path) -> None:
    program = f"print('welcome\\n{{}}')\n{bundle.BOOTSTRAP}"
    async with Interpreter(
        [*RUN, program], bundle.framed(str(tmp_path)), bundle.HELLO
    ) as interpreter:
        assert "ok" in await interpreter.exchange({"do": "gpus"}, running.DEADLINE)
        assert interpreter.ready.is_set()


async def test_a_program_that_never_begins_for_all_the_noise_is_an_error() -> None:
    async with Interpreter([*RUN, "while True: print('x' * 1000)"], b"", b"hello") as interpreter:
        with anyio.fail_after(running.DEADLINE), pytest.raises(DriverError, match="not an answer"):
            await interpreter.exchange({"do": "gpus"}, running.DEADLINE)


async def test_its_last_words_say_why_it_ended() -> None:
    async with Interpreter(
        [*RUN, "import sys; sys.exit('no route to host')"], b"", b""
    ) as interpreter:
        with (
            anyio.fail_after(running.DEADLINE),
            pytest.raises(DriverError, match="ended: no route to host"),
        ):
            await interpreter.exchange({"do": "gpus"}, running.DEADLINE)


async def test_one_that_will_not_leave_is_killed() -> None:
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()"
    )
    with anyio.fail_after(running.DEADLINE):
        async with Interpreter([*RUN, stubborn], b"", b""):
            pass


async def test_it_ends_when_its_input_ends(tmp_path: Path) -> None:
    with anyio.fail_after(running.DEADLINE):
        process = await anyio.open_process([*RUN, bundle.BOOTSTRAP], stderr=None)
        async with process:
            assert process.stdin is not None
            await process.stdin.send(
                bundle.framed(str(tmp_path)) + b'{"do":"gpus","id":1}\n[]\nnonsense\n'
            )
            await process.stdin.aclose()
            assert await process.wait() == 0


def test_it_ends_when_nothing_reads_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*RUN, bundle.BOOTSTRAP], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin:
        process.stdout.close()
        process.stdin.write(bundle.framed(str(tmp_path)) + b'{"do":"gpus","id":1}\n')
        process.stdin.flush()
        assert process.wait(running.DEADLINE) == 0


async def test_a_request_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as interpreter:
        with pytest.raises(DriverError, match="more than the"):
            await interpreter.exchange({"do": "x" * (16 * 1024 * 1024)}, running.DEADLINE)
        assert "ok" in await interpreter.exchange({"do": "gpus"}, running.DEADLINE)
