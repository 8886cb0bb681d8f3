"""Unforeseen: a fault of ours in what is worked out about one host stays with that host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.errors import ReconcilerError, Unexpected
from reconciler.ports import Keep


@contextmanager
def unforeseen(keep: Keep) -> Iterator[None]:
    """Turn whatever is raised inside, but for a ReconcilerError, into Unexpected with its file."""
    try:
        yield
    except ReconcilerError:
        raise
    except Exception as error:
        raise Unexpected(f"this is a defect of reconciler: {keep(error)}") from error
