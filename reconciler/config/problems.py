"""Problems: what is wrong with both files, as lines that name file, line, column and path."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from reconciler.config.typed_text import validated
from reconciler.config.validation_messages import problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.config.yaml_document import Document, FilePosition
    from reconciler.model.problem import FileName, KeyPath, Problem

_Schema = TypeVar("_Schema", bound=BaseModel)

_ENTITIES = {"hosts", "models"}


class _Line(NamedTuple):
    """One problem with its place, in the order in which people read."""

    file: FileName
    place: FilePosition
    text: str


class Review:
    """What can be judged of documents, and every problem in them, each reported once."""

    def __init__(self, documents: Mapping[FileName, Document]) -> None:
        self._documents = documents
        self._left_out: set[tuple[FileName, KeyPath]] = set()
        self._lines = {
            _Line(file, flaw.place, _text(flaw.path, flaw.sentence))
            for file, document in documents.items()
            for flaw in document.flaws
        }

    def fit(self, file: FileName, schema: type[_Schema]) -> tuple[_Schema | None, bool]:
        """Read a document as its schema, and tell whether every host and model is in it.

        What does not fit is reported and left out, a key if that is enough, else the host or model
        around it, so that the rest can be judged in the same run. None when nothing can be judged.
        """
        document = self._documents[file]
        if not document.complete:
            return None, False
        try:
            return validated(schema, document.value, document.typed.get), True
        except ValidationError as error:
            problems = problems_of(error, file, schema)
        self.add(problems)
        keys = {problem.path for problem in problems}
        entities = {path[:2] for path in keys if path[:1] and path[0] in _ENTITIES}
        if keys.isdisjoint(entities) and (fitted := self._try(file, schema, keys)):
            return fitted, True
        return self._try(file, schema, keys | entities), False

    def _try(self, file: FileName, schema: type[_Schema], unfit: set[KeyPath]) -> _Schema | None:
        document = self._documents[file]
        try:
            fitted = validated(schema, _without(document.value, (), unfit), document.typed.get)
        except ValidationError:
            return None
        self._left_out |= {(file, path) for path in unfit}
        return fitted

    def typed(self, path: KeyPath) -> str | None:
        """Look up the text of an unquoted number, true or false at a path of the inventory."""
        return self._documents["inventory"].typed.get(path)

    def add(self, problems: Iterable[Problem]) -> None:
        """Report problems, except about what was left out because it was reported before."""
        self._lines |= {
            self._line(problem) for problem in problems if not self._is_left_out(problem)
        }

    def _is_left_out(self, problem: Problem) -> bool:
        depths = range(len(problem.path) + 1)
        return any((problem.file, problem.path[:depth]) in self._left_out for depth in depths)

    def _line(self, problem: Problem) -> _Line:
        document = self._documents[problem.file]
        path = problem.path if problem.at_key else document.written(problem.path)
        place = document.place(path, at_key=problem.at_key)
        return _Line(problem.file, place, _text(path, problem.sentence))

    def lines(self, shown: Mapping[FileName, str]) -> list[str]:
        """Word all problems by file and line, with the names that the files are shown by."""
        return [
            f"{shown[line.file]}:{line.place.line}:{line.place.column}: {line.text}"
            for line in sorted(self._lines)
        ]


def _text(path: KeyPath, sentence: str) -> str:
    text = f"{'.'.join(map(str, path))}: {sentence}" if path else sentence
    # A line stays one line, and a file cannot steer the terminal that shows it.
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _without(value: JsonValue, at: KeyPath, unfit: set[KeyPath]) -> JsonValue:
    if not isinstance(value, dict):
        return value
    paths = {key: (*at, key) for key in value}
    fit = {key: path for key, path in paths.items() if path not in unfit}
    return {key: _without(value[key], path, unfit) for key, path in fit.items()}
