"""Coherence: what is wrong between two files that are each well formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.place import Door
from reconciler.model.problem import KeyPath, Problem, found, nearest, one_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from reconciler.config.resolve import Definition, Definitions
    from reconciler.model.desired import Desired, HostWish
    from reconciler.model.inventory import Inventory, Model
    from reconciler.model.spec import HostSpec

LENDING = ("return_after", "min_residency", "max_wait")
"""The keys that say how requests may bring in what `allow` names."""

OF_A_HOST = {"power", "active", "enforce", "allow", "idle", *LENDING}
SHORTEST_SLEEP_AFTER = 60.0
"""A host takes about as long to go down and to come up again."""

NOTHING = {"none", "nothing", "off"}
"""What people write who want no model to run."""


def check(desired: Desired, inventory: Inventory, definitions: Definitions) -> tuple[Problem, ...]:
    """Find everything that is wrong between the files.

    A host or model without a definition was reported already.
    """
    return (
        *_places(desired, inventory),
        *_models(inventory, definitions),
        *_wishes(desired, inventory, definitions),
    )


def _unknown_host(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"found {found(name)}, expected a host of the inventory ({one_of(known)}){near}"


def _places(desired: Desired, inventory: Inventory) -> Iterator[Problem]:
    """Find keys at the top level where there are several hosts, or a `hosts:` mapping."""
    if desired.hosts is not None:
        place = "each host of hosts:"
    elif inventory.only_host is None:
        place = f"hosts: and one of {one_of(inventory.hosts)}"
    else:
        return
    for key in sorted(OF_A_HOST & desired.model_fields_set):
        sentence = f"found {key} at the top level, expected it under {place}"
        yield Problem("desired", (key,), sentence, at_key=True)


def _models(inventory: Inventory, definitions: Definitions) -> Iterator[Problem]:
    for model_name, model in inventory.models.items():
        at: KeyPath = ("models", model_name)
        yield from _host_of(model, at, inventory)
        yield from _cards(model, at)
        yield from _aliases(model, at, inventory)
        definition = definitions.models.get(model_name)
        if model.conversations == "require" and definition:
            yield from _conversations(definition, at)


def _host_of(model: Model, at: KeyPath, inventory: Inventory) -> Iterator[Problem]:
    place = (*at, "host")
    host_name = inventory.host_name_of(model)
    if host_name is None:
        sentence = f"is missing; expected one of the inventory's hosts ({one_of(inventory.hosts)})"
        yield Problem("inventory", place, sentence, at_key=True)
    elif host_name not in inventory.hosts:
        yield Problem("inventory", place, _unknown_host(host_name, inventory.hosts))


def _cards(model: Model, at: KeyPath) -> Iterator[Problem]:
    for index, card in enumerate(model.gpus):
        if card in model.gpus[:index]:
            sentence = f"found {card} again, expected each card once"
            yield Problem("inventory", (*at, "gpus", index), sentence)


def _aliases(model: Model, at: KeyPath, inventory: Inventory) -> Iterator[Problem]:
    for index, alias in enumerate(model.aliases):
        if alias in inventory.models or alias == "active":
            sentence = f"found {found(alias)}, which names a model already; expected another word"
        elif alias in model.aliases[:index]:
            sentence = f"found {found(alias)} again, expected each alias once"
        else:
            continue
        yield Problem("inventory", (*at, "aliases", index), sentence)


def _conversations(definition: Definition, at: KeyPath) -> Iterator[Problem]:
    if definition.capabilities.keeps_conversations:
        return
    who = f"the engine {definition.engine.kind} under the launcher {definition.launcher.kind}"
    sentence = f"found require, but {who} cannot keep conversations; expected keep or drop"
    yield Problem("inventory", (*at, "conversations"), sentence)


def _wishes(desired: Desired, inventory: Inventory, definitions: Definitions) -> Iterator[Problem]:
    for host_name, wish in desired.wishes(inventory.only_host).items():
        at: KeyPath = () if desired.hosts is None else ("hosts", host_name)
        if host_name in inventory.hosts:
            yield from _power(wish, at, definitions.hosts.get(host_name))
            yield from _active(host_name, wish, at, inventory, definitions)
            yield from _allow(host_name, wish, at, inventory)
            yield from _lending(wish, at)
            yield from _idle(wish, at)
        else:
            unknown = _unknown_host(host_name, inventory.hosts)
            yield Problem("desired", at, unknown, at_key=True)


def _power(wish: HostWish, at: KeyPath, host: HostSpec | None) -> Iterator[Problem]:
    if sentence := _power_objection(wish, host):
        yield Problem("desired", (*at, "power"), sentence)


def _power_objection(wish: HostWish, host: HostSpec | None) -> str:
    if wish.power == "auto" and (wish.idle is None or wish.idle.then == "unload"):
        return (
            "found auto, but nothing would put the host to sleep; expected idle beside it, such as"
            " {after: 30m, then: suspend}"
        )
    if host is None:
        return ""
    nothing = f"found {wish.power}, but nothing in `power:` of {host.name}"
    down = wish.idle.then if wish.power == "auto" and wish.idle is not None else wish.power
    if down == "off" and not host.capabilities.can_shut_down:
        way_out = "set power: for it in the inventory, or leave the key out"
        return f"{nothing} can shut it down; {way_out}"
    # A later wish for `on` could not be met; where a person switches it on, that can be written.
    if down in {"off", "suspend"} and not host.power.wake:
        way_out = "name a driver under wake: there, or `wake: none` if a person does that"
        return f"{nothing} could bring it up again; {way_out}"
    if down == "suspend" and not host.capabilities.can_suspend:
        way_out = "set another power: for it in the inventory, or leave the key out"
        return f"{nothing} can suspend it; {way_out}"
    if wish.power == "auto" and not host.capabilities.can_wake:
        return f"{nothing} wakes it by itself; name a driver under wake: there"
    return ""


def _active(
    host_name: str, wish: HostWish, at: KeyPath, inventory: Inventory, definitions: Definitions
) -> Iterator[Problem]:
    here = _models_of(host_name, inventory)
    doors = {name: _door(model, definitions.models.get(name)) for name, model in here.items()}
    names = wish.active or ()
    for index, name in enumerate(names):
        stranger = _misplaced(name, host_name, inventory, here)
        if sentence := stranger or _shared_port(name, doors, names[:index]):
            yield Problem("desired", (*at, "active", index), sentence)


def _allow(host_name: str, wish: HostWish, at: KeyPath, inventory: Inventory) -> Iterator[Problem]:
    here = _models_of(host_name, inventory)
    for index, name in enumerate(() if wish.allow in {None, "any"} else wish.allow or ()):
        if sentence := _misplaced(name, host_name, inventory, here):
            yield Problem("desired", (*at, "allow", index), sentence)


def _lending(wish: HostWish, at: KeyPath) -> Iterator[Problem]:
    """Find rules for requests that could not hold."""
    if wish.allow is not None and wish.active is None:
        sentence = (
            "found allow without active, so requests could stop what is not managed; expected"
            " active beside it, [] to run none by itself"
        )
        yield Problem("desired", (*at, "allow"), sentence, at_key=True)
    # Requests also wait for a host that rests.
    keys = [key for key in LENDING if key != "max_wait" or wish.idle is None]
    for key in keys:
        if key in wish.model_fields_set and wish.allow is None:
            sentence = f"found {key} without allow, so no request brings anything in"
            yield Problem(
                "desired", (*at, key), f"{sentence}; expected allow beside it", at_key=True
            )
    if wish.max_wait <= wish.min_residency:
        yield _impatient(wish, at)


def _impatient(wish: HostWish, at: KeyPath) -> Problem:
    """Say of what the file sets that requests would be turned away before their turn."""
    longest, shortest = f"{wish.max_wait:g} s", f"{wish.min_residency:g} s"
    why = "or requests would be turned away before their turn"
    if "max_wait" in wish.model_fields_set:
        sentence = f"found {longest}, expected more than min_residency ({shortest}), {why}"
        return Problem("desired", (*at, "max_wait"), sentence)
    sentence = f"found {shortest}, expected less than max_wait ({longest} without the key), {why}"
    return Problem("desired", (*at, "min_residency"), sentence)


def _idle(wish: HostWish, at: KeyPath) -> Iterator[Problem]:
    """Find a rest that could not end, or would come at once."""
    if wish.idle is None:
        return
    if wish.active is None:
        sentence = (
            "found idle without active, so nothing would come back; expected active beside it"
        )
        yield Problem("desired", (*at, "idle"), sentence, at_key=True)
    if wish.idle.then == "unload":
        return
    if wish.power != "auto":
        sentence = f"found {wish.idle.then}, expected `power: auto` beside idle, or unload"
        yield Problem("desired", (*at, "idle", "then"), sentence)
    if wish.idle.after < SHORTEST_SLEEP_AFTER:
        sentence = (
            f"found {wish.idle.after:g} s, expected 1m or longer before a host goes to sleep; a"
            " number without a unit means seconds"
        )
        yield Problem("desired", (*at, "idle", "after"), sentence)


def _models_of(host_name: str, inventory: Inventory) -> dict[str, Model]:
    models = inventory.models.items()
    return {name: model for name, model in models if inventory.host_name_of(model) == host_name}


def _door(model: Model, definition: Definition | None) -> Door:
    inside = definition.inside if definition else None
    return inside.door(model.port) if inside else model.port


def _shared_port(name: str, doors: Mapping[str, Door], before: Iterable[str]) -> str:
    if name not in doors:
        return ""
    other = next((one for one in before if doors.get(one) == doors[name]), "")
    both = f"{name} and {other} both use port {doors[name]}"
    return f"{both}; expected one of them, or another port: in the inventory" if other else ""


def _misplaced(model_name: str, host_name: str, inventory: Inventory, here: Collection[str]) -> str:
    if model_name in here:
        return ""
    if model_name in inventory.models:
        home = inventory.host_name_of(inventory.models[model_name])
        expected = f"expected a model of {host_name} ({one_of(here)})"
        # One whose host is missing was reported where it is defined.
        return f"{model_name} is a model of {home}, {expected}" if home else ""
    none = "; `[]` runs none" if model_name in NOTHING else ""
    near = nearest(model_name, here) or f" ({one_of(here)})"
    return f"found {found(model_name)}, expected a model of {host_name}{none or near}"
