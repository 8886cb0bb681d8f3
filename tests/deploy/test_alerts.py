"""The alerts and the dashboard that are shipped ask for numbers that are told."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import JsonValue

from reconciler.core.live_tally import LiveTally
from reconciler.core.row_tally import RowTally
from reconciler.gateway.seats import Seats
from reconciler.model.records import Instant, Row, StepDone
from reconciler.model.traffic import Route, Routes
from reconciler.render.exposition import exposition
from tests.needs import program

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS, DASHBOARD = DEPLOY / "alerts.yml", DEPLOY / "grafana.json"
GUIDE, WORD = DEPLOY.parent / "docs" / "gateway.md", re.compile("`([a-z_]+)`")
NAMES = re.compile(r"reconciler_[a-z_]+")
ENDINGS = re.compile("_(bucket|count|sum)$")


def told() -> str:
    """A scrape in which every kind of number stands."""
    seats = Seats(lambda: 0.0)
    seats.route(Routes(models=(Route(model="a", host="h", active=True),), main="a"))
    tally = RowTally(0.0)
    evidence: dict[str, JsonValue] = {"card_memory": {"before_stop": {"0": 1}}}
    done = StepDone(
        host="h", run=1, number=0, step="stop", model="a", outcome="done", evidence=evidence
    )
    tally.take(Row(seq=1, when=Instant(at=1.0, boot_id="b", boot=1.0), record=done))
    return exposition((*seats.metrics(), *tally.families(), *LiveTally().families()))


def expressions() -> list[str]:
    """Every question that the dashboard asks."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda file: file.name)
def test_every_number_that_is_asked_for_is_told(file: Path) -> None:
    text = file.read_text() if file is ALERTS else " ".join(expressions())
    known = set(re.findall(r"# TYPE (\S+)", told()))
    assert {ENDINGS.sub("", name) for name in NAMES.findall(text)} <= known


def test_every_number_that_is_told_is_explained_and_no_other() -> None:
    cells = re.findall(r"^\| (`reconciler_[^|]*) \|", GUIDE.read_text(), re.MULTILINE)
    words = (name.removeprefix("reconciler_") for one in cells for name in WORD.findall(one))
    told_of = {f"reconciler_{name}" for name in words}
    assert told_of == set(re.findall(r"# TYPE (\S+)", told())) | {"reconciler_build_info"}


def test_prometheus_reads_what_is_told_and_what_is_shipped(tmp_path: Path) -> None:
    promtool = program("promtool")
    rules = [
        {"record": f"panel:{number}", "expr": _plain(one)}
        for number, one in enumerate(expressions())
    ]
    dashboard = tmp_path / "dashboard.yml"
    dashboard.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    for words, given in (
        (("check", "rules", str(ALERTS), str(dashboard)), ""),
        (("check", "metrics"), told()),
    ):
        done = subprocess.run(
            [promtool, *words], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _plain(expression: str) -> str:
    """An expression as Prometheus is asked it: Grafana fills in the interval."""
    return expression.replace("$__rate_interval", "5m")
