"""Validate: read both files and say everything that is wrong."""

from __future__ import annotations

from reconciler.ports import Source
from reconciler.verbs.outcome import Outcome


def run(source: Source) -> Outcome:
    """Return what is managed; raise ConfigError with every problem."""
    wanted = source.read()
    hosts = {name: {"power": slice_.power, "active": slice_.active} for name, slice_ in wanted.slices.items()}
    return Outcome({"version": 1, "valid": True, "provenance": str(wanted.provenance), "hosts": hosts})
