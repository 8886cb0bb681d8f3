"""Logs: what the engine of a model wrote, and what it goes on writing."""

from __future__ import annotations

from collections.abc import AsyncIterator

from reconciler.errors import Unreachable
from reconciler.model.facts import Unknown
from reconciler.model.log import LogPart
from reconciler.model.spec import Slice
from reconciler.ports import LauncherReader
from reconciler.render.documents import LogDocument
from reconciler.verbs.context import Reader
from reconciler.verbs.hosts import home
from reconciler.verbs.result import Outcome, Show

LOOK_SECONDS = 0.5
AT_A_TIME = 1000
"""More lines than a host gives at a time."""


async def run(reader: Reader, model_name: str, lines: int, after: str = "") -> Outcome[LogDocument]:
    """Read the last lines of a model's log, or those after the `end` of an earlier document.

    Raise Misused naming the models there are, or Unreachable.
    """
    slice_, launcher = _found(reader, model_name)
    part = await _part(launcher, model_name, lines, after)
    return Outcome(_document(slice_, model_name, part))


async def parts(
    reader: Reader, model_name: str, lines: int, after: str = ""
) -> AsyncIterator[LogDocument]:
    """Yield what `run` reads, and then whatever comes, also after a restart; often no line."""
    slice_, launcher = _found(reader, model_name)
    part = await _part(launcher, model_name, lines, after)
    while True:
        yield _document(slice_, model_name, part)
        await reader.clock.sleep(LOOK_SECONDS)
        part = await _part(launcher, model_name, AT_A_TIME, part.end)


async def follow(reader: Reader, model_name: str, lines: int, show: Show) -> None:
    """Show the last lines, then what comes, until `show` has no reader."""
    async for document in parts(reader, model_name, lines):
        if document.lines and not show(document):
            return


def _found(reader: Reader, model_name: str) -> tuple[Slice, LauncherReader]:
    slice_ = home(reader.source.read(), model_name)
    return slice_, reader.readers(slice_).models[model_name].launcher


async def _part(launcher: LauncherReader, model_name: str, lines: int, after: str = "") -> LogPart:
    fact = await launcher.log(model_name, lines, after)
    if isinstance(fact, Unknown):
        raise Unreachable(f"the log of {model_name} cannot be read: {fact.reason}")
    return fact.value


def _document(slice_: Slice, model_name: str, part: LogPart) -> LogDocument:
    return LogDocument(host=slice_.host.name, model=model_name, lines=part.lines, end=part.end)
