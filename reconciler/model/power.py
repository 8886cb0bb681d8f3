"""Power: what witnesses say of a host's power, how it was judged, and what guards it."""

from typing import Literal, TypeAlias

from reconciler.model.names import Value
from reconciler.model.reason import Reason

PowerState: TypeAlias = Literal["on", "off", "suspended"]
Grade: TypeAlias = Literal["answers", "proved", "inferred"]


class Power(Value):
    """What the power of a host is, and why.

    A host that answers is on. `proved`: something outside of it says so, such as a BMC, a
    hypervisor or a plug. `inferred`: it was asked to go down, said that it would, and was silent
    from then on while its neighbours answered.
    """

    # Silence alone is no evidence: a host that hangs, or whose network is down, is silent too
    # (ADR 0009).

    state: PowerState
    grade: Grade = "answers"
    because: str = "it answers"

    def __str__(self) -> str:
        grade = "" if self.grade == "answers" else f"{self.grade}: "
        return f"{self.state} ({grade}{self.because})"


class Testimony(Value):
    """What a witness outside of the host says of its power, and in which words.

    `state` is None where it cannot tell. `watts` is what the host draws, `watt_hours` what it has
    drawn since the witness began to count.
    """

    state: PowerState | None
    words: str
    watts: float | None = None
    watt_hours: float | None = None


class Canary(Value):
    """A neighbour that answered on the network of a host, so that its silence says something.

    `since` is when it began to answer every time it was asked (boot clock seconds): silence before
    that may be the network's.
    """

    address: str
    since: float = 0.0


class Inhibitor(Value):
    """A program that wants a host to stay up, and why it says so."""

    who: str
    why: str
    pid: int

    def __str__(self) -> str:
        return f"{self.who} (pid {self.pid}) keeps it up: {self.why}"


class Login(Value):
    """A user who is logged in, and where."""

    user: str
    place: str

    def __str__(self) -> str:
        return f"{self.user} is logged in ({self.place})"


class Guards(Value):
    """What stands in the way of sending a host down.

    `permission_problem` is why this user may not, with the remedy, and `wake_problem` why nothing
    could wake it again; each is empty when it is not in the way.
    """

    logins: tuple[Login, ...] = ()
    inhibitors: tuple[Inhibitor, ...] = ()
    permission_problem: Reason = Reason()
    wake_problem: Reason = Reason()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason as a sentence."""
        found = (
            self.permission_problem,
            self.wake_problem,
            *map(str, self.logins),
            *map(str, self.inhibitors),
        )
        return tuple(reason for reason in found if reason)
