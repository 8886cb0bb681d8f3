"""Benches for drivers of power: a host of a rig, what stands outside of it, and a driver."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TypeVar, cast

import pytest

from reconciler.drivers import DriverCatalog
from reconciler.drivers.access import ssh
from reconciler.drivers.access.shared.place import HostPlace
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.clock import SystemClock
from reconciler.edge.loop_scope import LoopScope
from reconciler.errors import Declined, DriverError
from reconciler.model import power
from reconciler.model.facts import Known, Unknown
from reconciler.model.onhost import Action
from reconciler.model.power import PowerState
from reconciler.model.spec import Capabilities, Kind
from reconciler.ports import Access, Evidence
from tests.contracts.hosts import here
from tests.engine import free_port
from tests.rigs import witness
from tests.rigs.hostrig.client import Rig, plugged

HOST = "gpu1"
VARIABLE = "POWER_SECRET"
REFERENCE = {"from_env": VARIABLE}
CATALOG = DriverCatalog("/nowhere", SystemClock())
NOTHING = cast("Access", None)
"""What no driver may touch that has no business there."""


async def said(driver: Any) -> power.Testimony:
    """Return what a driver tells of its host."""
    fact = await driver.testimony()
    assert isinstance(fact, Known), fact
    testimony: power.Testimony = fact.value
    return testimony


async def why_unknown(secret: str, driver: Any) -> str:
    """Return why a driver cannot tell, in words that do not give its secret away."""
    fact = await driver.testimony()
    assert isinstance(fact, Unknown), fact
    assert secret not in fact.reason
    return fact.reason


class Bench:
    """One way to power a host; the driver tells what it can do, the bench what is then heard."""

    kind: ClassVar[str]
    off: ClassVar[PowerState | None] = "off"
    """What is told of a host that is off, None by who cannot know."""
    unasked: ClassVar[type[DriverError]] = Declined
    """How an order ends that nobody could be given."""
    secret: str = ""
    judges: ClassVar[bool] = True
    """Whether the driver itself hears that a secret is wrong."""
    stranger: ClassVar[str] = ""
    """What is said to one with a wrong secret."""
    absent: ClassVar[str] = "nothing accepts connections there"
    faults: ClassVar[tuple[str, ...]] = ()
    """What can go wrong with who is asked, while the host goes on."""

    def __init__(self, **written: Any) -> None:
        self.name = self.kind
        self.written = written
        self.words: dict[PowerState, str] = {}
        self.evidence: dict[str, dict[str, Any]] = {}
        self.loop = LoopScope()
        self.rig: Rig

    @property
    def module(self) -> ModuleType:
        return import_module(f"reconciler.drivers.power.{self.kind}")

    @property
    def can(self) -> Capabilities:
        return CATALOG.capabilities("power", Kind(kind=self.kind, options=self.written))

    @property
    def takes_secret(self) -> bool:
        return any(
            "FromEnv" in repr(field.annotation)
            for field in self.module.Options.model_fields.values()
        )

    def options(self, **changed: Any) -> Any:
        return self.module.Options.model_validate({**self.written, **changed})

    def driver(self, **changed: Any) -> Any:
        return self.module.Driver(
            self.options(**changed),
            Reach(HOST, NOTHING, here("/nowhere"), Refusals(SystemClock()), self.loop),
        )

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        """Be there, in front of the host."""
        yield

    def calm(self) -> None:
        """Let nothing be wrong, and forget what was heard."""

    def heard(self) -> int:
        """Return how often somebody has asked, as far as that is known."""
        return 0

    def telling(self, state: PowerState) -> power.Testimony:
        """Return what is to be told of a host that is in this state."""
        known = (self.off if state == "off" else state) if self.can.can_testify else None
        return power.Testimony(state=known, words=self.words.get(state, ""))

    def answered(self, act: str, evidence: dict[str, Any]) -> bool:
        """Return whether an order was answered as expected, whatever else was said."""
        return {**evidence, **self.evidence.get(act, {})} == evidence

    def betrayed(self, *sentences: str) -> bool:
        """Return whether the secret is in what was said."""
        return bool(self.secret) and any(self.secret in said for said in sentences)

    def waking_what_is_on(self) -> AbstractContextManager[Any]:
        """Expect what a driver has to say to that."""
        return ExitStack()

    def nobody(self) -> Any:
        """Return a driver that is told of an address where nobody is."""
        return self.driver(address=f"127.0.0.1:{free_port()}")

    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
        """Give a driver whose orders may be heard, and are never answered."""
        raise NotImplementedError

    def failing(
        self, fault: str, folder: Path, patch: pytest.MonkeyPatch
    ) -> AbstractContextManager[Any]:
        """Give a driver of what has this fault."""
        raise NotImplementedError


BenchT = TypeVar("BenchT", bound=Bench)


class Ground:
    """Put benches in front of one host, which they share."""

    def __init__(self, folder: Path, rig: Rig, stack: ExitStack) -> None:
        self._folder, self.rig, self._stack = folder, rig, stack
        self._standing: set[str] = set()

    def ready(self, bench: Bench) -> None:
        """Have the bench stand there, its host off, and nothing wrong with either."""
        if bench.name not in self._standing:
            bench.rig = self.rig
            (self._folder / bench.name).mkdir()
            self._stack.enter_context(bench.stand(self._folder / bench.name))
            self._standing.add(bench.name)
        bench.calm()
        self.rig.cut(HOST)
        self.rig.wait(HOST, "off")
        self.rig.heal(HOST)

    def on(self) -> None:
        """Have the host on."""
        self.rig.on(HOST)
        self.rig.wait(HOST, "on")


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Plug a host in."""
    with ExitStack() as stack:
        yield Ground(folder, stack.enter_context(plugged(folder / "rig", (HOST,), "light")), stack)


@contextmanager
def standing(bench: BenchT, folder: Path) -> Iterator[BenchT]:
    """Put one bench in front of a host that is off."""
    with ground(folder) as made:
        made.ready(bench)
        yield bench


class NobodyElse(Bench):
    """A person brings the host up."""

    kind = "none"


class Packets(Bench):
    """Packets wake the host; a light one has no card that it could see."""

    kind = "wol"
    absent = "no packet could be sent"

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        at = self.rig.host(HOST)
        self.written = {
            "mac": at.mac,
            "broadcast": at.wol_broadcast,
            "port": at.wol_port,
            "check": "never",
        }
        yield

    def nobody(self) -> Any:
        return self.driver(source="192.0.2.1")


class Silent:
    """An access to a host that may hear, and does not answer."""

    async def act(self, action: Action) -> Evidence:
        raise DriverError(f"the host did not answer {action.do} within 30 s")


class OverAccess(Bench):
    """The host's own system sends it down."""

    kind = "access"
    unasked = (
        DriverError  # A connection that breaks before it stands ends as one that breaks later.
    )
    absent = "cannot be reached over ssh: .*Connection refused"

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        self.login = {"address": HOST, "config": str(self.rig.ssh_config), "directory": str(folder)}
        yield

    def driver(self, **login: Any) -> Any:
        reached = ssh.Driver(
            ssh.Options.model_validate({**self.login, **login}),
            HostPlace(HOST, "/nowhere", self.loop),
        )
        return self._over(reached)

    def _over(self, reached: Any) -> Any:
        return self.module.Driver(
            self.options(), Reach(HOST, reached, NOTHING, Refusals(SystemClock()), self.loop)
        )

    def nobody(self) -> Any:
        return self.driver(address="127.0.0.1", port=free_port())

    @contextmanager
    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        yield self._over(Silent())


LOCKED = """
import os, runpy, sys
right, program, *words = sys.argv[1:]
if os.environ["KEY"] != open(right).read():
    sys.exit("the key is wrong")
sys.argv = [program, *words]
runpy.run_path(program, run_name="__main__")
"""


def script(text: str, *words: str) -> list[str]:
    """Return words that run a program of this text."""
    return [sys.executable, "-I", "-S", "-c", f"import os, sys, time\n{text}", *words]


class Programs(Bench):
    """Programs of an operator do everything, and want a key."""

    kind = "command"
    secret = "hunter2-Wörd"  # noqa: S105  of programs of a test's own
    judges = False
    stranger = "the key is wrong"
    absent = "/nowhere/press.* there is no such file or directory"
    faults = (
        "raise RuntimeError('no route')",
        "sys.exit(255)",
        "sys.exit(126)",
        "os.kill(os.getpid(), 9)",
        "time.sleep(60)",
    )
    verbs: ClassVar = {"wake": "on", "stop": "button", "state": "state", "cut": "cut"}

    def __init__(self) -> None:
        super().__init__(**self._all(["true"]))

    def _all(self, words: list[str]) -> dict[str, list[str]]:
        return dict.fromkeys(self.verbs, words)

    @contextmanager
    def stand(self, folder: Path) -> Iterator[None]:
        (folder / "right").write_text(self.secret)
        words = script(LOCKED, str(folder / "right"), witness.__file__, str(self.rig.folder), HOST)
        self.written = {role: [*words, verb] for role, verb in self.verbs.items()} | {
            "env": {"KEY": REFERENCE}
        }
        self.words = {state: f'`{sys.executable}` says "{state}"' for state in ("on", "off")}
        self.evidence = {act: {"ran": sys.executable} for act in ("wake", "send_down", "cut")}
        yield

    def nobody(self) -> Any:
        return self.driver(**self._all(["/nowhere/press"]))

    @contextmanager
    def losing(self, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        yield self.driver(**self._all(script("sys.exit(255)")))

    @contextmanager
    def failing(self, fault: str, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Any]:
        yield self.driver(state=script(fault), seconds=0.3 if "sleep" in fault else 30)
