"""An option that only a command line of ours needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.config.source import FileSource
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("launcher", ["process", "systemd", "docker"])
def test_weights_may_be_left_out_where_the_command_line_is_an_operators(
    tmp_path: Path, launcher: str
) -> None:
    model = f"{{engine: llamacpp, launcher: {launcher}}}"
    (tmp_path / "inventory.yaml").write_text(f"version: 1\nmodels: {{glm: {model}}}\n")
    (tmp_path / "desired.yaml").write_text("version: 1\nactive: glm\n")
    source = FileSource(tmp_path, DriverCatalog("", SystemClock()))
    if launcher == "process":
        with pytest.raises(ConfigError) as raised:
            source.read()
        assert "models.glm.engine.weights: is missing; expected: The GGUF" in str(raised.value)
        return
    (glm,) = source.read().slices["local"].models
    assert "--model" not in glm.command.argv
    assert glm.capabilities.keeps_conversations
