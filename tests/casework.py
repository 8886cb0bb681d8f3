"""What a golden case comes to: its world, what is remembered of it, and its plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from reconciler.core.attempts import attempt_key
from reconciler.core.canonical import digest
from reconciler.core.descent import SEEN
from reconciler.core.ownership import Ownership
from reconciler.core.policy import aim
from reconciler.core.power import judged
from reconciler.core.recovery import Hints, fold
from reconciler.loop.survey import HostSurvey, planned
from reconciler.model.facts import (
    Activity,
    Binary,
    Claim,
    Fingerprint,
    Flags,
    Health,
    Known,
    RestoreAttempt,
    Saved,
    SavedSlot,
    Slot,
    Unit,
    Unknown,
)
from reconciler.model.gpu import Gpu
from reconciler.model.leasing import Idled
from reconciler.model.lending import Idle, Rules
from reconciler.model.observed import (
    ACTIVITY,
    ADMITTING,
    BINARY,
    CANARY,
    CLAIM,
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
    TESTIMONY,
    TRAFFIC,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    FactKey,
    FactKind,
    FactValue,
    Observed,
)
from reconciler.model.port import PortOwner, PortState
from reconciler.model.power import Canary, Power
from reconciler.model.preparation import Prepared
from reconciler.model.reason import Reason
from reconciler.model.records import (
    Lease,
    Record,
    Restart,
    Retry,
    RollBack,
    Row,
    RunClosed,
    RunOpened,
    ShutdownAccepted,
    StepDone,
    StepIntent,
)
from reconciler.model.secret import FromFile
from reconciler.model.spec import Capabilities, Command, Kind, Slice
from reconciler.model.traffic import Admitting, Traffic
from reconciler.ports import Evidence
from reconciler.render.json import plan_document
from reconciler.render.text import plan_text
from reconciler.verbs.result import OK, PENDING, REFUSED
from tests.casefile import (
    EXITS,
    NOW,
    STARTED,
    Case,
    Expected,
    Given,
    Happened,
    RunningGiven,
    SavedGiven,
)
from tests.clocks import instant
from tests.sample_worlds import (
    HOST,
    ME,
    PROVENANCE,
    identity,
    model,
    saved_slot,
    slice_of,
    unit,
    whole,
    world,
)

OLDER, FOREIGN = "v1:sha256:" + "0" * 64, "v9:blake:00000000"


def outcome(case: Case) -> Expected:
    """Return what `reconciler plan --detailed-exitcode` says of a case."""
    made = looked(case).plan
    code = REFUSED if made.refusals else PENDING if made.steps else OK
    text = "\n".join(
        line.rstrip()
        for line in plan_text(plan_document(whole(made)).model_dump(mode="json")).splitlines()
    )
    return Expected(exit=EXITS[code], plan=text + "\n")


def looked(case: Case) -> HostSurvey:
    """Return what every verb that looks makes of a case."""
    wanted, found, known = wanted_slice(case), seen(case), hints(case)
    towards = aim(wanted, known, found, instant(NOW), rules=_rules(case))
    ours = Ownership.known(ME, known, instant(NOW))
    plan = planned(towards, found, known, ours, prune=case.prune, take_over=case.take_over)
    return HostSurvey(wanted, found, known, plan, towards.instead)


def wanted_slice(case: Case) -> Slice:
    wish, cannot = case.wanted, case.given.cannot
    able = {f"can_{what}": what not in cannot for what in ("wake", "shut_down", "suspend")}
    models = [
        model(
            name,
            port=one.port,
            vram_bytes=one.vram,
            gpus=one.gpus,
            conversations=one.conversations,
            command=Command(
                argv=("x",), secrets={"KEY": FromFile(from_file="/key")} if one.key else {}
            ),
            capabilities=Capabilities(keeps_conversations=one.engine_keeps),
            launcher=Kind(kind=one.launcher),
        )
        for name, one in wish.models.items()
    ]
    return slice_of(
        wish.active, *models, power=wish.power, enforce=wish.enforce, prepare=wish.prepare,
        capabilities=Capabilities(**able),
    )  # fmt: skip


def seen(case: Case) -> Observed:
    """The world of a case, its power judged where there is evidence; a silent host shows less."""
    found, evidence = _found(case), case.given.evidence
    if evidence is None:
        return found
    if evidence.silent_for is not None:
        found = found.seeing(
            dict.fromkeys(
                found, Unknown(f"{HOST} does not answer", since=NOW - evidence.silent_for)
            )
        )
    neighbour = (
        Known(Canary(address=evidence.neighbour))
        if evidence.neighbour
        else Unknown("the gateway does not answer")
    )
    found = found.seeing({TESTIMONY(HOST): Known(evidence.witness), CANARY(HOST): neighbour})
    return found.seeing({POWER(HOST): judged(found, HOST, hints(case).sent_down, instant(NOW))})


def _found(case: Case) -> Observed:
    wanted, given = wanted_slice(case), case.given
    running = {name: _unit(name, one) for name, one in given.running.items()}
    found = world(wanted, running)
    facts: dict[AnyFactKey, FactValue] = {
        POWER(HOST): Power(state=given.power),
        GUARDS(HOST): given.guards,
        PREPARED(HOST): Prepared(
            digest={"not yet": "", "as wanted": digest(wanted.host.prepare), "otherwise": OLDER}[
                given.prepared
            ]
        ),
        GPU(HOST): Gpu(cards=given.gpu),
    }
    for name, one in (given.running | given.orphans).items():
        facts |= _running_facts(name, one)
        facts |= (
            _port(one.port, PortOwner(pid=one.pid, name="llama-server", model=name))
            if one.port
            else {}
        )
    for port, owner in given.ports.items():
        facts |= _port(port, owner)
    facts |= {
        SAVED(HOST, name): _shelf(name, given)
        for name in given.saved.keys() | given.damaged.keys() | given.room.keys()
    }
    facts |= {WEIGHTS(HOST, name): weights for name, weights in given.weights.items()}
    facts |= {BINARY(HOST, name): _program(seen) for name, seen in given.program.items()}
    facts |= {FLAGS(HOST, name): Flags(problem=said) for name, said in given.flags.items()}
    facts[ORPHANS(HOST)] = tuple(_unit(name, one) for name, one in given.orphans.items())
    if given.claimed_by:
        facts[CLAIM(HOST)] = Claim(
            controller="another", name=given.claimed_by, directory="/var/lib/theirs", at=0.0
        )
    if given.gate is not None:
        facts |= {ADMITTING(HOST, one.name): _gate(one.name, given) for one in wanted.models}
        facts |= {TRAFFIC(HOST, one.name): Traffic() for one in wanted.models}
    found = found.seeing({key: Known(value) for key, value in facts.items()})
    if given.power != "on":
        found = found.seeing(
            {key: Unknown(f"{HOST} does not answer") for key in found if key.kind != "power"}
        )
    return found.seeing({_named(name): Unknown(reason) for name, reason in given.unknown.items()})


def _gate(name: str, given: Given) -> Admitting:
    state = (given.gate or {}).get(name)
    if state is None:
        return Admitting()
    return Admitting(identity=identity(given.running[name].pid if state == "open" else 1))


def _program(seen: str | Binary) -> Binary:
    return Binary(path="llama-server", problem=Reason(seen)) if isinstance(seen, str) else seen


def _named(name: str) -> AnyFactKey:
    """Return the key that is written as `unit a` or `gpu`."""
    kind, _, subject = name.partition(" ")
    return FactKey(cast("FactKind", kind), HOST, subject)


def _port(port: int, owner: PortOwner | None) -> dict[AnyFactKey, FactValue]:
    return {PORT(HOST, port): PortState(owner=owner)}


def _unit(name: str, one: RunningGiven) -> Unit:
    made_from = {"wanted": digest(name), "older": OLDER, "of another version": FOREIGN}[
        one.definition
    ]
    depends_on = {
        "unknown": "",
        "as wanted": name,
        "otherwise": "another build",
        "elsewhere": name,
    }[one.keeps]
    slots = "/srv/slots" if one.keeps == "elsewhere" else ""
    return unit(
        name, pid=one.pid, digest=made_from, port=one.port, slots=slots, fingerprint=depends_on,
        leader=not one.died, started_at=STARTED, ended=one.ended,
        returns=one.returns, locked=one.locked, launcher=Kind(kind=one.launcher),
    )  # fmt: skip


def _running_facts(name: str, one: RunningGiven) -> dict[AnyFactKey, FactValue]:
    slots = tuple(
        Slot(
            id=number,
            busy=slot.busy,
            tokens=slot.tokens,
            task=7 if slot.tokens or not slot.counted else None,
        )
        for number, slot in enumerate(one.slots)
    )
    changed_at = STARTED + 1 if one.replaced else STARTED - 1
    return {
        UNIT(HOST, name): _unit(name, one),
        FINGERPRINT(HOST, name): Fingerprint(
            digest=name, changed_at=changed_at, places=4, capacity=one.capacity
        ),
        HEALTH(HOST, name): Health(
            phase=one.phase, message=one.message, identity=identity(one.pid), notes=one.differs
        ),
        ACTIVITY(HOST, name): Activity(
            identity=identity(one.pid), slots=slots, deferred=one.deferred
        ),
    }


def _shelf(name: str, given: Given) -> Saved:
    slots = tuple(_saved(name, one) for one in given.saved.get(name, ()))
    saved, room = Saved(slots=slots, problems=given.damaged.get(name, ())), given.room.get(name)
    if room is None:
        return saved
    within = {
        "free_bytes": room.free,
        "budget_bytes": room.budget,
        "obstacle": room.obstacle,
        "nearest": room.nearest,
        "held_bytes": sum(slot.bytes for slot in slots),
    }
    return saved.model_copy(update={**within, "folder": f"/srv/models/{name}/slots"})


def _saved(name: str, one: SavedGiven) -> SavedSlot:
    attempts = tuple(
        RestoreAttempt(identity=identity(pid), outcome=came)
        for pid, outcomes in one.tried.items()
        for came in outcomes
    )
    made_by = Fingerprint(digest=name if one.fits else "another build")
    return saved_slot(
        name, one.tokens, slot=one.slot, fingerprint=made_by.digest, attempts=attempts
    )


def hints(case: Case) -> Hints:
    rows: list[Row] = []
    for happened in case.journal:
        for record in _records(case, happened, len(rows) + 1):
            rows.append(
                Row(seq=len(rows) + 1, when=instant(NOW - 3600 * happened.hours_ago), record=record)
            )
    told = fold(rows).get(HOST, Hints())
    wanted = digest(wanted_slice(case))
    leases = dict.fromkeys(case.lent, Lease(wanted=wanted, since=instant(NOW - 60)))
    rest = case.rests and Idled(host=HOST, then=case.rests, wanted=wanted, boot_id="boot")
    return replace(told, leases=leases, let_go=case.let_go, idled=rest or None)


def _rules(case: Case) -> Rules:
    """Return what requests may do: bring in what they have brought in, and let the host rest."""
    idle = None if case.rests is None else Idle(after=1800, then=case.rests)
    return Rules(allow=case.lent, idle=idle, sleeps=case.rests in {"off", "suspend"})


def _records(case: Case, happened: Happened, run: int) -> list[Record]:
    aimed = wanted_slice(case).model_copy(update={"active": happened.run})
    aimed_digest = digest(aimed)
    key = attempt_key(aimed, aimed_digest, _found(case))
    given: dict[str, Any] = {"host": HOST, "run": run}
    records: list[Record] = [
        RunOpened(
            host=HOST, mode="forward", slice=aimed, digest=aimed_digest, key=key, generation=1,
            trigger="apply", provenance=PROVENANCE, plan=(),
        )
    ]  # fmt: skip
    for number, (what, seconds) in enumerate(happened.seconds.items(), start=1):
        step, _, name = what.partition(" ")
        records.append(
            StepDone(**given, number=number, step=step, model=name, outcome="done", seconds=seconds)
        )
    if happened.during:
        records += _during(happened, given)
    if happened.ended == "promoted":
        records.append(RunClosed(**given, verdict="promoted"))
    elif happened.ended == "failed":
        closed = RunClosed(
            **given,
            verdict="failed",
            reason="AwaitHealthyFailed",
            message=happened.said,
            key=key,
            quarantines=True,
        )
        records.append(closed)
    if happened.then == "retry":
        records.append(Retry(host=HOST))
    elif happened.then == "rollback":
        now = wanted_slice(case)
        leaves = attempt_key(now, digest(now), _found(case))
        records.append(RollBack(host=HOST, slice=aimed, digest=aimed_digest, leaves=leaves))
    for name, pid in happened.restarts.items():
        records.append(Restart(host=HOST, model=name, identity=identity(pid)))
    return records


def _during(happened: Happened, given: dict[str, Any]) -> Iterator[Record]:
    """What was left by each step of a run that succeeded, or was in flight when one ended."""
    step, _, name = happened.during.partition(" ")
    yield StepIntent(**given, number=1, step=step, model=name, in_doubt="observable")
    if happened.accepted:
        yield ShutdownAccepted(**given, boot_id="boot")
    if happened.ended == "promoted":
        evidence: Evidence = {SEEN: "it was silent for long enough"}
        yield StepDone(
            **given, number=1, step=step, model=name, outcome="done", seconds=1.0, evidence=evidence
        )
