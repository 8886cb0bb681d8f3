"""Leasing: what the journal keeps of models that are lent, and of hosts that nobody uses.

A field that is added gets a default, because rows of earlier versions lack it.
"""

from typing import Literal

from reconciler.model.lending import Rest
from reconciler.model.names import Digest, HostName, ModelName, Value


class Term(Value):
    """What a person said who took a model for a while: who it is, why, until when (wall clock)."""

    by: str
    reason: str = ""
    until: float


class Leased(Value):
    """A model that is brought in, beside or in place of what the files ask for.

    Requests did that, the first by the name `request`, or a person, whose word is the `term`.
    `wanted` is the digest of the slice of the files: the lease ends with it.
    """

    kind: Literal["leased"] = "leased"
    host: HostName
    model: ModelName
    wanted: Digest
    term: Term | None = None
    request: str = ""


class Released(Value):
    """The end of a lease.

    With `failed`, the digest of the slice with this model alone lent, it could not be brought in,
    and is not tried again at once.
    """

    kind: Literal["released"] = "released"
    host: HostName
    model: ModelName
    because: str
    failed: Digest | None = None


class Idled(Value):
    """That a host comes to rest, because nobody asks for anything; seen in the boot `boot_id`.

    `wanted` is the digest of the slice of the files: its rest ends with it.
    """

    kind: Literal["idled"] = "idled"
    host: HostName
    then: Rest
    wanted: Digest
    boot_id: str


class Roused(Value):
    """The end of a host's rest.

    With `failed`, the digest of the slice that could not be brought about for it, it comes to rest
    again only after a while.
    """

    kind: Literal["roused"] = "roused"
    host: HostName
    because: str
    failed: Digest | None = None
