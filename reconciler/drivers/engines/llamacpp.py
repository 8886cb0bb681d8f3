"""Run llama.cpp's `llama-server`.

Flags and routes as measured on llama-server 0.6.0-dev, b10068, b10092 and b10434 (docs/engines.md). Needs slots that say
`is_processing` (b4027, October 2024) and, to know what they hold, `n_prompt_tokens` (b9294, May 2026).
"""

from __future__ import annotations

import json
import shlex
from posixpath import dirname
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from reconciler.drivers.engines.llama import import_flags, launch_config
from reconciler.drivers.engines.llama.engine import LlamaEngine
from reconciler.drivers.engines.llama.environment import Env
from reconciler.drivers.engines.llama.flags import refused
from reconciler.drivers.engines.llama.launch_config import Setup
from reconciler.model.quantity import WHOLE, Bytes, Word, expected
from reconciler.model.secret import Secret
from reconciler.model.spec import Capabilities, Command, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.model.machine import ImportedFlags, Server
    from reconciler.ports import Access

CAPABILITIES = Capabilities(keeps_conversations=True)


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError(f"{path!r} leaves the model's own directory; give a path without `..`, or an absolute one")
    return path


def _without_home(path: str) -> str:
    if path.startswith(("~", "$")):
        raise ValueError(f'found "{path}", expected a path that begins with /; {path[0]} is not expanded here')
    if "://" in path:
        raise ValueError(
            f'found "{path}", expected a file of its host; nothing is downloaded here: fetch it first, and name the file'
        )
    return path


def _listed(args: object) -> object:
    if isinstance(args, (list, tuple)):
        return args
    if not isinstance(args, str):
        raise expected('a list of words, such as ["-ngl", "99"]')
    try:
        words = shlex.split(args)
    except ValueError:
        words = args.split()
    raise expected(f"a list of words, such as {json.dumps(words, ensure_ascii=False)}")


def _theirs(args: tuple[str, ...]) -> tuple[str, ...]:
    found = list(refused(args))
    if found:
        raise ValueError("; ".join(found))
    return args


Args = Annotated[
    tuple[Word, ...],
    BeforeValidator(_listed, json_schema_input_type=tuple[Word, ...]),
    AfterValidator(_theirs),
    Field(
        description="Further flags of llama-server, each word as it would be typed: `[-ngl, 99]`. Flags that another key sets "
        "are refused, and so are, in a plan, flags that the program does not know and files that are not there."
    ),
]
File = Annotated[str, Field(min_length=1), AfterValidator(_without_home)]
WEIGHTS = "The GGUF file, or the first part of one that is split; a relative path is taken from the model's own directory."
Parallel = Annotated[int, Field(ge=1, description="How many conversations it holds at a time, each in its own slot."), WHOLE]
FolderOfOne = Annotated[
    str,
    Field(
        min_length=1,
        description="Where conversations are saved; in an absolute path, which models may share, each gets its own folder.",
    ),
    AfterValidator(_without_home),
    AfterValidator(_inside),
]
Budget = Annotated[Bytes, Field(description="What saved conversations may take, such as `64 GiB`; the oldest go first.")]
Key = Annotated[
    Secret | None,
    Field(
        description="Where its API key is. An engine that is started here is started with it, in its environment; a service that "
        "is there already has its own, and is asked with this one."
    ),
]
CONTEXT = "How many tokens all slots hold together."


class Options(BaseModel):
    """Say what to run. Relative paths are taken from the model's own directory on its host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    binary: File = Field(default="llama-server", description="The program: a name on the PATH, or a path.")
    weights: File = Field(description=WEIGHTS)
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
        """Return what every engine of this protocol is described by."""
        folder = dirname(self.binary)
        return Setup(
            program=(self.binary,),
            code=(self.binary, f"{folder}/") if folder else (self.binary,),
            weights=self.weights,
            context=self.context,
            parallel=self.parallel,
            slots=self.slots,
            budget=self.slots_budget,
            args=self.args,
            key=self.key,
            env=self.env,
        )


def command(options: Options, model_name: str, port: int, gpus: Sequence[int] = ()) -> Command:
    """Return what llama-server is started with. Pure."""
    return launch_config.command(options.setup(), model_name, port, gpus)


def adopted(server: Server) -> ImportedFlags:
    """Return what the flags of a running server say as keys. Pure."""
    return import_flags.adopted(server.flags, server.mapped, server.directory)


class Driver(LlamaEngine):
    """Look at and use one llama-server."""

    def __init__(self, options: Options, model: ModelSpec, access: Access, wall: Callable[[], float]) -> None:
        """Use the host behind `access`; `wall` tells seconds since the epoch."""
        super().__init__(options.setup(), model, access, wall)
