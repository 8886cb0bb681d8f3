"""The engine kind of llama.cpp's `llama-server`.

Flags and routes as measured on llama-server 0.6.0-dev, b10068, b10092 and b10434 (docs/engines.md).
Needs slots that say `is_processing` (b4027, October 2024) and, to know what they hold,
`n_prompt_tokens` (b9294, May 2026).
"""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.engines.llama import import_flags, launch_config
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
from reconciler.drivers.engines.llama.variables import as_flags as written_as_flags
from reconciler.model.quantity import WHOLE
from reconciler.model.spec import Capabilities, Command, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.drivers.engines.llama.given import ReadCommand
    from reconciler.model.machine import ImportedFlags, Server
    from reconciler.ports import Access

CAPABILITIES = Capabilities(keeps_conversations=True)

NEEDED = ("weights",)
"""The options without which no command line can be made."""


class Options(BaseModel):
    """What to run. Relative paths are taken from the model's own directory on its host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    binary: File = Field(
        default="llama-server", description="The program: a name on the PATH, or a path."
    )
    weights: File | None = Field(
        default=None,
        description=f"{WEIGHTS} A service or a container that exists already says it itself.",
    )
    context: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        default=None, description=f"{CONTEXT} Without it, the model's own."
    )
    parallel: Parallel = 1
    slots: FolderOfOne = "slots"
    slots_budget: Budget = 64 * launch_config.GIB
    args: Args = ()
    key: Key = None
    env: Env = {}

    def setup(self) -> Setup:
        """Describe it as any engine of this protocol is described."""
        return Setup(
            program=(self.binary,),
            code=_code(self.binary),
            weights=self.weights or "",
            context=self.context,
            parallel=self.parallel,
            slots=self.slots,
            budget=self.slots_budget,
            args=self.args,
            key=self.key,
            env=self.env,
        )


def command(options: Options, model_name: str, port: int, gpus: Sequence[int] = ()) -> Command:
    """Make the command that starts llama-server. Pure."""
    return launch_config.command(options.setup(), model_name, port, gpus)


def _code(binary: str) -> tuple[str, ...]:
    # What lies beside a program decides too; of a name on the PATH it is not known where it lies.
    folder = dirname(binary)
    return (binary, f"{folder}/") if folder else (binary,)


def adopted(server: Server) -> ImportedFlags:
    """Translate the flags of a running server into keys. Pure."""
    return import_flags.adopted(server.flags, server.mapped, server.directory)


def as_flags(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Write variables that stand for flags as those. Pure."""
    return tuple(written_as_flags(variables))


class Driver(LlamaEngine):
    """One llama-server."""

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
    return GivenEngine(options.setup(), _code, model, access, read, wall)
