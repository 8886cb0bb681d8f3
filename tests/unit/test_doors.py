"""Models that listen in networks of their own, beside those of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.config.source import FileSource
from reconciler.core import phrases
from reconciler.core.lending import rivals
from reconciler.core.observe_scope import cheap_facts
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError
from reconciler.model.observed import Observed
from reconciler.model.spec import Slice
from reconciler.steps.start import Start

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = """version: 1
models:
  a: {{engine: llamacpp, launcher: {first}, task: embedding}}
  b: {{engine: llamacpp, launcher: {second}, task: embedding}}
"""
OWN = "{kind: docker, network: own}"


def read(folder: Path, first: str, second: str) -> Slice:
    (folder / "inventory.yaml").write_text(INVENTORY.format(first=first, second=second))
    (folder / "desired.yaml").write_text("version: 1\nactive: [a, b]\n")
    return FileSource(folder, DriverCatalog("", SystemClock())).read().slices["local"]


def test_a_port_in_a_network_of_its_own_is_nobody_elses(tmp_path: Path) -> None:
    for second in (OWN, "docker", "systemd"):
        slice_ = read(tmp_path, OWN, second)
        assert slice_.models[0].door == "docker/a:8080"
        assert rivals(slice_) == {"a": frozenset(), "b": frozenset()}
        ports = {key.subject for key in cheap_facts(slice_, ()) if key.kind == "port"}
        assert ports == {"docker/a:8080", "docker/b:8080" if second == OWN else "8080"}
        assert Slice.model_validate_json(slice_.model_dump_json()) == slice_


def test_two_models_at_one_door_of_the_host_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="b and a both use port 8080"):
        read(tmp_path, "docker", "systemd")


def test_a_model_is_shown_where_it_is_reached(tmp_path: Path) -> None:
    slice_ = read(tmp_path, OWN, "systemd")
    assert phrases.urls(slice_) == {"a": "docker/a:8080", "b": "http://127.0.0.1:8080/v1"}


def test_a_mark_has_the_number_of_a_port_of_the_host(tmp_path: Path) -> None:
    ports = []
    for model in read(tmp_path, OWN, "systemd").models:
        start = Start(host="local", model=model.name, port=model.door, digest=model.digest)
        ports.append(start.mark("me", Observed()).port)
    assert ports == [None, 8080]
