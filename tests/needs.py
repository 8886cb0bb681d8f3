"""What tests need beyond Python and git; what lacks it is left out and counted at the end."""

from __future__ import annotations

import os
from collections import Counter
from shutil import which
from typing import TYPE_CHECKING

from _pytest.outcomes import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The folders of system programs; those that end in `sbin` are in no ordinary user's PATH."""

REASON = "for want of "


class Wanting(Skipped):
    """Something that this machine lacks: pytest skips the test that meets it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{REASON}{what} ({remedy})")


def need(*programs: str) -> None:
    """Leave the test out where programs are missing."""
    missing = [name for name in programs if which(name, path=FOLDERS) is None]
    if missing:
        raise Wanting(", ".join(missing), "`sudo tests/rigs/install` brings it")


def program(name: str) -> str:
    """Return where a program is."""
    need(name)
    return str(which(name, path=FOLDERS))


def need_root() -> None:
    """Leave the test out where an ordinary user runs it."""
    if os.geteuid() != 0:
        raise Wanting("root", "`sudo make test` has it")


def left_out(reasons: Iterable[str]) -> str:
    """The sentence that counts what was left out, by what brings it; "" where nothing was."""
    found = [text.partition(REASON)[2].partition(" (") for text in reasons if REASON in text]
    counted = Counter(remedy for *_, remedy in found)
    parts = []
    for remedy, number in counted.most_common():
        missing = {name for what, _, other in found if other == remedy for name in what.split(", ")}
        parts.append(f"{number} {REASON}{', '.join(sorted(missing))} ({remedy}")
    return f"Left out: {len(found)} tests, {'; '.join(parts)}" if found else ""
