"""Claiming: a host that is acted on says whose it is, so that a second controller keeps its hands off."""

from __future__ import annotations

import anyio

from reconciler.errors import ReconcilerError
from reconciler.model.facts import Claim, Unknown
from reconciler.model.onhost import WriteClaim
from reconciler.ports import Access

CLAIM_SECONDS = 30.0


async def claim_host(access: Access, claim: Claim, *, take_over: bool) -> str:
    """Write a claim and read it back; return why the host is not ours, empty when it is."""
    try:
        with anyio.fail_after(CLAIM_SECONDS):
            await access.act(WriteClaim(claim=claim, take_over=take_over))
            seen = await access.claim()
    except TimeoutError:
        return f"the host could not be claimed: no answer within {CLAIM_SECONDS:.0f} s"
    except ReconcilerError as error:
        return f"the host could not be claimed: {error.message}"
    if isinstance(seen, Unknown):
        return f"the host could not be claimed: {seen.reason}"
    if seen.value is None or seen.value.controller != claim.controller:
        holder = f"{seen.value.name} (data directory {seen.value.directory})" if seen.value else "nobody"
        return f"the host could not be claimed: after writing ours, the claim is of {holder}"
    return ""
