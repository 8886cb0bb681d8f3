"""Canonical bytes: one way to write a value down, so that equal values have equal digests."""

from __future__ import annotations

import hashlib
import json

from pydantic_core import to_jsonable_python


def canonical(value: object) -> bytes:
    """A model, dataclass or JSON value as JSON with sorted keys and no whitespace.

    Raise ValueError for NaN.
    """
    plain = to_jsonable_python(value, bytes_mode="base64")
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(value: object) -> str:
    """The digest of a value, with the version of the way it is made."""
    return f"v1:sha256:{hashlib.sha256(canonical(value)).hexdigest()}"
