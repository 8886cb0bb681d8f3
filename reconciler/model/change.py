"""Changes: the differences between target and observed that a plan must cover."""

from typing import Literal, TypeAlias

from reconciler.model.facts import UnitIdentity
from reconciler.model.names import Value
from reconciler.model.place import Door
from reconciler.model.power import PowerState


class PowerChange(Value):
    """A host whose power is not as wanted."""

    kind: Literal["power"] = "power"
    host: str
    have: str
    want: PowerState


class PrepareChange(Value):
    """A host that was not prepared with what has this digest since it came up.

    That takes `seconds` at most.
    """

    kind: Literal["prepare"] = "prepare"
    host: str
    digest: str
    seconds: float
    cause: str


class StopChange(Value):
    """A unit that should not run, or not like this.

    `port` is where one that has no definition was found to listen. `unproven` is one that a run
    started and that has not shown yet that it works: it holds nothing that could be missed.
    """

    kind: Literal["stop"] = "stop"
    host: str
    model: str
    identity: UnitIdentity
    cause: str
    port: Door | None = None
    unproven: bool = False


class StartChange(Value):
    """A wanted model without a unit."""

    kind: Literal["start"] = "start"
    host: str
    model: str
    cause: str


class ProveChange(Value):
    """A wanted unit that runs, and has not yet shown that it works."""

    kind: Literal["prove"] = "prove"
    host: str
    model: str
    cause: str


class RestoreChange(Value):
    """A running unit that is owed a saved conversation."""

    kind: Literal["restore"] = "restore"
    host: str
    model: str
    cause: str


class AdmitChange(Value):
    """Requests may not reach a model yet that serves, or will."""

    kind: Literal["admit"] = "admit"
    host: str
    model: str
    port: int
    cause: str


class Ignored(Value):
    """A difference that is left alone, and why."""

    kind: Literal["ignored"] = "ignored"
    host: str
    subject: str
    cause: str


Change: TypeAlias = (
    PowerChange
    | PrepareChange
    | StopChange
    | StartChange
    | ProveChange
    | RestoreChange
    | AdmitChange
    | Ignored
)
