"""The digest in an engine's mark is the same in every version for the same definition.

Whoever has to change a digest here restarts every engine of that kind at everybody's next upgrade.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.config.resolve import ADDED, IDENTIFYING
from reconciler.config.source import FileSource
from reconciler.core.canonical import digest
from reconciler.drivers import DriverCatalog
from reconciler.drivers.engines import llamacpp
from reconciler.edge.clock import SystemClock
from reconciler.model.spec import Command

STATE = Path(__file__).parents[1] / "pinned" / "state"
UNITS = {
    "embeds": "v1:sha256:5c1fa00fcaf22d79d2a6e018d22641654de7a7d323e5b3beac87ac1ee60f1e8c",
    "full": "v1:sha256:e924ea3f263490ed6f15928bfb792d02339cad596c5f63ba051cce05d4ffb618",
    "plain": "v1:sha256:6a2b2b10e730f26ca92287f2bd398231933b3699c71fe339d32bb45e6037867d",
    "service": "v1:sha256:f8392c3ee8040b2e177e72aa70a3bb9cc1b84b4f127a785adeac6eb97a7b2225",
}
CONTAINERS = {
    "exists": "v1:sha256:308cfba8dbe24fb7e020167ebe7c3ca21cde01c0c18b671fcccd3fff3f57810d",
    "made": "v1:sha256:6045a372d13be56af4d991b50d0e48cdb2b8ad01c1e3f00d0c72be87cad08212",
    "made-for-all": "v1:sha256:5314464969fcdcba08e22acb26e98419105cc0e28aff33a6560a2855dcbcb9d3",
}
HOST = "v1:sha256:1aa42842e64b7934cfafd2f836ae5a738b5c40b8e9030c275b9113a1c40030c1"
"""What last good and a quarantine are known by, in the journal."""


def test_every_version_knows_a_unit_by_the_same_digest() -> None:
    (slice_,) = FileSource(STATE, DriverCatalog("", SystemClock())).read().slices.values()
    assert {model.name: model.digest for model in slice_.models} == UNITS
    assert digest(slice_) == HOST


def test_a_container_of_our_own_is_known_by_what_it_is_made_of(tmp_path: Path) -> None:
    """What is as it is by itself adds nothing, so that further options may come."""
    engine = "engine: {kind: llamacpp, weights: /w.gguf}"
    launchers = {
        "plain": "process",
        "exists": "{kind: docker, container: one, socket: /run/other.sock}",
        "made": "{kind: docker, image: llama, socket: /run/other.sock, devices: auto}",
        "made-for-all": "{kind: docker, image: llama, devices: all, user: '1:1', ipc: host}",
    }
    models = [f"{name}: {{{engine}, launcher: {one}}}" for name, one in launchers.items()]
    inventory = "version: 1\nmodels:\n  " + "\n  ".join(models)
    (tmp_path / "inventory.yaml").write_text(inventory)
    (tmp_path / "desired.yaml").write_text("version: 1\nactive: []\n")
    (slice_,) = FileSource(tmp_path, DriverCatalog("", SystemClock())).read().slices.values()
    digests = {model.name: model.digest for model in slice_.models}
    assert {name: digests[name] for name in CONTAINERS} == CONTAINERS
    assert len(set(digests.values())) == 4, "a command line has the model's name"


def test_every_field_of_a_command_says_whether_it_identifies_a_unit() -> None:
    assert {*IDENTIFYING, *ADDED} == {*Command.model_fields}


def test_the_options_of_an_engine_are_validated_once_from_file_to_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validated: list[str] = []
    validate = llamacpp.Options.model_validate

    def counting(value: Any) -> llamacpp.Options:
        # Numbers where text is expected are refused first, and given again as they were typed.
        options = validate(value)
        validated.append(str(options.weights))
        return options

    monkeypatch.setattr(llamacpp.Options, "model_validate", counting)
    (slice_,) = FileSource(STATE, DriverCatalog("", SystemClock())).read().slices.values()
    engines = [model.engine for model in slice_.models if model.engine.kind == "llamacpp"]
    assert sorted(validated) == sorted(str(engine.options["weights"]) for engine in engines) != []
