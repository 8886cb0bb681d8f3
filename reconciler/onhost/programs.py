"""Programs that an operator names, run to their end: argument lists, never a shell."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from reconciler.onhost.problem import HostProblem, explain

OUTPUT_LIMIT = 16 * 1024


def run(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Run a program and answer its exit code and the last of what it said.

    `env` is added to the environment.
    """
    argv, seconds = request["argv"], float(request["seconds"])
    environment = {**os.environ, **request.get("env", {})}
    try:
        done = subprocess.run(  # noqa: S603 - that is what an operator asks for
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise HostProblem(f"`{argv[0]}` did not end within {seconds:g} s") from None
    except OSError as error:
        raise HostProblem(f"`{argv[0]}` cannot be run: {explain(error)}") from error
    return {"code": done.returncode, "out": _text(done.stdout), "err": _text(done.stderr)}


def _text(content: bytes) -> str:
    # The end of it: what went wrong is said last.
    return content[-OUTPUT_LIMIT:].decode("utf-8", "replace")
