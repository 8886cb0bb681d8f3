"""Draft files: both files for a machine as it was found, every guess with its reason beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.core.onboarding.candidates import Candidate, is_model, unseen
from reconciler.core.onboarding.model_entry import entry
from reconciler.core.onboarding.yaml_text import yaml_mapping, yaml_text
from reconciler.core.wording import preceded
from reconciler.model.inventory import LOCAL
from reconciler.model.machine import Machine, WeightsFile

PROGRAM = "llama-server"

DEMO = """version: 1
models:
  tiny-a: {engine: {kind: embedded, seed: 1}, port: PORT, stable_for: 2s}
  tiny-b: {engine: {kind: embedded, seed: 2}, port: PORT, stable_for: 2s}
  # Your own, with llama-server on the PATH or `binary:` beside the weights:
  # my-model: {engine: {kind: llamacpp, weights: /path/to/my-model.gguf, context: 8192}, port: PORT}
"""


class InitAnswers(NamedTuple):
    """What a person answered: the models that should run, None without an answer, and a program."""

    active: tuple[str, ...] | None = None
    program: str = ""


class Where(NamedTuple):
    """Which host the files are about, and what looked at it.

    `access` is how it is reached, None for this machine.
    """

    host: str = LOCAL
    access: Mapping[str, str] | None = None
    by: str = "reconciler init"


HERE = Where()


class FileDrafts(NamedTuple):
    """The texts of both files."""

    desired: str
    inventory: str


def draft(
    machine: Machine,
    found: Sequence[Candidate],
    answers: InitAnswers,
    gpu_problem: str,
    where: Where = HERE,
) -> FileDrafts:
    """Write both files.

    `gpu_problem` is why the memory of the accelerators cannot be read, empty when it can.
    """
    if not found:
        return _demo_files(machine)
    inventory = _inventory(machine, found, answers, gpu_problem, where)
    return FileDrafts(_wish(machine, found, answers, where.by), _text(inventory))


def _demo_files(machine: Machine) -> FileDrafts:
    why = "Nothing was found here that could serve: this one runs on random weights."
    return FileDrafts(_desired(machine, "tiny-a", why), _text(_demo(machine)))


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _demo(machine: Machine) -> Iterator[str]:
    yield (
        "# What exists. No llama-server listens here and no GGUF file was found, so these are two"
        " models of random weights."
    )
    yield DEMO.replace("PORT", str(machine.free_port)).rstrip("\n")
    yield from _not_written(machine, ())


def _wish(machine: Machine, found: Sequence[Candidate], answers: InitAnswers, by: str) -> str:
    serving = [one.name for one in found if one.serves]
    if serving:
        return _desired(machine, _names(serving), f"What was served when `{by}` looked.")
    if answers.active is not None:
        return _desired(machine, _names(answers.active), "As you answered.")
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


def _names(names: Sequence[str]) -> str:
    written = [yaml_text(name) for name in names]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _inventory(
    machine: Machine,
    found: Sequence[Candidate],
    answers: InitAnswers,
    gpu_problem: str,
    where: Where,
) -> Iterator[str]:
    program, why = _program(machine, found, answers)
    yield (
        f"# What exists on {machine.name}, as `{where.by}` found it. Every guess says why; change"
        " what is wrong."
    )
    yield "version: 1"
    yield from _host(where, gpu_problem, _engines(program, why))
    # What is kept has its own program.
    if not program and any(one.kept is None for one in found):
        yield f"# {why}"
    yield "models:"
    for one in found:
        yield from entry(one, machine, program, _port(machine, found))
    yield from _not_written(machine, found)


def _host(where: Where, gpu_problem: str, engines: Sequence[str]) -> Iterator[str]:
    keys = [*_access(where), *_gpu(gpu_problem), *engines]
    # Without keys it is this machine, which needs no `hosts:`.
    if keys:
        yield "hosts:"
        yield f"  {yaml_text(where.host)}:"
        yield from keys


def _access(where: Where) -> Iterator[str]:
    if where.access:
        access = yaml_mapping({"kind": "ssh", **where.access})
        yield f"    access: {access}   # ~/.ssh/config says the rest"


def _gpu(problem: str) -> Iterator[str]:
    if problem:
        yield f"    # {problem}."
        yield "    gpu: none   # without this key its memory is checked, where it can be read"


def _engines(program: str, why: str) -> list[str]:
    named = f"      llamacpp: {{binary: {yaml_text(program)}}}   # {why}"
    return ["    engines:", named] if program else []


def _program(machine: Machine, found: Sequence[Candidate], answers: InitAnswers) -> tuple[str, str]:
    """Choose the program of every model and say why this one, or say what to do without one."""
    if answers.program:
        return answers.program, "as you answered"
    serving = [one.server.program for one in found if one.server is not None and one.server.program]
    if serving:
        return serving[0], "what serves now"
    if machine.programs:
        first, *others = machine.programs
        return first, f"the first that was found{preceded('; also found: ', ', '.join(others))}"
    return "", (
        f"No {PROGRAM} was found here: put it on the PATH, or name it with `binary:` beside the"
        " weights."
    )


def _port(machine: Machine, found: Sequence[Candidate]) -> int:
    """Choose the port of a model that is not served yet."""
    # That of what is served, to take turns with it: clients keep the address they have.
    return next((one.server.port for one in found if one.server is not None), machine.free_port)


def _not_written(machine: Machine, found: Sequence[Candidate]) -> Iterator[str]:
    """Yield comments on what was seen and is in neither file, below an empty line."""
    comments = [f"# {remark}" for remark in _remarks(machine, found)]
    yield from ["", *comments] if comments else []


def _remarks(machine: Machine, found: Sequence[Candidate]) -> Iterator[str]:
    yield from _unused(machine.weights)
    yield from unseen(machine, found)
    if machine.cut:
        yield f"{machine.cut}; add what is missing."


def _unused(weights: Sequence[WeightsFile]) -> Iterator[str]:
    yield from (f"Not written, because {file.problem}" for file in weights if file.problem)
    whole = (file for file in weights if not file.problem)
    yield from (_beside(file) for file in whole if not is_model(file))


def _beside(file: WeightsFile) -> str:
    return f"{file.path} is not itself a model: an mmproj or adapter goes into the `args` of one."
