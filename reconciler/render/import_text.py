"""Text of `import`, rendered from its JSON document."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from reconciler.render.onboarding_text import applying
from reconciler.render.terminal_style import PLAIN, Look, Mood
from reconciler.render.text import plan_text

_MOODS: dict[str, Mood] = {"carried": "good", "changed": "doubtful", "left out": "doubtful"}


def import_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render what became of each thing that was found, the plan, and what to do next."""
    rows = [line for row in document["rows"] for line in _row(row, look)]
    return "\n".join([*rows, "", *_rest(document, look)])


def _row(row: dict[str, Any], look: Look) -> Iterator[str]:
    became = look.paint(f"{row['became']:<9}", _MOODS[row["became"]])
    yield f"{became} {': '.join(filter(None, (row['where'], row['key'], row['why'])))}"
    if row["instead"]:
        yield f"          do: {row['instead']}"


def _rest(document: dict[str, Any], look: Look) -> Iterator[str]:
    if document["plan"] is None:
        yield (
            f"No model was found by `{document['source']}`, so nothing was written;"
            " `reconciler init DIR` looks for all that serves, and for GGUF files."
        )
        return
    directory = shlex.quote(document["directory"])
    yield f"Wrote {', '.join(document['files'])} in {directory}: {document['git']}."
    yield ""
    yield f"$ reconciler plan --state {directory}"
    yield plan_text(document["plan"], look)
    yield ""
    yield "Next:"
    if document["served"]:
        yield from applying(document, directory)
    else:
        yield "  # Nothing is active yet: choose a model from inventory.yaml."
        yield f"  reconciler use {shlex.quote(document['models'][0])} --state {directory}"
