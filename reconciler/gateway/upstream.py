"""Upstream: an engine's own pages under /upstream/MODEL/, as if that were the root of their host.

A page there may name others by paths that begin at the root. Those are found by the page that asks
(`Referer`), or by a cookie that it was given, where nothing else is served at the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler.gateway.head import Field, RequestHead

PREFIX = "/upstream/"
PAGE = re.compile(rb"https?://([^/?#]+)/upstream/(\w[\w.-]*)/")
COOKIE = re.compile(rb"(?:^|;)\s*reconciler-upstream=(\w[\w.-]*)(?:;|$)")
COOKIE_PATH = re.compile(rb"(;\s*path=)(?=/)", re.IGNORECASE)
HTML = b"text/html"


def beneath_page(head: RequestHead, path: str) -> str:
    """The path that is meant: that of the page's engine, where one of its pages asks."""
    page = PAGE.match(head.value(b"referer"))
    if page is None or path.startswith(PREFIX) or page[1].lower() != head.value(b"host").lower():
        return path
    return f"{PREFIX}{page[2].decode('latin-1')}{path}"


def beneath_cookie(head: RequestHead, path: str) -> str | None:
    """The same by the last page that was shown, None without one."""
    shown = COOKIE.search(head.value(b"cookie"))
    return None if shown is None else f"{PREFIX}{shown[1].decode('latin-1')}{path}"


def outward(fields: Sequence[Field], model: str, engine: bytes) -> Iterator[Field]:
    """An engine's fields for a page below its prefix; `engine` is its own host and port."""
    prefix, is_page = f"{PREFIX}{model}".encode(), False
    for name, value in fields:
        match name.lower():
            case b"location":
                yield name, _location(value, prefix, engine)
            case b"set-cookie":
                yield name, COOKIE_PATH.sub(rb"\g<1>" + prefix, value)
            case lowered:
                is_page = is_page or (lowered == b"content-type" and value.startswith(HTML))
                yield name, value
    if is_page:
        shown = f"reconciler-upstream={model}; Path=/; HttpOnly; SameSite=Strict"
        yield b"Set-Cookie", shown.encode()


def _location(value: bytes, prefix: bytes, engine: bytes) -> bytes:
    path = value.removeprefix(b"http://" + engine)
    is_own = path.startswith(b"/") and not path.startswith(b"//")
    return prefix + path if is_own else value
