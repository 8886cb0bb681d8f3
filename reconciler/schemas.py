"""JSON Schema of what operators write and of what scripts read: `python -m reconciler.schemas` writes the folder `schemas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue

from reconciler.drivers import DriverCatalog
from reconciler.edge.clock import SystemClock
from reconciler.model.desired import Desired
from reconciler.model.findings import Findings
from reconciler.model.inventory import Inventory, PowerRoles
from reconciler.model.status import Status
from reconciler.render.documents import (
    ExplainDocument,
    HistoryDocument,
    LogDocument,
    PlanDocument,
    ValidDocument,
    VerdictDocument,
)

if TYPE_CHECKING:
    from reconciler.ports import OptionsCatalog

Schema: TypeAlias = dict[str, JsonValue]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_FIELDS = {"Host": ("access", "power", "gpu"), "Model": ("engine", "launcher")}


def schemas(catalog: OptionsCatalog) -> dict[str, Schema]:
    """Return the schemas of both files, with the options of every driver, and of the documents that verbs print."""
    described = {
        "desired": ("desired.yaml", Desired.model_json_schema()),
        "inventory": ("inventory.yaml", _with_drivers(Inventory.model_json_schema(), catalog)),
        "plan": ("reconciler plan -o json", PlanDocument.model_json_schema(mode="serialization")),
        "doctor": ("reconciler doctor -o json", Findings.model_json_schema(mode="serialization")),
        "explain": (
            "reconciler explain -o json",
            ExplainDocument.model_json_schema(mode="serialization"),
        ),
        "history": (
            "reconciler history -o json",
            HistoryDocument.model_json_schema(mode="serialization"),
        ),
        "logs": ("reconciler logs -o json", LogDocument.model_json_schema(mode="serialization")),
        "valid": (
            "reconciler validate -o json",
            ValidDocument.model_json_schema(mode="serialization"),
        ),
        "verdict": (
            "reconciler apply -o json",
            VerdictDocument.model_json_schema(mode="serialization"),
        ),
        "status": ("reconciler status -o json", Status.model_json_schema(mode="serialization")),
    }
    return {
        name: {"$schema": DIALECT, "title": title, **tidied}
        for name, (title, schema) in described.items()
        if isinstance(tidied := _tidy(schema), dict)
    }


def written(schema: Schema) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def real() -> dict[str, Schema]:
    """Return the schemas with the drivers that there are."""
    return schemas(DriverCatalog("", SystemClock()))


def main() -> None:
    """Write the schemas of the real drivers."""
    for name, schema in real().items():
        Path("schemas", f"{name}.schema.json").write_text(written(schema), encoding="utf-8")


def _with_drivers(schema: Schema, catalog: OptionsCatalog) -> Schema:
    """Put the kinds of every role, with their options, where the files' own schema holds any mapping."""
    definitions = _mapping(schema, "$defs")
    for owner, roles in _FIELDS.items():
        properties = _mapping(_mapping(definitions, owner), "properties")
        for role in roles:
            described = _mapping(properties, role)
            default = (
                {"default": kind} if (kind := _mapping(described, "default").get("kind")) else {}
            )
            properties[role] = {
                "$ref": f"#/$defs/{role}",
                "description": described["description"],
                **default,
            }
            definitions[role] = {
                "anyOf": [
                    {"enum": list(catalog.kinds(role))},
                    *(_kind(role, kind, catalog, definitions) for kind in catalog.kinds(role)),
                ]
            }
    definitions["power"] = {"anyOf": [*_options_of(definitions["power"]), _roles()]}
    engines = _mapping(_mapping(_mapping(definitions, "Host"), "properties"), "engines")
    engines["additionalProperties"] = False
    engines["properties"] = {
        kind: _options("engine", kind, catalog, definitions) for kind in catalog.kinds("engine")
    }
    return schema


def _options_of(schema: JsonValue) -> list[JsonValue]:
    found = schema["anyOf"] if isinstance(schema, dict) else []
    return found if isinstance(found, list) else []


def _roles() -> Schema:
    """Return the mapping that names a driver of power for each thing that it is for.

    A driver in it holds no other roles.
    """
    schema: Schema = PowerRoles.model_json_schema()
    properties = _mapping(schema, "properties")
    one: Schema = {"$ref": "#/$defs/power"}
    for role in ("stop", "proof", "force"):
        optional: list[JsonValue] = [one, {"type": "null"}]
        properties[role] = {
            "description": _mapping(properties, role)["description"],
            "anyOf": optional,
        }
    wake: list[JsonValue] = [one, {"type": "array", "items": one}]
    properties["wake"] = {"description": _mapping(properties, "wake")["description"], "anyOf": wake}
    return {key: value for key, value in schema.items() if key != "$defs"}


def _kind(role: str, kind: str, catalog: OptionsCatalog, definitions: Schema) -> Schema:
    options = _options(role, kind, catalog, definitions)
    return {
        **options,
        "properties": {"kind": {"const": kind}, **_mapping(options, "properties")},
        "required": ["kind"],
    }


def _options(role: str, kind: str, catalog: OptionsCatalog, definitions: Schema) -> Schema:
    """Return the options of a kind. None is required: an engine's may come from its host."""
    options: Schema = catalog.options(role, kind).model_json_schema(
        ref_template=f"#/$defs/{role}.{kind}.{{model}}"
    )
    for name, nested in _mapping(options, "$defs").items():
        definitions[f"{role}.{kind}.{name}"] = nested
    return {key: value for key, value in options.items() if key not in {"$defs", "required"}}


def _mapping(schema: Schema, key: str) -> Schema:
    value = schema.get(key, {})
    return value if isinstance(value, dict) else {}


def _tidy(schema: JsonValue) -> JsonValue:
    """Leave out titles made up from names, and defaults that only mean absent."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    noise = {
        key
        for key, value in schema.items()
        if (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
    }
    return {key: _tidy(value) for key, value in schema.items() if key not in noise}


if __name__ == "__main__":
    main()
