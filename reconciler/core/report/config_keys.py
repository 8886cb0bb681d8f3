"""Config keys: what the schemas say of a key of both files, what is written there, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import JsonValue

from reconciler.model.explanation import Explanation, Statement, Written
from reconciler.model.inventory import GIVEN
from reconciler.model.problem import FileName, KeyPath, found

Keys = Mapping[tuple[FileName, KeyPath], Written]
"""Everything that is written in both files."""


class _Found(NamedTuple):
    """A key that a schema knows, and the kind of driver that it is an option of."""

    path: KeyPath
    described: Mapping[str, Any]
    kind: str


class Guide:
    """The schema of one file, and what is written in it."""

    def __init__(self, file: FileName, schema: Mapping[str, Any], keys: Keys) -> None:
        """Use a schema of JSON Schema, as `validate --schema` prints it."""
        self._file = file
        self._schema = schema
        self._keys = keys
        self.near: list[str] = []
        """Keys that would have been understood where a word was not."""

    def explain(self, subject: str) -> Iterator[Explanation]:
        """Yield what is known of a key such as `models.NAME.port`.

        A name that is not written is as good as NAME.
        """
        known = list(self._known(self._schema, subject, ()))
        chosen = [one for one in known if self._at(one.path)] or known
        yield from (self._explanation(one, subject) for one in chosen)

    def _at(self, path: KeyPath) -> Written | None:
        return self._keys.get((self._file, path))

    def _known(self, schema: Mapping[str, Any], rest: str, path: KeyPath) -> Iterator[_Found]:
        for variant, kind in self._variants(schema, path):
            properties = variant.get("properties", {})
            yield from self._among(properties, kind, rest, path)
            self.near += [".".join(map(str, (*path, key))) for key in properties]
            for named in variant.get("patternProperties", {}).values():
                for name, after in self._named(rest, path):
                    yield from self._known(named, after, (*path, name))

    def _among(
        self, properties: Mapping[str, Any], kind: str, rest: str, path: KeyPath
    ) -> Iterator[_Found]:
        for key, described in properties.items():
            if rest == key:
                yield _Found((*path, key), described, kind)
            elif rest.startswith(f"{key}."):
                yield from self._known(described, rest.removeprefix(f"{key}."), (*path, key))

    def _named(self, rest: str, path: KeyPath) -> Iterator[tuple[str, str]]:
        """Yield a name and what comes after it."""
        words = rest.split(".")
        lengths = range(1, len(words))
        splits = [(".".join(words[:count]), ".".join(words[count:])) for count in lengths]
        # A name may hold dots, such as qwen2.5, so where to split is told by what is written.
        written = [(name, after) for name, after in splits if self._at((*path, name))]
        yield from written or splits[:1]

    def _variants(
        self, schema: Mapping[str, Any], path: KeyPath
    ) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Yield what a key may hold; of several drivers the one that is written, if any is."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            yield from self._variants(self._schema["$defs"][name], path)
        elif any(_is_driver(one) for one in schema.get("anyOf", ())):
            yield from _drivers(schema["anyOf"], self._kind(path))
        elif "anyOf" in schema:
            for one in schema["anyOf"]:
                yield from self._variants(one, path)
        else:
            yield schema, ""

    def _kind(self, path: KeyPath) -> str | None:
        """Name the driver that is written at a path: `ssh`, or `{kind: ssh}` with options."""
        value = self._value(path)
        kind = value.get("kind") if isinstance(value, dict) else value
        return kind if isinstance(kind, str) else None

    def _value(self, path: KeyPath) -> JsonValue:
        written = self._at(path)
        return written.value if written else None

    def _explanation(self, one: _Found, subject: str) -> Explanation:
        told = self._told(one).items()
        facts = tuple(Statement(about=about, says=says) for about, says in told if says)
        return Explanation(kind="key", subject=subject, facts=facts)

    def _told(self, one: _Found) -> dict[str, str]:
        return {
            "file": f"{self._file}.yaml",
            "option of": one.kind,
            "means": one.described.get("description", ""),
            "default": _default(one.described),
            "written": self._written(one),
        }

    def _written(self, one: _Found) -> str:
        for path in (one.path, *self._defaults(one)):
            if written := self._at(path):
                return f"{found(written.value)}, in {written.place}"
        has_default = one.described.get("default") not in (None, "")
        return "nowhere, so the default holds" if has_default else "nowhere"

    def _defaults(self, one: _Found) -> Iterator[KeyPath]:
        """Yield where a host may say it for every model of a kind."""
        match one.path:
            case ("models", _, str(role), *option) if role in GIVEN:
                hosts = self._hosts_of(one.path[:2])
                # Which of several hosts runs the model is not known here.
                if len(hosts) == 1:
                    yield ("hosts", hosts[0], GIVEN[role], one.kind, *option)

    def _hosts_of(self, model: KeyPath) -> list[str | int]:
        own = self._at((*model, "host"))
        return [host for host in self._hosts() if own is None or host == own.value]

    def _hosts(self) -> list[str | int]:
        paths = (path for file, path in self._keys if file == self._file)
        return [path[1] for path in paths if path[:-1] == ("hosts",)]


def _is_driver(schema: Mapping[str, Any]) -> bool:
    return "const" in _kind_of(schema)


def _kind_of(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    kind: Mapping[str, Any] = schema.get("properties", {}).get("kind", {})
    return kind


def _drivers(
    variants: Sequence[Mapping[str, Any]], written: str | None
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the driver that is written, or all of them, and then what is no driver but has keys."""
    drivers = {_kind_of(one)["const"]: one for one in variants if _is_driver(one)}
    yield from ((one, kind) for kind, one in drivers.items() if written in {None, kind})
    others = [one for one in variants if "properties" in one and not _is_driver(one)]
    if written is None:
        yield from ((one, "") for one in others)


def _default(described: Mapping[str, Any]) -> str:
    default = described.get("default")
    # An empty default says nothing, and a mapping would not fit on a line.
    unsaid = default in (None, "", []) or isinstance(default, dict)
    return "" if unsaid else found(default)
