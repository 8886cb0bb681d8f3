"""Listing: the models that may be named, and how each of them is, from what is known here.

Nothing is asked for it: clients list models every few seconds, also while hosts sleep. The word in
`status.value` is that of llama.cpp's router (b11549), which Open WebUI and others read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias

from reconciler.gateway.head import Refusal, Request

OWNER = "reconciler"
ANTHROPIC = b"anthropic-version"

LONGEST_OUTPUT = 10_000
"""Bytes of a command's output that Codex shows a model."""

INSTRUCTIONS = """You are a coding agent in a terminal, working in the user's folder.
Read the files that matter before you change anything, and keep changes small and in the style
around them. Use the shell tool to look, to edit and to run tests; show no code that you could
write into a file. Do what was asked, check that it works, and then say in a few sentences what you
did and what is left. Ask only when you cannot go on without an answer."""
"""Codex wants instructions with each model, and takes these in place of its own."""

Residency: TypeAlias = Literal["loaded", "loading", "unloaded"]


class ListedModel(NamedTuple):
    """A model, how far it is, why it would not answer now ("" where it would), its other names.

    `context` and `architecture` are what it was like when it served last, 0 and "" before.
    """

    name: str
    residency: Residency
    reason: str = ""
    aliases: tuple[str, ...] = ()
    context: int = 0
    architecture: str = ""
    failed: bool = False


def listing(
    request: Request, name: str | None, models: Sequence[ListedModel], since: float
) -> bytes | Refusal:
    """The list, or the one model that is named, in the form that the client reads.

    `since` is when the gateway began, in seconds of the wall clock: clients want a date of each.
    """
    chosen = [model for model in models if name in {None, model.name, *model.aliases}]
    if name is not None and not chosen:
        names = ", ".join(model.name for model in models) or "none, since no file names a model"
        return Refusal(404, f'no model is called "{name}"; expected one of: {names}')
    is_anthropic = any(field.lower() == ANTHROPIC for field, _ in request.fields)
    told = [(_anthropic if is_anthropic else _openai)(model, since) for model in chosen]
    if name is None and request.asked("client_version"):
        return json.dumps({"models": [_codex(*one) for one in enumerate(chosen)]}).encode()
    if name is not None:
        return json.dumps(told[0]).encode()
    if is_anthropic:
        return json.dumps(_page([*told, *_aliases(chosen, since)])).encode()
    return json.dumps({"object": "list", "data": told}).encode()


def props(*, brings_in: bool) -> bytes:
    """What llama.cpp's router says of itself, and its clients look for (b11549)."""
    settings = {"params": {}, "n_ctx": 0}
    told = {"role": "router", "models_autoload": brings_in, "model_alias": OWNER}
    return json.dumps(
        {**told, "model_path": "none", "default_generation_settings": settings}
    ).encode()


STATES: Mapping[Residency, str] = {"loaded": "ready", "loading": "starting"}


def running(models: Sequence[ListedModel]) -> bytes:
    """The models that are there or on their way, as llama-swap tells them."""
    there = [
        {"model": model.name, "state": STATES[model.residency]}
        for model in models
        if model.residency in STATES
    ]
    return json.dumps({"running": there}).encode()


def _openai(model: ListedModel, since: float) -> Mapping[str, object]:
    more = {"reason": model.reason, "failed": model.failed}
    status = {"value": model.residency, **{key: value for key, value in more.items() if value}}
    named = {"id": model.name, "object": "model", "created": int(since), "owned_by": OWNER}
    known = {"context_length": model.context, "architecture": model.architecture}
    # What is not known is left out: some clients take null for a number.
    told = {key: value for key, value in known.items() if value}
    return {**named, "aliases": [*model.aliases], "status": status, **told}


def _anthropic(model: ListedModel, since: float) -> Mapping[str, object]:
    created = datetime.fromtimestamp(int(since), UTC).isoformat().replace("+00:00", "Z")
    named = {"id": model.name, "display_name": model.name, "created_at": created}
    return {"type": "model", **named}


def _aliases(models: Sequence[ListedModel], since: float) -> list[Mapping[str, object]]:
    """Each other name once: Claude Code takes none but those that begin as Claude's do."""
    names = dict.fromkeys(alias for model in models for alias in model.aliases)
    return [_anthropic(ListedModel(name, "loaded"), since) for name in names]


def _codex(place: int, model: ListedModel) -> Mapping[str, object]:
    """The form that Codex reads; without any of these fields it reads nothing (0.171)."""
    return {
        "slug": model.name,
        "display_name": model.name,
        "description": model.reason or None,
        "priority": place,
        "visibility": "list",
        "supported_in_api": True,
        "base_instructions": INSTRUCTIONS,
        "shell_type": "shell_command",
        "supported_reasoning_levels": [],
        "supports_reasoning_summaries": False,
        "support_verbosity": False,
        "supports_parallel_tool_calls": False,
        "truncation_policy": {"mode": "bytes", "limit": LONGEST_OUTPUT},
        "experimental_supported_tools": [],
        "input_modalities": ["text"],
        **dict.fromkeys(("upgrade", "default_verbosity", "apply_patch_tool_type")),
    }


def _page(told: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    ends = {"first_id": told[0]["id"], "last_id": told[-1]["id"]} if told else {}
    return {"data": [*told], "has_more": False, **({"first_id": None, "last_id": None} | ends)}
