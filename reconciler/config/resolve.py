"""Resolve: turn both files, with what their drivers say, into one closed value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.core.canonical import digest
from reconciler.model.lending import Rules
from reconciler.model.spec import Capabilities, Command, HostSpec, Kind, ModelSpec, Slice
from reconciler.model.target import Provenance, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from reconciler.model.desired import Desired, HostWish
    from reconciler.model.inventory import Inventory, Model
    from reconciler.model.names import Digest, HostName, ModelName
    from reconciler.model.place import Inside


IDENTIFYING = ("argv", "env", "folders")
"""The fields of a command that identify its unit, as the first marks were made."""

ADDED = ("secrets",)
"""Those that came later: they count where they are used."""


class Definition(NamedTuple):
    """What drivers make of a model: accepted and completed options, its command, what it can do.

    `inside` is the container whose paths are in its command, and `launched` what beside that
    identifies its unit, None for nothing.
    """

    engine: Kind
    launcher: Kind
    command: Command
    capabilities: Capabilities
    inside: Inside | None = None
    launched: JsonValue = None


class Definitions(NamedTuple):
    """What drivers make of every host and model of an inventory."""

    hosts: Mapping[HostName, HostSpec]
    models: Mapping[ModelName, Definition]


def resolve(
    desired: Desired, inventory: Inventory, definitions: Definitions, provenance: Provenance
) -> Wanted:
    """Make one slice for every host that desired manages.

    `coherence.check` must have found nothing to object to.
    """
    slices, rules = {}, {}
    for host_name, wish in sorted(desired.wishes(inventory.only_host).items()):
        models = _models(host_name, inventory, definitions)
        slices[host_name] = _slice(definitions.hosts[host_name], wish, models)
        rules[host_name] = _rules(wish, models)
    aliases = {name: model.aliases for name, model in inventory.models.items() if model.aliases}
    return Wanted(
        slices=slices,
        rules=rules,
        aliases=aliases,
        gateway=inventory.gateway,
        provenance=provenance,
    )


def _models(
    host_name: HostName, inventory: Inventory, definitions: Definitions
) -> tuple[ModelSpec, ...]:
    return tuple(
        _model(model_name, model, definitions.models[model_name])
        for model_name, model in sorted(inventory.models.items())
        if inventory.host_name_of(model) == host_name
    )


def _slice(host: HostSpec, wish: HostWish, models: tuple[ModelSpec, ...]) -> Slice:
    return Slice(
        host=host,
        power=None if wish.power == "auto" else wish.power,
        enforce=wish.enforce,
        active=None if wish.active is None else tuple(sorted(wish.active)),
        models=models,
    )


def _rules(wish: HostWish, models: tuple[ModelSpec, ...]) -> Rules:
    names = tuple(model.name for model in models)
    return Rules(
        allow=names if wish.allow == "any" else wish.allow or (),
        return_after=None if wish.return_after == "never" else wish.return_after,
        min_residency=wish.min_residency,
        max_wait=wish.max_wait,
        idle=wish.idle,
        sleeps=wish.power == "auto",
    )


def _identity(command: Command, port: int, launched: JsonValue = None) -> Digest:
    # Over named fields: no field that an upgrade adds to a command may restart every engine.
    used = [name for name in ADDED if getattr(command, name)]
    identifying = command.model_dump(mode="json", include={*IDENTIFYING, *used})
    others = {} if launched is None else {"launched": launched}
    return digest({"command": identifying, "port": port, **others})


def _model(model_name: ModelName, model: Model, definition: Definition) -> ModelSpec:
    return ModelSpec(
        name=model_name,
        engine=definition.engine,
        launcher=definition.launcher,
        port=model.port,
        task=model.task,
        conversations=model.conversations,
        stable_for=model.stable_for,
        vram_bytes=model.vram,
        gpus=model.gpus,
        serves=model.serves,
        command=definition.command,
        digest=_identity(definition.command, model.port, definition.launched),
        capabilities=definition.capabilities,
        inside=definition.inside,
    )
