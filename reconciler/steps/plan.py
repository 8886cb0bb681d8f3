"""The plan: steps in a graph per host, each with its cause, and the evidence beside them."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from reconciler.model.change import Ignored
from reconciler.model.names import Digest, Value
from reconciler.model.records import Hold, Lease, Mode, Quarantine
from reconciler.model.target import Provenance
from reconciler.steps.admit import Admit
from reconciler.steps.await_down import AwaitDown
from reconciler.steps.await_healthy import AwaitHealthy
from reconciler.steps.await_vram import AwaitVram
from reconciler.steps.drain import Drain
from reconciler.steps.hold_requests import HoldRequests
from reconciler.steps.prefetch import Prefetch
from reconciler.steps.prepare import Prepare
from reconciler.steps.restore_slots import RestoreSlots
from reconciler.steps.save_slots import SaveSlots
from reconciler.steps.shutdown import Shutdown
from reconciler.steps.start import Start
from reconciler.steps.step import Step
from reconciler.steps.stop import Stop
from reconciler.steps.suspend import Suspend
from reconciler.steps.wake import Wake

AnyStep: TypeAlias = Annotated[
    Wake
    | Prepare
    | Prefetch
    | HoldRequests
    | Drain
    | SaveSlots
    | Stop
    | AwaitVram
    | Start
    | AwaitHealthy
    | RestoreSlots
    | Admit
    | Suspend
    | Shutdown
    | AwaitDown,
    Field(discriminator="kind"),
]

STEPS: Mapping[str, type[Step]] = {
    step.model_fields["kind"].default: step for step in get_args(get_args(AnyStep)[0])
}
"""Every kind of step."""


class StepMeaning(Value):
    """What of a planned step decides whether two plans are the same."""

    kind: str
    target: str
    digest: str
    after: tuple[int, ...]
    irreversible: bool


class PlannedStep(Value):
    """A step in a plan: its number, what it waits for, its cause, and what is expected of it.

    `seconds` is how long it took before, None when it never ran.
    """

    number: int
    step: AnyStep
    after: tuple[int, ...] = ()
    cause: str
    note: str = ""
    predicted: bool = False
    seconds: float | None = None

    @property
    def meaning(self) -> StepMeaning:
        """What decides whether this step equals another."""
        return StepMeaning(
            kind=self.step.kind,
            target=self.step.target,
            digest=self.step.wanted_digest,
            after=self.after,
            irreversible=self.step.in_doubt == "irreversible",
        )


def _placed(meaning: StepMeaning, places: Mapping[int, int]) -> StepMeaning:
    after = tuple(places[number] for number in meaning.after if number in places)
    return meaning.model_copy(update={"after": after})


class HostPlan(Value):
    """The plan of one host.

    `refusals` are the reasons why it may not run at all, `unmet` is what no step can bring about,
    and `unseen` is not known whether it runs: steps go on beside it.

    `cause` is what keeps the wish away, where something does: it stands among the refusals too, as
    a sentence. `lent` are the models that are lent, to requests or a person. `lost_conversations`
    is None when it is not known how many end.
    """

    host: str
    mode: Mode
    digest: Digest
    headline: str
    steps: tuple[PlannedStep, ...]
    ignored: tuple[Ignored, ...] = ()
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    cause: Hold | Quarantine | None = None
    lent: Mapping[str, Lease] = Field(default_factory=dict)
    lost_conversations: int | None = 0
    seconds: float | None = None

    @property
    def meaning(self) -> tuple[StepMeaning, ...]:
        """What decides whether this plan equals another."""
        # Only a process with a gateway sees its gates: what is approved by another must still fit.
        counting = [planned for planned in self.steps if planned.step.counts]
        places = {planned.number: place for place, planned in enumerate(counting, start=1)}
        return tuple(_placed(planned.meaning, places) for planned in counting)

    @property
    def objections(self) -> tuple[str, ...]:
        """Its refusals, and what is unseen where nothing is left to do: that is not in sync."""
        return tuple(dict.fromkeys((*self.refusals, *(() if self.steps else self.unseen))))

    @property
    def is_asleep(self) -> bool:
        """Whether nothing on the host can be done before it is up, or any more."""
        return any(planned.step.kind in {"wake", "await_down"} for planned in self.steps)

    def until_awake(self) -> "HostPlan":
        """The plan up to where the host is up: what was predicted of it is then seen first."""
        kinds = [planned.step.kind for planned in self.steps]
        last = kinds.index("wake") + 1 if "wake" in kinds else len(kinds)
        return self.model_copy(update={"steps": self.steps[:last]})


class Plan(Value):
    """What is planned for every host that the files manage."""

    version: Literal[1] = 1
    provenance: Provenance
    hosts: tuple[HostPlan, ...]

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do."""
        return any(host.steps for host in self.hosts)
