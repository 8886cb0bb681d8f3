"""A desired.yaml and an inventory.yaml, read through drivers that exist only as options."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from reconciler.config.source import FileSource
from reconciler.errors import ConfigError
from reconciler.fakes.catalog import FakeCatalog

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model.target import Wanted

DESIRED = "version: 1\nactive: small\n"
INVENTORY = "version: 1\nmodels:\n  small: {engine: fake}\n  large: {engine: fake}\n"
TWO_HOSTS = """\
version: 1
hosts:
  tower:
    power: {kind: fake, suspends: true}
    engines: {fake: {context: 100}, strict: {weights: /w}}
  nuc:
models:
  coder: {host: tower, engine: fake}
  other: {host: tower, engine: strict}
  embed: {host: nuc, engine: fake, task: embedding}
"""


def source(directory: Path, desired: str = DESIRED, inventory: str = INVENTORY) -> FileSource:
    """Write both files and return what reads them."""
    for name, text in (("desired", desired), ("inventory", inventory)):
        (directory / f"{name}.yaml").write_bytes(dedent(text).encode())
    return FileSource(directory, FakeCatalog())


def wanted(directory: Path, desired: str = DESIRED, inventory: str = INVENTORY) -> Wanted:
    """Write both files and read them."""
    return source(directory, desired, inventory).read()


def problems(directory: Path, desired: str = DESIRED, inventory: str = INVENTORY) -> list[str]:
    """Write both files and return what is wrong with them, without the directory."""
    with pytest.raises(ConfigError) as caught:
        wanted(directory, desired, inventory)
    return caught.value.message.replace(f"{directory}/", "").splitlines()
