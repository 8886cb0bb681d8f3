"""Lending: what requests may bring in on a host, and what they want of each of its models."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from reconciler.model.names import ModelName, Value
from reconciler.model.quantity import Seconds

Rest: TypeAlias = Literal["unload", "suspend", "off"]

LONGEST_REST_AFTER = 7 * 86_400.0


class Idle(Value):
    """When a host that nobody asks for anything comes to rest, and how it rests."""

    after: Annotated[Seconds, Field(ge=1, le=LONGEST_REST_AFTER)] = Field(
        description="How long no request was under way or waited, for any model of the host."
    )
    then: Rest = Field(
        description=(
            "How it rests: `unload` saves and stops its models; `suspend` and `off` send the host"
            " to sleep as well, which takes `power: auto`."
        )
    )


class Rules(Value):
    """What requests may do on one host; durations in seconds.

    They may bring in the models of `allow`. What the file wants comes back after `return_after`
    without a request, or never where that is None. While others wait, a model keeps its place for
    `min_residency` at least. A request waits for `max_wait` at most. The host comes to rest as
    `idle` says, and `sleeps` until somebody wants a model of it (`power: auto`).
    """

    allow: tuple[ModelName, ...] = ()
    return_after: float | None = 300.0
    min_residency: float = 30.0
    max_wait: float = 240.0
    idle: Idle | None = None
    sleeps: bool = False

    @property
    def without_requests(self) -> "Rules":
        """What of them holds where no gateway is, which alone would end what requests began."""
        return NOTHING_LENT.model_copy(update={"sleeps": self.sleeps})


NOTHING_LENT = Rules()


class Outlook(Value):
    """In how many seconds what keeps requests from a model ends by itself, None: not known.

    `failed`: it was tried, and did not work.
    """

    seconds: float | None = None
    failed: bool = False


class Demand(Value):
    """What requests want of one model; moments in seconds of the boot clock.

    The oldest of those that wait does so since `oldest`, and is called `request`. `used` is when
    the newest request was sent to the model or ended, never when one began to wait. Requests may
    reach the model since `since`; None while they may not.
    """

    in_flight: int = 0
    waiting: int = 0
    oldest: float | None = None
    request: str = ""
    used: float | None = None
    since: float | None = None
