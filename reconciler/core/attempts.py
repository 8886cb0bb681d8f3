"""Attempts: by what a failure is remembered, so that the same attempt is known again."""

from __future__ import annotations

from reconciler.core.canonical import digest
from reconciler.model.facts import Binary, Weights
from reconciler.model.names import Digest
from reconciler.model.observed import Observed
from reconciler.model.sight import ModelSight
from reconciler.model.spec import Slice


def attempt_key(slice_: Slice, slice_digest: Digest, observed: Observed) -> Digest:
    """What a failure is remembered by: the slice, and the files it would run as they are now."""
    host = slice_.host.name
    active = set(slice_.active or ())
    names = [model.name for model in slice_.models if model.name in active]
    # Size and time stand for the content: to hash it would take seconds for each GiB (ADR 0002).
    seen = {name: ModelSight(observed, host, name) for name in names}
    files = {name: [_stamp(one.weights), _stamp(one.binary)] for name, one in seen.items()}
    return digest({"slice": slice_digest, "files": files})


def _stamp(file: Weights | Binary | None) -> list[str | int]:
    return [file.path, file.size, file.modified_ns] if file else []
