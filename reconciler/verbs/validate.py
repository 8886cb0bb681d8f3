"""Validate: read both files and say everything that is wrong."""

from __future__ import annotations

from reconciler.model.spec import Slice
from reconciler.ports import Source
from reconciler.render.documents import Managed, ValidDocument
from reconciler.verbs.result import Outcome


async def run(source: Source) -> Outcome[ValidDocument]:
    """Read what is managed; raise ConfigError with every problem."""
    wanted = source.read()
    hosts = {name: _managed(slice_) for name, slice_ in wanted.slices.items()}
    return Outcome(ValidDocument(provenance=str(wanted.provenance), hosts=hosts))


def _managed(slice_: Slice) -> Managed:
    return Managed(power=slice_.power, active=slice_.active)
