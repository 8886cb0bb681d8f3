"""Status: what a person is told about hosts and models, as conditions."""

from typing import Literal, TypeAlias

from pydantic import Field

from reconciler.model.names import Value

ConditionType: TypeAlias = Literal["Ready", "Reconciling", "Stalled", "Held", "Drifted"]


class Condition(Value):
    """One thing that is so of a subject, and why.

    `since` is wall clock seconds, of the journal row that last changed it.
    """

    type: ConditionType = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: str = Field(description="Why, as one stable word; docs/errors.md explains each.")
    message: str = Field(default="", description="Why, as a sentence.")
    since: float | None = Field(
        default=None, description="Since when, in wall clock seconds; null when it is not recorded."
    )
    observed_generation: int = Field(
        default=0, description="The generation of the wish that it was judged for."
    )


class ModelStatus(Value):
    """One model of a host."""

    model: str = Field(description="The model.")
    wanted: bool | None = Field(
        description="Whether it is to run; null when models are not managed."
    )
    phase: str = Field(
        description=(
            "What was seen of it: absent, loading, ready, sleeping, busy, other, locked, unclear,"
            " unresponsive, stranger or unknown."
        )
    )
    conditions: tuple[Condition, ...] = Field(description="What is so of this model.")
    url: str = Field(
        default="",
        description=(
            "The base URL of its OpenAI API as seen on the host; empty while it does not serve."
        ),
    )


class HostStatus(Value):
    """One host: its power and the evidence for it, what serves, and what failed last."""

    host: str = Field(description="The host.")
    power: str = Field(description="Its power as judged: on, off, suspended or unknown.")
    power_evidence: str = Field(
        default="",
        description=(
            "What that was judged by: who said so, or what was seen; or why it is not known."
        ),
    )
    watts: float | None = Field(
        default=None, description="What it draws, in watts, where its witness has a meter."
    )
    watt_hours: float | None = Field(
        default=None, description="What its witness has counted so far, in watt hours."
    )
    generation: int = Field(description="How often what is wanted of it has changed.")
    observed_generation: int = Field(description="The newest generation that was judged.")
    conditions: tuple[Condition, ...] = Field(
        description="What is so of this host; Ready comes first."
    )
    models: tuple[ModelStatus, ...] = Field(description="Its models.")
    notes: tuple[str, ...] = Field(
        default=(),
        description=(
            "Conversations that the last run lost against its plan, or that did not come back, and"
            " why."
        ),
    )
    failure: str = Field(default="", description="What failed last, while that stands in the way.")
    log: tuple[str, ...] = Field(default=(), description="The engine's last words then.")


class Status(Value):
    """Everything that desired manages."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    hosts: tuple[HostStatus, ...] = Field(description="One for each managed host, by name.")
