"""OpenAPI: the whole table of routes as a document that programs read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from reconciler import __version__
from reconciler.api.call import ApiCall
from reconciler.gateway.routes import Entrance

WORDS = re.compile(r"\{(\w+)(?:\.\.\.)?\}")
COMPONENTS = "#/components/schemas/{model}"
METHODS = ("get", "post", "put", "delete", "patch")
REST = {
    "engine": "Answered by the engine of the model that the body names.",
    "models": "The models that may be named, or one of them.",
    "running": "The models that are there or on their way.",
    "states": "How far each model is, whenever that changes, as server-sent events.",
    "load": "Bring a model in when it is its turn.",
    "alive": "Whether the process lives.",
    "ready": "Whether it can do all that it is for, or why not.",
}
"""What answers where no call of the control API does."""

Described = Mapping[str, Any]


def document(table: Iterable[Entrance], calls: Mapping[tuple[str, str], ApiCall]) -> Described:
    """Describe every route of the table."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for entrance in table:
        call = calls.get((entrance.method, entrance.shape))
        told = _operation(entrance, call, schemas)
        methods = METHODS if entrance.method == "*" else (entrance.method.lower(),)
        path = WORDS.sub(r"{\1}", entrance.shape)
        paths.setdefault(path, {}).update(dict.fromkeys(methods, told))
    return {
        "openapi": "3.1.0",
        "info": {"title": "reconciler", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(entrance: Entrance, call: ApiCall | None, schemas: dict[str, Any]) -> dict[str, Any]:
    what = call.what if call else REST.get(entrance.answer, "Passed on to the engine.")
    query = call.query if call else {}
    content = _content(call.document, schemas) if call and call.document else {}
    told: dict[str, Any] = {
        "summary": what,
        "parameters": [
            *(_parameter("path", name, "") for name in WORDS.findall(entrance.shape)),
            *(_parameter("query", name, says) for name, says in query.items()),
        ],
        "responses": {"200": {"description": what, **content}},
        "x-scope": entrance.scope,
    }
    if entrance.scope != "none":
        told["security"] = [{"key": [entrance.scope]}]
    if call and call.body:
        told["requestBody"] = _content(call.body, schemas)
    return told


def _parameter(place: str, name: str, says: str) -> dict[str, Any]:
    told = {"in": place, "name": name, "required": place == "path", "schema": {"type": "string"}}
    return {**told, "description": says} if says else told


def _content(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=COMPONENTS)
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    reference = {"$ref": COMPONENTS.format(model=model.__name__)}
    return {"content": {"application/json": {"schema": reference}}}
