"""What is built only where it is asked for, and what is said where that cannot be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.app import build
from reconciler.errors import Misused
from reconciler.settings import settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("package", ["httptools", "msgspec"])
def test_a_gateway_without_its_packages_is_refused_with_the_way_to_them(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("reconciler.gateway")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    app = build(settings({"HOME": str(tmp_path)}, str(tmp_path), str(tmp_path)))
    with pytest.raises(Misused, match=rf"{package}.*pipx install --force '.\[serve\]'"):
        app.front("127.0.0.1:0", 0.0)
