"""Coherence: what is wrong between two files that are each well formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.problem import KeyPath, Problem, found, nearest, one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.config.resolve import Definitions
    from reconciler.model.desired import Desired, HostWish
    from reconciler.model.inventory import Inventory, Model
    from reconciler.model.spec import HostSpec

NOTHING = {"none", "nothing", "off"}
"""What people write who want no model to run."""


def check(desired: Desired, inventory: Inventory, definitions: Definitions) -> tuple[Problem, ...]:
    """Return everything that is wrong between the files.

    A host or model without a definition was reported already.
    """
    problems = [*_places(desired, inventory)]
    for model_name, model in inventory.models.items():
        problems += _model(model_name, model, inventory, definitions)
    for host_name, wish in desired.wishes(inventory.only_host).items():
        at: KeyPath = () if desired.hosts is None else ("hosts", host_name)
        if host_name not in inventory.hosts:
            problems.append(
                Problem("desired", at, _unknown_host(host_name, inventory.hosts), at_key=True)
            )
            continue
        problems += _power(wish, at, definitions.hosts.get(host_name))
        problems += _active(host_name, wish, at, inventory)
    return tuple(problems)


def _unknown_host(name: str, known: Iterable[str]) -> str:
    return (
        f"found {found(name)}, expected a host of the inventory"
        f" ({one_of(known)}){nearest(name, known)}"
    )


def _places(desired: Desired, inventory: Inventory) -> Iterator[Problem]:
    """Find keys that stand at the top level although there are several hosts, or a `hosts:` mapping."""
    if desired.hosts is None and inventory.only_host is not None:
        return
    for key in sorted({"power", "active", "enforce"} & desired.model_fields_set):
        place = (
            "each host of hosts:"
            if desired.hosts is not None
            else f"hosts: and one of {one_of(inventory.hosts)}"
        )
        yield Problem(
            "desired",
            (key,),
            f"found {key} at the top level, expected it under {place}",
            at_key=True,
        )


def _model(
    model_name: str, model: Model, inventory: Inventory, definitions: Definitions
) -> Iterator[Problem]:
    at: KeyPath = ("models", model_name)
    host_name = inventory.host_name_of(model)
    if host_name is None:
        sentence = f"is missing; expected one of the inventory's hosts ({one_of(inventory.hosts)})"
        yield Problem("inventory", (*at, "host"), sentence, at_key=True)
    elif host_name not in inventory.hosts:
        yield Problem("inventory", (*at, "host"), _unknown_host(host_name, inventory.hosts))
    for place, card in enumerate(model.gpus):
        if card in model.gpus[:place]:
            yield Problem(
                "inventory", (*at, "gpus", place), f"found {card} again, expected each card once"
            )
    definition = definitions.models.get(model_name)
    if (
        model.conversations == "require"
        and definition
        and not definition.capabilities.keeps_conversations
    ):
        who = f"the engine {definition.engine.kind} under the launcher {definition.launcher.kind}"
        sentence = f"found require, but {who} cannot keep conversations; expected keep or drop"
        yield Problem("inventory", (*at, "conversations"), sentence)


def _power(wish: HostWish, at: KeyPath, host: HostSpec | None) -> Iterator[Problem]:
    place = (*at, "power")
    if wish.power == "auto":
        sentence = (
            "found auto, which needs the gateway and is not in this version; expected on, off or"
            " suspend"
        )
        yield Problem("desired", place, sentence)
    elif host and wish.power == "off" and not host.capabilities.can_shut_down:
        sentence = f"found off, but nothing in `power:` of {host.name} can shut it down"
        yield Problem(
            "desired",
            place,
            f"{sentence}; set power: for it in the inventory, or leave the key out",
        )
    elif host and wish.power in {"off", "suspend"} and not host.power.wake:
        sentence = (
            f"found {wish.power}, but nothing in `power:` of {host.name} could bring it up again"
        )
        yield Problem(
            "desired",
            place,
            f"{sentence}; name a driver under wake: there, or `wake: none` if a person does that",
        )
    elif host and wish.power == "suspend" and not host.capabilities.can_suspend:
        sentence = f"found suspend, but nothing in `power:` of {host.name} can suspend it"
        yield Problem(
            "desired",
            place,
            f"{sentence}; set another power: for it in the inventory, or leave the key out",
        )


def _active(host_name: str, wish: HostWish, at: KeyPath, inventory: Inventory) -> Iterator[Problem]:
    here = {
        name: model
        for name, model in inventory.models.items()
        if inventory.host_name_of(model) == host_name
    }
    taken: dict[int, str] = {}
    for index, model_name in enumerate(wish.active or ()):
        place = (*at, "active", index)
        model = here.get(model_name)
        if (
            model_name in inventory.models
            and inventory.host_name_of(inventory.models[model_name]) is None
        ):
            continue
        if model is None:
            yield Problem(
                "desired", place, _misplaced(model_name, host_name, inventory, list(here))
            )
        elif model.port in taken:
            both = f"{model_name} and {taken[model.port]} both use port {model.port}"
            yield Problem(
                "desired", place, f"{both}; expected one of them, or another port: in the inventory"
            )
        else:
            taken[model.port] = model_name


def _misplaced(model_name: str, host_name: str, inventory: Inventory, here: list[str]) -> str:
    elsewhere = inventory.models.get(model_name)
    other = inventory.host_name_of(elsewhere) if elsewhere else None
    if other:
        return (
            f"{model_name} is a model of {other}, expected a model of {host_name} ({one_of(here)})"
        )
    none = "; `[]` runs none" if model_name in NOTHING else ""
    near = nearest(model_name, here) or f" ({one_of(here)})"
    return f"found {found(model_name)}, expected a model of {host_name}{none or near}"
