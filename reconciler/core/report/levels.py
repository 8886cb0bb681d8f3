"""Levels: a finding that stands in the way, now or at the next switch, and one that does not."""

from __future__ import annotations

from reconciler.model.findings import Finding, Subject


def wrong(subject: Subject, found: str, fix: str, host: str = "") -> Finding:
    """Make a finding that stands in the way."""
    return Finding(level="wrong", host=host, subject=subject, found=found, fix=fix)


def note(subject: Subject, found: str, fix: str, host: str = "") -> Finding:
    """Make a finding that is worth knowing and stops nothing."""
    return Finding(level="note", host=host, subject=subject, found=found, fix=fix)
