"""Redfish: the BMC of a host, asked over https for its power.

What the BMC accepts has not happened yet; its PowerState tells. GracefulShutdown is a press of the
power button, which the host's system may ignore. Source: DMTF DSP0266 1.20 and ComputerSystem 1.22
(Reset, PowerState); tested with sushy-tools 2.2.0.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from reconciler.drivers.power.host_power.refusals import Account
from reconciler.edge import secret
from reconciler.edge.http import HttpClient, PersistentConnection
from reconciler.edge.http_reply import UNAUTHORIZED, HttpFault
from reconciler.errors import Barred, Declined, DriverError
from reconciler.model.address import endpoint
from reconciler.model.facts import Known, Unknown
from reconciler.model.power import Testimony
from reconciler.model.reason import Reason
from reconciler.model.secret import Secret
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from typing import Literal

    from reconciler.drivers.power.host_power.deps import Reach
    from reconciler.drivers.power.host_power.refusals import Refused
    from reconciler.edge.http_reply import Reply
    from reconciler.edge.loop_scope import LoopScope
    from reconciler.model.facts import Fact
    from reconciler.model.power import PowerState
    from reconciler.ports import Evidence

CAPABILITIES = Capabilities(can_wake=True, can_shut_down=True, can_testify=True, can_cut=True)
PACE_SECONDS = 2.0
"""How often it is asked at most whether the host is on. A question logs in, and most have a log of
logins."""

SYSTEMS = "/redfish/v1/Systems"
SECONDS = 10.0
SIZE_LIMIT = 1024 * 1024
SENTENCE = 240
OK, FORBIDDEN, IN_TROUBLE, NOT_IMPLEMENTED = 200, 403, 500, 501
STATES: dict[str, PowerState] = {"On": "on", "Off": "off"}
PRESS = "PushPowerButton"
WAKING, DOWN, CUT = ("On", "ForceOn", PRESS), ("GracefulShutdown",), ("ForceOff",)


def _address(text: str) -> str:
    return endpoint(
        text,
        'the address of a BMC, such as "bmc1.lan", "10.0.0.9:8443" or "https://bmc1.lan" (https,'
        " always)",
    ).place


class Options(BaseModel):
    """Where the BMC is, and who asks it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[str, AfterValidator(_address)] = Field(
        description=(
            'Where the BMC is, such as "bmc1.lan", "10.0.0.9:8443" or "https://bmc1.lan"; it is'
            " spoken to by https."
        )
    )
    user: str = Field(description="A user of the BMC, with the role Operator.")
    password: Secret = Field(description="Where that user's password is.")
    system: str | None = Field(
        default=None,
        description="Which system it is, for a BMC that has several; an error names them.",
    )
    certificate: Annotated[str, Field(pattern=r"^/")] | None = Field(
        default=None,
        description="A PEM file with the certificate that the BMC shows, if that is self-signed.",
    )


# What a BMC names is asked of that BMC alone, so it is a path and nothing else.
_Path = Annotated[str, Field(pattern=r"^/[!-~]*$")]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Member(_Answer):
    path: _Path = Field(alias="@odata.id")

    @property
    def name(self) -> str:
        """Its id, which its path ends with."""
        return self.path.rstrip("/").rpartition("/")[2]


class _Systems(_Answer):
    members: tuple[_Member, ...] = Field(alias="Members")


class _Reset(_Answer):
    target: _Path
    allowed: tuple[str, ...] | None = Field(default=None, alias="ResetType@Redfish.AllowableValues")


class _Actions(_Answer):
    reset: _Reset = Field(alias="#ComputerSystem.Reset")


class _System(_Answer):
    power_state: str | None = Field(default=None, alias="PowerState")
    actions: _Actions = Field(alias="Actions")

    @property
    def reset(self) -> _Reset:
        """How it is reset."""
        return self.actions.reset

    def way(self, wanted: tuple[str, ...]) -> str | None:
        """Choose the first of some ways that the BMC allows."""
        # One that does not say may allow all.
        allowed = wanted if self.reset.allowed is None else self.reset.allowed
        return next((one for one in wanted if one in allowed), None)


class _Detail(_Answer):
    message: str = Field(default="", alias="Message")


class _Error(_Answer):
    message: str = ""
    details: tuple[_Detail, ...] = Field(default=(), alias="@Message.ExtendedInfo")


class _Failure(_Answer):
    error: _Error


_AnswerT = TypeVar("_AnswerT", bound=_Answer)


class _Session(NamedTuple):
    """The client that shows who asks, and what is told when that is refused."""

    client: HttpClient
    refused: Refused


class Driver:
    """One system of a BMC."""

    needs_permission = False
    seconds = SECONDS

    def __init__(self, options: Options, reach: Reach) -> None:
        self.options = options
        self._host = reach.name
        self._refusals = reach.refusals
        self._kept = _kept(options, reach.loop)
        self._path = ""

    @property
    def _bmc(self) -> str:
        return f"the BMC at {self.options.address}"

    async def wake(self) -> Evidence:
        """Ask for power.

        Raise DriverError when the BMC cannot be asked, or refuses and does not say that the host is
        on.
        """
        session = self._session()
        system = await self._system(session)
        way = self._way(system, WAKING)
        if way == PRESS and system.power_state != "Off":
            # Pressed while the host is up, or coming, the button would send it down.
            return {"asked": None, "said": f"PowerState {system.power_state}"}
        try:
            return await self._reset(session, system, way)
        except Declined:
            # Some refuse to switch on what is on.
            now = await self._system(session)
            if now.power_state not in {"On", "PoweringOn"}:
                raise
            return {"asked": way, "said": f"PowerState {now.power_state}"}

    async def wake_problem(self) -> Reason:
        """Explain why the BMC could not bring the host up again, if it could not."""
        try:
            self._way(await self._system(self._session()), WAKING)
        except DriverError as error:
            return Reason(error.message)
        return Reason()

    async def send_down(self, way: Literal["off", "suspend"]) -> Evidence:
        """Press the power button.

        Raise Declined when that did not happen, DriverError when it is not known.
        """
        if way == "suspend":
            raise Declined(f"{self._bmc} can shut {self._host} down, but cannot suspend it")
        return await self._take(DOWN)

    async def cut(self) -> Evidence:
        """Cut the power.

        Raise Declined when that did not happen, DriverError when it is not known.
        """
        return await self._take(CUT)

    async def testimony(self) -> Fact[Testimony]:
        """Ask the BMC for the state of the host's power."""
        try:
            system = await self._system(self._session())
        except DriverError as error:
            return Unknown(error.message)
        state = system.power_state
        if state is None:
            return Unknown(
                f"{self._bmc} does not say whether {self._host} is on: its answer has no PowerState"
            )
        words = f"{self._bmc} says PowerState {state}"
        return Known(Testimony(state=STATES.get(state), words=words))

    async def _take(self, wanted: tuple[str, ...]) -> Evidence:
        try:
            session = self._session()
            system = await self._system(session)
            way = self._way(system, wanted)
        except DriverError as error:
            # Until here nothing was asked for that could happen.
            raise Declined(error.message) from error
        return await self._reset(session, system, way)

    def _session(self) -> _Session:
        """Make what shows who asks.

        Raise Barred where that was refused a moment ago, DriverError without a password.
        """
        options = self.options
        password = secret.read(options.password)
        account = Account(self._host, options.address, options.user)
        refused = self._refusals.showing(account, password)
        headers = _headers(options.user, password)
        client = HttpClient(headers, certificate=options.certificate, follows=True, kept=self._kept)
        return _Session(client, refused)

    async def _system(self, session: _Session) -> _System:
        """Ask for the system as it is now; raise DriverError."""
        # Where it is was found once, unless it is no longer there.
        self._path = self._path or self._pick(await self._get(session, SYSTEMS, _Systems))
        try:
            return await self._get(session, self._path, _System)
        except DriverError:
            self._path = ""
            raise

    def _pick(self, systems: _Systems) -> str:
        """Choose the path of the one system that is meant; raise DriverError."""
        wanted = self.options.system
        paths = [one.path for one in systems.members if wanted is None or one.name == wanted]
        if len(paths) != 1:
            raise DriverError(self._not_one(systems))
        return paths[0]

    def _not_one(self, systems: _Systems) -> str:
        wanted, names = self.options.system, ", ".join(one.name for one in systems.members)
        if wanted is None:
            which = f"`system:` says which one {self._host} is"
            return f"{self._bmc} has not one system but these: {names or 'none'}; {which}"
        others = f"`system:` of {self._host} may be one of: {names or 'none'}"
        return f"{self._bmc} has no system {wanted}; {others}"

    def _way(self, system: _System, wanted: tuple[str, ...]) -> str:
        """Choose how to ask the BMC; raise Declined when it offers no such thing."""
        way = system.way(wanted)
        if way is None:
            offered = ", ".join(system.reset.allowed or ()) or "nothing"
            raise Declined(
                f"{self._bmc} does not offer {' or '.join(wanted)} for {self._host}, only {offered}"
            )
        return way

    async def _get(self, session: _Session, path: str, kind: type[_AnswerT]) -> _AnswerT:
        url = f"https://{self.options.address}{path}"
        try:
            reply = await session.client.get(url, self.seconds, SIZE_LIMIT)
            return kind.model_validate(self._accepted(reply, session).json())
        except HttpFault as error:
            raise DriverError(self._unanswered(error)) from error
        except ValidationError as error:
            wrong = f"what cannot be understood: {_place(error)} is wrong"
            raise DriverError(f"{self._bmc} answered GET {path} with {wrong}") from error

    async def _reset(self, session: _Session, system: _System, way: str) -> Evidence:
        """Ask for a reset of this type.

        Raise Declined when it certainly does not come, DriverError when it may.
        """
        url = f"https://{self.options.address}{system.reset.target}"
        try:
            reply = await session.client.post(url, {"ResetType": way}, self.seconds, SIZE_LIMIT)
        except HttpFault as error:
            said = self._unanswered(error)
            if error.unheard:
                raise Declined(said) from error
            raise DriverError(f"whether {way} was heard is not known: {said}") from error
        self._accepted(reply, session)
        return {"asked": way, "said": f"{reply.status} {reply.reason}".strip()}

    def _accepted(self, reply: Reply, session: _Session) -> Reply:
        """Raise unless a reply grants what was asked.

        Declined is a clear no, Barred one to who asks, and DriverError anything else.
        """
        if OK <= reply.status < OK + 100:
            return reply
        if reply.status == UNAUTHORIZED:
            raise session.refused(self._unauthorized())
        verb = reply.asked.partition(" ")[0]
        said = f"{self._bmc} answered {verb} with {reply.status}: {_message(reply)}"
        if reply.status == FORBIDDEN:
            raise Barred(f"{said}; the user {self.options.user} needs the role Operator there")
        if reply.status < IN_TROUBLE or reply.status == NOT_IMPLEMENTED:
            raise Declined(said)
        raise DriverError(
            f"{said}; if that stays so, the BMC itself may need a reset, which leaves the host"
            " running"
        )

    def _unauthorized(self) -> str:
        ((kind, place),) = self.options.password.model_dump().items()
        return (
            f"{self._bmc} does not accept the user {self.options.user} with the password that"
            f" is {kind} {place}; `user:` and `password:` are in the power of {self._host} in"
            " the inventory"
        )

    def _unanswered(self, error: HttpFault) -> str:
        return f"{self._bmc} gave no usable answer: {error.message}"


def _kept(options: Options, loop: LoopScope) -> PersistentConnection:
    certificate = options.certificate
    # All drivers of one BMC share it, those of the next pass too: each new one is a line in its
    # log.
    key = (PersistentConnection, options.address, certificate)
    return loop.one(key, lambda: PersistentConnection(certificate, loop))


def _headers(user: str, password: str) -> dict[str, str]:
    shown = b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {shown}", "Accept": "application/json"}


def _place(error: ValidationError) -> str:
    first, *_ = error.errors()
    return ".".join(map(str, first["loc"])) or "an object"


def _message(reply: Reply) -> str:
    """Find the BMC's own sentence, or the beginning of what it said."""
    try:
        error = _Failure.model_validate(reply.json()).error
    except (HttpFault, ValidationError):
        return reply.excerpt
    said = next((one.message for one in error.details if one.message), error.message)
    return " ".join(said.split())[:SENTENCE] or reply.excerpt
