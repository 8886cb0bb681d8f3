"""What may be asked of and done on a host: the contract between drivers and the onhost program.

Each request becomes one JSON line `{"do": kind, ...fields}`; the answer is `{"ok": {...}}` or
`{"error": "sentence"}`. Paths are absolute or relative to the host directory, where everything that
belongs to the host (claim, logs, slots) lives. A request knows how long its answer may take, so a
new one is a class in one of the modules here and a line in onhost/serve.

Used by drivers and effects, through the port `Access`.
"""

from typing import ClassVar, Literal, TypeAlias

from reconciler.model.names import Value
from reconciler.model.place import Inside

InDoubt: TypeAlias = Literal["repeatable", "observable", "once", "irreversible"]

Batch: TypeAlias = Literal["kernel", "files"]
"""What may hold up an answer: nothing but the kernel, or a file system of the operator's."""

ASK_SECONDS = 10.0
READ_SECONDS = 120.0
ACT_SECONDS = 600.0
POWER_SECONDS = 30.0


class Question(Value):
    """A look at a host that changes nothing."""

    batch: ClassVar[Batch | None] = None
    """Questions of one batch that are asked meanwhile share a round trip; None: with no other."""

    do: str

    @property
    def patience(self) -> float:
        """For how many seconds its answer is waited for.

        What has a time limit of its own on the host is given longer, so that the host says first
        that it is over.
        """
        return ASK_SECONDS


class Action(Value):
    """A change on a host."""

    in_doubt: ClassVar[InDoubt]
    refusal_is_final: ClassVar[bool] = False
    """Whether an answer that is an error says for certain that nothing is under way."""

    do: str

    @property
    def patience(self) -> float:
        """For how many seconds its answer is waited for."""
        return ACT_SECONDS


class OfDoor(Value):
    """A request about a port that may be one of a container's own network; None: the host's."""

    door: Inside | None = None


class OfPlace(Value):
    """A request whose absolute paths may be those of a container; None: they are the host's."""

    inside: Inside | None = None
