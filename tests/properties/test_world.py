"""Whatever people, clients and the world do to one host, in any order, its controller keeps its promises."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from reconciler.core.canonical import digest
from reconciler.fakes.life import Life
from reconciler.fakes.world import Conversation, Fault, Loss
from reconciler.model.records import Retry
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.verdict import HostVerdict
from tests.crash.stage import Stage, want
from tests.worlds import PORT, model

ACTIVES = ((), ("a",), ("b",), ("a", "b"))
POWERS = (None, None, "on", "off", "suspend")
ACTORS = ("claims", "prefetch", "stop", "start", "restore", "save", "shutdown", "suspend", "wake")
FAULTS: tuple[Fault, ...] = ("refuses", "lies", "late", "hangs")
FACTS = (
    "contact", "claim", "power", "gpu", "units", "port", "binary", "log", "health", "activity", "answer", "weights", "saved",
    "fingerprint",
)  # fmt: skip
ENOUGH = 5
"""As many commands bring about what is wanted once nothing goes wrong any more."""

EVENTS = ("crash", "reboot", "power cut", "damaged files", "stranger", "no stranger", "time")

Trouble: TypeAlias = int | str | tuple[str, Fault] | None

names = st.sampled_from(("a", "b"))
WELL: st.SearchStrategy[Trouble] = st.just("")
TROUBLES: st.SearchStrategy[Trouble] = st.one_of(
    WELL, WELL, WELL, st.none(), st.integers(0, 150), st.tuples(st.sampled_from(ACTORS), st.sampled_from(FAULTS)),
    st.sampled_from(FACTS),
)  # fmt: skip


def defined(name: str, version: int, port: int) -> ModelSpec:
    return model(name, port=port, digest=digest([name, version, port]))


class WorldMachine(RuleBasedStateMachine):
    """One controller on one host, and everybody else."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.world = self.stage.world
        self.versions = {"a": 0, "b": 0}
        self.tokens = 100
        self.before = self.want(("a",), None)
        self.applied()

    def want(self, active: tuple[str, ...], power: str | None) -> Slice:
        """Define both models, on ports of their own only when both are wanted."""
        port = PORT + 1 if len(active) > 1 else PORT
        models = (defined("a", self.versions["a"], PORT), defined("b", self.versions["b"], port))
        self.before, self.stage.wanted = self.stage.wanted, want(*active, power=power).model_copy(update={"models": models})
        return self.before

    # Few rules that draw what they do: of many, hypothesis leaves most out of each example.

    @rule(active=st.sampled_from(ACTIVES), power=st.sampled_from(POWERS), trouble=TROUBLES)
    def wants(self, active: tuple[str, ...], power: str | None, trouble: Trouble) -> None:
        self.want(active, power)
        self.applies(trouble)

    @rule(what=st.sampled_from(("back", "a", "b", "retry")), trouble=TROUBLES)
    def thinks_again(self, what: str, trouble: Trouble) -> None:
        """Let somebody go back to what was wanted before, change a definition, or retry."""
        match what:
            case "back":
                self.before, self.stage.wanted = self.stage.wanted, self.before
            case "retry":
                self.retry()
            case _:
                self.versions[what] += 1
                self.want(self.stage.wanted.active or (), self.stage.wanted.power)
        self.applies(trouble)

    def retry(self) -> None:
        self.stage.kept().append(Retry(host="box"))

    # What the controller does.

    @rule(trouble=TROUBLES)
    def applies(self, trouble: Trouble) -> None:
        """Apply, with an actor that fails, a fact that is hidden, or until it is killed; None is not yet."""
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
                self.world.unseen[trouble] = "it is hidden"
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
            assert self.stage.is_as_wanted(), verdict
            again, same = self.command()
            assert again.acts == [], same
            assert same is not None
            assert same.outcome == "in_sync", same
        return verdict.outcome

    def command(self, dies_at: int | None = None) -> tuple[Life, HostVerdict | None]:
        life, verdict = self.stage.command(dies_at)
        assert [loss for loss in self.world.lost if not self.is_excused(loss)] == [], verdict
        self.world.lost.clear()
        return life, verdict

    def is_excused(self, loss: Loss) -> bool:
        """Return whether a conversation could not have been saved."""
        spec = self.stage.wanted.model(loss.mark.model)
        tried = [
            attempt
            for file in self.world.files
            for attempt in (file.sidecar.attempts if file.sidecar else ())
            if attempt.identity == loss.identity
        ]
        damaged = any(attempt.outcome in {"failed", "open"} for attempt in tried)
        changed = spec is None or spec.digest != loss.mark.digest
        hindered = bool(self.world.faults or self.world.unseen)
        return changed or hindered or damaged or loss.busy or not loss.answered

    # What clients and the world do.

    @rule(client=st.sampled_from(("tea", "cake")), seconds=st.sampled_from((0.0, 0.0, 3.0, 1000.0)))
    def talks(self, client: str, seconds: float) -> None:
        """Let a conversation be longer than all before it, so that none is taken for another."""
        for name in self.world.serving():
            self.tokens += 10
            self.world.talk(name, Conversation(client, self.tokens), seconds)

    @rule(event=st.sampled_from(EVENTS), name=names, seconds=st.sampled_from((0.5, 20.0, 1000.0, 100_000.0)))
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
                self.is_visited_by_a_stranger(PORT if name == "a" else PORT + 1)
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
        self.world.clock.now += 1000.0
        self.command()
        if self.stage.wanted.power == "off" and self.world.power == "suspended":
            # A host that sleeps is refused to be turned off, until somebody wakes it.
            self.world.reboot()
        self.retry()
        outcomes = [""]
        while outcomes[-1] not in {"in_sync", "applied"} and len(outcomes) <= ENOUGH:
            outcomes.append(self.applied())
        assert self.world.violations == []
        assert self.stage.is_as_wanted(), outcomes


class TestWorld(WorldMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(
        max_examples=100, stateful_step_count=15, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
