"""The reference of every verb, flag and key.

`python -m reconciler.reference` writes docs/reference.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from reconciler.cli.arguments import parsers
from reconciler.schemas import real

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser

Schema: TypeAlias = Mapping[str, Any]

EXIT_CODES = {
    "0": "in sync, or applied, or shown",
    "1": (
        "error: nothing was changed; or with `status --exit-code` a host is not ready, or `doctor`"
        " found something"
    ),
    "2": "changes pending (`plan --detailed-exitcode`)",
    "3": (
        "applied, but rolled back, not healthy, or conversations were lost that the plan meant to"
        " keep"
    ),
    "4": "refused, nothing was changed",
    "5": "outcome unknown, or it cannot be recorded; needs a person",
    "64": "the command line cannot be understood",
    "130": "interrupted",
}
LOOKS = ("0", "1", "5", "64")
FOLLOWS = (*LOOKS, "130")
ACTS = ("0", "1", "3", "4", "5", "64", "130")
ENDS = {
    "demo": ("0", "1", "64", "130"),
    "init": ("0", "1", "4", "5", "64", "130"),
    "import": ("0", "1", "4", "5", "64", "130"),
    "validate": ("0", "1", "64"),
    "doctor": ("0", "1", "3", "4", "5", "64"),
    "use": ACTS,
    "plan": ("0", "1", "2", "4", "5", "64"),
    "apply": ACTS,
    "watch": ("0", "1", "4", "5", "64", "130"),
    "serve": ("0", "1", "4", "5", "64", "130"),
    "status": FOLLOWS,
    "explain": LOOKS,
    "logs": FOLLOWS,
    "history": LOOKS,
    "key": ("0", "1", "5", "64"),
    "rollback": ACTS,
    "retry": ACTS,
    "restart": ACTS,
    "hold": ACTS,
    "resume": ACTS,
}

ROLES = ("access", "power", "gpu", "engine", "launcher")
KINDS = {
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "object": "mapping",
}
INTRODUCTION = """# Reference

Every verb, flag and key. `make schemas` writes this file from the code; change it there.
"""
WRITING = """## How both files are written

YAML 1.2: `on`, `off`, `yes` and `no` are words. A whole number may stand in quotes. Where text is
expected, a number, `true` or `false` is taken as it was typed, so `args: [-ngl, 99, --temp, .6]`
needs no quotes. Keys at the top that begin with `x-` are yours. Blocks that models share are
written once, with an anchor, and merged in with `<<`; what stands beside `<<` wins, whole: lists
are not joined.

```yaml
version: 1
x-engine: &engine {kind: llamacpp, context: 16384, args: [-ngl, 99, --jinja]}
models:
  qwen: {engine: {<<: *engine, weights: /models/qwen.gguf}}
  gemma: {engine: {<<: *engine, weights: /models/gemma.gguf, context: 8192}}
```
"""


def reference() -> str:
    """Write out the whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_commands(), *_files()])


def main() -> None:
    """Write the page."""
    Path("docs", "reference.md").write_text(reference(), encoding="utf-8")


def _commands() -> Iterator[str]:
    parser, verbs = parsers()
    shared = set.intersection(*(set(_flags(verb)) for verb in verbs.values()))
    yield "## Commands\n"
    yield f"{parser.description} `reconciler VERB` takes these with every verb:\n"
    yield from _table(("option", "meaning"), sorted(shared))
    for name, verb in verbs.items():
        yield f"### reconciler {name}\n"
        yield from _verb(verb, ENDS[name], [row for row in _flags(verb) if row not in shared])
    yield "## Exit codes\n"
    yield from _table(("code", "means"), EXIT_CODES.items())


def _verb(verb: ArgumentParser, ends: Iterable[str], own: list[tuple[str, str]]) -> Iterator[str]:
    described = (verb.description or "").capitalize()
    yield f"{described}. Exit codes: {', '.join(ends)}.\n"
    if own:
        yield from _table(("option", "meaning"), own)


def _flags(parser: ArgumentParser) -> list[tuple[str, str]]:
    # Argparse lists what it was given nowhere else.
    actions: list[Action] = parser._actions  # noqa: SLF001
    told = [action for action in actions if "--help" not in action.option_strings]
    return [(_flag(action), action.help or "") for action in told]


def _flag(action: Action) -> str:
    words, value = ", ".join(action.option_strings), _value(action)
    if not words:
        return f"`{value}`" if action.required else f"`[{value}]`"
    return f"`{words} {value}`" if value else f"`{words}`"


def _value(action: Action) -> str:
    if action.nargs == 0:
        return ""
    # A bar would end the cell of the table.
    choices = "\\|".join(action.choices or ())
    return str(action.metavar or choices or action.dest.upper())


def _files() -> Iterator[str]:
    schemas = real()
    desired, inventory = schemas["desired"], schemas["inventory"]
    of_desired, of_inventory = _mapping(desired["$defs"]), _mapping(inventory["$defs"])
    sections: dict[str, Schema] = {
        "## desired.yaml": desired,
        "### hosts.NAME of desired.yaml": of_desired["HostWish"],
        "## inventory.yaml": inventory,
        "### hosts.NAME of inventory.yaml": of_inventory["Host"],
        "### models.NAME": of_inventory["Model"],
    }
    yield WRITING
    for heading, schema in sections.items():
        yield f"{heading}\n"
        yield from _keys(schema, "")
    for role in ROLES:
        yield from _role(role, of_inventory[role]["anyOf"])


def _role(role: str, ways: Iterable[Schema]) -> Iterator[str]:
    names, *kinds = ways
    yield f"### {role}\n"
    yield f"{_words(names['enum'])}: the name alone, or a mapping with `kind` and options.\n"
    for kind in kinds:
        named = kind["properties"].get("kind")
        title = f"{role} {named['const']}" if named else f"{role}, one driver for each"
        yield from _keys(kind, title)


def _keys(schema: Schema, title: str) -> Iterator[str]:
    """Yield a table of the keys of a mapping; nothing when a driver has no options."""
    keys = {key: value for key, value in schema["properties"].items() if key != "kind"}
    # The schema of a driver's options requires none of them: they may come from the host.
    required = _bare(keys) if title else schema.get("required", ())
    rows = [
        (f"`{key}`", _kind(value), _default(key, value, required), value.get("description", ""))
        for key, value in keys.items()
    ]
    if title and rows:
        yield f"`{title}`: {schema['description']}\n"
    yield from _table(("key", "type", "default", "meaning"), rows) if rows else ()


def _bare(keys: Mapping[str, Schema]) -> list[str]:
    """List the keys without a default that cannot be null either."""
    return [key for key, value in keys.items() if "default" not in value and "anyOf" not in value]


def _default(key: str, value: Schema, required: Iterable[str]) -> str:
    """Write a default as one would in the file; an empty one, or a mapping, is as good as none."""
    if "default" not in value:
        return "needed" if key in required else "none"
    default = value["default"]
    if default in ("", []) or isinstance(default, dict):
        return "none"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _kind(value: Schema) -> str:
    """Name the type of a key in words."""
    if "anyOf" in value:
        kinds = [_kind(one) for one in value["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"see {name}" if name in ROLES else "mapping"
    if "enum" in value or "const" in value:
        return _words(value.get("enum") or [value["const"]])
    return _plain(value)


def _plain(value: Schema) -> str:
    kind = value.get("type", "")
    if kind == "array":
        return f"list of {_kind(value['items'])}"
    # What may stand in quotes too has its own type first.
    first: str = kind[0] if isinstance(kind, list) else kind
    return KINDS.get(first, first)


def _words(values: list[object]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


if __name__ == "__main__":
    main()
