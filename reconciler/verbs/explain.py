"""Explain: everything that is known of a model, host, run, error, reason, word, step or key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.projection import history
from reconciler.core.report.config_keys import Guide
from reconciler.core.report.explain import of_host, of_model, of_reason, of_run, of_step, of_word
from reconciler.edge.error_pages import reasons, words
from reconciler.errors import ConfigError, Misused
from reconciler.loop.survey import survey
from reconciler.model.explanation import Explanation
from reconciler.model.problem import FileName, nearest
from reconciler.model.reason import Reason
from reconciler.model.target import Wanted
from reconciler.ports import EditableSource
from reconciler.render.documents import ExplainDocument
from reconciler.steps.plan import STEPS
from reconciler.verbs.context import Reader
from reconciler.verbs.result import Outcome

FILES: tuple[FileName, FileName] = ("desired", "inventory")
PLACES = ("models.NAME.", "hosts.NAME.", "models.NAME.engine.")
SUBJECTS = (
    "a model, a host, the number of a run, an error or reason, a word of status, a step, or a key"
    " such as models.NAME.port"
)


async def run(
    reader: Reader, source: EditableSource, schemas: Mapping[str, Any], subject: str
) -> Outcome[ExplainDocument]:
    """Return all that is known of whatever has this name.

    Raise Misused with the nearest name, or ConfigError.
    """
    texts, meanings = reasons(), words()
    found = list(_general(texts, meanings, subject))
    found += [
        of_run(one, texts)
        for one in history(await reader.journal.rows())
        if str(one["run"]) == subject
    ]
    near = [*texts, *meanings, *STEPS]
    try:
        guides = [Guide(file, schemas[file], source.written()) for file in FILES]
        found += [one for guide in guides for one in guide.explain(subject)]
        # A key of a model or host is also known by its last word, unless something else is called
        # so.
        found += (
            []
            if found
            else [
                one
                for guide in guides
                for place in PLACES
                for one in guide.explain(place + subject)
            ]
        )
        near += [key for guide in guides for key in guide.near]
        wanted = reader.source.read()
    except ConfigError:
        if found:
            return _told(subject, found)
        raise
    slices = wanted.slices
    near += [*slices, *(model.name for slice_ in slices.values() for model in slice_.models)]
    found = [*await _seen(reader, wanted, subject), *found]
    if not found:
        raise Misused(
            f"nothing is called {subject}{nearest(subject, near)}; what can be explained is"
            f" {SUBJECTS}"
        )
    return _told(subject, found)


def _told(subject: str, found: list[Explanation]) -> Outcome[ExplainDocument]:
    return Outcome(ExplainDocument(subject=subject, explanations=tuple(found)))


def _general(
    texts: Mapping[str, Reason], meanings: Mapping[str, str], subject: str
) -> Iterator[Explanation]:
    """Yield what is so on every machine."""
    if subject in texts:
        yield of_reason(subject, texts[subject])
    if subject in meanings:
        yield of_word(subject, meanings[subject])
    if subject in STEPS:
        yield of_step(subject)


async def _seen(reader: Reader, wanted: Wanted, subject: str) -> list[Explanation]:
    """Return what is known of a model or host of that name.

    Only where it is one is looked at now.
    """
    found = []
    slices = {
        name: one
        for name, one in wanted.slices.items()
        if subject == name or one.model(subject) is not None
    }
    for one in await survey(reader, wanted.model_copy(update={"slices": slices})):
        model = one.slice.model(subject)
        if model is not None:
            found.append(of_model(one.slice, model, one.observed, one.hints, one.plan))
        if one.slice.host.name == subject:
            found.append(of_host(one.slice, one.observed, one.hints, one.plan))
    return found
