"""Option types that several drivers of power share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from reconciler.model.quantity import expected

_MAC = re.compile(
    r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}|[0-9a-f]{4}([.:-][0-9a-f]{4}){2}|[0-9a-f]{12}", re.IGNORECASE
)
"""As systems show it, as switches do, and as some routers do."""


def _mac(text: str) -> str:
    if not _MAC.fullmatch(text):
        raise expected('six pairs of hexadecimal digits, such as "aa:bb:cc:dd:ee:ff"')
    return bytes.fromhex(re.sub(r"[.:-]", "", text)).hex(":")


Mac = Annotated[str, AfterValidator(_mac)]
HostThere = Annotated[str, Field(max_length=253)]
