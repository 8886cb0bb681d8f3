"""Model entry: one model of inventory.yaml as it was found, each guess with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from reconciler.core.onboarding.candidates import Candidate, place_of
from reconciler.core.onboarding.kept import Kept
from reconciler.core.onboarding.yaml_text import yaml_mapping, yaml_text
from reconciler.core.phrases import size
from reconciler.model.importing import ImportRow
from reconciler.model.machine import KEY_VARIABLE, ImportedFlags, Machine, Server, WeightsFile
from reconciler.model.spec import Task

CONTEXT = 8192
"""Tokens that a model is given when nothing says how many: enough to talk, and small enough to fit
beside most weights."""

EMBEDDING = ("bert", "nomic-bert", "jina-bert", "eurobert", "gemma-embedding", "t5encoder")
_FLAGS: Mapping[Task, tuple[str, ...]] = {
    "chat": (),
    "completion": (),
    "embedding": ("--embedding",),
    "rerank": ("--reranking",),
}
"""Without which llama-server answers 501 to what a task asks."""


def entry(one: Candidate, machine: Machine, program: str, port: int) -> Iterator[str]:
    """Yield the lines of one model.

    `program` serves every model that does not name another; `port` is for what is not served yet.
    """
    yield ""
    yield from (f"  # {line}" for line in _origin(one))
    yield f"  {yaml_text(one.name)}:"
    yield "    engine:"
    yield from (f"      {line}" for line in _engine(one, machine, program))
    task = one.adopted.task if one.adopted is not None else _task(one.file)
    if task != "chat":
        yield f"    task: {task}"
    if one.kept is not None:
        yield f"    launcher: {yaml_mapping(one.kept.launcher)}"
    yield f"    port: {port if one.server is None else one.server.port}"


def _origin(one: Candidate) -> Iterator[str]:
    if one.server is None or one.adopted is None:
        yield _about(one.file)
        return
    yield _serves(one.server, runs=one.serves)
    # What does not run was not looked at, where its file was not.
    if one.file.size or one.serves:
        yield _about(one.file)
    if one.kept is not None:
        yield from _kept(one.kept, runs=one.serves)
    else:
        yield from _replaced(one.name, one.server, one.adopted)
    yield from (_remark(row) for row in one.rows if row.instead or row.became != "carried")


def _serves(server: Server, *, runs: bool) -> str:
    if not server.pid:
        return (
            "It runs, and listens nowhere yet." if runs else "It did not run when it was looked at."
        )
    by = f", {server.service.name}" if server.service else ""
    return f"Served now {place_of(server)} by pid {server.pid} of {server.user}{by}."


def _remark(row: ImportRow) -> str:
    instead = f"; {row.instead}" if row.instead else ""
    return f"{row.became.capitalize()}, {row.where}: {row.key}: {row.why}{instead}."


def _about(file: WeightsFile) -> str:
    parts = (_size(file), file.architecture, _longest_context(file))
    return f"{', '.join(filter(None, parts))}."


def _size(file: WeightsFile) -> str:
    return size(file.size) if file.size else "It could not be read here"


def _longest_context(file: WeightsFile) -> str:
    return f"a context of up to {file.context_length} tokens" if file.context_length else ""


def _kept(kept: Kept, *, runs: bool) -> Iterator[str]:
    stays = "keeps running" if runs else "stays"
    yield (
        f"{kept.shown} {stays} as it is, with its own command line; what is said of it here has to"
        " match that."
    )
    yield from kept.remarks


def _replaced(name: str, server: Server, adopted: ImportedFlags) -> Iterator[str]:
    """Yield what will be otherwise once the server is started by us."""
    if adopted.alias and adopted.alias != name:
        yield (
            f"It called itself {yaml_text(adopted.alias)}; from now on the name that clients see is"
            " the one below."
        )
    if server.container is not None:
        yield "Paths in args are those of the container: write them as they are on this host."
    yield from (f"Left out {flag}." for flag in adopted.left_out)
    yield from _variables(server)


def _variables(server: Server) -> Iterator[str]:
    # The key has its own line, with the file that it should be in.
    flags = [name for name in server.variables if name != KEY_VARIABLE]
    if flags:
        yield f"Its environment sets more: add {', '.join(flags)} to args, as flags."


def _engine(one: Candidate, machine: Machine, program: str) -> Iterator[str]:
    server, adopted = one.server, one.adopted
    yield "kind: llamacpp"
    if server is not None and server.program not in {"", program}:
        yield f"binary: {yaml_text(server.program)}"
    yield f"weights: {yaml_text(one.file.path)}"
    if server is not None:
        yield from _key(server)
    # What is kept has its own command line: a guess could only contradict it.
    yield from _sizes(one, guesses=one.kept is None)
    if adopted is not None and adopted.slots:
        yield f"slots: {yaml_text(adopted.slots)}"
    yield from _guessed_args(one.file, machine) if adopted is None else _args(adopted.args)


def _key(server: Server) -> Iterator[str]:
    """Yield where the key of a server is, or how to say so if that is unseen; never the key."""
    if server.key_file:
        said = f"{server.key_source} of what serves now"
        yield f"key: {{from_file: {yaml_text(server.key_file)}}}   # {said}"
    elif server.key_source:
        yield (
            f"# key: {{from_file: /PATH}}   # it wants an API key ({server.key_source}): put that"
            " into your own file, and name the file here"
        )


def _sizes(one: Candidate, *, guesses: bool) -> Iterator[str]:
    """Yield context and parallel, with the reason where a guess is wanted and made."""
    adopted = one.adopted
    if adopted is not None and adopted.context is not None:
        yield f"context: {adopted.context}"
    elif guesses:
        yield _guessed_context(one.file)
    if adopted is not None and adopted.parallel is not None:
        yield f"parallel: {adopted.parallel}"
    elif adopted is not None and guesses:
        yield (
            "parallel: 1   # a guess: how many conversations at a time; nothing on its command line"
            " says"
        )


def _guessed_context(file: WeightsFile) -> str:
    guess = min(CONTEXT, file.context_length or CONTEXT)
    return (
        f"context: {guess}   # a guess: all slots together{_cost(file)}. Without this key it is the"
        " model's own"
    )


def _cost(file: WeightsFile) -> str:
    mebibytes = round(file.kv_bytes_per_token * 1000 / 1024**2)
    return f"; 1000 tokens take {mebibytes} MiB" if mebibytes else ""


def _args(args: tuple[str, ...], why: str = "") -> Iterator[str]:
    if args:
        yield f"args: {json.dumps(args, ensure_ascii=False)}{why}"


def _guessed_args(file: WeightsFile, machine: Machine) -> Iterator[str]:
    args = (*_layers(machine), *_FLAGS[_task(file)])
    return _args(args, f"   # {_why_args(file, machine)}")


def _layers(machine: Machine) -> tuple[str, ...]:
    return ("-ngl", "99") if _has_accelerator(machine) else ()


def _why_args(file: WeightsFile, machine: Machine) -> str:
    says = {
        "rerank": "its header says that it is a reranker",
        "embedding": f"{file.architecture} is an embedding model, it does not chat",
    }
    layers = "all layers on the accelerator that was found; fewer when they do not fit"
    parts = [layers if _has_accelerator(machine) else "", says.get(_task(file), "")]
    return "; ".join(filter(None, parts))


def _has_accelerator(machine: Machine) -> bool:
    return bool(machine.nodes or machine.cards)


def _task(file: WeightsFile) -> Task:
    """Tell from their header what weights are there for: no server says so."""
    if file.ranks:
        return "rerank"
    return "embedding" if file.architecture.startswith(EMBEDDING) else "chat"
