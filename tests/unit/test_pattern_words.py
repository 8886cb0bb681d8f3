"""A person is told in words what a text has to look like, never by a pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.config.source import FileSource
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.errors import ConfigError


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        (
            "{kind: docker, container: a}",
            'found "a", expected the name of a container: two or more letters, digits, dots, dashes'
            " and underscores, of which the first is a letter or a digit; `podman rename` gives a"
            " longer one",
        ),
        (
            "{kind: docker, socket: run/docker.sock}",
            'found "run/docker.sock", expected a path that begins with /; write ~ and'
            " variables out",
        ),
        (
            "{kind: systemd, unit: llama}",
            'found "llama", expected the whole name of a service, such as llama.service or'
            " llm@gemma.service; `systemctl list-units --type=service` lists them",
        ),
    ],
)
def test_what_a_launcher_is_given_is_refused_in_words(
    launcher: str, said: str, tmp_path: Path
) -> None:
    model = f"{{engine: llamacpp, launcher: {launcher}, port: 8080}}"
    (tmp_path / "desired.yaml").write_text("version: 1\nactive: small\n")
    (tmp_path / "inventory.yaml").write_text(f"version: 1\nmodels: {{small: {model}}}\n")
    with pytest.raises(ConfigError) as caught:
        FileSource(tmp_path, DriverCatalog("/state", SystemClock())).read()
    assert said in caught.value.message
