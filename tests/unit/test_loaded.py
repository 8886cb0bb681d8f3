"""What a gateway needs later is loaded before anybody can connect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import pathlib, sys
from reconciler.app import build
from reconciler.settings import Settings

async def front(app):
    app.front("127.0.0.1:0", 1.0)
    return {"httpx", "httpcore", "h11"} - sys.modules.keys()

folder = pathlib.Path(sys.argv[1])
app = build(Settings(folder, folder, folder))
assert "httpx" not in sys.modules, "a command that asks nobody does not pay for it"
print(app.run(front, app))
"""


def test_the_first_switch_loads_no_programs_while_answers_are_under_way(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (told.stdout, told.stderr) == ("set()\n", "")
