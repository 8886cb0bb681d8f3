"""The schemas that editors read are those of the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.config.pattern_words import EXPECTED
from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.fakes.catalog import FakeCatalog
from reconciler.schemas import DIALECT, main, schemas, written
from tests.rules.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REAL = schemas(DriverCatalog("", SystemClock()))


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for part in (
        schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    ):
        yield from nodes(part)


@pytest.mark.parametrize("name", REAL)
def test_the_schema_is_current(name: str) -> None:
    path = ROOT / "schemas" / f"{name}.schema.json"
    assert path.read_text(encoding="utf-8") == written(REAL[name]), "run `make schemas`"


def test_the_program_writes_every_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schemas").mkdir()
    monkeypatch.chdir(tmp_path)
    main()
    assert {path.name for path in (tmp_path / "schemas").iterdir()} == {
        f"{name}.schema.json" for name in REAL
    }


@pytest.mark.parametrize("name", REAL)
def test_every_reference_leads_somewhere(name: str) -> None:
    schema: Any = REAL[name]
    targets = {node["$ref"] for node in nodes(schema) if isinstance(node.get("$ref"), str)}
    assert targets <= {f"#/$defs/{defined}" for defined in schema.get("$defs", ())}
    assert schema["$schema"] == DIALECT


@pytest.mark.parametrize("name", REAL)
def test_every_key_that_operators_write_is_described(name: str) -> None:
    schema: Any = REAL[name]
    owners = [
        schema,
        *(
            schema["$defs"][owner]
            for owner in ("HostWish", "Host", "Model")
            if owner in schema.get("$defs", ())
        ),
    ]
    for owner in owners:
        assert [
            key for key, value in owner["properties"].items() if not value.get("description")
        ] == []


def test_nested_options_are_found_under_their_kind() -> None:
    definitions: Any = schemas(FakeCatalog())["inventory"]["$defs"]
    assert set(definitions["launcher.fake.Limit"]["properties"]) == {"cores"}


def test_every_kind_brings_its_options() -> None:
    definitions: Any = schemas(FakeCatalog())["inventory"]["$defs"]
    names, *kinds = definitions["engine"]["anyOf"]
    assert names == {"enum": ["fake", "strict"]}
    assert [(kind["properties"]["kind"], sorted(kind["properties"])) for kind in kinds] == [
        ({"const": kind}, ["args", "context", "kind", "weights"]) for kind in ("fake", "strict")
    ]


def test_every_pattern_of_both_files_has_words_in_its_place() -> None:
    seen = (one.get("pattern") for file in ("desired", "inventory") for one in nodes(REAL[file]))
    assert {one for one in seen if isinstance(one, str)} == EXPECTED.keys()
