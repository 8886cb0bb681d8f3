"""JSON Schemas of what operators write and of what scripts read.

`python -m reconciler.schemas` writes the folder `schemas`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, JsonValue

from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.model.desired import Desired
from reconciler.model.findings import Findings
from reconciler.model.inventory import GIVEN, Inventory, PowerRoles
from reconciler.model.status import Status
from reconciler.render.documents import (
    ExplainDocument,
    HistoryDocument,
    ImportDocument,
    KeysDocument,
    LogDocument,
    ValidDocument,
    VerdictDocument,
)
from reconciler.render.plan_document import PlanDocument

if TYPE_CHECKING:
    from reconciler.ports import OptionsCatalog

Schema: TypeAlias = dict[str, JsonValue]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_FIELDS = {"Host": ("access", "power", "gpu"), "Model": ("engine", "launcher")}
_DOCUMENTS: dict[str, tuple[str, type[BaseModel]]] = {
    "plan": ("plan", PlanDocument),
    "doctor": ("doctor", Findings),
    "explain": ("explain", ExplainDocument),
    "history": ("history", HistoryDocument),
    "import": ("import", ImportDocument),
    "keys": ("key", KeysDocument),
    "logs": ("logs", LogDocument),
    "valid": ("validate", ValidDocument),
    "verdict": ("apply", VerdictDocument),
    "status": ("status", Status),
}
"""The verb that prints each document, and its model."""


def schemas(catalog: OptionsCatalog) -> dict[str, Schema]:
    """Describe both files, with the options of every driver, and the documents that verbs print."""
    inventory = _with_drivers(Inventory.model_json_schema(), catalog)
    files = {
        "desired": _titled("desired.yaml", Desired.model_json_schema()),
        "inventory": _titled("inventory.yaml", inventory),
    }
    documents = {
        name: _titled(f"reconciler {verb} -o json", model.model_json_schema(mode="serialization"))
        for name, (verb, model) in _DOCUMENTS.items()
    }
    return {**files, **documents}


def _titled(title: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "title": title, **_tidy(schema)}


def written(schema: Schema) -> str:
    """Write out a schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def real() -> dict[str, Schema]:
    """Describe them with the drivers that there are."""
    return schemas(DriverCatalog("", SystemClock()))


def main() -> None:
    """Write the schemas of the real drivers."""
    for name, schema in real().items():
        Path("schemas", f"{name}.schema.json").write_text(written(schema), encoding="utf-8")


def _with_drivers(schema: Schema, catalog: OptionsCatalog) -> Schema:
    """Put the kinds of every role, with their options, where the schema takes any mapping."""
    definitions = _mapping(schema, "$defs")
    for owner, roles in _FIELDS.items():
        properties = _mapping(_mapping(definitions, owner), "properties")
        for role in roles:
            properties[role] = _reference(role, _mapping(properties, role))
            definitions[role] = {"anyOf": _ways(role, catalog, definitions)}
    # A mapping of roles may stand where one driver for all does.
    definitions["power"] = {"anyOf": [*_ways("power", catalog, definitions), _roles()]}
    host = _mapping(_mapping(definitions, "Host"), "properties")
    for role, key in GIVEN.items():
        given = _mapping(host, key)
        given["additionalProperties"] = False
        given["properties"] = {
            kind: _options(role, kind, catalog, definitions) for kind in catalog.kinds(role)
        }
    return schema


def _reference(role: str, described: Schema) -> Schema:
    kind = _mapping(described, "default").get("kind")
    default = {"default": kind} if kind else {}
    return {"$ref": f"#/$defs/{role}", "description": described["description"], **default}


def _ways(role: str, catalog: OptionsCatalog, definitions: Schema) -> list[JsonValue]:
    """List the ways to name a driver: its kind alone, or a mapping with its options."""
    kinds = catalog.kinds(role)
    return [{"enum": list(kinds)}, *(_kind(role, kind, catalog, definitions) for kind in kinds)]


def _roles() -> Schema:
    """Describe the mapping that names a driver of power for each role."""
    schema: Schema = PowerRoles.model_json_schema()
    properties = _mapping(schema, "properties")
    one: Schema = {"$ref": "#/$defs/power"}
    optional: list[JsonValue] = [one, {"type": "null"}]
    several: list[JsonValue] = [one, {"type": "array", "items": one}]
    ways = {"stop": optional, "proof": optional, "force": optional, "wake": several}
    for role, way in ways.items():
        described = _mapping(properties, role)["description"]
        properties[role] = {"description": described, "anyOf": way}
    return {key: value for key, value in schema.items() if key != "$defs"}


def _kind(role: str, kind: str, catalog: OptionsCatalog, definitions: Schema) -> Schema:
    options = _options(role, kind, catalog, definitions)
    return {
        **options,
        "properties": {"kind": {"const": kind}, **_mapping(options, "properties")},
        "required": ["kind"],
    }


def _options(role: str, kind: str, catalog: OptionsCatalog, definitions: Schema) -> Schema:
    """Describe the options of a kind."""
    # None is required: those of an engine may come from its host.
    options: Schema = catalog.options(role, kind).model_json_schema(
        ref_template=f"#/$defs/{role}.{kind}.{{model}}"
    )
    for name, nested in _mapping(options, "$defs").items():
        definitions[f"{role}.{kind}.{name}"] = nested
    return {key: value for key, value in options.items() if key not in {"$defs", "required"}}


def _mapping(schema: Schema, key: str) -> Schema:
    value = schema.get(key, {})
    return value if isinstance(value, dict) else {}


def _tidy(schema: Schema) -> Schema:
    """Leave out titles made up from names, and defaults that only mean absent."""
    return {key: _tidied(value) for key, value in schema.items() if not _is_noise(key, value)}


def _tidied(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_tidied(part) for part in value]
    return _tidy(value) if isinstance(value, dict) else value


def _is_noise(key: str, value: JsonValue) -> bool:
    # A key of ours may be called `title` or `default`: what describes it is a mapping.
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


if __name__ == "__main__":
    main()
