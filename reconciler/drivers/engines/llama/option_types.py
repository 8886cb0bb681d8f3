"""Option types that the kinds `llamacpp` and `embedded` share, with what is wrong with a value."""

from __future__ import annotations

import json
import shlex
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from reconciler.drivers.engines.llama.flags import refused
from reconciler.model.quantity import WHOLE, Bytes, Word, expected
from reconciler.model.secret import Secret


def _inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError(
            f"{path!r} leaves the model's own directory; give a path without `..`, or an"
            " absolute one"
        )
    return path


def _without_home(path: str) -> str:
    found = f'found "{path}", expected'
    if path.startswith(("~", "$")):
        raise ValueError(f"{found} a path that begins with /; {path[0]} is not expanded here")
    if "://" in path:
        raise ValueError(
            f"{found} a file of its host; nothing is downloaded here: fetch it first, and name the"
            " file"
        )
    return path


def _listed(args: object) -> object:
    if isinstance(args, (list, tuple)):
        return args
    if not isinstance(args, str):
        raise expected('a list of words, such as ["-ngl", "99"]')
    words = json.dumps(_words(args), ensure_ascii=False)
    raise expected(f"a list of words, such as {words}")


def _words(text: str) -> list[str]:
    """Split a text as a shell would, as far as its quotes allow."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


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
        description=(
            "Further flags of llama-server, each word as it would be typed: `[-ngl, 99]`. Flags"
            " that another key sets are refused, and so are, in a plan, flags that the program does"
            " not know and files that are not there."
        )
    ),
]
File = Annotated[str, Field(min_length=1), AfterValidator(_without_home)]
WEIGHTS = (
    "The GGUF file, or the first part of one that is split; a relative path is taken from the"
    " model's own directory."
)
Parallel = Annotated[
    int,
    Field(ge=1, description="How many conversations it holds at a time, each in its own slot."),
    WHOLE,
]
FolderOfOne = Annotated[
    str,
    Field(
        min_length=1,
        description=(
            "Where conversations are saved; in an absolute path, which models may share, each gets"
            " its own folder."
        ),
    ),
    AfterValidator(_without_home),
    AfterValidator(_inside),
]
Budget = Annotated[
    Bytes,
    Field(description="What saved conversations may take, such as `64 GiB`; the oldest go first."),
]
Key = Annotated[
    Secret | None,
    Field(
        description=(
            "Where its API key is. An engine that is started here is started with it, in its"
            " environment; a service that is there already has its own, and is asked with this one."
        )
    ),
]
CONTEXT = "How many tokens all slots hold together."
