"""Saved plans: a JSON document in a file of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reconciler.edge.atomic import rewrite, write_file
from reconciler.errors import ConfigError, Unreachable, WriteFailed

MOST_BYTES = 4 * 1024**2
REMEDY = "`reconciler plan --save FILE` writes one, `reconciler apply` alone takes the files"


def write(file: str, document: dict[str, Any]) -> None:
    """Write a plan's document; raise Unreachable: nothing is lost by it, and nothing was done."""
    try:
        path, content = (
            Path(file).absolute(),
            json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n",
        )
        if path.is_file():
            rewrite(path, content)
        else:
            write_file(path, content)
    except WriteFailed as error:
        raise Unreachable(
            f"the plan was not saved: {error.message}, or name another file"
        ) from error


def read(file: str) -> dict[str, Any]:
    """Return a plan's document; raise ConfigError when the file is not one."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        document = json.loads(content) if len(content) <= MOST_BYTES else None
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read as a saved plan: {error.strerror}; {REMEDY}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{file} is not a saved plan; {REMEDY}") from error
    if (
        not isinstance(document, dict)
        or document.get("version") != 1
        or not isinstance(document.get("hosts"), list)
    ):
        raise ConfigError(f"{file} is not a saved plan of version 1; {REMEDY}")
    return document
