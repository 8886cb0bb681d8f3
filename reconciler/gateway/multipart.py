"""Multipart: the model that a form names, found without building anything else of it.

A form holds a whole recording: it goes to the engine as it came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.gateway.head import Refusal

BOUNDARY = re.compile(
    rb'multipart/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)
NAMED = re.compile(
    rb'^content-disposition:\s*form-data\s*;.*?\bname="?([^";\r\n]*)', re.IGNORECASE | re.MULTILINE
)
HEAD_END = b"\r\n\r\n"
LONGEST_HEAD = 8 * 1024
LONGEST_NAME = 256
MOST_PARTS = 100

NO_FORM = "multipart/form-data with a boundary"
CUT = "a part of the form does not end"


def form_model(content_type: bytes, body: bytes) -> str | Refusal:
    """The model that a form names, "" where it names none."""
    declared = BOUNDARY.match(content_type)
    if declared is None:
        shown = content_type.decode("latin-1") or "nothing"
        return Refusal(415, f"found {shown} as Content-Type, expected {NO_FORM}")
    found: list[bytes] = []
    for part in _parts(body, b"--" + (declared[1] or declared[2])):
        if isinstance(part, Refusal):
            return part
        found += [part]
    if len(found) > 1:
        return Refusal(400, f"found {len(found)} parts that name a model, expected one")
    name = b"".join(found)
    if len(name) > LONGEST_NAME:
        return Refusal(400, f"found {len(name)} bytes as the model's name")
    return name.decode("utf-8", "replace").strip()


def _parts(body: bytes, delimiter: bytes) -> Iterator[bytes | Refusal]:
    """What each part named `model` holds; a Refusal where the form is broken."""
    if not body.startswith(delimiter):
        yield Refusal(400, "the form does not begin with its boundary")
        return
    at = len(delimiter)
    for _ in range(MOST_PARTS):
        if body.startswith(b"--", at):
            return
        head_end = body.find(HEAD_END, at, at + LONGEST_HEAD)
        end = body.find(b"\r\n" + delimiter, head_end + len(HEAD_END)) if head_end >= 0 else -1
        if end < 0:
            yield Refusal(400, CUT)
            return
        named = NAMED.search(body, at, head_end)
        if named is not None and named[1] == b"model":
            yield body[head_end + len(HEAD_END) : end]
        at = end + len(b"\r\n" + delimiter)
    yield Refusal(400, f"found more than {MOST_PARTS} parts of a form")
