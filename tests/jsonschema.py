"""The part of JSON Schema that our schemas use: where a document differs from its schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,),
    "number": (int, float), "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
KNOWN = {
    "$defs", "$ref", "$schema", "additionalProperties", "anyOf", "const", "default", "description",
    "enum", "items", "pattern", "properties", "required", "title", "type",
}  # fmt: skip


def unfit(document: Any, schema: Any, whole: Any = None, at: str = "$") -> Iterator[str]:
    """Every place where a document does not fit; an unknown word of the schema fits nothing."""
    root = schema if whole is None else whole
    yield from (f"{at}: the schema says {word}" for word in schema.keys() - KNOWN)
    if "$ref" in schema:
        yield from unfit(document, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    if "anyOf" in schema and all(any(unfit(document, one, root, at)) for one in schema["anyOf"]):
        yield f"{at}: fits none of several"
    if "type" in schema and not _is(document, schema["type"]):
        yield f"{at}: is no {schema['type']}"
        return
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else [document])
    if document not in allowed or (
        "pattern" in schema and not re.search(schema["pattern"], document)
    ):
        yield f"{at}: is {document!r}"
    if isinstance(document, list):
        for number, item in enumerate(document):
            yield from unfit(item, schema.get("items", {}), root, f"{at}[{number}]")
    if isinstance(document, dict):
        yield from _unfit_keys(document, schema, root, at)


def _unfit_keys(document: dict[str, Any], schema: Any, root: Any, at: str) -> Iterator[str]:
    keys = schema.get("properties", {})
    yield from (f"{at}: has no {key}" for key in schema.get("required", ()) if key not in document)
    if schema.get("additionalProperties") is False:
        yield from (f"{at}: has {key}" for key in document if key not in keys)
    for key in keys.keys() & document.keys():
        yield from unfit(document[key], keys[key], root, f"{at}.{key}")


def _is(document: Any, kind: str) -> bool:
    return isinstance(document, KINDS[kind]) and (
        kind == "boolean" or not isinstance(document, bool)
    )
