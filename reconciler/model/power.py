"""Power: what witnesses say of a host's power, what it was judged to be, and what stands in the way of sending it down."""

from __future__ import annotations

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

    state: PowerState
    grade: Grade = "answers"
    because: str = "it answers"

    def __str__(self) -> str:
        """Return it as one phrase."""
        return (
            f"{self.state} ({self.because})"
            if self.grade == "answers"
            else f"{self.state} ({self.grade}: {self.because})"
        )


class Testimony(Value):
    """What a witness outside of the host says of its power, None where it cannot tell, and in which words.

    `watts` is what the host draws, `watt_hours` what it has drawn since the witness began to count.
    """

    state: PowerState | None
    words: str
    watts: float | None = None
    watt_hours: float | None = None


class Canary(Value):
    """Who answered on the network of a host, so that its own silence says something.

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
        """Return it as a sentence."""
        return f"{self.who} (pid {self.pid}) keeps it up: {self.why}"


class Login(Value):
    """Somebody who is logged in, and where."""

    user: str
    place: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{self.user} is logged in ({self.place})"


class Guards(Value):
    """What stands in the way of sending a host down.

    `permission_problem`: why this user may not, with the remedy. `wake_problem`: why nothing could
    wake it again. Empty: nothing is in the way.
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
