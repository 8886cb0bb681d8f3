"""Explain: everything that is known of a model, host, run, error, reason, word, step or key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.core.report.config_keys import Guide
from reconciler.core.report.explain import of_host, of_model, of_reason, of_run, of_step, of_word
from reconciler.edge.error_pages import reasons, words
from reconciler.errors import ConfigError, Misused
from reconciler.loop.survey import HostSurvey, survey
from reconciler.model.explanation import Explanation
from reconciler.model.problem import FileName, nearest
from reconciler.model.reason import Reason
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.ports import EditableSource
from reconciler.render.documents import ExplainDocument
from reconciler.steps.plan import STEPS
from reconciler.verbs.context import Reader
from reconciler.verbs.past import told
from reconciler.verbs.result import Outcome

FILES: tuple[FileName, FileName] = ("desired", "inventory")
PLACES = (
    "models.NAME.",
    "hosts.NAME.",
    *(f"models.NAME.{role}." for role in ("engine", "launcher")),
    *(f"hosts.NAME.{role}." for role in ("access", "power", "gpu")),
)
SUBJECTS = (
    "a model, a host, the number of a run, an error or reason, a word of status, a step, or a key"
    " such as models.NAME.port"
)


class _Names(NamedTuple):
    """What has a name on every machine: reasons, words, and the keys of both files."""

    reasons: Mapping[str, Reason]
    words: Mapping[str, str]
    guides: Sequence[Guide]

    def near(self) -> Iterator[str]:
        """Yield each name that a subject may have been meant as."""
        yield from (*self.reasons, *self.words, *STEPS)
        for guide in self.guides:
            yield from guide.near


async def run(
    reader: Reader, source: EditableSource, schemas: Mapping[str, Any], subject: str
) -> Outcome[ExplainDocument]:
    """Explain everything of this name.

    Raise Misused with the nearest name, or ConfigError.
    """
    names = _Names(reasons(), words(), ())
    found = [*_general(names, subject), *await _runs(reader, names, subject)]
    try:
        names = names._replace(guides=[Guide(one, schemas[one], source.written()) for one in FILES])
        found += _keys(names.guides, subject, or_last_word=not found)
        wanted = reader.source.read()
    except ConfigError:
        # What is explained without the files is explained also while they are wrong.
        if found:
            return _told(subject, found)
        raise
    found = [*await _seen(reader, wanted, subject), *found]
    if not found:
        raise _nothing_called(subject, [*names.near(), *_managed(wanted)])
    return _told(subject, found)


def _told(subject: str, found: list[Explanation]) -> Outcome[ExplainDocument]:
    return Outcome(ExplainDocument(subject=subject, explanations=tuple(found)))


def _nothing_called(subject: str, near: Iterable[str]) -> Misused:
    return Misused(
        f"nothing is called {subject}; what can be explained is {SUBJECTS}{nearest(subject, near)}"
    )


def _managed(wanted: Wanted) -> Iterator[str]:
    yield from wanted.slices
    for slice_ in wanted.slices.values():
        yield from (model.name for model in slice_.models)


def _general(names: _Names, subject: str) -> Iterator[Explanation]:
    """Yield what is so on every machine."""
    if subject in names.reasons:
        yield of_reason(subject, names.reasons[subject])
    if subject in names.words:
        yield of_word(subject, names.words[subject])
    if subject in STEPS:
        yield of_step(subject)


async def _runs(reader: Reader, names: _Names, subject: str) -> list[Explanation]:
    # Only who asks for a run waits for all rows to be read.
    runs = await told(reader.journal) if subject.isdecimal() else []
    return [of_run(one, names.reasons) for one in runs if str(one["run"]) == subject]


def _keys(guides: Sequence[Guide], subject: str, *, or_last_word: bool) -> list[Explanation]:
    found = [one for guide in guides for one in guide.explain(subject)]
    # A key of a model or host is also known by its last word, unless something else has that name.
    if found or not or_last_word:
        return found
    places = [place + subject for place in PLACES]
    return [one for guide in guides for place in places for one in guide.explain(place)]


async def _seen(reader: Reader, wanted: Wanted, subject: str) -> list[Explanation]:
    """Explain a model or host of that name; only its own host is looked at for that."""
    slices = {name: one for name, one in wanted.slices.items() if _is_about(one, subject)}
    found = await survey(reader, wanted.model_copy(update={"slices": slices}))
    return [explanation for one in found for explanation in _of(one, subject)]


def _is_about(slice_: Slice, subject: str) -> bool:
    return slice_.host.name == subject or slice_.model(subject) is not None


def _of(one: HostSurvey, subject: str) -> Iterator[Explanation]:
    model = one.slice.model(subject)
    if model is not None:
        yield of_model(one.slice, model, one.observed, one.hints, one.plan)
    if one.slice.host.name == subject:
        yield of_host(one.slice, one.observed, one.hints, one.plan, sleeps=one.rules.sleeps)
