"""Power by commands of the operator, run on the controller or on a host of the inventory.

They are argument lists, and no shell reads them.

Ending with 0 says that what was asked for was accepted. Another code says that it was not and that
nothing happened; 255, with which ssh says that its connection broke, and a signal say nothing.
`state` says on by 0, off by 1 and suspended by 3; one that wrote to stderr alone has failed,
whatever it ended with, because programs that crash end with 1. Source: ssh(1) of OpenSSH 9.2,
exit(3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from reconciler.drivers.power.host_power.option_types import HostThere
from reconciler.edge import secret
from reconciler.errors import Declined, DriverError
from reconciler.model.facts import Binary, Known, Unknown
from reconciler.model.onhost.processes import AskProgram, Run
from reconciler.model.power import PowerState, Testimony
from reconciler.model.preparation import Words
from reconciler.model.reason import Reason
from reconciler.model.secret import Secret
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from typing import Literal, Self

    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.model.facts import Fact
    from reconciler.ports import Evidence

CAPABILITIES = Capabilities(can_wake=True, can_shut_down=True, can_testify=True, can_cut=True)
PACE_SECONDS = 2.0
"""How often it is asked at most whether the host is on. A question is a process."""

STATES: dict[int, PowerState] = {0: "on", 1: "off", 3: "suspended"}
CONNECTION_BROKE = 255
LAST_LINES = 3
LINE = 200

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Options(BaseModel):
    """What to run; at least one of the four."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wake: Words | None = Field(
        default=None,
        description=(
            "A program and its words that bring the host up; run again every 10 s until it answers."
        ),
    )
    stop: Words | None = Field(
        default=None,
        description="One that shuts the host down; ending with 0 says that this was accepted.",
    )
    state: Words | None = Field(
        default=None,
        description=(
            "One that ends with 0 while the host is on, 1 while it is off, 3 while it is suspended;"
            " others cannot tell."
        ),
    )
    cut: Words | None = Field(default=None, description="One that takes the power away.")
    seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        default=30.0, description="How long each may take."
    )
    via: HostThere | None = Field(
        default=None,
        description="A host of the inventory that runs them; by default the controller does.",
    )
    env: dict[Name, Secret] = Field(
        default={},
        description=(
            "Secrets for their environment, by variable; the words of a program are readable for"
            " every user there."
        ),
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        programs = (self.wake, self.stop, self.state, self.cut)
        if all(words is None for words in programs):
            raise ValueError("give at least one of `wake`, `stop`, `state` and `cut`")
        return self


def capabilities(options: Options) -> Capabilities:
    """Tell what the programs that are given can do."""
    return Capabilities(
        can_wake=options.wake is not None,
        can_shut_down=options.stop is not None,
        can_testify=options.state is not None,
        can_cut=options.cut is not None,
    )


class Ran(NamedTuple):
    """The end of a program, and what it wrote without the secrets that it was given."""

    program: str
    code: int
    out: list[str]
    err: list[str]

    def __str__(self) -> str:
        """Tell how it ended, with its last lines."""
        end = f"ended with {self.code}" if self.code >= 0 else f"was ended by signal {-self.code}"
        last = " / ".join((self.err or self.out)[-LAST_LINES:])
        return f"`{self.program}` {end}: {last or 'it wrote nothing'}"


class Driver:
    """The programs that an operator gave."""

    needs_permission = False

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._host = reach.name
        self._via = reach.via

    async def wake(self) -> Evidence:
        """Run `wake`; raise DriverError unless it ended with 0."""
        ran = await self._ran(self.options.wake)
        if ran.code:
            raise DriverError(f"waking {self._host}: {ran}")
        return _evidence(ran)

    async def wake_problem(self) -> Reason:
        """Explain why `wake` could not be run, if it could not."""
        if self.options.wake is None:
            return Reason(f"no `wake` is given for {self._host}")
        program = self.options.wake[0]
        problem = self._secrets_problem() or await self._lacks(program)
        if not problem:
            return Reason()
        return Reason(f"`{program}` could not wake {self._host} again: {problem}")

    async def _lacks(self, program: str) -> str:
        """Explain why a program cannot be run, if it cannot."""
        (fact,) = await self._via.ask([AskProgram(program=program)])
        if isinstance(fact, Unknown):
            return f"whether `{program}` can be run is not known: {fact.reason}"
        return Binary.model_validate(fact.value).problem.found

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Run `stop`; raise Declined when it said no, DriverError when that is not known."""
        if way != "off":
            raise Declined(f"`stop` shuts {self._host} down and suspends nothing")
        return await self._ordered(f"shutting {self._host} down", self.options.stop)

    async def testimony(self) -> Fact[Testimony]:
        """Run `state`."""
        try:
            ran = await self._ran(self.options.state)
        except DriverError as error:
            return Unknown(f"whether {self._host} is on was not told: {error.message}")
        return Known(_testimony(ran))

    async def cut(self) -> Evidence:
        """Run `cut`; raise Declined when it said no, DriverError when that is not known."""
        return await self._ordered(f"cutting the power of {self._host}", self.options.cut)

    async def _ordered(self, doing: str, words: tuple[str, ...] | None) -> Evidence:
        if words is not None and (problem := await self._lacks(words[0])):
            raise Declined(f"{doing}: {problem}")
        ran = await self._ran(words)
        if ran.code < 0 or ran.code == CONNECTION_BROKE:
            raise DriverError(f"{doing}: {ran}; whether it happened is not known")
        if ran.code:
            raise Declined(f"{doing}: {ran}")
        return _evidence(ran)

    async def _ran(self, words: tuple[str, ...] | None) -> Ran:
        """Run these words; raise Declined where they were not run, else DriverError."""
        if words is None:
            raise Declined(f"no program is given for this by the inventory of {self._host}")
        env = self._secrets()
        done = await self._via.act(Run(argv=words, seconds=self.options.seconds, env=env))
        code = done.get("code")
        if not isinstance(code, int):
            raise DriverError(f"how `{words[0]}` ended was not told")
        out, err = str(done.get("out", "")), str(done.get("err", ""))
        return Ran(words[0], code, _lines(out, env), _lines(err, env))

    def _secrets(self) -> dict[str, str]:
        return {name: secret.read(place) for name, place in self.options.env.items()}

    def _secrets_problem(self) -> str:
        try:
            self._secrets()
        except DriverError as error:
            return error.message
        return ""


def _testimony(ran: Ran) -> Testimony:
    state = STATES.get(ran.code)
    # Programs that crash end with 1, and write to stderr alone.
    if state is None or (ran.err and not ran.out):
        return Testimony(state=None, words=str(ran))
    said = f'says "{ran.out[0]}"' if ran.out else f"ended with {ran.code}"
    return Testimony(state=state, words=f"`{ran.program}` {said}")


def _lines(text: str, env: dict[str, str]) -> list[str]:
    """Split a text into the lines that say something, with every line of a secret hidden."""
    secrets = [line for value in env.values() for line in (value, *value.splitlines())]
    # The longest first: a part of another would leave the rest of that to be read.
    for line in sorted(filter(str.strip, secrets), key=len, reverse=True):
        text = text.replace(line, "***")
    return [line.strip()[:LINE] for line in text.splitlines() if line.strip()]


def _evidence(ran: Ran) -> Evidence:
    return {"ran": ran.program, "said": " / ".join((ran.out or ran.err)[-LAST_LINES:])}
