"""Small slices and worlds for tests of the pure parts."""

from __future__ import annotations

from typing import Any

from reconciler.core.canonical import digest
from reconciler.core.ownership import Ownership
from reconciler.core.recovery import Hints
from reconciler.model.controller import Controller
from reconciler.model.facts import (
    Activity,
    Binary,
    Contact,
    Fingerprint,
    Flags,
    Health,
    Known,
    Mark,
    Saved,
    SavedSlot,
    Slot,
    Unit,
    UnitIdentity,
    Weights,
)
from reconciler.model.gpu import Gpu
from reconciler.model.observed import (
    ACTIVITY,
    BINARY,
    CLAIM,
    CONTACT,
    FINGERPRINT,
    FLAGS,
    GPU,
    GUARDS,
    HEALTH,
    ORPHANS,
    PORT,
    POWER,
    PREPARED,
    SAVED,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    FactKey,
    FactKind,
    FactValue,
    Observed,
)
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Guards, Power
from reconciler.model.preparation import Prepared
from reconciler.model.spec import (
    Capabilities,
    Command,
    HostSpec,
    Kind,
    ModelSpec,
    PowerDriver,
    PowerSpec,
    Slice,
)
from reconciler.model.target import Provenance, Target
from reconciler.steps.plan import HostPlan, Plan

HOST = "box"
POWER_DRIVERS = PowerSpec(
    wake=(PowerDriver(driver=Kind(kind="fake")),), stop=PowerDriver(driver=Kind(kind="fake"))
)
PORT_NUMBER = 8080
KINDS: dict[str, FactKind] = {
    "power": "power", "gpu": "gpu", "strays": "orphans", "unit": "unit", "port": "port",
    "health": "health", "activity": "activity", "saved": "saved", "weights": "weights",
    "traffic": "traffic",
}  # fmt: skip
PROVENANCE = Provenance(digest=digest("files"), state="committed", commit="4f1c2ab" + "0" * 33)


def model(name: str, **changed: Any) -> ModelSpec:
    command = Command(argv=("llama-server", "-m", f"{name}.gguf"))
    fields: dict[str, Any] = {
        "name": name, "engine": Kind(kind="llamacpp"), "launcher": Kind(kind="process"),
        "port": PORT_NUMBER, "task": "chat", "conversations": "keep", "stable_for": 1.0,
        "vram_bytes": None, "serves": None, "command": command, "digest": digest(name),
        "capabilities": Capabilities(keeps_conversations=True),
    }  # fmt: skip
    return ModelSpec(**fields | changed)


def raised(error: Exception) -> str:
    """Be what a test does with an error that nobody foresaw."""
    raise error


ME = Controller(id="me", name="nuc", directory="/var/lib/reconciler")
OURS = Ownership(ME, {"boot"})


def marked(one: ModelSpec, controller: str = "me") -> Mark:
    """The mark of a unit that does not say what its conversations depend on."""
    return Mark(controller=controller, model=one.name, digest=one.digest, port=one.port)


def slice_of(active: tuple[str, ...] | None, *models: ModelSpec, **changed: Any) -> Slice:
    can, prepare = changed.pop("capabilities", Capabilities()), changed.pop("prepare", None)
    host = HostSpec(
        name=HOST,
        access=Kind(kind="local"),
        gpu=Kind(kind="none"),
        power=POWER_DRIVERS,
        prepare=prepare,
        capabilities=can,
    )
    fields: dict[str, Any] = {
        "host": host,
        "power": None,
        "enforce": False,
        "active": active,
        "models": models,
    }
    return Slice(**fields | changed)


def identity(pid: int) -> UnitIdentity:
    return UnitIdentity(pid=pid, start=pid, inode=pid, boot_id="boot")


def unit(name: str, pid: int = 100, **changed: Any) -> Unit:
    told = {key: changed.pop(key) for key in ("port", "slots", "fingerprint") if key in changed}
    mark = Mark(controller="me", model=name, digest=changed.pop("digest", digest(name)), **told)
    return Unit(identity=identity(pid), mark=mark, members=(pid,), uptime=60.0, **changed)


def saved_slot(name: str, tokens: int = 500, pid: int = 50, **changed: Any) -> SavedSlot:
    fields: dict[str, Any] = {
        "file": f"{name}.bin", "slot": 0, "tokens": tokens, "bytes": 1000, "sha256": "",
        "fingerprint": name, "saved_at": 1.0, "identity": identity(pid), "slot_tokens": tokens,
        "task": 1,
    }  # fmt: skip
    return SavedSlot(**fields | changed)


def world(slice_: Slice, running: dict[str, Unit] | None = None, **changed: FactValue) -> Observed:
    """What is seen of a host that is on; `changed` names facts such as `weights_a` or `power`."""
    running = running or {}
    facts: dict[AnyFactKey, FactValue] = {
        CONTACT(HOST): Contact(boot_id="boot"), POWER(HOST): Power(state="on"),
        GUARDS(HOST): Guards(), PREPARED(HOST): Prepared(), CLAIM(HOST): None,
        GPU(HOST): Gpu(), ORPHANS(HOST): (),
    }  # fmt: skip
    for spec in slice_.models:
        facts |= _model_facts(spec, running.get(spec.name))
    for name, value in changed.items():
        kind, _, subject = name.partition("_")
        facts[FactKey(KINDS[kind], HOST, subject)] = value
    return Observed({key: Known(value) for key, value in facts.items()})


def _model_facts(spec: ModelSpec, found: Unit | None) -> dict[AnyFactKey, FactValue]:
    phase: Any = "ready" if found else "absent"
    slots = (Slot(id=0, busy=False, tokens=500, task=7),)
    listens = (
        PortOwner(pid=found.identity.pid, name="llama-server", model=spec.name) if found else None
    )
    port: dict[AnyFactKey, FactValue] = (
        {PORT(HOST, spec.port): PortState(owner=listens)} if found else {}
    )
    return {
        PORT(HOST, spec.port): PortState(),
        **port,
        UNIT(HOST, spec.name): found,
        HEALTH(HOST, spec.name): Health(phase=phase, identity=found.identity if found else None),
        ACTIVITY(HOST, spec.name): (
            Activity(identity=found.identity, slots=slots) if found else Activity()
        ),
        SAVED(HOST, spec.name): Saved(),
        WEIGHTS(HOST, spec.name): Weights(
            path=f"{spec.name}.gguf",
            exists=True,
            size=1000,
            architecture="llama",
            kv_bytes_per_token=1,
        ),
        BINARY(HOST, spec.name): Binary(path="llama-server"),
        FLAGS(HOST, spec.name): Flags(),
        FINGERPRINT(HOST, spec.name): Fingerprint(digest=spec.name, places=4),
    }


def target(slice_: Slice) -> Target:
    return Target(slice=slice_, digest=digest(slice_))


def whole(*hosts: HostPlan) -> Plan:
    return Plan(provenance=PROVENANCE, hosts=hosts)


NO_HINTS = Hints()
