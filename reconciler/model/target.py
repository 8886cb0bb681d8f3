"""Wanted and target: what the files ask for, closed, with where it came from."""

from typing import Literal

from reconciler.model.gateway import Gateway
from reconciler.model.lending import Rules
from reconciler.model.names import Digest, HostName, ModelName, Value
from reconciler.model.reason import Reason
from reconciler.model.spec import Slice


class Provenance(Value):
    """Which bytes were read, and what git knows of exactly those bytes.

    `digest` covers the bytes of both files. `commit` is HEAD; `state` compares the blob ids of the
    bytes with HEAD's tree. `trouble` is why git does not answer for them where there is a
    repository, or what it is in the middle of, with what to do. `objection` is why they must not be
    applied, empty when they may.
    """

    digest: Digest
    state: Literal["committed", "modified", "untracked", "not in git"]
    commit: str = ""
    author: str = ""
    subject: str = ""
    trouble: Reason = Reason()
    objection: Reason = Reason()

    def __str__(self) -> str:
        if self.state == "committed":
            return f"desired {self.commit[:7]} (committed, clean)"
        if self.commit:
            return f"desired {self.commit[:7]} + uncommitted changes ({self.state})"
        read = self.digest.rpartition(":")[2]
        # Where there is a repository, `not in git` would be a guess.
        is_silent = bool(self.trouble) and self.state == "not in git"
        return f"desired {read[:7]} ({'git does not answer' if is_silent else self.state})"


class Wanted(Value):
    """Desired and inventory, resolved: one slice per host that desired manages.

    `rules` say what requests may do there. They are no part of a slice: they are about now, so
    nothing goes back to them, and a change of them is no new attempt. `gateway` is how requests
    come in, and `aliases` are the other names of models there.
    """

    slices: dict[HostName, Slice]
    rules: dict[HostName, Rules] = {}
    aliases: dict[ModelName, tuple[str, ...]] = {}
    gateway: Gateway = Gateway()
    provenance: Provenance


class Target(Value):
    """What one host should be at one moment. Made by core/policy alone."""

    slice: Slice
    digest: Digest
