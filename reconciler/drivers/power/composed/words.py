"""Words that several drivers of power take as options."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from reconciler.model.quantity import expected

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")


def _mac(text: str) -> str:
    if not _MAC.fullmatch(text):
        raise expected('six pairs of hexadecimal digits, such as "aa:bb:cc:dd:ee:ff"')
    return text.lower().replace("-", ":")


Mac = Annotated[str, AfterValidator(_mac)]
HostThere = Annotated[str, Field(max_length=253)]
