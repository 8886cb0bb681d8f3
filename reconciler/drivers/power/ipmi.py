"""Ask the BMC of a host by IPMI over LAN, through ipmitool: to bring it up, to shut it down, to cut its power, and if it is on.

What the BMC accepts has not happened yet; its power status tells. `soft` is a press of the power
button, which the host's system may ignore. Source: ipmitool(1) 1.8.19, and what it says to ipmi_sim
2.0.33 (openipmi) and to nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from reconciler.drivers.power.host_power.option_types import HostThere
from reconciler.drivers.power.host_power.refusals import Account
from reconciler.edge import secret
from reconciler.errors import Declined, DriverError
from reconciler.model.address import Machine
from reconciler.model.facts import Binary, Known, Unknown
from reconciler.model.onhost.processes import AskProgram, Run
from reconciler.model.power import Testimony
from reconciler.model.quantity import WHOLE
from reconciler.model.reason import Reason
from reconciler.model.secret import Secret
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from typing import Literal

    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.model.facts import Fact
    from reconciler.model.power import PowerState
    from reconciler.ports import Evidence

CAPABILITIES = Capabilities(can_wake=True, can_shut_down=True, can_testify=True, can_cut=True)
PACE_SECONDS = 3.0
"""How often it is asked at most whether the host is on. A question is a process and a session, of
which some have four."""

PROGRAM = "ipmitool"
SECONDS = 20.0
STATES: dict[str, PowerState] = {"on": "on", "off": "off"}
# It takes precedence over IPMI_PASSWORD, which the controller may have for something else.
VARIABLE = "IPMITOOL_PASSWORD"
# Less than -v does not tell a wrong password from a BMC that is not there; more than OPERATOR
# nothing here needs.
FLAGS = ("-v", "-I", "lanplus", "-N", "1", "-R", "1", "-L", "OPERATOR")

_STATUS = re.compile(r"^Chassis Power is (.+)$", re.MULTILINE)
_DONE = re.compile(r"^(Chassis Power Control: .+)$", re.MULTILINE)
_REFUSED = re.compile(
    r"^(?:Set Chassis Power Control to .+|Get Chassis Power Status) failed: (.+)$", re.MULTILINE
)
# Of what a BMC says to who logs in, this is about user and password; others are about sessions, or
# how to encrypt.
_STRANGER = re.compile(
    r"^>? ?(RAKP .*(?:HMAC is invalid|unauthorized|invalid integrity check value).*)$", re.MULTILINE
)
_NO_SESSION = "Unable to establish"


class Options(BaseModel):
    """Where the BMC is, who asks it, and from where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Machine = Field(description='Where the BMC is, such as "bmc1.lan" or "10.0.0.9".')
    port: Annotated[int, Field(ge=1, le=65535), WHOLE] = Field(
        default=623, description="The UDP port of the BMC."
    )
    user: str = Field(description="A user of the BMC, with the privilege OPERATOR.")
    password: Secret = Field(description="Where that user's password is, at the controller.")
    cipher: Annotated[int, Field(ge=0, le=17), WHOLE] | None = Field(
        default=None,
        description=(
            "The cipher suite, where the BMC cannot agree on one: 17 for newer ones, 3 for older."
        ),
    )
    via: HostThere | None = Field(
        default=None,
        description=(
            "A host of the inventory that reaches the BMC and has ipmitool; by default the"
            " controller does."
        ),
    )


class _Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What went wrong, line by line; there is at least one."""
        return [line.strip() for line in self.err.splitlines() if line.strip()] or ["nothing"]

    @property
    def opened_nothing(self) -> bool:
        """Whether the BMC was never asked, because there was no session."""
        return _NO_SESSION in self.lines[-1]


class Driver:
    """One chassis."""

    needs_permission = False

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._reach = reach

    @property
    def _bmc(self) -> str:
        return f"the BMC at {self.options.address}:{self.options.port}"

    async def wake(self) -> Evidence:
        """Ask for power.

        Raise DriverError when the BMC cannot be asked, or refuses and does not say that the host is
        on.
        """
        try:
            return await self._control("on")
        except Declined:
            # Some refuse to switch on what is on.
            state = await self._status()
            if state != "on":
                raise
            return {"asked": "on", "said": f"Chassis Power is {state}"}

    async def wake_problem(self) -> Reason:
        """Return why the BMC could not bring the host up again, empty when it answers this user."""
        try:
            await self._status()
        except DriverError as error:
            return Reason(error.message)
        return Reason()

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Press the power button.

        Raise Declined when that did not happen, DriverError when nobody can say.
        """
        if way == "suspend":
            raise Declined(f"{self._bmc} can shut {self._reach.name} down, but cannot suspend it")
        return await self._control("soft")

    async def cut(self) -> Evidence:
        """Take the power away.

        Raise Declined when that did not happen, DriverError when nobody can say.
        """
        return await self._control("off")

    async def testimony(self) -> Fact[Testimony]:
        """Return what the BMC says of the host's power."""
        try:
            state = await self._status()
        except DriverError as error:
            return Unknown(error.message)
        return Known(
            Testimony(state=STATES.get(state), words=f"{self._bmc} says Chassis Power is {state}")
        )

    async def _status(self) -> str:
        """Return what the BMC calls the state of the power; raise DriverError."""
        said = await self._said("status")
        found = _STATUS.search(said.out)
        if found is None:
            raise self._trouble("status", said)
        return found[1]

    async def _control(self, verb: str) -> Evidence:
        said = await self._said(verb)
        found = _DONE.search(said.out)
        if found is None or said.code:
            raise self._trouble(verb, said)
        return {"asked": verb, "said": found[1]}

    async def _said(self, verb: str) -> _Said:
        """Return what ipmitool said.

        Raise Declined when it was not run, DriverError when what came of it is not known.

        Raise Barred when the user or the password is refused, or was a moment ago.
        """
        options, password = self.options, await self._password()
        account = Account(self._reach.name, f"{options.address}:{options.port}", options.user)
        refused = self._reach.refusals.showing(account, password)
        cipher = () if options.cipher is None else ("-C", str(options.cipher))
        argv = (
            PROGRAM, *FLAGS, *cipher, "-H", options.address, "-p", str(options.port), "-U",
            options.user, "-E", "chassis", "power", verb,
        )  # fmt: skip
        answer = await self._reach.via.act(
            Run(argv=argv, seconds=SECONDS, env={VARIABLE: password})
        )
        said = _Said(int(str(answer["code"])), str(answer["out"]), str(answer["err"]))
        stranger = _STRANGER.search(said.err)
        if said.opened_nothing and stranger is not None:
            raise refused(
                f"{self._bmc} answers, but lets {options.user} not in ({stranger[1]}); check"
                f" `user:` and `password:` ({self._place}) in the inventory, and that its privilege"
                " there is OPERATOR at least"
            )
        return said

    @property
    def _place(self) -> str:
        """Where the password is."""
        ((kind, place),) = self.options.password.model_dump().items()
        return f"{kind} {place}"

    async def _password(self) -> str:
        """Return what ipmitool needs in its environment; raise Declined when it cannot be run."""
        (fact,) = await self._reach.via.ask([AskProgram(program=PROGRAM)])
        if isinstance(fact, Unknown):
            raise Declined(f"{self._bmc} cannot be asked: {fact.reason}")
        if Binary.model_validate(fact.value).problem:
            place = self.options.via or "the controller"
            raise Declined(
                f"{self._bmc} cannot be asked: {place} has no {PROGRAM}; `sudo apt install"
                f" {PROGRAM}` there"
            )
        return secret.read(self.options.password)

    def _trouble(self, verb: str, said: _Said) -> DriverError:
        """Return what went wrong: Declined when nothing came of it for certain."""
        refused = _REFUSED.search(said.err)
        if refused is not None:
            return Declined(
                f"{self._bmc} refused `chassis power {verb}` of the user {self.options.user}:"
                f" {refused[1]}"
            )
        if not said.opened_nothing:
            return DriverError(
                f"`ipmitool chassis power {verb}` for {self._bmc} ended with code {said.code} and"
                f" said: {said.lines[-1]}"
            )
        return Declined(
            f"{self._bmc} opened no session ({'; '.join(said.lines[-2:])}): nothing answers there,"
            f" as when IPMI over LAN is off, or the user {self.options.user}, its password"
            f" ({self._place}) or the cipher suite (`cipher:`) is not accepted"
        )
