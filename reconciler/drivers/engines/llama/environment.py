"""The environment of an engine that is started here: what an operator may set, and what not."""

from __future__ import annotations

import re
from itertools import starmap
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

from reconciler.model.quantity import Word, expected
from reconciler.model.secret import Secret

_STARTED_BY = (
    "LLAMA_SERVER_",
    "RECONCILER_",
    "SPT_NOENV",
    "NOTIFY_SOCKET",
    "WATCHDOG_",
    "LISTEN_",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "CREDENTIALS_DIRECTORY",
)
"""How variables begin that tell a process who started it."""

_SECRET = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIALS?)$", re.IGNORECASE)


def _listed(env: object) -> object:
    if isinstance(env, list):
        raise expected(
            "a mapping from names to values, such as `{OMP_NUM_THREADS: 8}`, without dashes"
        )
    return env


def _way(value: object) -> str:
    return "[secret]" if isinstance(value, (dict, BaseModel)) else "[word]"


def _obstacle(name: str, value: object) -> str:
    """Explain why a variable is not the operator's to set so, if it is not."""
    if name.startswith("LLAMA_ARG_"):
        return (
            f"{name} is a flag of llama-server; write that into args, or set the key that sets it"
        )
    if name == "LLAMA_API_KEY":
        return f"{name} is set by the key `key`; remove it from env and set that"
    if name.startswith(_STARTED_BY):
        return f"{name} cannot be set in env: it tells a program who started it"
    if isinstance(value, str) and _SECRET.search(name):
        example = f"`{name}: {{from_env: {name}}}`"
        return f"{name} sounds like a secret: say where it is, such as {example}, not what it is"
    return ""


def _theirs(env: dict[str, object]) -> dict[str, object]:
    obstacles = "; ".join(filter(None, starmap(_obstacle, env.items())))
    if obstacles:
        raise ValueError(obstacles)
    return env


_Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Value: TypeAlias = Annotated[
    Annotated[Word, Tag("[word]")] | Annotated[Secret, Tag("[secret]")], Discriminator(_way)
]

Env: TypeAlias = Annotated[
    dict[_Name, _Value],
    BeforeValidator(_listed, json_schema_input_type=dict[_Name, _Value]),
    AfterValidator(_theirs),
    Field(
        description=(
            "Variables for its environment, such as `{GGML_CUDA_ENABLE_UNIFIED_MEMORY: 1}`: each a"
            " word, or where a secret is (from_env, from_file or from_credential)."
        )
    ),
]
