"""Config keys: what the schemas say of a key of both files, what is written there, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from reconciler.model.explanation import Explanation, Statement, Written
from reconciler.model.problem import FileName, KeyPath, found

Keys = Mapping[tuple[FileName, KeyPath], Written]
"""Everything that is written in both files."""


class _Found(NamedTuple):
    """A key that a schema knows, and the kind of driver that it is an option of."""

    path: KeyPath
    described: Mapping[str, Any]
    kind: str


class Guide:
    """Know the schema of one file, and what is written in it."""

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
        chosen = [one for one in known if (self._file, one.path) in self._keys] or known
        yield from (self._explanation(one, subject) for one in chosen)

    def _known(self, schema: Mapping[str, Any], rest: str, path: KeyPath) -> Iterator[_Found]:
        for variant, kind in self._variants(schema, path):
            properties = variant.get("properties", {})
            for key, described in properties.items():
                if rest == key:
                    yield _Found((*path, key), described, kind)
                elif rest.startswith(f"{key}."):
                    yield from self._known(described, rest.removeprefix(f"{key}."), (*path, key))
            self.near += [".".join(map(str, (*path, key))) for key in properties]
            for named in variant.get("patternProperties", {}).values():
                for name, after in self._named(rest, path):
                    yield from self._known(named, after, (*path, name))

    def _named(self, rest: str, path: KeyPath) -> Iterator[tuple[str, str]]:
        """Yield a name and what comes after it: names may hold dots, so those that are written come first."""
        words = rest.split(".")
        splits = [
            (".".join(words[:count]), ".".join(words[count:])) for count in range(1, len(words))
        ]
        written = [one for one in splits if (self._file, (*path, one[0])) in self._keys]
        yield from written or splits[:1]

    def _variants(
        self, schema: Mapping[str, Any], path: KeyPath
    ) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Yield what a key may hold.

        Of several drivers the one that is written there, if any is.
        """
        if "$ref" in schema:
            yield from self._variants(
                self._schema["$defs"][schema["$ref"].rpartition("/")[2]], path
            )
        elif "anyOf" in schema:
            drivers = {
                one["properties"]["kind"]["const"]: one
                for one in schema["anyOf"]
                if _is_driver(one)
            }
            written = self._kind(path)
            if drivers:
                yield from ((one, kind) for kind, one in drivers.items() if written in {None, kind})
                yield from (
                    (one, "")
                    for one in schema["anyOf"]
                    if written is None and "properties" in one and not _is_driver(one)
                )
                return
            for one in schema["anyOf"]:
                yield from self._variants(one, path)
        else:
            yield schema, ""

    def _kind(self, path: KeyPath) -> str | None:
        value = self._keys[self._file, path].value if (self._file, path) in self._keys else None
        kind = value.get("kind") if isinstance(value, dict) else value
        return kind if isinstance(kind, str) else None

    def _explanation(self, one: _Found, subject: str) -> Explanation:
        described = one.described
        facts = [Statement(about="file", says=f"{self._file}.yaml")]
        if one.kind:
            facts.append(Statement(about="option of", says=one.kind))
        if described.get("description"):
            facts.append(Statement(about="means", says=described["description"]))
        if described.get("default") not in (None, "", []) and not isinstance(
            described["default"], dict
        ):
            facts.append(Statement(about="default", says=found(described["default"])))
        facts.append(Statement(about="written", says=self._written(one)))
        return Explanation(kind="key", subject=subject, facts=tuple(facts))

    def _written(self, one: _Found) -> str:
        for path in (one.path, *self._defaults(one)):
            if (self._file, path) in self._keys:
                written = self._keys[self._file, path]
                return f"{found(written.value)}, in {written.place}"
        return (
            "nowhere"
            if one.described.get("default") in (None, "")
            else "nowhere, so the default holds"
        )

    def _defaults(self, one: _Found) -> Iterator[KeyPath]:
        """Yield where a host may say it for every model of an engine kind."""
        if one.path[:1] != ("models",) or one.path[2:3] != ("engine",):
            return
        hosts = [
            path[1]
            for file, path in self._keys
            # Hosts.NAME.
            if file == self._file and path[:1] == ("hosts",) and len(path) == 2  # noqa: PLR2004
        ]
        own = self._keys.get((self._file, (*one.path[:2], "host")))
        mine = [host for host in hosts if own is None or host == own.value]
        if len(mine) == 1:
            yield ("hosts", mine[0], "engines", one.kind, *one.path[3:])


def _is_driver(schema: Mapping[str, Any]) -> bool:
    return "const" in schema.get("properties", {}).get("kind", {})
