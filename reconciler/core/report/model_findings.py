"""Model findings: what is wrong with a model's program, its weights, and what its engine says."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core.report.levels import note, wrong
from reconciler.model.facts import Binary, Flags, Health, Weights
from reconciler.model.findings import Finding
from reconciler.model.observed import BINARY, FLAGS, HEALTH, TRAFFIC, WEIGHTS, Observed
from reconciler.model.spec import ModelSpec

VECTORS = ("bert", "nomic-bert", "jina-bert", "eurobert", "gemma-embedding")


def of_model(host: str, model: ModelSpec, observed: Observed) -> Iterator[Finding]:
    """Yield what would keep a model from starting, and what its engine says that is not wanted."""
    binary = observed.value(BINARY(host, model.name))
    weights = observed.value(WEIGHTS(host, model.name))
    if binary is not None and binary.autostart:
        found = f"{binary.autostart.found}, whatever desired.yaml says"
        yield note("boot", found, binary.autostart.fix)
    yield from _program(model, binary, observed.value(FLAGS(host, model.name)))
    if weights is not None:
        yield from _weights(model, weights)
    health = observed.value(HEALTH(host, model.name)) or Health(phase="absent")
    yield from _key(model, health, binary)
    yield from _engine(model, health)
    key = TRAFFIC(host, model.name)
    traffic = observed.value(key) if key in observed else None
    if traffic is not None and traffic.rereader:
        yield _reread(traffic.rereader)


def _reread(client: str) -> Finding:
    found = (
        f"the newest prompt of {client} begins with a line that differs in every request, so the"
        " engine reads the whole conversation again each time"
    )
    fix = (
        "update it to 2.1.181 or later, or set CLAUDE_CODE_ATTRIBUTION_HEADER=0 where it runs"
        " (docs/clients.md)"
    )
    return note("client", found, fix)


def _program(model: ModelSpec, binary: Binary | None, flags: Flags | None) -> Iterator[Finding]:
    for fact in (binary, flags):
        if fact is not None and fact.problem:
            yield wrong("program", fact.problem, _correcting(model))


def _weights(model: ModelSpec, weights: Weights) -> Iterator[Finding]:
    if weights.problem:
        yield wrong("weights", weights.problem, _correcting(model))
    if _talks(model) and weights.architecture.startswith(VECTORS):
        yield _mute(model, weights)


def _talks(model: ModelSpec) -> bool:
    return model.task in {"chat", "completion"}


def _mute(model: ModelSpec, weights: Weights) -> Finding:
    what = f"{weights.path} ({weights.architecture}) is an embedding model"
    found = f"{what}, and its task is {model.task}"
    fix = f'write `task: embedding` at {model.name}, and "--embedding" into its args'
    return wrong("weights", found, fix)


def _correcting(model: ModelSpec) -> str:
    return f"fix it, or what inventory.yaml says of {model.name}"


def _key(model: ModelSpec, health: Health, binary: Binary | None) -> Iterator[Finding]:
    if health.phase == "locked":
        found = f"it denies access: {health.message}"
        fix = "fix that; until then it keeps running unseen, and is not stopped for another model"
        yield wrong("key", found, fix)
    elif binary is not None and binary.key and not model.command.secrets:
        # Not wrong yet: nothing was refused for want of the key.
        found = f"its service wants a key ({binary.key})"
        fix = "name the key with `key:` of its engine in inventory.yaml"
        yield note("key", found, fix)


def _unclear(model: ModelSpec, health: Health) -> Finding:
    found = f"it answers, but not like a working engine: {health.message}"
    # What answers lives (ADR 0018), so no command that ends it is advised.
    fix = f"`reconciler logs {model.name}` may say why; nothing that answers is restarted by itself"
    return wrong("engine", found, fix)


def _engine(model: ModelSpec, health: Health) -> Iterator[Finding]:
    """Yield what an engine that answers says, where it is not what is wanted of it."""
    if health.phase == "unclear":
        yield _unclear(model, health)
    for setting in health.notes:
        fix = f"change what it runs, or what inventory.yaml says of {model.name}"
        yield note("engine", setting, fix)
    if health.phase == "other":
        yield wrong("engine", health.message, health.remedy)
