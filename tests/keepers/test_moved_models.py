"""A model whose definition names another launcher than the one that holds its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.booted import booted_systemd
from tests.service_stack import ServiceStack
from tests.stack import ending

if TYPE_CHECKING:
    from pathlib import Path

MOVED = """version: 1
models:
  tiny-b:
    engine: {{kind: embedded, weights: {weights}}}
    launcher: {launcher}
    port: {port}
    stable_for: 200ms
"""


def test_a_model_that_is_moved_to_a_service_and_back_is_stopped_where_it_runs_first(
    tmp_path: Path,
) -> None:
    with booted_systemd() as booted:
        here = ServiceStack(tmp_path, booted)
        with ending(here):
            goes_to_and_fro(here)


def goes_to_and_fro(here: ServiceStack) -> None:
    file, weights = here.folder / "state" / "inventory.yaml", next(here.folder.glob("*.gguf"))

    def moves(launcher: str) -> str:
        file.write_text(MOVED.format(weights=weights, launcher=launcher, port=here.port))
        planned = here.run("plan").stdout
        here.apply()
        assert here.run("plan", "--detailed-exitcode").returncode == 0
        return planned

    here.desire("tiny-b")
    moves("{kind: process}")
    assert list(here.engines()) == ["tiny-b"]
    assert "its launcher changed from process to systemd" in moves(
        "{kind: systemd, unit: tiny.service}"
    )
    assert (here.serves(), here.engines()) == (True, {})
    service = here.booted.path("/run/systemd/system/tiny.service")
    here.booted.path("/run/systemd/system/other.service").symlink_to(service.readlink())
    assert "Plan: 1 to stop, 1 to start" in moves("{kind: systemd, unit: other.service}")
    assert (here.serves(), here.booted.shows("other", "ActiveState")) == (False, "active")
    assert "its launcher changed from systemd to process" in moves("{kind: process}")
    assert (here.booted.shows("other", "ActiveState"), list(here.engines())) == (
        "inactive",
        ["tiny-b"],
    )
