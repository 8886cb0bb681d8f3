"""Pass request: what one pass over a host should bring about."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.lending import NOTHING_LENT, Rules
from reconciler.model.names import Digest
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance


@dataclass(frozen=True)
class PassRequest:
    """What is wanted of a host, who asks, and what was approved (None: anything).

    `retries` tries a failed wish again once it has waited, where nothing that serves would be
    stopped for it. `rules` say what requests may bring in. `idles`: nobody has asked for anything
    for so long that the host may come to rest.
    """

    slice: Slice
    provenance: Provenance
    trigger: str
    approved: Digest | None = None
    prune: bool = False
    take_over: bool = False
    retries: bool = False
    rules: Rules = NOTHING_LENT
    idles: bool = False
