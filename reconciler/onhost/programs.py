"""Programs that an operator names, run to their end: argument lists, never a shell."""

from __future__ import annotations

from typing import Any

from reconciler.onhost import commands
from reconciler.onhost.problem import HostProblem, explained

OUTPUT_LIMIT = 16 * 1024


def run(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Run a program and answer its exit code and the last of what it said.

    `env` is added to the environment.
    """
    argv, seconds = request["argv"], float(request["seconds"])
    with explained(f"`{argv[0]}` cannot be run"):
        try:
            done = commands.run(argv, seconds, request.get("env"))
        except commands.Late:
            raise HostProblem(f"`{argv[0]}` did not end within {seconds:g} s") from None
    # The end of what it said: what went wrong is said last.
    return {"code": done.code, "out": done.out[-OUTPUT_LIMIT:], "err": done.err[-OUTPUT_LIMIT:]}
