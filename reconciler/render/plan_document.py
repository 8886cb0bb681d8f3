"""A plan as a document: what `plan -o json` prints and `plan --save` writes."""

# Apart from the documents of other verbs: every command that plans would pay for them.

from typing import Literal

from pydantic import Field

from reconciler.model.change import Ignored
from reconciler.model.names import Digest, Value
from reconciler.model.records import Mode
from reconciler.model.target import Provenance


class StepDocument(Value):
    """What one step is: all of it decides whether two plans mean the same."""

    number: int = Field(description="Its place in the plan of its host, from 1.")
    kind: str = Field(description="What it makes sure of; docs/lifecycle.md names every kind.")
    target: str = Field(description="The model, host or amount of memory that it is about.")
    digest: str = Field(
        description="The definition that a start starts from, empty for other kinds."
    )
    after: tuple[int, ...] = Field(description="The numbers of the steps that must be done before.")
    irreversible: bool = Field(description="Whether nothing can take it back once it was begun.")


class Meaning(Value):
    """What would be done to one host."""

    host: str = Field(description="The host.")
    mode: Mode = Field(
        description=(
            "forward goes to what is wanted, heal to the last good state because what is wanted"
            " failed before, release to nothing for a hold. A rollback is a run's alone: it goes"
            " back at once from one that failed."
        )
    )
    digest: Digest = Field(description="The state that it leads to, with every definition in it.")
    steps: tuple[StepDocument, ...] = Field(
        description="What would be done, in this order. Empty: nothing."
    )


class StepEvidence(Value):
    """Why a step is there and what is expected of it."""

    number: int = Field(description="The step's number.")
    cause: str = Field(description="The difference that it closes.")
    note: str = Field(
        description="What is known about it, such as how many conversations it saves."
    )
    seconds: float | None = Field(
        description="How long it took before, in seconds; null when it was never done."
    )
    predicted: bool = Field(
        description=(
            "Whether it was planned from what a wake is expected to bring, not from what was seen."
        )
    )


class HostEvidence(Value):
    """What is known about the plan of one host; plans that mean the same may differ in it."""

    host: str = Field(description="The host.")
    headline: str = Field(description="The plan in a few words.")
    steps: tuple[StepEvidence, ...] = Field(description="One for each step.")
    ignored: tuple[Ignored, ...] = Field(description="Differences that are left alone, and why.")
    notes: tuple[str, ...] = Field(description="What a person should know before saying yes.")
    refusals: tuple[str, ...] = Field(
        description="Every reason why this plan may not run. Empty: it may."
    )
    lost_conversations: int | None = Field(
        description="How many conversations end; null when that is not known."
    )
    seconds: float | None = Field(
        description="How long it took before, in seconds; null when it was never done."
    )


class ProvenanceDocument(Provenance):
    """Where the wish comes from."""

    text: str = Field(description="The same as one phrase.")


class Evidence(Value):
    """What stands beside the meaning: causes, counts, estimates, provenance."""

    provenance: ProvenanceDocument = Field(
        description="Which bytes were read, and what git knows of them."
    )
    hosts: tuple[HostEvidence, ...] = Field(description="One for each host, in the same order.")


class PlanDocument(Value):
    """A plan: `hosts` is its meaning.

    `evidence` may differ between two plans that mean the same.
    """

    version: Literal[1] = Field(description="The version of this document's format.")
    hosts: tuple[Meaning, ...] = Field(description="One for each managed host, by name.")
    evidence: Evidence = Field(description="Why, how many and how long.")
