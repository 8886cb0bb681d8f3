"""Word types: words of a command line that are numbers or times, read or refused."""

from __future__ import annotations

import argparse
import math

MOST_LINES = 1000
"""How many lines of a log a host gives at a time."""


def seconds(text: str) -> float:
    """Read a positive number of seconds."""
    found = _number(text)
    # This refuses nan as well, which is in no order.
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of seconds, such as 120")
    return found


def duration(text: str) -> float:
    """Read a time with its unit."""
    from reconciler.model.quantity import parse_seconds  # noqa: PLC0415 - one verb needs it

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text}, expected {error}") from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def run_number(text: str) -> int:
    """Read the number of a run."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"found {text}, expected the number of a run; `reconciler history` shows them"
        )
    return int(text)


def runs(text: str) -> int:
    """Read how many runs are meant."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of runs, such as 50")
    return int(text)


def lines(text: str) -> int:
    """Read how many lines of a log are meant."""
    if not text.isdecimal() or not 0 < int(text) <= MOST_LINES:
        raise argparse.ArgumentTypeError(
            f"found {text}, expected a number of lines from 1 to {MOST_LINES}"
        )
    return int(text)
