"""Draft files: both files for a machine as it was found, every guess with its reason beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.core.onboarding import model_names
from reconciler.core.phrases import size
from reconciler.model.inventory import LOCAL
from reconciler.model.machine import KEY_VARIABLE, ImportedFlags, Machine, Server, WeightsFile
from reconciler.model.origin import Service
from reconciler.model.spec import Task

CONTEXT = 8192
"""Tokens that a model is given when nobody said: enough to talk, and small enough to fit beside
most weights."""

PROGRAM = "llama-server"
BESIDE = {"mmproj", "adapter", "imatrix", "vocab"}
"""What a GGUF file may be that is no model of its own."""

EMBEDDING = ("bert", "nomic-bert", "jina-bert", "eurobert", "gemma-embedding", "t5encoder")
_FLAGS: Mapping[Task, tuple[str, ...]] = {
    "chat": (),
    "completion": (),
    "embedding": ("--embedding",),
    "rerank": ("--reranking",),
}
"""Without which llama-server answers 501 to what a task asks."""

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._+-]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}

DEMO = """version: 1
models:
  tiny-a: {engine: {kind: embedded, seed: 1}, port: PORT, stable_for: 2s}
  tiny-b: {engine: {kind: embedded, seed: 2}, port: PORT, stable_for: 2s}
  # Your own, with llama-server on the PATH or `binary:` beside the weights:
  # my-model: {engine: {kind: llamacpp, weights: /path/to/my-model.gguf, context: 8192}, port: PORT}
"""


class Candidate(NamedTuple):
    """A model that could be written: where it comes from, and who serves it now."""

    name: str
    file: WeightsFile
    adopted: ImportedFlags | None = None
    server: Server | None = None


class InitAnswers(NamedTuple):
    """What a person said, or nobody: the models that shall run, and where llama-server is."""

    active: tuple[str, ...] | None = None
    program: str = ""


class Where(NamedTuple):
    """Which host the files are about: its name, and how it is reached, None for this machine."""

    host: str = LOCAL
    access: Mapping[str, str] | None = None


HERE = Where()


class FileDrafts(NamedTuple):
    """The texts of both files."""

    desired: str
    inventory: str


def candidates(machine: Machine, adopted: Mapping[int, ImportedFlags]) -> tuple[Candidate, ...]:
    """Return the models that can be written: what is served first, then the other weights that were found."""
    files = {file.path: file for file in machine.weights}
    seen = [(one, _seen_here(one, adopted[one.pid], files)) for one in machine.servers]
    served = [(one, said) for one, said in seen if said.weights]
    told = [
        one.model or (said.alias if model_names.is_name(said.alias) else "") for one, said in served
    ]
    told = [name if told.count(name) == 1 else "" for name in told]
    rest = [
        file
        for file in machine.weights
        if _is_model(file) and file.path not in {said.weights for _, said in served}
    ]
    unnamed = [said.weights for (_, said), name in zip(served, told, strict=True) if not name]
    chosen = iter(model_names.names([*unnamed, *(file.path for file in rest)], filter(None, told)))
    first = [
        Candidate(name or next(chosen), files.get(said.weights) or _unread(said.weights), said, one)
        for (one, said), name in zip(served, told, strict=True)
    ]
    return (*first, *(Candidate(next(chosen), file) for file in rest))


def _seen_here(
    server: Server, said: ImportedFlags, files: Mapping[str, WeightsFile]
) -> ImportedFlags:
    """Return what a server says, of one in a container with the path that its weights have outside, and no folder of its."""
    if server.container is None:
        return said
    return said.model_copy(
        update={"weights": next((path for path in server.mapped if path in files), ""), "slots": ""}
    )


def draft(
    machine: Machine,
    found: Sequence[Candidate],
    answers: InitAnswers,
    gpu_problem: str,
    where: Where = HERE,
) -> FileDrafts:
    """Return both files.

    `gpu_problem` is why the memory of the accelerators cannot be read, empty when it can.
    """
    if not found:
        why = "Nothing was found here that could serve: this one runs on random weights."
        return FileDrafts(
            _desired(machine, "tiny-a", why),
            "\n".join([_demo(machine).rstrip("\n"), *_left(machine, found)]) + "\n",
        )
    return FileDrafts(
        _wish(machine, found, answers),
        "\n".join(_inventory(machine, found, answers, gpu_problem, where)) + "\n",
    )


def _wish(machine: Machine, found: Sequence[Candidate], answers: InitAnswers) -> str:
    serving = [one.name for one in found if one.server is not None]
    if serving:
        return _desired(machine, _list(serving), "What was served when `reconciler init` looked.")
    if answers.active is not None:
        return _desired(machine, _list(answers.active), "As you answered.")
    why = (
        "No model was chosen to run, so none does; write one of inventory.yaml here, such as"
        f" {found[0].name}."
    )
    return _desired(machine, "[]", why)


def _desired(machine: Machine, active: str, why: str) -> str:
    return (
        f"# What should be so on {machine.name}: change it, look at `reconciler plan`, run"
        f" `reconciler apply`.\nversion: 1\n# {why}\nactive: {active}\n"
    )


def _list(names: Sequence[str]) -> str:
    written = [_text(name) for name in names]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _demo(machine: Machine) -> str:
    return (
        "# What exists. No llama-server listens here and no GGUF file was found, so these are two"
        " models of random weights.\n" + DEMO.replace("PORT", str(machine.free_port))
    )


def _inventory(
    machine: Machine,
    found: Sequence[Candidate],
    answers: InitAnswers,
    gpu_problem: str,
    where: Where,
) -> list[str]:
    program, why = _program(machine, found, answers)
    lines = [
        (
            f"# What exists on {machine.name}, as `reconciler init` found it. Every guess says why;"
            " change what is wrong."
        ),
        "version: 1",
    ]
    if gpu_problem or program or where.access:
        lines += ["hosts:", f"  {_text(where.host)}:"]
    if where.access:
        options = ", ".join(f"{key}: {_text(value)}" for key, value in where.access.items())
        lines.append(f"    access: {{kind: ssh, {options}}}   # ~/.ssh/config says the rest")
    if gpu_problem:
        lines += [
            f"    # {gpu_problem}.",
            "    gpu: none   # without this key its memory is looked after, where it can be read",
        ]
    if program:
        lines += ["    engines:", f"      llamacpp: {{binary: {_text(program)}}}   # {why}"]
    else:
        lines.append(f"# {why}")
    lines.append("models:")
    for one in found:
        lines += _model(one, machine, program, _port(machine, found))
    return [*lines, *_left(machine, found)]


def _program(machine: Machine, found: Sequence[Candidate], answers: InitAnswers) -> tuple[str, str]:
    """Return the program of every model and why this one, or "" and what to do."""
    if answers.program:
        return answers.program, "as you answered"
    serving = [one.server.program for one in found if one.server is not None and one.server.program]
    if serving:
        return serving[0], "what serves now"
    if machine.programs:
        others = f"; also found: {', '.join(machine.programs[1:])}" if machine.programs[1:] else ""
        return machine.programs[0], f"the first that was found{others}"
    return (
        "",
        (
            f"No {PROGRAM} was found here: put it on the PATH, or name it with `binary:` beside the"
            " weights."
        ),
    )


def _model(one: Candidate, machine: Machine, program: str, port: int) -> list[str]:
    adopted, server = one.adopted, one.server
    service = machine.service_of(server) if server is not None else None
    lines = ["", *(f"  # {line}" for line in _origin(one, machine, service))]
    lines += [f"  {_text(one.name)}:", "    engine:", "      kind: llamacpp"]
    if server is not None and server.program not in {"", program}:
        lines.append(f"      binary: {_text(server.program)}")
    lines.append(f"      weights: {_text(one.file.path)}")
    lines += [f"      {line}" for line in (_key(server) if server is not None else [])]
    lines += [f"      {line}" for line in _sizes(one, guesses=service is None)]
    if adopted is not None and adopted.slots:
        lines.append(f"      slots: {_text(adopted.slots)}")
    args = adopted.args if adopted is not None else _guessed_args(one, machine)
    if args:
        why = "" if adopted is not None else f"   # {_why_args(one, machine)}"
        lines.append(f"      args: {json.dumps(args, ensure_ascii=False)}{why}")
    task = adopted.task if adopted is not None else _task(one.file)
    lines += [f"    task: {task}"] if task != "chat" else []
    if service is not None:
        lines.append(
            f"    launcher: {{kind: systemd, unit: {_text(service.name)}, scope: {service.scope}}}"
        )
    lines.append(f"    port: {port if server is None else server.port}")
    return lines


def _origin(one: Candidate, machine: Machine, service: Service | None) -> list[str]:
    said = [
        f"{_size(one.file)}{', ' + one.file.architecture if one.file.architecture else ''}{_own_context(one.file)}."
    ]
    if one.server is None or one.adopted is None:
        return said
    by = f", {one.server.service.name}" if one.server.service else ""
    said.insert(
        0, f"Served now {_where(one.server)} by pid {one.server.pid} of {one.server.user}{by}."
    )
    if service is not None:
        said.append(
            f"{service.name} keeps running as it is, with its own command line; what is said of it"
            " here has to match that."
        )
        allowed = (
            f"Before a switch {machine.user} must be allowed to start and stop it: see"
            " docs/systemd.md."
        )
        return [*said, *([allowed] if service.scope == "system" and machine.user != "root" else [])]
    if one.adopted.alias and one.adopted.alias != one.name:
        said.append(
            f"It called itself {_text(one.adopted.alias)}; from now on the name that clients see is"
            " the one below."
        )
    if one.server.container is not None:
        said.append(
            "Paths in args are those of the container: write them as they are on this host."
        )
    flags = [name for name in one.server.variables if name != KEY_VARIABLE]
    told = f"Its environment says more: write {', '.join(flags)} as flags into args."
    return [
        *said,
        *(f"Left out {flag}." for flag in one.adopted.left_out),
        *([told] if flags else []),
    ]


def _key(server: Server) -> list[str]:
    """Return where the key of a server is, or how to say it where that cannot be seen.

    Never the key.
    """
    if server.key_file:
        said = f"{server.key_source} of what serves now"
        return [f"key: {{from_file: {_text(server.key_file)}}}   # {said}"]
    here = (
        f"it wants an API key ({server.key_source}): put that into your own file, and name the file"
        " here"
    )
    return [f"# key: {{from_file: /PATH}}   # {here}"] if server.key_source else []


def _where(server: Server) -> str:
    """Return where a server is reached."""
    if server.container is not None:
        return f"in {server.container.shown}"
    return f"on the Unix socket {server.socket}" if server.socket else f"on port {server.port}"


def _sizes(one: Candidate, *, guesses: bool) -> list[str]:
    """Return context and parallel, with the reason where nobody said and a guess is wanted."""
    lines: list[str] = []
    own = one.file.context_length
    if one.adopted is not None and one.adopted.context is not None:
        lines.append(f"context: {one.adopted.context}")
    elif guesses:
        guess = min(CONTEXT, own) if own else CONTEXT
        megabytes = round(one.file.kv_bytes_per_token * 1000 / 1024**2)
        cost = f"; 1000 tokens take {megabytes} MiB" if megabytes else ""
        lines.append(
            f"context: {guess}   # a guess: all slots together{cost}. Without this key it is the"
            " model's own"
        )
    if one.adopted is not None and one.adopted.parallel is not None:
        lines.append(f"parallel: {one.adopted.parallel}")
    elif one.adopted is not None and guesses:
        lines.append(
            "parallel: 1   # a guess: how many conversations at a time; nothing on its command line"
            " says"
        )
    return lines


def _guessed_args(one: Candidate, machine: Machine) -> tuple[str, ...]:
    layers = ("-ngl", "99") if machine.nodes or machine.cards else ()
    return (*layers, *_FLAGS[_task(one.file)])


def _why_args(one: Candidate, machine: Machine) -> str:
    layers = "all layers on the accelerator that was found; fewer when they do not fit"
    says = {
        "rerank": "its header says that it ranks",
        "embedding": f"{one.file.architecture} gives vectors, it does not talk",
    }
    parts = [layers if machine.nodes or machine.cards else "", says.get(_task(one.file), "")]
    return "; ".join(filter(None, parts))


def _port(machine: Machine, found: Sequence[Candidate]) -> int:
    """Return the port of a model that nobody serves: that of what is served, to take turns with it, or a free one."""
    return next((one.server.port for one in found if one.server is not None), machine.free_port)


def _left(machine: Machine, found: Sequence[Candidate]) -> list[str]:
    """Return comments on what was seen and not written."""
    beside = [file.path for file in machine.weights if not file.problem and not _is_model(file)]
    broken = [file for file in machine.weights if file.problem]
    lines = [f"# Not written, because {file.problem}" for file in broken]
    lines += [
        f"# {one} is no model of its own: an mmproj or adapter belongs into `args` of one."
        for one in beside
    ]
    lines += [f"# {sentence}" for sentence in unseen(machine, found)]
    lines += [f"# {machine.cut}; add what is missing."] if machine.cut else []
    return ["", *lines] if lines else []


def unseen(machine: Machine, found: Iterable[Candidate]) -> Iterator[str]:
    """Yield what serves and is not among the models, with what would end it where something starts it again."""
    written = {one.server.pid for one in found if one.server is not None}
    for server in machine.servers:
        if server.pid not in written:
            way_out = server.way_out("" if server.user == machine.user else server.user)
            said = (
                f"pid {server.pid}{'' if server.container else f' {_where(server)}'} serves weights"
                " that could not be seen"
            )
            yield f"{said}{f'; {way_out}' if way_out else ''}."


def _is_model(file: WeightsFile) -> bool:
    return (
        not file.problem
        and file.type not in BESIDE
        and file.architecture != "clip"
        and "mmproj" not in file.path.rpartition("/")[2].lower()
    )


def _task(file: WeightsFile) -> Task:
    """Return what weights that nobody serves are there for."""
    return (
        "rerank"
        if file.ranks
        else "embedding"
        if file.architecture.startswith(EMBEDDING)
        else "chat"
    )


def _unread(path: str) -> WeightsFile:
    return WeightsFile(
        path=path,
        size=0,
        problem="",
        architecture="",
        type="",
        context_length=0,
        kv_bytes_per_token=0,
    )


def _size(file: WeightsFile) -> str:
    if not file.size:
        return "It could not be read here"
    return size(file.size)


def _own_context(file: WeightsFile) -> str:
    return f", a context of up to {file.context_length} tokens" if file.context_length else ""


def _text(value: str) -> str:
    """Return a text as YAML reads it back."""
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
    return value if plain else json.dumps(value, ensure_ascii=False)
