"""Deadlines: when something is to end, as people say it."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from pydantic_core import PydanticCustomError

from reconciler.errors import Misused
from reconciler.model.quantity import parse_seconds

DAY = timedelta(days=1)


def parse_until(option: str, text: str, wall: float) -> float:
    """Wall clock seconds from `2h`, `18:30` (the next one, here) or `2026-12-24 18:30`.

    Raise Misused, naming the option that it was given to.
    """
    now = datetime.fromtimestamp(wall).astimezone()
    moment = _after(text, now) or _today(text, now) or _dated(text) or _said(text)
    if moment is None:
        expected = 'expected when it ends: "2h", "18:30" or "2026-12-24 18:30"'
        raise Misused(f"found {option} {text}, {expected}")
    if moment <= now:
        raise Misused(f"{option} {text} has passed; it is {said_at(wall)}")
    return moment.timestamp()


def parse_span(text: str) -> float | None:
    """Seconds from `2h`, None from anything else: whoever types `2` means no seconds."""
    try:
        return None if text.strip().isdigit() else parse_seconds(text)
    except PydanticCustomError:
        return None


def said_at(wall: float) -> str:
    """A moment in the time of this place, which is named: who reads it may be elsewhere.

    `parse_until` takes it.
    """
    return f"{datetime.fromtimestamp(wall).astimezone():%Y-%m-%d %H:%M %Z}"


def said_second(wall: float) -> str:
    """A moment in the time of this place, to the second."""
    return f"{datetime.fromtimestamp(wall).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def said_time(wall: float) -> str:
    """A moment that is near, in the time of this place."""
    return f"at {datetime.fromtimestamp(wall).astimezone():%H:%M:%S %Z}"


def _after(text: str, now: datetime) -> datetime | None:
    seconds = parse_span(text)
    try:
        return None if seconds is None else now + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _today(text: str, now: datetime) -> datetime | None:
    # Without a colon it may be a date: Python reads `2026` as 20:26.
    if ":" not in text[:3]:
        return None
    try:
        moment = datetime.combine(now.date(), time.fromisoformat(text)).astimezone()
    except ValueError:
        return None
    return moment + DAY if moment <= now else moment


def _said(text: str) -> datetime | None:
    """A moment as `said_at` tells it here: the names of other zones mean one thing or another."""
    moment, _, zone = text.rpartition(" ")
    found = _dated(moment)
    return found if found is not None and found.tzname() == zone else None


def _dated(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None
