"""Run the daemon; tests.rigs.hostrig.client starts it."""

from __future__ import annotations

import sys

from tests.rigs.hostrig.daemon import main

sys.exit(main(sys.argv[1:]))
