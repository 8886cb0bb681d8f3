"""Imported: units that could be models, and what became of all else that a source says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from reconciler.core.onboarding.kept import Kept
from reconciler.model.importing import ImportRow
from reconciler.model.machine import Server

DOWNLOADS = ("-hf", "-hfr", "--hf-repo", "-mu", "--model-url", "-dr", "--docker-repo")
_ROUTED = ("--models-preset", "--models-dir", "--models-max")
_SAVES = "--slot-save-path"
_DEFAULT_PORT = 8080

AsFlags: TypeAlias = Callable[[Mapping[str, str]], tuple[str, ...]]
"""What writes variables of llama-server as its flags."""


class ImportedUnit(NamedTuple):
    """A unit as a server of it would be seen; pid 0 where none runs.

    `outside` are the files that it names, by its own paths and by those of its host.
    """

    name: str
    server: Server
    kept: Kept
    rows: tuple[ImportRow, ...] = ()
    outside: dict[str, str] = {}


class Imported(NamedTuple):
    """What a source holds."""

    units: tuple[ImportedUnit, ...]
    rows: tuple[ImportRow, ...] = ()


def of_flags(where: str, flags: Sequence[str]) -> Iterator[ImportRow]:
    """Yield what the flags of a kept unit cost, which only its operator can change."""
    names = {word.partition("=")[0] for word in flags}
    if _SAVES not in names:
        yield ImportRow(
            where=where,
            key="conversations",
            became="left out",
            why=f"its command line has no {_SAVES}, so they end with it",
            instead=f"add {_SAVES} and a folder there, which outlasts it",
        )


def why_no_model(flags: Sequence[str]) -> str:
    """Tell why the flags of a llama-server are those of no single model, empty where they are."""
    names = {word.partition("=")[0] for word in flags}
    routed = next((name for name in _ROUTED if name in names), "")
    if routed:
        return f"{routed} makes it a router of many models, which is no single model"
    return ""


def of_download(where: str, flags: Sequence[str], weights: str) -> Iterator[ImportRow]:
    """Yield that weights are named by where they come from, and what is written instead."""
    names = (word.partition("=")[0] for word in flags)
    name = next((name for name in names if name in DOWNLOADS), "")
    if name and weights:
        why = "weights are named by their file, as it is in memory now"
        yield ImportRow(where=where, key=name, became="changed", why=why)


def told_port(flags: Sequence[str]) -> int:
    """Find the port that flags tell a server to listen on."""
    words = [part for word in flags for part in word.split("=", 1)]
    told = [value for flag, value in pairwise(words) if flag == "--port" and value.isdecimal()]
    return int(told[-1]) if told else _DEFAULT_PORT
