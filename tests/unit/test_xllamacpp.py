"""The embedded engine takes each xllamacpp that it says it takes, and refuses the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from reconciler.embedded import server


class Enumeration:
    def __getattr__(self, name: str) -> str:
        return name


@dataclass
class Params:
    """What every version has of what a start sets."""

    model: Any = field(default_factory=lambda: SimpleNamespace(path=""))
    port: int = 0
    api_keys: list[str] = field(default_factory=list)
    endpoint_slots: bool = False
    n_parallel: int = 1
    kv_unified: bool = False
    embedding: bool = False
    pooling_type: str = ""


@dataclass
class Newer(Params):
    hostnames: list[str] = field(default_factory=list)


@dataclass
class Older(Params):
    hostname: str = ""


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a module of these contents be imported as xllamacpp."""

    def installed(version: str, **contents: Any) -> None:
        module = ModuleType("xllamacpp")
        names = ("llama_pooling_type", "llama_flash_attn_type", "ggml_type")
        vars(module).update(
            {"__version__": version, **dict.fromkeys(names, Enumeration()), **contents}
        )
        monkeypatch.setitem(sys.modules, "xllamacpp", module)

    return installed


def said(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Return the one line with which a start is refused."""
    with pytest.raises(SystemExit) as ended:
        server.main(["-m", __file__, *flags])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("kind", [Newer, Older])
def test_the_address_is_set_under_the_name_that_the_version_has_for_it(kind: type[Params]) -> None:
    fields = {"hostnames|hostname": "127.0.0.2", "model.path": "m.gguf", "n_parallel": -1}
    params = server.parameters(
        SimpleNamespace(CommonParams=kind, llama_pooling_type=Enumeration()), fields
    )
    assert (vars(params).get("hostnames"), vars(params).get("hostname")) in (
        (["127.0.0.2"], None),
        (None, "127.0.0.2"),
    )
    assert (params.model.path, params.n_parallel, params.kv_unified) == ("m.gguf", 4, True)


@pytest.mark.parametrize("version", ["2026.5.9294", "2026.4.8672.1", "0.2.14"])
def test_a_version_that_is_too_old_is_refused_in_one_sentence(
    binding: Callable[..., None], capsys: pytest.CaptureFixture[str], version: str
) -> None:
    binding(version)
    line = said(capsys)
    needs = (
        f"error: the embedded engine needs another xllamacpp: found xllamacpp {version}, expected"
        " 2026.6 or later, and before"
    )
    assert line.startswith(f"{needs} 2027; `pip install")


@pytest.mark.parametrize(
    ("version", "contents"), [("2027.1.1", {"CommonParams": Params}), ("0+unknown", {})]
)
def test_a_version_whose_names_are_not_known_is_refused_in_one_sentence(
    binding: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    version: str,
    contents: dict[str, Any],
) -> None:
    binding(version, Server=None, **contents)
    line = said(capsys, "--host", "127.0.0.1")
    assert f"found xllamacpp {version}, expected 2026.6" in line
    assert line.endswith("'hostnames'" if contents else "'CommonParams'")


def test_what_is_asked_of_the_installer_is_what_is_refused_otherwise() -> None:
    asked = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'embedded = ["xllamacpp>=2026.6,<2027"]' in asked
    assert "xllamacpp>=2026.6,<2027" in server._EXPECTED
    assert not server.is_older("2026.6.9538")
