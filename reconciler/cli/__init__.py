"""The command line: parse, choose text or JSON, map outcomes to exit codes; decides nothing else.

Called by the installed program and by `python -m reconciler`.
"""

from __future__ import annotations

from reconciler.cli.main import main

__all__ = ["main"]
