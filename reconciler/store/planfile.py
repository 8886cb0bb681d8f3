"""Saved plans: one JSON document in each file."""

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
    text = f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"
    try:
        path, content = Path(file).absolute(), text.encode()
        if path.is_file():
            rewrite(path, content)
        else:
            write_file(path, content)
    except WriteFailed as error:
        why = f"the plan was not saved: {error.message}, or name another file"
        raise Unreachable(why) from error


def read(file: str) -> dict[str, Any]:
    """Read a plan's document; raise ConfigError when the file holds none."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        document = json.loads(content) if len(content) <= MOST_BYTES else None
    except OSError as error:
        why = f"{file} cannot be read as a saved plan: {error.strerror}; {REMEDY}"
        raise ConfigError(why) from error
    except ValueError as error:
        raise ConfigError(f"{file} is not a saved plan; {REMEDY}") from error
    if not isinstance(document, dict) or not _is_known(document):
        raise ConfigError(f"{file} is not a saved plan of version 1; {REMEDY}")
    return document


def _is_known(document: dict[str, Any]) -> bool:
    return document.get("version") == 1 and isinstance(document.get("hosts"), list)
