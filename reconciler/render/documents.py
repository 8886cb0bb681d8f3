"""The documents that verbs print with `-o json` and schemas/ describes.

That of status is model/status, that of a plan render/plan_document.
"""

from typing import Literal

from pydantic import Field, JsonValue

from reconciler.model.explanation import Explanation
from reconciler.model.importing import ImportRow
from reconciler.model.key_scope import KeyScope
from reconciler.model.machine import Machine
from reconciler.model.names import Digest, Value
from reconciler.model.records import Mode
from reconciler.model.verdict import HostVerdict
from reconciler.render.plan_document import PlanDocument


class RunStep(Value):
    """How one step of a run went."""

    step: str = Field(description="Its kind; docs/lifecycle.md names every kind.")
    model: str = Field(description="The model that it was about, empty for a step about the host.")
    outcome: str = Field(description="done, skipped, gave-up, failed, missed or cancelled.")
    seconds: float = Field(description="How long it took.")
    said: str = Field(description="What went wrong, or which conversations were in it.")
    evidence: dict[str, JsonValue] = Field(description="What was measured.")


class RunDocument(Value):
    """One run: what caused it, what was done and how it ended."""

    run: int = Field(
        description="Its number, by which `history`, `explain` and `rollback` know it."
    )
    at: float = Field(description="When it was opened, in wall clock seconds.")
    host: str = Field(description="The host.")
    mode: Mode = Field(
        description=(
            "forward to what was wanted, lease to what requests or a person took for a while, idle"
            " to rest, release to nothing for a hold, else to the last good state."
        )
    )
    trigger: str = Field(description="What caused it, such as apply or use.")
    request: str = Field(
        default="", description="The X-Request-ID that it was for; empty without a request."
    )
    active: tuple[str, ...] = Field(description="The models that it was to make active.")
    provenance: str = Field(description="Which files it followed.")
    digest: Digest = Field(description="The state that it led to, with every definition in it.")
    continues: int | None = Field(
        description="The run that was cut short before it; null when there is none."
    )
    plan: tuple[str, ...] = Field(description="What was to be done.")
    causes: tuple[str, ...] = Field(default=(), description="Why, each cause once.")
    steps: tuple[RunStep, ...] = Field(description="What was done.")
    verdict: str = Field(
        description=(
            "promoted, failed, interrupted, superseded, cut short, or open while it has none."
        )
    )
    reason: str = Field(
        description=(
            "Why it failed, as one stable word that docs/errors.md explains; empty when it did not."
        )
    )
    message: str = Field(description="Why, as a sentence.")
    log: tuple[str, ...] = Field(description="The engine's last words when it failed.")
    notes: tuple[str, ...] = Field(
        description="What its plan said beforehand: conversations that would end, or not come back."
    )


class HistoryDocument(Value):
    """The runs that the journal keeps, oldest first."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    directory: str = Field(description="Where the journal is.")
    earlier: int = Field(default=0, description="How many older runs are not listed.")
    runs: tuple[RunDocument, ...] = Field(
        description="Every run, the newest ones, or the one that was asked for."
    )


class HostEnd(Value):
    """How a pass over one host ended."""

    host: str = Field(description="The host.")
    outcome: str = Field(
        description=(
            "in_sync, applied, rolled_back, unhealthy, refused, stalled, interrupted or unknown;"
            " exit_code says how bad."
        )
    )
    message: str = Field(description="Why, as a sentence.")
    reasons: tuple[str, ...] = Field(description="Every reason for a refusal.")
    log: tuple[str, ...] = Field(description="The engine's last words when it failed.")
    runs: tuple[int, ...] = Field(description="The runs that it took.")
    notes: tuple[str, ...] = Field(
        description="Which conversations were lost against the plan, and which did not come back."
    )
    lost_conversations: int = Field(
        description="How many were lost that the plan had meant to keep; more than 0 exits with 3."
    )
    held: bool = Field(
        default=False, description="Whether it was left alone because it is on hold."
    )
    serving: dict[str, str] = Field(
        default={},
        description=(
            "The models that serve now, each with the base URL of its OpenAI API as seen on the"
            " host."
        ),
    )
    exit_code: int = Field(description="The exit code that this host alone would give.")

    @classmethod
    def of(cls, verdict: HostVerdict) -> "HostEnd":
        """Render the end that a verdict is."""
        return cls(**verdict.model_dump(), exit_code=verdict.exit_code)


class VerdictDocument(Value):
    """How `apply`, `use`, `retry` or `rollback` ended."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    hosts: tuple[HostEnd, ...] = Field(description="One for each managed host, by name.")


class WatchDocument(Value):
    """How a watch ended."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    ended: str = Field(description="The signal that it left for.")


class NextStep(Value):
    """What to do before the first `apply`."""

    command: str = Field(
        description="A command; empty where only the sentences can say what to do."
    )
    why: tuple[str, ...] = Field(description="Why, in sentences.")


class InitDocument(Value):
    """What `init` saw and wrote, and what is left to do."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    directory: str = Field(description="Where the files are.")
    files: tuple[str, ...] = Field(description="Their names.")
    git: str = Field(description="What became of them in git.")
    machine: Machine = Field(description="What the host has.")
    models: tuple[str, ...] = Field(description="The models that the inventory names.")
    served: tuple[str, ...] = Field(description="Those of them that a server serves now.")
    notes: tuple[str, ...] = Field(description="What could not be seen, and what that means.")
    steps: tuple[NextStep, ...] = Field(description="What to do before `apply`, in this order.")
    plan: PlanDocument = Field(description="The plan over both files.")


class ImportDocument(Value):
    """What `import` made of a source, and of everything that it says."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    source: str = Field(description="What was read.")
    directory: str = Field(description="Where the files are.")
    files: tuple[str, ...] = Field(description="Their names; none where no model was found.")
    git: str = Field(description="What became of them in git.")
    models: tuple[str, ...] = Field(description="The models that the inventory names.")
    served: tuple[str, ...] = Field(description="Those of them that run now.")
    rows: tuple[ImportRow, ...] = Field(description="What became of each thing that was found.")
    plan: PlanDocument | None = Field(
        default=None, description="The plan over both files; null where no model was found."
    )


class Managed(Value):
    """What is wanted of one host."""

    power: str | None = Field(description="on, off or suspend; null when power is not managed.")
    active: tuple[str, ...] | None = Field(
        description="The models that are to run; null when models are not managed."
    )


class ValidDocument(Value):
    """Both files are right, and what they manage."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    valid: Literal[True] = Field(
        default=True, description="True; files that are wrong are an error."
    )
    provenance: str = Field(description="Which files were read.")
    hosts: dict[str, Managed] = Field(description="What is wanted, by host.")


class LogDocument(Value):
    """Lines that the engine of a model wrote.

    With `-f` one such document follows another, one a line.
    """

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    host: str = Field(description="The host.")
    model: str = Field(description="The model.")
    lines: tuple[str, ...] = Field(description="The lines, oldest first.")
    end: str = Field(
        default="", description="Where they end, by which the API is asked for what came after."
    )


class ExplainDocument(Value):
    """What is known of whatever has a name; several things may share one."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    subject: str = Field(description="What was asked about.")
    explanations: tuple[Explanation, ...] = Field(description="One for each thing of that name.")


class KeyDocument(Value):
    """One key of the gateway, without what would let anybody in."""

    id: str = Field(description="Its number, which the key itself begins with.")
    name: str = Field(description="What people call it.")
    scopes: tuple[KeyScope, ...] = Field(
        description="infer: ask models; read: look; operate: act; admin: everything."
    )
    models: tuple[str, ...] = Field(description="The only models it may ask for; empty for any.")
    in_flight: int = Field(description="How many requests of it may be under way.")
    waiting: int = Field(description="How many requests of it may wait.")
    expires: float | None = Field(description="When it ends, in wall clock seconds; null: never.")
    wake_on_list: bool = Field(description="Whether listing models with it wakes hosts that rest.")


class KeysDocument(Value):
    """The keys that there are, or the one that was made or removed."""

    version: Literal[1] = Field(default=1, description="The version of this document's format.")
    keys: tuple[KeyDocument, ...] = Field(description="Each key, in the order they were made.")
    made: str = Field(
        description="The key itself, told this once when it is made; empty otherwise."
    )
    note: str = Field(
        default="", description="What could not be checked of what was asked for; empty otherwise."
    )
