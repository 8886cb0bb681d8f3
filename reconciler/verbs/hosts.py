"""Hosts: which ones a person means."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.wording import listed
from reconciler.errors import Misused
from reconciler.model.problem import nearest
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.verbs.context import Reader


def chosen(reader: Reader, host: str | None) -> tuple[str, ...]:
    """Choose the named host, or all that are managed; raise Misused for one that is not."""
    return among(reader.source.read().slices, host)


def among(managed: Iterable[str], host: str | None) -> tuple[str, ...]:
    """Choose the named host of these, or all; raise Misused for one that is not among them."""
    names = tuple(sorted(managed))
    if host is not None and host not in names:
        raise Misused(f"host {host} is not managed; the managed hosts are: {listed(names)}")
    return names if host is None else (host,)


def home(wanted: Wanted, model_name: str) -> Slice:
    """The host of a model; raise Misused naming the models there are."""
    for slice_ in wanted.slices.values():
        if slice_.model(model_name) is not None:
            return slice_
    raise no_model(wanted, model_name)


def no_model(wanted: Wanted, name: str) -> Misused:
    """What is wrong with a name that no model has."""
    names = sorted(model.name for one in wanted.slices.values() for model in one.models)
    near = nearest(name, names)
    return Misused(f"no managed host has a model {name}; they have: {listed(names)}{near}")
