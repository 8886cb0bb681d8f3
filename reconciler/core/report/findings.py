"""Findings: facts about controller and hosts as what is wrong, each with its fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote
from typing import Any

from reconciler.core import phrases
from reconciler.core.ownership import Ownership
from reconciler.core.phrases import size
from reconciler.core.recovery import Hints
from reconciler.model.findings import Finding, Level, Subject
from reconciler.model.machine import HOMELESS, DeviceNode, FolderState, Machine
from reconciler.model.observed import (
    BINARY,
    CLAIM,
    CONTACT,
    FLAGS,
    GPU,
    GUARDS,
    HEALTH,
    PORT,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    HostFact,
    ModelFact,
    Observed,
)
from reconciler.model.records import Row
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.target import Provenance

GIB = 1024**3
LEAST_FREE = GIB // 4
"""Bytes without which a journal may find no room during a run."""

CLOCK_SLACK = 1.0
VECTORS = ("bert", "nomic-bert", "jina-bert", "eurobert", "gemma-embedding")

_COMMIT = "git add desired.yaml inventory.yaml && git commit"
_UNRECORDED = {
    "not in git": (
        "both files are in no git repository, so nothing remembers what they were",
        f"git init && {_COMMIT}",
    ),
    "untracked": ("git has no commit of both files", _COMMIT),
    "modified": (
        "desired.yaml or inventory.yaml is not as git has it",
        "git diff shows how; commit what is to stay",
    ),
}
HOST_FACTS: tuple[HostFact[Any], ...] = (CONTACT, CLAIM, GPU)
MODEL_FACTS: tuple[ModelFact[Any], ...] = (WEIGHTS, BINARY, FLAGS, UNIT, HEALTH)


def questions(slice_: Slice) -> tuple[AnyFactKey, ...]:
    """Return the facts of a host that are worth judging."""
    host = slice_.host.name
    goes_down = slice_.host.capabilities.can_shut_down
    return (
        *(kind(host) for kind in HOST_FACTS),
        *((GUARDS(host),) if goes_down else ()),
        *(kind(host, model.name) for model in slice_.models for kind in MODEL_FACTS),
        *(PORT(host, port) for port in sorted({model.port for model in slice_.models})),
    )


def slot_folders(slice_: Slice) -> tuple[str, ...]:
    """Return where the models of a host keep conversations, relative to the host directory or absolute."""
    return tuple(folder for model in slice_.models for folder in _folders(model))


def of_provenance(provenance: Provenance) -> Iterator[Finding]:
    """Yield what git does not know of the files."""
    if provenance.objection:
        yield Finding(
            level="wrong",
            subject="git",
            found=provenance.objection,
            fix="nothing is applied until then",
        )
    elif provenance.trouble:
        found = f"{provenance.trouble.found}, so nothing remembers what the files were"
        yield Finding(level="note", subject="git", found=found, fix=provenance.trouble.fix)
    elif provenance.state in _UNRECORDED:
        found, fix = _UNRECORDED[provenance.state]
        yield Finding(level="note", subject="git", found=found, fix=f"where both files are: {fix}")


def of_journal_place(machine: Machine) -> Iterator[Finding]:
    """Yield why the journal could not be written.

    The first folder of `machine` is the data directory.
    """
    for folder in machine.folders[:1]:
        yield from _unwritable(
            "data directory", folder, machine.user, "or choose another with --data"
        )


def of_own_silence(reason: str) -> Finding:
    """Return that the controller's own machine cannot be looked at."""
    found = f"the machine that this runs on cannot be looked at: {reason}"
    return Finding(
        level="wrong",
        subject="data directory",
        found=found,
        fix="fix what is named, then run this again",
    )


def of_time(rows: Sequence[Row], wall: float) -> Iterator[Finding]:
    """Yield that the clock runs behind what was recorded."""
    behind = rows[-1].at - wall if rows else 0.0
    if behind > CLOCK_SLACK:
        found = (
            f"the clock is {behind:.0f} s behind the newest row of the journal, so nothing that"
            " waits for a time can end"
        )
        yield Finding(
            level="wrong",
            subject="clock",
            found=found,
            fix="`timedatectl set-ntp true`, or set it by hand",
        )


def of_preparation(host: str, problems: Iterable[str]) -> Iterator[Finding]:
    """Yield what keeps a host from being prepared: programs that it cannot run."""
    for problem in problems:
        yield Finding(
            level="wrong",
            host=host,
            subject="prepare",
            found=problem,
            fix=f"install it, or correct `prepare:` of {host}",
        )


def of_run(host: str, hints: Hints) -> Iterator[Finding]:
    """Yield the run that never ended."""
    if hints.open_run is not None:
        found = f"run {hints.open_run.seq} was opened and has not ended"
        fix = (
            "if no other command is working on it, `reconciler apply` looks at what is there and"
            " continues"
        )
        yield Finding(level="wrong", host=host, subject="run", found=found, fix=fix)


def of_defect(host: str, found: str) -> Finding:
    """Return that a fault of ours keeps a host from being looked at."""
    fix = "report it with the file that it names; other hosts are looked at and acted on as ever"
    return Finding(level="wrong", host=host, subject="defect", found=found, fix=fix)


def of_host(
    slice_: Slice, observed: Observed, machine: Machine, ours: Ownership
) -> Iterator[Finding]:
    """Yield what is wrong on a host that was reached.

    The folders of `machine` are its slot folders.
    """
    yield from _unseen(slice_, observed)
    yield from _logins(slice_, machine)
    yield from _claimed(slice_.host.name, observed, ours)
    yield from _gpu(slice_.host.name, observed, machine)
    yield from _power(slice_, observed)
    for model in slice_.models:
        yield from _model(slice_, model, observed)
        yield from _engine(slice_.host.name, model, observed)
    yield from _ports(slice_, observed)
    folders = iter(machine.folders)
    for model in slice_.models:
        for folder in (next(folders) for _ in _folders(model)):
            for one in (
                *_unwritable("slots", folder, machine.user, ""),
                *_room(slice_, model, folder, observed),
            ):
                yield one.model_copy(update={"host": slice_.host.name, "model": model.name})


def of_silence(slice_: Slice, reason: str) -> Finding:
    """Return that a host cannot be looked at."""
    host = slice_.host.name
    fix = f"switch it on, or correct `access:` of {host} in inventory.yaml; then run this again"
    level: Level = "note" if slice_.power in {"off", "suspend"} else "wrong"
    return Finding(
        level=level, host=host, subject="access", found=f"it cannot be looked at: {reason}", fix=fix
    )


def _folders(model: ModelSpec) -> tuple[str, ...]:
    return tuple(
        folder if folder.startswith("/") else f"{model.directory}/{folder}"
        for folder in model.command.folders
    )


def _unwritable(
    subject: Subject, folder: FolderState, user: str, otherwise: str
) -> Iterator[Finding]:
    if not folder.writable:
        found = f"{folder.path} cannot be written by {user}"
        yield Finding(
            level="wrong", subject=subject, found=found, fix=_opening(folder, user, otherwise)
        )
    elif folder.free_bytes < LEAST_FREE:
        found = f"{size(folder.free_bytes)} are left where {folder.path} is"
        yield Finding(
            level="wrong",
            subject=subject,
            found=found,
            fix=f"free space there{f', {otherwise}' if otherwise else ''}",
        )


def _opening(folder: FolderState, user: str, otherwise: str) -> str:
    """Return how a user is let into a folder of theirs.

    What is there already and is not that folder stays its owner's.
    """
    if folder.path.startswith(HOMELESS):
        return f"HOME is not set; set it, or XDG_STATE_HOME{', or --data' if otherwise else ''}"
    above = quote(folder.nearest)
    made = f"`sudo install -d -m 700 -o {quote(user)} {quote(folder.path)}`"
    owned = (
        f"`sudo chown {quote(user)} {above}`"
        if folder.nearest == folder.path and not folder.obstacle
        else made
    )
    return f"{phrases.obstacle(folder.obstacle, folder.nearest, user) or owned}{f', {otherwise}' if otherwise else ''}"


def _room(
    slice_: Slice, model: ModelSpec, folder: FolderState, observed: Observed
) -> Iterator[Finding]:
    """Yield that the conversations of a model would not all fit on the disk when it is full of them."""
    weights = observed.value(WEIGHTS(slice_.host.name, model.name))
    most = (
        weights.context * weights.kv_bytes_per_token
        if weights and weights.keepable and model.keeps_conversations
        else 0
    )
    if LEAST_FREE <= folder.free_bytes < most:
        found = (
            f"{size(folder.free_bytes)} are left where {folder.path} is; a full context takes"
            f" {size(most)} to save"
        )
        yield Finding(
            level="note",
            subject="slots",
            found=found,
            fix="free space there, or name a larger disk with `slots:`",
        )


def _unseen(slice_: Slice, observed: Observed) -> Iterator[Finding]:
    """Yield what could not be seen, once for each reason.

    That a card's memory cannot be read is said of the card.
    """
    reasons = {
        fact.reason: key
        for key in questions(slice_)
        if key.kind != "gpu" and (fact := observed.unknown(key))
    }
    for reason, key in reasons.items():
        yield Finding(
            level="wrong",
            host=slice_.host.name,
            subject="access",
            found=f"{key}: {reason}",
            fix="fix that, then run this again",
        )


def _logins(slice_: Slice, machine: Machine) -> Iterator[Finding]:
    """Yield that engines end with the login under which they were started."""
    user, host = machine.user, slice_.host.name
    kinds = {(model.launcher.kind, model.launcher.options.get("scope")) for model in slice_.models}
    if machine.logins.kills and any(kind == "process" for kind, _ in kinds):
        found = (
            f"what {user} starts from a login, or over ssh, ends with that login, engines too"
            " (KillUserProcesses=yes)"
        )
        fix = (
            "write `KillUserProcesses=no` into /etc/systemd/logind.conf and restart systemd-logind,"
            " or run models as services"
        )
        yield Finding(level="wrong", host=host, subject="logins", found=found, fix=fix)
    if not machine.logins.lingers and ("systemd", "user") in kinds:
        found = f"when {user} logs out, the services of {user} end, and none starts at boot"
        yield Finding(
            level="wrong",
            host=host,
            subject="logins",
            found=found,
            fix=f"`sudo loginctl enable-linger {user}`",
        )


def _claimed(host: str, observed: Observed, ours: Ownership) -> Iterator[Finding]:
    objection = ours.objection(host, observed.value(CLAIM(host)))
    if objection:
        yield Finding(
            level="wrong", host=host, subject="claim", found=objection.found, fix=objection.fix
        )


def _gpu(host: str, observed: Observed, machine: Machine) -> Iterator[Finding]:
    closed = [node for node in machine.nodes if not node.usable]
    for group in sorted({node.group for node in closed}):
        nodes = ", ".join(node.path for node in closed if node.group == group)
        found = f"{machine.user} may not use {nodes}"
        yield Finding(
            level="wrong",
            host=host,
            subject="gpu",
            found=found,
            fix=_admission(group, machine.user, closed),
        )
    unknown = observed.unknown(GPU(host))
    if unknown is not None:
        fix = (
            f"fix that; or write `gpu: none` at {host} in inventory.yaml to start models without"
            " checking memory"
        )
        yield Finding(level="wrong", host=host, subject="gpu", found=unknown.reason, fix=fix)


def _power(slice_: Slice, observed: Observed) -> Iterator[Finding]:
    """Yield why the host could not be sent down, or not be woken again.

    Where power is not managed that is worth a note.
    """
    guards = observed.value(GUARDS(slice_.host.name))
    level: Level = "wrong" if slice_.power is not None else "note"
    for reason in (guards.permission_problem, guards.wake_problem) if guards else ():
        if reason:
            fix = reason.fix or f"fix that, or `power:` of {slice_.host.name} in inventory.yaml"
            yield Finding(
                level=level, host=slice_.host.name, subject="power", found=reason.found, fix=fix
            )


def _admission(group: str, user: str, closed: Iterable[DeviceNode]) -> str:
    if group in {"", "root"}:
        paths = " ".join(node.path for node in closed if node.group == group)
        return f"`ls -l {paths}` shows who may; a rule of udev lets others"
    return f"`sudo usermod -aG {group} {user}`, then log in again"


def _model(slice_: Slice, model: ModelSpec, observed: Observed) -> Iterator[Finding]:
    host = slice_.host.name
    binary = observed.value(BINARY(host, model.name))
    flags = observed.value(FLAGS(host, model.name))
    weights = observed.value(WEIGHTS(host, model.name))
    problems: list[tuple[Subject, str, str]] = []
    fix = f"fix it, or what inventory.yaml says of {model.name}"
    problems += [
        ("program", fact.problem, fix)
        for fact in (binary, flags)
        if fact is not None and fact.problem
    ]
    if weights is not None and weights.problem:
        problems.append(("weights", weights.problem, fix))
    if (
        weights is not None
        and model.task in {"chat", "completion"}
        and weights.architecture.startswith(VECTORS)
    ):
        fix = f'write `task: embedding` at {model.name}, and "--embedding" into its args'
        problems.append(
            (
                "weights",
                (
                    f"{weights.path} ({weights.architecture}) gives vectors, and its task is"
                    f" {model.task}"
                ),
                fix,
            )
        )
    yield from (
        Finding(level="wrong", host=host, model=model.name, subject=subject, found=found, fix=fix)
        for subject, found, fix in problems
    )


def _engine(host: str, model: ModelSpec, observed: Observed) -> Iterator[Finding]:
    """Yield what an engine that answers says, where it is not what is wanted of it, and that its key is not given."""
    health = observed.value(HEALTH(host, model.name))
    binary = observed.value(BINARY(host, model.name))
    where: dict[str, str] = {"host": host, "model": model.name}
    phase, said = (health.phase, health.message) if health else ("absent", "")
    if phase == "locked":
        fix = "fix that; until then it keeps running unseen, and is not stopped for another model"
        yield Finding(
            level="wrong", subject="key", found=f"nobody may look at it: {said}", fix=fix, **where
        )
    elif binary is not None and binary.key and not model.command.secrets:
        fix = "name the key with `key:` of its engine in inventory.yaml"
        yield Finding(
            level="note",
            subject="key",
            found=f"its service wants a key ({binary.key})",
            fix=fix,
            **where,
        )
    if phase == "unclear":
        fix = (
            f"`reconciler logs {model.name}` may say why; nothing that answers is restarted by"
            " itself"
        )
        yield Finding(
            level="wrong",
            subject="engine",
            found=f"it answers, but not as one that works: {said}",
            fix=fix,
            **where,
        )
    for note in health.notes if health else ():
        fix = f"change what it runs, or what inventory.yaml says of {model.name}"
        yield Finding(level="note", subject="engine", found=note, fix=fix, **where)
    if health is not None and phase == "other":
        yield Finding(level="wrong", subject="engine", found=said, fix=health.remedy, **where)


def _ports(slice_: Slice, observed: Observed) -> Iterator[Finding]:
    """Yield every port that a stranger holds, once, of the model that is to have it now if there is one."""
    host, active = slice_.host.name, slice_.active or ()
    for model in {
        one.port: one for one in sorted(slice_.models, key=lambda one: one.name in active)
    }.values():
        state = observed.value(PORT(host, model.port))
        owner = state.owner if state else None
        if owner is not None and owner.model is None:
            service = f", {owner.service.name}" if owner.service else ""
            found = (
                f"port {model.port} is held by {owner.name} (pid {owner.pid or 'unknown'}{service})"
            )
            fix = f"{owner.remedy}; or give {model.name} another port: in inventory.yaml"
            level: Level = "wrong" if model.name in active else "note"
            yield Finding(
                level=level, host=host, model=model.name, subject="port", found=found, fix=fix
            )
