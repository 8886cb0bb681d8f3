"""The launch configuration of an engine of this protocol, whatever kind it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import isabs, join

from reconciler.drivers.engines.llama.flags import (
    FlagPath,
    is_unified,
    places,
    state_files,
    state_flags,
)
from reconciler.drivers.engines.llama.key import VARIABLE
from reconciler.model.onhost.files import AskFingerprint, AskGguf, AskPlace
from reconciler.model.secret import Secret
from reconciler.model.spec import Command, ModelSpec

GIB = 1024**3

PADDING = 256
"""A context is rounded up to a multiple of so many tokens (b10434, b11549)."""


@dataclass(frozen=True)
class Setup:
    """An engine's settings; paths are as the operator wrote them.

    `budget` is in bytes, `context` in tokens. `made_from` are the flags from which it makes its
    weights where they are missing; they say what is in them. `shares` says that the folder `slots`,
    where it is absolute, may be that of several models.
    """

    program: tuple[str, ...]
    code: tuple[str, ...]
    weights: str
    context: int | None
    parallel: int
    slots: str
    budget: int
    args: tuple[str, ...]
    made_from: tuple[str, ...] = ()
    key: Secret | None = None
    env: Mapping[str, str | Secret] = field(default_factory=dict)
    shares: bool = True

    def weights_on(self, model: ModelSpec) -> str:
        """Find the weights' path on the host."""
        return join(model.directory, self.weights)

    def named_on(self, model: ModelSpec) -> tuple[tuple[str, AskGguf | AskPlace], ...]:
        """Ask for each file and folder that must be there beside the weights, by its flag."""
        named = [(place, join(model.directory, place.path)) for place in places(self.args)]
        return tuple((place.flag, _question(place, path)) for place, path in named)

    def slots_on(self, model: ModelSpec) -> str:
        """Find the slot directory's path on the host."""
        slots = _slots(self.slots, model.name) if self.shares else self.slots
        return join(model.directory, slots)

    @property
    def slot_tokens(self) -> int | None:
        """How many tokens fit into a slot, None where its weights decide."""
        if not self.context:
            return None
        size = (
            self.context if is_unified(self.args, self.parallel) else self.context // self.parallel
        )
        return -(-size // PADDING) * PADDING

    def fingerprint_on(self, model: ModelSpec) -> AskFingerprint:
        """Ask for what a saved slot depends on."""
        # Weights that are made from a seed are known by that seed alone (ADR 13).
        weights = () if self.made_from else (self.weights_on(model),)
        return AskFingerprint(
            weights=(*weights, *state_files(self.args, model.directory)),
            programs=tuple(_program(path, model.directory) for path in self.code),
            flags=(*state_flags(self.args, self.parallel), *self.made_from),
        )


def _program(path: str, directory: str) -> str:
    # A name without a slash is looked up on the PATH.
    return join(directory, path) if "/" in path else path


def _question(place: FlagPath, path: str) -> AskGguf | AskPlace:
    if place.kind == "gguf":
        return AskGguf(path=path)
    return AskPlace(path=path, folder=place.kind == "folder")


def command(setup: Setup, model_name: str, port: int, gpus: Sequence[int]) -> Command:
    """Make the command line, with every default spelled out that would lose conversations."""
    slots = _slots(setup.slots, model_name)
    words = {name: value for name, value in setup.env.items() if isinstance(value, str)}
    return Command(
        argv=(*setup.program, *_flags(setup, model_name, port, slots), *setup.args),
        env={"GGML_NO_BACKTRACE": "1", **words, **_on_cards(gpus)},
        folders=(slots,),
        secrets=_secrets(setup),
    )


def _flags(setup: Setup, model_name: str, port: int, slots: str) -> Iterator[str]:
    yield from ("--model", setup.weights) if setup.weights else ()
    yield from ("--alias", model_name)
    yield from ("--host", "127.0.0.1", "--port", str(port))
    yield from ("--parallel", str(setup.parallel), "--slot-save-path", slots, "--metrics")
    # flags.FIXED says of each of these why.
    yield from ("--fit", "off", "--cache-ram", "0", "--no-cache-idle-slots")
    if setup.context is not None:
        yield from ("--ctx-size", str(setup.context))


def _secrets(setup: Setup) -> dict[str, Secret]:
    """List the variables whose values are read where they are, when it is started."""
    secrets = {name: value for name, value in setup.env.items() if not isinstance(value, str)}
    return secrets if setup.key is None else {VARIABLE: setup.key, **secrets}


def _on_cards(gpus: Sequence[int]) -> dict[str, str]:
    """Make the environment that shows an engine no other cards."""
    visible = ",".join(str(card) for card in gpus)
    if not visible:
        return {}
    # CUDA numbers them by speed unless it is told otherwise.
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible}


def _slots(slots: str, model_name: str) -> str:
    # Models may share an absolute path, so that each gets its own folder there.
    return join(slots, model_name) if isabs(slots) else slots
