"""Call: what answers at one way in, and what can be said of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

from pydantic import BaseModel

from reconciler.api.served import Served
from reconciler.gateway.control import ControlReply, ControlRequest

Does: TypeAlias = Callable[[Served, ControlRequest], Awaitable[ControlReply]]


class ApiCall(NamedTuple):
    """A way in of gateway/routes, what it is for, and what answers.

    `document` is what is told, `body` what may be sent; `query` has what each word of a query says.
    """

    method: str
    shape: str
    what: str
    does: Does
    document: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: Mapping[str, str] = {}
