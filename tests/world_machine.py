"""What people, clients and the world do to one host, drawn by hypothesis, and what must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reconciler.core.canonical import digest
from reconciler.core.recovery import Hints, fold
from reconciler.fakes.life import Life
from reconciler.fakes.ports import ports
from reconciler.fakes.processes import Conversation, Loss
from reconciler.fakes.world import Fault
from reconciler.loop.observer import Observer, remembered
from reconciler.model.observed import POWER
from reconciler.model.power import Guards
from reconciler.model.records import Restart, Retry, RunOpened, ShutdownAccepted
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.verdict import HostVerdict
from tests.crash.stage import Stage, want
from tests.sample_worlds import HOST, PORT_NUMBER, model

ACTIVES = ((), ("a",), ("b",), ("a", "b"))
POWERS = (None, None, "on", "off", "suspend")
ACTORS = (
    "claims",
    "prefetch",
    "stop",
    "start",
    "restore",
    "save",
    "shutdown",
    "suspend",
    "cut",
    "wake",
)
FAULTS: tuple[Fault, ...] = ("refuses", "lies", "late", "hangs")
FACTS = (
    "contact", "claim", "testimony", "gpu", "units", "port", "binary", "flags", "log", "health",
    "activity", "answer", "weights", "saved", "fingerprint", "guards", "canary", "network",
)  # fmt: skip
NETWORK = ("contact", "canary")
MOST_PACKETS = 7
"""As many times is a host asked to wake up within a minute: at once, and every 10 s."""

LONGEST_WAY = 5
"""As many commands bring about what is wanted once nothing goes wrong any more."""

EVENTS = ("crash", "reboot", "power cut", "damaged files", "stranger", "no stranger", "time")

Trouble: TypeAlias = int | str | tuple[str, Fault] | None

names = st.sampled_from(("a", "b"))
WELL: st.SearchStrategy[Trouble] = st.just("")
TROUBLES: st.SearchStrategy[Trouble] = st.one_of(
    WELL, WELL, WELL, st.none(), st.integers(0, 150),
    st.tuples(st.sampled_from(ACTORS), st.sampled_from(FAULTS)), st.sampled_from(FACTS),
)  # fmt: skip


def defined(name: str, version: int, port: int) -> ModelSpec:
    return model(name, port=port, digest=digest([name, version, port]))


def fingerprints(name: str, version: int) -> dict[str, str]:
    """What a conversation depends on, for two definitions that differ only in the port."""
    return {
        defined(name, version, port).digest: f"{name}, build {version // 2}"
        for port in (PORT_NUMBER, PORT_NUMBER + 1)
    }


class WorldMachine(RuleBasedStateMachine):
    """One controller on one host, and everybody else."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.world = self.stage.world
        self.versions = {"a": 0, "b": 0}
        self.tokens = 100
        self.enforce, self.host = True, self.stage.wanted.host
        self.before = self.want(("a",), None)
        self.applied()

    def want(self, active: tuple[str, ...], power: str | None) -> Slice:
        """Define both models, on ports of their own only when both are wanted."""
        port = PORT_NUMBER + 1 if len(active) > 1 else PORT_NUMBER
        models = (
            defined("a", self.versions["a"], PORT_NUMBER),
            defined("b", self.versions["b"], port),
        )
        self.before, self.stage.wanted = (
            self.stage.wanted,
            want(*active, power=power).model_copy(
                update={"models": models, "enforce": self.enforce, "host": self.host}
            ),
        )
        return self.before

    # Few rules that draw what they do: of many, hypothesis leaves most out of each example.

    @rule(active=st.sampled_from(ACTIVES), power=st.sampled_from(POWERS), trouble=TROUBLES)
    def wants(self, active: tuple[str, ...], power: str | None, trouble: Trouble) -> None:
        self.want(active, power)
        self.applies(trouble)

    @rule(what=st.sampled_from(("back", "a", "b", "retry", "restart")), trouble=TROUBLES)
    def thinks_again(self, what: str, trouble: Trouble) -> None:
        """Let somebody go back to what was wanted before, change a definition, retry or restart."""
        match what:
            case "back":
                self.before, self.stage.wanted = self.stage.wanted, self.before
            case "retry":
                self.retry()
            case "restart":
                self.asks_afresh()
            case _:
                self.versions[what] += 1
                self.world.fingerprints |= fingerprints(what, self.versions[what])
                self.want(self.stage.wanted.active or (), self.stage.wanted.power)
        self.applies(trouble)

    def retry(self) -> None:
        self.stage.kept().append(Retry(host="box"))

    def asks_afresh(self) -> None:
        for unit in self.world.units():
            if unit.mark:
                asked = Restart(host="box", model=unit.mark.model, identity=unit.identity)
                self.stage.kept().append(asked)

    # What the controller does.

    @rule(trouble=TROUBLES)
    def applies(self, trouble: Trouble) -> None:
        """Apply, with an actor that fails, a fact that is hidden, or until it is killed; None is
        not yet.
        """
        match trouble:
            case None:
                return
            case int():
                self.applied(trouble)
            case (actor, fault):
                self.world.faults[actor] = fault
                self.applied()
                self.world.faults.clear()
            case "":
                self.applied()
            case _:
                self.world.unseen |= dict.fromkeys(
                    NETWORK if trouble == "network" else (trouble,), "it is hidden"
                )
                self.applied()
                self.world.unseen.clear()

    def applied(self, dies_at: int | None = None) -> str:
        """Apply; judge what it said and did, and that applying again changes nothing."""
        life, verdict = self.command(dies_at)
        if verdict is None:
            return "killed"
        claims = {"claims"} if self.world.faults or self.world.unseen else set()
        if verdict.outcome == "refused":
            assert set(life.acts) <= claims, verdict
        if verdict.outcome in {"applied", "in_sync"}:
            assert (
                not self.world.is_to_be_prepared or not self.world.serving() or self.world.prepared
            )
            assert self.stage.is_as_wanted() or self.is_left_on() or self.is_misjudged(), verdict
            again, same = self.command()
            assert again.acts == [], same
            assert same is not None
            assert same.outcome == "in_sync", same
        return verdict.outcome

    def command(self, dies_at: int | None = None) -> tuple[Life, HostVerdict | None]:
        before = max((row.seq for row in self.stage.kept().rows()), default=0)
        life, verdict = self.stage.command(dies_at)
        begun = (row.record for row in self.stage.kept().rows() if row.seq > before)
        aims = [
            self.stage.wanted,
            *(record.slice for record in begun if isinstance(record, RunOpened)),
        ]
        assert [loss for loss in self.world.lost if not self.is_excused(loss, aims)] == [], verdict
        if verdict is not None:
            told = [
                loss
                for loss in self.world.lost
                if loss.busy and not self.is_excused(replace(loss, busy=False), aims)
            ]
            assert len(told) <= verdict.lost_conversations, verdict
        self.world.lost.clear()
        packets = self.world.packets
        assert all(
            sum(at <= other < at + 60.0 for other in packets) <= MOST_PACKETS for at in packets
        ), packets
        packets.clear()
        self.is_misjudged()
        return life, verdict

    def is_left_on(self) -> bool:
        """Return whether somebody switched the host on after it went down as wanted, and nobody is
        to be thrown out.
        """
        down = self.stage.wanted.power == "suspend" or (
            self.stage.wanted.power == "off" and not self.has_accepted()
        )
        return (
            down
            and not self.stage.wanted.enforce
            and self.world.power == "on"
            and self.hints().last_good == self.stage.wanted
        )

    def has_accepted(self) -> bool:
        """Return whether the host accepted to go down in the boot in which it answers."""
        rows = (row.record for row in self.stage.kept().rows())
        accepted = any(
            isinstance(record, ShutdownAccepted) and record.boot_id == self.world.boot_id
            for record in rows
        )
        return accepted and self.world.answers

    def hints(self) -> Hints:
        return fold(self.stage.kept().rows()).get(HOST, Hints())

    def is_misjudged(self) -> bool:
        """Return whether the power of the host is taken for another than it is; assert that the
        controller could not know.
        """
        world, sent = self.world, self.hints().sent_down
        observer = Observer(
            ports(world, self.stage.wanted, Life()),
            self.stage.wanted,
            world.clock,
            remembered(self.hints()),
        )
        key = POWER(HOST)
        judged = world.clock.run(observer.look, [key]).value(key)
        if judged is None or judged.state == world.power:
            return False
        if world.power == "on":
            assert judged.grade == "inferred", judged
            assert sent is not None, judged
            assert sent.is_heard or sent.seen, judged
            assert world.hung or "contact" in world.unseen, judged
        elif judged.state == "on":
            assert not world.sees_sleep, judged
        else:
            # What went to sleep and lost its power since looks the same.
            assert (judged.state, world.power) == ("suspended", "off"), judged
        return True

    def is_excused(self, loss: Loss, aims: Sequence[Slice]) -> bool:
        """Return whether a conversation could not have been saved.

        One of another definition than what was aimed at cannot be where nobody knew, at its start,
        what it would depend on.
        """
        tried = [
            attempt
            for file in self.world.files
            for attempt in (file.sidecar.attempts if file.sidecar else ())
            if attempt.identity == loss.identity
        ]
        damaged = any(attempt.outcome in {"failed", "open"} for attempt in tried)
        specs = [aim.model(loss.mark.model) for aim in aims]
        changed = not loss.mark.fingerprint and any(
            spec is None or spec.digest != loss.mark.digest for spec in specs
        )
        hindered = bool(self.world.faults or self.world.unseen)
        return changed or hindered or damaged or loss.busy or not loss.answered

    # What clients and the world do.

    @rule(client=st.sampled_from(("tea", "cake")), seconds=st.sampled_from((0.0, 0.0, 3.0, 1000.0)))
    def talks(self, client: str, seconds: float) -> None:
        """Let a conversation be longer than all before it, so that none is taken for another."""
        for name in self.world.serving():
            self.tokens += 10
            self.world.talk(name, Conversation(client, self.tokens), seconds)

    @rule(
        event=st.sampled_from(EVENTS),
        name=names,
        seconds=st.sampled_from((0.5, 20.0, 1000.0, 100_000.0)),
    )
    def suffers(self, event: str, name: str, seconds: float) -> None:
        match event:
            case "crash":
                self.world.crash(name)
            case "reboot":
                self.world.reboot()
            case "power cut":
                self.world.cut_power()
            case "damaged files":
                self.world.flip(name)
            case "stranger":
                self.is_visited_by_a_stranger(PORT_NUMBER if name == "a" else PORT_NUMBER + 1)
            case "no stranger":
                self.is_left_by_strangers()
        self.world.clock.now += seconds

    def is_visited_by_a_stranger(self, port: int) -> None:
        if self.world.power == "on" and self.world.on_port(port) is None:
            self.world.stranger(port)

    def is_left_by_strangers(self) -> None:
        self.world.processes = [one for one in self.world.processes if one.mark]

    @invariant()
    def nothing_happened_that_must_not(self) -> None:
        assert self.world.violations == []

    def teardown(self) -> None:
        """Let nothing go wrong any more: what is wanted comes about."""
        self.is_left_by_strangers()
        self.world.guards, self.world.descent = Guards(), "goes"
        self.world.clock.now += 1000.0
        self.command()
        if self.needs_somebody():
            self.world.reboot()
        self.retry()
        outcomes = [""]
        while outcomes[-1] not in {"in_sync", "applied"} and len(outcomes) <= LONGEST_WAY:
            outcomes.append(self.applied())
        assert self.world.violations == []
        assert self.stage.is_as_wanted() or self.is_left_on(), outcomes
        assert outcomes[-1] in {"in_sync", "applied"} or self.nobody_can_know(), outcomes

    def needs_somebody(self) -> bool:
        """Return whether only a person brings the host out of this: it hangs, or sleeps and is to
        be off, or seems to.
        """
        sleeps = self.stage.wanted.power == "off" and self.world.power == "suspended"
        return self.world.hung or sleeps or self.is_misjudged()

    def nobody_can_know(self) -> bool:
        """Return whether the host is down, unseen by anybody, and never said that it would go."""
        sent = self.hints().sent_down
        is_told = sent is not None and (sent.is_heard or bool(sent.seen))
        return self.world.power != "on" and not self.world.watched and not is_told
