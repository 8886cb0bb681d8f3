"""Contain the drivers of one host: whatever they raise, answer or never answer stays the trouble of that host.

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
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

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
"""How long nobody looks again because of a driver that cannot follow a unit."""

BEAT_SECONDS = 1.0
"""How often a driver may say at most that it is worth looking at a unit, and how soon after it was
asked to follow it."""

EVIDENCE = TypeAdapter[Evidence](Evidence)
OWN = "this is a defect of the driver"


@dataclass(frozen=True)
class Blame:
    """Whose trouble it is: the host, and which of its drivers."""

    host: str
    role: str
    keep: Keep

    def sentence(self, doing: str, error: Exception) -> str:
        """Return what went wrong, in one sentence that names host, driver and file."""
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
        """Return that there was no answer at all."""
        return (
            f"{self.host}: its {self.role} driver did not answer `{doing}` within"
            f" {PATIENCE_SECONDS:.0f} s"
        )


def contained(make: Callable[[], HostPorts], slice_: Slice, keep: Keep) -> HostPorts:
    """Return the ports of a host that `make` gives, each contained.

    One that cannot be made is as if every question failed.
    """
    host = slice_.host.name
    try:
        with Blame(host, "own", keep).turned("make"):
            ports = make()
    except DriverError as error:
        ports = _unmade(slice_, error)

    # It is whatever its Protocol says.
    def port(protocol: type, role: str, inner: object) -> Any:  # noqa: ANN401
        return _Contained(inner, protocol, Blame(host, role, keep))

    launchers = {
        kind: port(Launcher, f"launcher ({kind})", one) for kind, one in ports.launchers.items()
    }
    models = {
        name: ModelPorts(
            launcher=port(Launcher, f"launcher of {name}", one.launcher),
            engine=port(Engine, f"engine of {name}", one.engine),
            files=port(ModelFiles, f"engine of {name}", one.files),
        )
        for name, one in ports.models.items()
    }
    access, power = port(Access, "access", ports.access), port(PowerControl, "power", ports.power)
    return HostPorts(access, power, port(GpuReader, "gpu", ports.gpu), launchers, models)


def _unmade(slice_: Slice, error: DriverError) -> HostPorts:
    nothing: Any = _Unmade(error)
    models = {model.name: ModelPorts(nothing, nothing, nothing) for model in slice_.models}
    launchers = dict.fromkeys(
        {PROCESS.kind, *(one.launcher.kind for one in slice_.models)}, nothing
    )
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
    """One thing that a driver is asked for."""

    inner: object
    name: str
    blame: Blame

    @contextmanager
    def turned(self) -> Iterator[Any]:
        """Give what the driver has under this name.

        Everything that is raised becomes a DriverError.
        """
        with self.blame.turned(self.name):
            yield getattr(self.inner, self.name)


@cache
def methods(protocol: type) -> dict[str, Callable[[Call], Any]]:
    """Return how each member of a Protocol is contained.

    Raise TypeError for one that gives what nobody foresaw.
    """
    return {name: _way(protocol, name) for name in dir(protocol) if not name.startswith("_")}


def _way(protocol: type, name: str) -> Callable[[Call], Any]:
    member = inspect.getattr_static(protocol, name)
    if isinstance(member, property):
        return partial(_property, get_type_hints(member.fget)["return"])
    given = get_type_hints(member)["return"]
    if given == Evidence:
        return lambda call: partial(_act, call)
    if get_origin(given) is AsyncIterator:
        return lambda call: partial(_follow, call)
    if get_origin(given) is AbstractAsyncContextManager:
        return lambda call: partial(_open, call)
    if get_origin(given) is tuple and _value(get_args(given)[0]) is not None:
        return lambda call: partial(_ask, call, get_args(given)[0])
    if _value(given) is not None:
        return lambda call: partial(_look, call, given)
    raise TypeError(
        f"{protocol.__name__}.{name} gives {given}; say in {__name__} what becomes of it when its"
        " driver breaks"
    )


def _property(kind: type, call: Call) -> object:
    """Return what a driver says of itself, nothing where it cannot."""
    try:
        with call.turned() as value:
            return value if isinstance(value, kind) else kind()
    except DriverError:
        return kind()


# The Protocol's own.
async def _look(call: Call, kind: Any, *given: object, **named: object) -> Fact[Any]:  # noqa: ANN401
    """Return the answer to a question."""
    answer = await _answered(call, lambda value: _is_fact(value, kind), *given, **named)
    return answer if isinstance(answer, (Known, Unknown)) else Unknown(str(answer))


# As above.
async def _ask(call: Call, kind: Any, questions: Sequence[object]) -> tuple[Fact[Any], ...]:  # noqa: ANN401
    """Return an answer to each question."""

    def fits(value: object) -> bool:
        return (
            isinstance(value, tuple)
            and len(value) == len(questions)
            and all(_is_fact(one, kind) for one in value)
        )

    answers = await _answered(call, fits, questions)
    return answers if isinstance(answers, tuple) else (Unknown(str(answers)),) * len(questions)


async def _answered(
    call: Call, fits: Callable[[object], bool], *given: object, **named: object
) -> object:
    """Return what fits, or in words why there is no such answer."""
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
    """Return the evidence of an action, whose deadline is the business of who acts.

    Raise DriverError.
    """
    with call.turned() as method:
        return EVIDENCE.validate_python(await method(*given, **named))


async def _follow(call: Call, *given: object) -> AsyncIterator[None]:
    """Yield when a driver does, and no more often than anybody can look.

    One that breaks is not asked again at once.
    """
    last = anyio.current_time()
    try:
        with call.turned() as method:
            async for _ in method(*given):
                await anyio.sleep_until(last + BEAT_SECONDS)
                last = anyio.current_time()
                yield
    except DriverError:
        await anyio.sleep(DOUBT_SECONDS)


@asynccontextmanager
async def _open(call: Call, *given: object) -> AsyncIterator[str]:
    """Give what a driver opens; raise DriverError where it cannot."""
    async with AsyncExitStack() as stack:
        with call.turned() as method:
            url = await stack.enter_async_context(method(*given))
        yield str(url)


def _is_fact(answer: object, kind: Any) -> bool:  # noqa: ANN401 - the Protocol's own
    if isinstance(answer, Known):
        return _fits(answer.value, _value(kind))
    return isinstance(answer, Unknown) and isinstance(answer.reason, str)


def _value(kind: Any) -> Any:  # noqa: ANN401 - any annotation
    """Return of what a fact is, None where it is none."""
    return next((get_args(one)[0] for one in get_args(kind) if get_origin(one) is Known), None)


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 - any annotation
    """Return whether a value is of the kind that the Protocol promises."""
    if get_origin(kind) in {Union, UnionType}:
        return any(_fits(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(one, get_args(kind)[0]) for one in value)
    return isinstance(value, get_origin(kind) or kind)
