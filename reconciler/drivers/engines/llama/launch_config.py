"""What an engine of this protocol is run with, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import isabs, join

from reconciler.drivers.engines.llama.flags import FlagPath, places, state_files, state_flags
from reconciler.drivers.engines.llama.key import VARIABLE
from reconciler.model.onhost.files import AskFingerprint, AskGguf, AskPlace
from reconciler.model.secret import Secret
from reconciler.model.spec import Command, ModelSpec

GIB = 1024**3


@dataclass(frozen=True)
class Setup:
    """An engine's settings; paths are as the operator wrote them.

    `budget` is in bytes, `context` in tokens.

    `made_from` are the flags from which it makes its weights where they are missing: those say what
    is in them.
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

    def weights_on(self, model: ModelSpec) -> str:
        """Return the weights' path on the host."""
        return join(model.directory, self.weights)

    def named_on(self, model: ModelSpec) -> tuple[tuple[str, AskGguf | AskPlace], ...]:
        """Return the question for every file and folder that must be there beside the weights, by the flag that names it."""
        return tuple(
            (place.flag, _question(place, join(model.directory, place.path)))
            for place in places(self.args)
        )

    def slots_on(self, model: ModelSpec) -> str:
        """Return the slot directory's path on the host."""
        return join(model.directory, _slots(self.slots, model.name))

    def fingerprint_on(self, model: ModelSpec) -> AskFingerprint:
        """Return the question for what a saved slot depends on."""
        return AskFingerprint(
            weights=(
                *(() if self.made_from else (self.weights_on(model),)),
                *state_files(self.args, model.directory),
            ),
            programs=tuple(
                join(model.directory, path) if "/" in path else path for path in self.code
            ),
            flags=(*state_flags(self.args, self.parallel), *self.made_from),
        )


def _question(place: FlagPath, path: str) -> AskGguf | AskPlace:
    return (
        AskGguf(path=path)
        if place.kind == "gguf"
        else AskPlace(path=path, folder=place.kind == "folder")
    )


def command(setup: Setup, model_name: str, port: int, gpus: Sequence[int]) -> Command:
    """Return the command line, with every default spelled out that would lose conversations."""
    slots = _slots(setup.slots, model_name)
    flags = [
        "--model", setup.weights, "--alias", model_name, "--host", "127.0.0.1", "--port", str(port),
        "--parallel", str(setup.parallel), "--slot-save-path", slots, "--metrics",
        "--fit", "off", "--cache-ram", "0", "--no-cache-idle-slots",
    ]  # fmt: skip
    context = [] if setup.context is None else ["--ctx-size", str(setup.context)]
    argv = (*setup.program, *flags, *context, *setup.args)
    words = {name: value for name, value in setup.env.items() if isinstance(value, str)}
    return Command(
        argv=argv,
        env={"GGML_NO_BACKTRACE": "1", **words, **_on_cards(gpus)},
        folders=(slots,),
        secrets=_secrets(setup),
    )


def _secrets(setup: Setup) -> dict[str, Secret]:
    """Return the variables whose values are read where they are when it is started."""
    key = {} if setup.key is None else {VARIABLE: setup.key}
    return {
        **key,
        **{name: value for name, value in setup.env.items() if not isinstance(value, str)},
    }


def _on_cards(gpus: Sequence[int]) -> dict[str, str]:
    """Return the environment that shows an engine no other cards.

    CUDA numbers them by speed unless it is told otherwise.
    """
    visible = ",".join(str(card) for card in gpus)
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible} if visible else {}


def _slots(slots: str, model_name: str) -> str:
    """Return a slot directory of this model alone: a place that may be shared gets a folder for each."""
    return join(slots, model_name) if isabs(slots) else slots
