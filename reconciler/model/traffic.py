"""Traffic: which unit a gate lets requests through to, how many there are, what they may name."""

from reconciler.model.facts import UnitIdentity
from reconciler.model.gateway import LARGEST_BODY
from reconciler.model.names import HostName, ModelName, Value


class Admitting(Value):
    """Which unit a model's gate is open for; None while it is closed."""

    identity: UnitIdentity | None = None


class Traffic(Value):
    """The requests of one model that the gateway carries now.

    `used` is when the newest one began or ended, in seconds of the boot clock; None when there was
    none since the gateway started. `rereader` is the client, with its version, of which the newest
    prompt begins so that an engine can reuse nothing; "" where that is not known of it.
    """

    in_flight: int = 0
    used: float | None = None
    rereader: str = ""


class GateDocument(Value):
    """What a gateway does for one host, by model."""

    admitting: dict[ModelName, Admitting] = {}
    traffic: dict[ModelName, Traffic] = {}


class Route(Value):
    """A model that requests may name, also by its aliases, which others may share.

    `active`: the file wants it to serve now; `lent`: requests may bring it in. They wait for
    `max_wait` seconds at most.
    """

    model: ModelName
    host: HostName
    active: bool
    lent: bool = False
    max_wait: float = 240.0
    aliases: tuple[str, ...] = ()


class Routes(Value):
    """All models that requests may name; `main` is for those that name none, where it is clear.

    `names` are those that the gateway itself answers to beside this machine's own, `origins` those
    of pages elsewhere that may ask, `listen` where it should take requests, `largest` how many
    bytes a request may have.
    """

    models: tuple[Route, ...] = ()
    main: ModelName | None = None
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    listen: str = ""
    largest: int = LARGEST_BODY
