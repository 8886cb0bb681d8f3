"""Validate: read both files and say everything that is wrong."""

from __future__ import annotations

from reconciler.ports import Source
from reconciler.render.documents import Managed, ValidDocument
from reconciler.verbs.result import Outcome


async def run(source: Source) -> Outcome[ValidDocument]:
    """Return what is managed; raise ConfigError with every problem."""
    wanted = source.read()
    hosts = {
        name: Managed(power=slice_.power, active=slice_.active)
        for name, slice_ in wanted.slices.items()
    }
    return Outcome(ValidDocument(provenance=str(wanted.provenance), hosts=hosts))
