"""Contained drivers of one host: what they raise or never answer is that host's trouble alone.

What a port can be asked is read from its Protocol, so a new method is contained by itself. A
question that breaks is Unknown, an action that breaks a DriverError; both name the host, the driver
and the file with the traceback. What DriverErrors say goes on as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from functools import cache, partial
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import anyio
from pydantic import TypeAdapter

from reconciler.errors import DriverError
from reconciler.model.facts import PROCESS, Fact, Known, Unknown
from reconciler.ports import (
    Access,
    Engine,
    Evidence,
    GpuReader,
    HostPorts,
    Keep,
    Launcher,
    ModelFiles,
    ModelPorts,
    PowerControl,
)

if TYPE_CHECKING:
    from reconciler.model.spec import Slice

PATIENCE_SECONDS = 150.0
"""More than any question may take: only a driver that hangs is cut short by it."""

DOUBT_SECONDS = 5.0
"""How long a driver that cannot follow a unit is not asked again to."""

BEAT_SECONDS = 1.0
"""How often a driver may say at most that it is worth looking at a unit, and how soon after it was
asked to follow it."""

EVIDENCE = TypeAdapter[Evidence](Evidence)
OWN = "this is a defect of the driver"


@dataclass(frozen=True)
class Blame:
    """The host whose trouble it is, and which of its drivers made it."""

    host: str
    role: str
    keep: Keep

    def sentence(self, doing: str, error: Exception) -> str:
        """Put what went wrong into one sentence that names host, driver and file."""
        return f"{self.host}: its {self.role} driver failed at `{doing}`; {OWN}: {self.keep(error)}"

    @contextmanager
    def turned(self, doing: str) -> Iterator[None]:
        """Turn everything that is raised inside into a DriverError."""
        try:
            yield
        except DriverError:
            raise
        except Exception as error:
            raise DriverError(self.sentence(doing, error)) from error

    def hung(self, doing: str) -> str:
        """Put it into a sentence that there was no answer at all."""
        within = f"{PATIENCE_SECONDS:.0f} s"
        return f"{self.host}: its {self.role} driver did not answer `{doing}` within {within}"


def contained(make: Callable[[], HostPorts], slice_: Slice, keep: Keep) -> HostPorts:
    """Make the ports of a host, each contained.

    Of one that cannot be made every question fails.
    """
    try:
        with Blame(slice_.host.name, "own", keep).turned("make"):
            ports = make()
    except DriverError as error:
        ports = _unmade(slice_, error)
    return _Container(slice_.host.name, keep).host(ports)


class _Container(NamedTuple):
    """A host by its name, and what keeps the tracebacks of its drivers."""

    name: str
    keep: Keep

    def host(self, ports: HostPorts) -> HostPorts:
        return HostPorts(
            self._port(Access, "access", ports.access),
            self._port(PowerControl, "power", ports.power),
            self._port(GpuReader, "gpu", ports.gpu),
            {kind: self._launcher(kind, one) for kind, one in ports.launchers.items()},
            {name: self._model(name, one) for name, one in ports.models.items()},
        )

    def _launcher(self, kind: str, launcher: Launcher) -> Launcher:
        port: Launcher = self._port(Launcher, f"launcher ({kind})", launcher)
        return port

    def _model(self, name: str, ports: ModelPorts) -> ModelPorts:
        return ModelPorts(
            launcher=self._port(Launcher, f"launcher of {name}", ports.launcher),
            engine=self._port(Engine, f"engine of {name}", ports.engine),
            files=self._port(ModelFiles, f"engine of {name}", ports.files),
        )

    # It is whatever its Protocol says.
    def _port(self, protocol: type, role: str, inner: object) -> Any:  # noqa: ANN401
        return _Contained(inner, protocol, Blame(self.name, role, self.keep))


def _unmade(slice_: Slice, error: DriverError) -> HostPorts:
    nothing: Any = _Unmade(error)
    models = {model.name: ModelPorts(nothing, nothing, nothing) for model in slice_.models}
    kinds = {model.launcher.kind for model in slice_.models}
    launchers = dict.fromkeys({PROCESS.kind, *kinds}, nothing)
    return HostPorts(nothing, nothing, nothing, launchers, models)


class _Unmade:
    """A port that could not be made."""

    def __init__(self, error: DriverError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it has nothing
        raise self._error


class _Contained:
    """A port whose driver may do what it likes."""

    def __init__(self, inner: object, protocol: type, blame: Blame) -> None:
        self._inner, self._methods, self._blame = inner, methods(protocol), blame

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the Protocol says what it is
        if name not in self._methods:
            raise AttributeError(name)
        return self._methods[name](Call(self._inner, name, self._blame))


@dataclass(frozen=True)
class Call:
    """A question or an order to a driver."""

    inner: object
    name: str
    blame: Blame

    @contextmanager
    def turned(self) -> Iterator[Any]:
        """Enter with what the driver has under this name; all that is raised is a DriverError."""
        with self.blame.turned(self.name):
            yield getattr(self.inner, self.name)


@cache
def methods(protocol: type) -> dict[str, Callable[[Call], Any]]:
    """Choose how each member of a Protocol is contained.

    Raise TypeError for one whose type is not foreseen here.
    """
    return {name: _way(protocol, name) for name in dir(protocol) if not name.startswith("_")}


def _way(protocol: type, name: str) -> Callable[[Call], Any]:
    member = inspect.getattr_static(protocol, name)
    if isinstance(member, property):
        return partial(_property, get_type_hints(member.fget)["return"])
    given = get_type_hints(member)["return"]
    way = _way_of(given)
    if way is None:
        raise TypeError(
            f"{protocol.__name__}.{name} gives {given}; say in {__name__} what becomes of it when"
            " its driver breaks"
        )
    return lambda call: partial(way, call)


def _way_of(given: Any) -> Callable[..., Any] | None:  # noqa: ANN401 - any annotation
    if given == Evidence:
        return _act
    origin: Any = get_origin(given)
    if origin is AsyncIterator:
        return _follow
    if origin is AbstractAsyncContextManager:
        return _open
    if origin is tuple:
        each = get_args(given)[0]
        return None if _value(each) is None else partial(_ask, each)
    return None if _value(given) is None else partial(_look, given)


def _property(kind: type, call: Call) -> object:
    """Read what a driver says of itself, nothing where it cannot."""
    try:
        with call.turned() as value:
            return value if isinstance(value, kind) else kind()
    except DriverError:
        return kind()


# The Protocol's own annotation, here and below.
async def _look(
    kind: Any,  # noqa: ANN401
    call: Call,
    *given: object,
    **named: object,
) -> Fact[Any]:
    answer = await _answered(call, lambda value: _is_fact(value, kind), *given, **named)
    return answer if isinstance(answer, (Known, Unknown)) else Unknown(str(answer))


async def _ask(
    kind: Any,  # noqa: ANN401
    call: Call,
    questions: Sequence[object],
) -> tuple[Fact[Any], ...]:
    count = len(questions)

    def fits(value: object) -> bool:
        if not isinstance(value, tuple) or len(value) != count:
            return False
        return all(_is_fact(one, kind) for one in value)

    answers = await _answered(call, fits, questions)
    return answers if isinstance(answers, tuple) else (Unknown(str(answers)),) * count


async def _answered(
    call: Call, fits: Callable[[object], bool], *given: object, **named: object
) -> object:
    """Ask for an answer that fits, or explain in words why there is none."""
    try:
        with anyio.move_on_after(PATIENCE_SECONDS), call.turned() as method:
            answer = await method(*given, **named)
            if not fits(answer):
                raise TypeError(f"it answered {type(answer).__name__}, which is no answer to that")
            return answer
    except DriverError as error:
        return error.message
    return call.blame.hung(call.name)


async def _act(call: Call, *given: object, **named: object) -> Evidence:
    # Without a deadline: how long an action may take is known where it is asked for.
    with call.turned() as method:
        return EVIDENCE.validate_python(await method(*given, **named))


async def _follow(call: Call, *given: object) -> AsyncIterator[None]:
    """Yield when a driver does, but no more often than a look makes sense."""
    last = anyio.current_time()
    try:
        with call.turned() as method:
            async for _ in method(*given):
                await anyio.sleep_until(last + BEAT_SECONDS)
                last = anyio.current_time()
                yield
    except DriverError:
        # It would break again at once, and the host loop would turn without rest.
        await anyio.sleep(DOUBT_SECONDS)


@asynccontextmanager
async def _open(call: Call, *given: object) -> AsyncIterator[str]:
    """Enter what a driver opens; raise DriverError where it cannot."""
    # Only the opening is contained: what is raised inside is not the driver's.
    async with AsyncExitStack() as stack:
        with call.turned() as method:
            url = await stack.enter_async_context(method(*given))
        yield str(url)


def _is_fact(answer: object, kind: Any) -> bool:  # noqa: ANN401 - the Protocol's own
    if isinstance(answer, Known):
        return _fits(answer.value, _value(kind))
    return isinstance(answer, Unknown) and isinstance(answer.reason, str)


def _value(kind: Any) -> Any:  # noqa: ANN401 - any annotation
    """Find the type of a fact's value, None where it is no fact."""
    return next((get_args(one)[0] for one in get_args(kind) if get_origin(one) is Known), None)


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 - any annotation
    """Whether a value is of the kind that the Protocol promises."""
    origin: Any = get_origin(kind)
    parts = get_args(kind)
    if origin in {Union, UnionType}:
        return any(_fits(value, one) for one in parts)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, parts[0]) for one in value)
    return isinstance(value, origin or kind)
