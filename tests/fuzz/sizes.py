"""How much is tried: a sample of fixed seeds, or all of it."""

from __future__ import annotations

import os

SEEDS, EACH = (20, 5000) if os.environ.get("FUZZ_COMPLETE") else (2, 1500)
