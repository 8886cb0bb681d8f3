"""Golden cases: a host, a wish and the plan that follows, in a YAML file that reads as prose."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML

from reconciler.model.facts import (
    Binary,
    Phase,
    Weights,
)
from reconciler.model.gpu import Card
from reconciler.model.lending import Rest
from reconciler.model.machine import Obstacle
from reconciler.model.names import Value
from reconciler.model.port import PortOwner
from reconciler.model.power import Guards, PowerState, Testimony
from reconciler.model.preparation import Preparation
from reconciler.model.quantity import Bytes
from reconciler.model.spec import Conversations, WantedPower
from reconciler.verbs.result import OK, PENDING, REFUSED

FOLDER = Path(__file__).parent / "cases"
NOW = 1_000_000.0
STARTED = NOW - 60.0
EXITS = {OK: "0, nothing to do", PENDING: "2, something to do", REFUSED: "4, refused"}


class ModelGiven(Value):
    """A model where it differs from the others, which keep conversations and share port 8080."""

    port: int = 8080
    vram: Bytes | None = None
    gpus: tuple[int, ...] = ()
    conversations: Conversations = "keep"
    key: bool = False
    engine_keeps: bool = True
    launcher: str = "process"


class WantedGiven(Value):
    power: WantedPower | None = None
    enforce: bool = False
    prepare: Preparation | None = None
    active: tuple[str, ...] | None = None
    models: dict[str, ModelGiven] = {"a": ModelGiven(), "b": ModelGiven()}


class SlotGiven(Value):
    tokens: int | None = None
    busy: bool = False
    counted: bool = True
    """Whether the server says how many tokens a slot holds that was used."""


class RunningGiven(Value):
    """A unit; `definition` is what it was started from, as seen now, `replaced` are its files.

    `keeps` is what its mark says that its conversations depend on: nothing, what they would now, or
    something else; `launcher` is the kind that holds it, `capacity` what a wanted slot takes.
    """

    pid: int = 100
    definition: Literal["wanted", "older", "of another version"] = "wanted"
    phase: Phase = "ready"
    message: str = ""
    differs: tuple[str, ...] = ()
    slots: tuple[SlotGiven, ...] = ()
    deferred: int = 0
    died: bool = False
    ended: str = ""
    returns: str = ""
    locked: str = ""
    replaced: bool = False
    port: int | None = None
    keeps: Literal["unknown", "as wanted", "otherwise", "elsewhere"] = "unknown"
    launcher: str = "process"
    capacity: int | None = None


class SavedGiven(Value):
    """A saved slot; `tried` says by pid what came of restoring it."""

    slot: int = 0
    tokens: int = 500
    fits: bool = True
    tried: dict[int, tuple[Literal["open", "proven", "cold", "unverified", "failed"], ...]] = {}


class RoomGiven(Value):
    """The folder of saved slots: free space, what its files may take, why none can be written."""

    free: Bytes
    budget: Bytes | None = None
    obstacle: Obstacle = ""
    nearest: str = ""


class EvidenceGiven(Value):
    """What tells whether a host is on: its silence, a witness, and who answers on its network."""

    silent_for: float | None = None
    witness: Testimony | None = None
    neighbour: str | None = None


class Given(Value):
    """A host as found; its power is `power`, or judged by `evidence`, unchangeable by `cannot`.

    `gate` says for which models a gateway of this process is open, None where there is none.
    """

    power: PowerState = "on"
    evidence: EvidenceGiven | None = None
    guards: Guards = Guards()
    prepared: Literal["not yet", "as wanted", "otherwise"] = "not yet"
    cannot: tuple[Literal["wake", "shut_down", "suspend"], ...] = ()
    running: dict[str, RunningGiven] = {}
    orphans: dict[str, RunningGiven] = {}
    saved: dict[str, tuple[SavedGiven, ...]] = {}
    damaged: dict[str, tuple[str, ...]] = {}
    room: dict[str, RoomGiven] = {}
    weights: dict[str, Weights] = {}
    program: dict[str, str | Binary] = {}
    flags: dict[str, str] = {}
    gpu: tuple[Card, ...] = ()
    ports: dict[int, PortOwner] = {}
    claimed_by: str | None = None
    gate: dict[str, Literal["open", "open for another unit"]] | None = None
    unknown: dict[str, str] = {}


class Happened(Value):
    """What the journal says happened: a run that aimed at `run`, and how it ended.

    `restarts` were asked for after it, each of the unit of a model by its pid.
    """

    run: tuple[str, ...]
    ended: Literal["promoted", "failed", "cut short"]
    said: str = ""
    hours_ago: float = 1.0
    seconds: dict[str, float] = {}
    during: str = ""
    accepted: bool = False
    then: Literal["", "retry", "rollback"] = ""
    restarts: dict[str, int] = {}


class Expected(Value):
    exit: str
    plan: str


class Case(Value):
    """One golden case: `wanted` and `given` make `expected`.

    `lent` are models that requests brought in, `let_go` says why others are lent no longer; `rests`
    is how the host comes to rest.
    """

    says: str
    wanted: WantedGiven
    given: Given = Given()
    journal: tuple[Happened, ...] = ()
    prune: bool = False
    take_over: bool = False
    lent: tuple[str, ...] = ()
    let_go: dict[str, str] = {}
    rests: Rest | None = None
    expected: Expected = Expected(exit="", plan="")


@cache
def read(path: Path) -> Case:
    """Return a case; raise ValidationError for a word that the notation does not have."""
    return Case.model_validate(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))


def rewritten(text: str, expected: Expected) -> str:
    """The text of a case with another expectation; every other line stays as a person wrote it."""
    kept = re.split(r"^expected:.*", text, maxsplit=1, flags=re.MULTILINE | re.DOTALL)[0]
    plan = "".join(f"    {line}\n" for line in expected.plan.splitlines())
    indented = "2" if plan.startswith("     ") else ""
    return f"{kept}expected:\n  exit: {expected.exit}\n  plan: |{indented}\n{plan}"
