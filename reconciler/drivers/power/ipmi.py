"""IPMI over LAN: the BMC of a host, asked through ipmitool for its power.

What the BMC accepts has not happened yet; its power status tells. `soft` is a press of the power
button, which the host's system may ignore. Source: ipmitool(1) 1.8.19, and what it says to ipmi_sim
2.0.33 (openipmi) and where nothing answers.
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
        """Explain why the BMC could not bring the host up again; empty if it answers this user."""
        try:
            await self._status()
        except DriverError as error:
            return Reason(error.message)
        return Reason()

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Press the power button.

        Raise Declined when that did not happen, DriverError when it is not known.
        """
        if way == "suspend":
            raise Declined(f"{self._bmc} can shut {self._reach.name} down, but cannot suspend it")
        return await self._control("soft")

    async def cut(self) -> Evidence:
        """Cut the power.

        Raise Declined when that did not happen, DriverError when it is not known.
        """
        return await self._control("off")

    async def testimony(self) -> Fact[Testimony]:
        """Ask the BMC for the state of the host's power."""
        try:
            state = await self._status()
        except DriverError as error:
            return Unknown(error.message)
        words = f"{self._bmc} says Chassis Power is {state}"
        return Known(Testimony(state=STATES.get(state), words=words))

    async def _status(self) -> str:
        """Ask for the state of the power, in the BMC's word for it; raise DriverError."""
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
        """Run ipmitool.

        Raise Declined when it was not run, Barred when the user or the password is refused, or was
        a moment ago, and DriverError when what came of it is not known.
        """
        await self._need_program()
        options, password = self.options, secret.read(self.options.password)
        account = Account(self._reach.name, f"{options.address}:{options.port}", options.user)
        refused = self._reach.refusals.showing(account, password)
        said = await self._ran(verb, password)
        stranger = _STRANGER.search(said.err)
        if said.opened_nothing and stranger is not None:
            raise refused(
                f"{self._bmc} answers, but lets {options.user} not in ({stranger[1]}); check"
                f" `user:` and `password:` ({self._place}) in the inventory, and that its privilege"
                " there is OPERATOR at least"
            )
        return said

    async def _ran(self, verb: str, password: str) -> _Said:
        argv = (PROGRAM, *FLAGS, *self._flags(), "chassis", "power", verb)
        run = Run(argv=argv, seconds=SECONDS, env={VARIABLE: password})
        answer = await self._reach.via.act(run)
        return _Said(int(str(answer["code"])), str(answer["out"]), str(answer["err"]))

    def _flags(self) -> tuple[str, ...]:
        options = self.options
        cipher = () if options.cipher is None else ("-C", str(options.cipher))
        return (*cipher, "-H", options.address, "-p", str(options.port), "-U", options.user, "-E")

    @property
    def _place(self) -> str:
        """Where the password is."""
        ((kind, place),) = self.options.password.model_dump().items()
        return f"{kind} {place}"

    async def _need_program(self) -> None:
        """Raise Declined where ipmitool cannot be run."""
        (fact,) = await self._reach.via.ask([AskProgram(program=PROGRAM)])
        if isinstance(fact, Unknown):
            raise Declined(f"{self._bmc} cannot be asked: {fact.reason}")
        if Binary.model_validate(fact.value).problem:
            lacks = f"{self.options.via or 'the controller'} has no {PROGRAM}"
            fix = f"`sudo apt install {PROGRAM}` there"
            raise Declined(f"{self._bmc} cannot be asked: {lacks}; {fix}")

    def _trouble(self, verb: str, said: _Said) -> DriverError:
        """Explain what went wrong; it is Declined when nothing came of it for certain."""
        refused = _REFUSED.search(said.err)
        if refused is not None:
            order = f"`chassis power {verb}` of the user {self.options.user}"
            return Declined(f"{self._bmc} refused {order}: {refused[1]}")
        if said.opened_nothing:
            return self._no_session(said)
        end = f"ended with code {said.code} and said: {said.lines[-1]}"
        return DriverError(f"`ipmitool chassis power {verb}` for {self._bmc} {end}")

    def _no_session(self, said: _Said) -> Declined:
        return Declined(
            f"{self._bmc} opened no session ({'; '.join(said.lines[-2:])}): nothing answers there,"
            f" as when IPMI over LAN is off, or the user {self.options.user}, its password"
            f" ({self._place}) or the cipher suite (`cipher:`) is not accepted"
        )
