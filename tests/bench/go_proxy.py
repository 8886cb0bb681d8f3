"""A gateway of Go's standard library, on which llama-swap stands too, where there is a Go."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.serving import CHAT, SMALL, Process, ask
from tests.engine import free_port
from tests.running import until

GO = shutil.which("go")


@contextmanager
def proxy(engine: int) -> Iterator[tuple[int, Process] | None]:
    """The proxy in Go before the same engine, where there is a Go to build it."""
    if GO is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        program, source = Path(name) / "proxy", Path(__file__).with_name("proxy.go")
        subprocess.run([GO, "build", "-o", program, source], check=True)
        port = free_port()
        # It complains of each client that leaves, as those of a load do in the end.
        argv = [str(program), str(port), str(engine)]
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            until(lambda: _answers(port))
            yield port, Process(process.pid)
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        return bool(ask(port, CHAT, SMALL))
    except OSError:
        return False
