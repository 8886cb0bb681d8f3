"""Rereading: what clients put at the front of a prompt that makes an engine read all of it again.

An engine reuses what it remembers up to the first byte that differs. Known is what was seen to
differ in every request; what a person asks is nobody's business here.
"""

from __future__ import annotations

import re

MARKER = b"x-anthropic-billing-header:"
LINE = re.compile(MARKER + rb" cc_version=(\d{1,9})\.(\d{1,9})\.(\d{1,9})[^\"\n]{0,200}\bcch=")
STEADY = (2, 1, 181)
"""Since this version of Claude Code the line is the same throughout a conversation."""


def rereader(body: bytes) -> str:
    """The client, with its version, whose prompts begin differently each time; "" for any other."""
    at = body.find(MARKER)
    found = LINE.match(body, at) if at >= 0 else None
    if found is None:
        return ""
    version = int(found[1]), int(found[2]), int(found[3])
    return "Claude Code " + ".".join(map(str, version)) if version < STEADY else ""
