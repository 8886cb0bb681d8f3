"""Open files: how many this process may have at once."""

from __future__ import annotations

import resource

from reconciler.errors import Misused

LEAST = 64
"""What `serve` opens before any client comes, and a few of those: the loop of uvloop takes ten."""

MOST = 65_536
"""More than all connections need; what is started here may close as many as it could have."""


def raise_limit() -> None:
    """Raise the soft limit as far as the hard one lets it: shells set 1,024 (Debian 12).

    Raise Misused where that lets too few be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST:
        said = f"this process may open {hard} files, expected at least {LEAST}"
        raise Misused(f"{said}; raise `ulimit -n`, or LimitNOFILE= of its service")
    if soft != resource.RLIM_INFINITY and soft < MOST:
        most = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
