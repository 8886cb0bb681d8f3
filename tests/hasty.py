"""`python -m tests.hasty COMMAND...`: reconciler, in which hosts may go to sleep within seconds."""

from __future__ import annotations

import sys

from reconciler.cli import main
from reconciler.config import coherence

if __name__ == "__main__":
    coherence.SHORTEST_SLEEP_AFTER = 0.0
    sys.exit(main())
