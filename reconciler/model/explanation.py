"""Explanations: what is known of one subject, as sentences."""

from typing import Literal, NamedTuple, TypeAlias

from pydantic import Field, JsonValue

from reconciler.model.names import Value

SubjectKind: TypeAlias = Literal["model", "host", "run", "reason", "step", "key", "word"]


class Statement(Value):
    """One thing that is known of a subject."""

    about: str = Field(description="What it is about, in a word or two.")
    says: str = Field(description="What is known of that.")


class Explanation(Value):
    """Everything that is known of one subject."""

    kind: SubjectKind = Field(description="What the subject is.")
    subject: str = Field(description="Its name.")
    facts: tuple[Statement, ...] = Field(
        description="What is known of it, in the order in which one would ask."
    )
    log: tuple[str, ...] = Field(
        default=(), description="The engine's last words, where they say more."
    )


class Written(NamedTuple):
    """What stands at a key of a file, and where: file and line."""

    value: JsonValue
    place: str
