"""`python -m tests.clients.hasty COMMAND...`: reconciler that gives signs of life all the time.

So a client has several of them behind it when a switch of small models is over.
"""

from __future__ import annotations

import sys

from reconciler.cli import main
from reconciler.gateway import signs_of_life

OFTEN_SECONDS = 0.05

if __name__ == "__main__":
    signs_of_life.HEAD_SECONDS = signs_of_life.BEAT_SECONDS = OFTEN_SECONDS
    sys.exit(main())
