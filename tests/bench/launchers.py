"""How long a switch takes under each kind of launcher, beside what its keeper takes by itself."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.drivers.engines import embedded
from tests.bench.by_hand import ask, until_healthy
from tests.bench.two_models import ROUNDS, Bench, answered, stack
from tests.booted import Booted, booted_systemd
from tests.dockers import IMAGE, PROGRAMS, ROOT, Dockerd, dockerd, podman
from tests.engine import free_port
from tests.lxcs import Lxc

CONTEXT = 1024
GRACE_SECONDS = 8
INIT = 1

Argv = tuple[str, ...]


class Keeper(NamedTuple):
    """What keeps units by their names; `launcher` is what the inventory says of one."""

    launcher: Callable[[str], dict[str, object]]
    make: Callable[[str, Argv, Path], object]
    start: Callable[[str], object]
    stop: Callable[[str], object]


def of_engine(engine: Dockerd) -> Keeper:
    return Keeper(
        launcher=lambda name: {"kind": "docker", "container": name, "socket": engine.socket},
        make=engine.create,
        start=lambda name: engine.ask("POST", f"/containers/{name}/start"),
        stop=lambda name: engine.ask("POST", f"/containers/{name}/stop?t={GRACE_SECONDS}"),
    )


@contextmanager
def of_docker() -> Iterator[Keeper]:
    with dockerd() as engine:
        yield of_engine(engine)


@contextmanager
def of_podman() -> Iterator[Keeper]:
    with podman() as engine:
        yield of_engine(engine)


@contextmanager
def our_own() -> Iterator[Keeper]:
    with dockerd() as engine:
        made = {"kind": "docker", "image": IMAGE, "volumes": PROGRAMS, "socket": engine.socket}
        variables = {"env": {"PYTHONPATH": str(ROOT)}}
        yield of_engine(engine)._replace(launcher=lambda _: {**made, **variables})


@contextmanager
def of_systemd() -> Iterator[Keeper]:
    here = Booted(INIT)

    def make(name: str, argv: Argv, folder: Path) -> None:
        lines = ("[Service]", f"WorkingDirectory={folder}", f"ExecStart={shlex.join(argv)}", "")
        here.define(f"{name}.service", "\n".join(lines))

    yield Keeper(
        launcher=lambda name: {"kind": "systemd", "unit": f"{name}.service"},
        make=make,
        start=lambda name: run("systemctl", "start", name),
        stop=lambda name: run("systemctl", "stop", name),
    )


@contextmanager
def owned_services() -> Iterator[Keeper]:
    with of_systemd() as keeper:
        yield keeper._replace(launcher=lambda _: {"kind": "systemd", "owned": True})


@contextmanager
def of_lxc() -> Iterator[Keeper]:
    lxc = Lxc(Booted(INIT))
    yield Keeper(
        launcher=lambda name: {"kind": "lxc", "name": name},
        make=lxc.create,
        start=lambda name: run("lxc-start", "-n", name),
        stop=lambda name: run("lxc-stop", "-n", name, "-t", str(GRACE_SECONDS)),
    )


class Case(NamedTuple):
    """Units of a kind, what keeps them, the goal, and whether that is a host of its own."""

    what: str
    keeper: Callable[[], AbstractContextManager[Keeper]]
    goal: str = "own line"
    on_booted: bool = False


CASES = {
    "docker": Case("containers of Docker that exist", of_docker, "≤ +100 ms"),
    "owned": Case("containers of our own", our_own, "≤ +100 ms"),
    "podman": Case("containers of Podman that exist", of_podman),
    "systemd": Case("services that exist", of_systemd, on_booted=True),
    "services": Case("services of our own", owned_services, on_booted=True),
    "lxc": Case("containers of LXC", of_lxc, on_booted=True),
}


def launchers() -> Iterator[str]:
    """Return a row for each kind; a host that is booted measures its own."""
    argv = [sys.executable, "-m", "tests.bench.launchers"]
    for name in [name for name, case in CASES.items() if not case.on_booted]:
        yield row(name)
    with booted_systemd() as booted:
        for name in [name for name, case in CASES.items() if case.on_booted]:
            within = [*booted.entering, "env", f"--chdir={ROOT}", f"PYTHONPATH={ROOT}"]
            yield run(*within, *argv, name)


def row(name: str) -> str:
    case = CASES[name]
    with case.keeper() as keeper:
        described = {one: json.dumps(keeper.launcher(_its(one))) for one in "ab"}
        with stack(64, 2, CONTEXT, described.__getitem__) as bench:
            between = _compared(bench, keeper)
    return f"| switch of {case.what}, minus a bare stop and start | {case.goal} | {between} |"


def _its(name: str) -> str:
    return f"its-{name}-{os.getpid()}"


def _compared(bench: Bench, keeper: Keeper) -> str:
    """Switch by the program and by hand in turn, each between two units of its own."""
    port = free_port()
    bare = {name: f"bare-{name}-{os.getpid()}" for name in "ab"}
    (bench.folder / "slots").mkdir()
    for name in "ab":
        keeper.make(_its(name), _argv(bench, name, bench.port), bench.folder)
        keeper.make(bare[name], _argv(bench, name, port), bench.folder)
    bench.switch("a")
    keeper.start(bare["a"])
    ours, by_hand = [], []
    for number in range(2 * ROUNDS):
        old, new = ("ab", "ba")[number % 2]
        began = bench.switch(new)
        ours.append(answered(bench.app) - began)
        by_hand.append(_by_hand(keeper, bare[old], bare[new], port))
    keeper.stop(bare["a"])
    between = statistics.median(mine - other for mine, other in zip(ours, by_hand, strict=True))
    medians = f"{statistics.median(ours) * 1000:.0f} - {statistics.median(by_hand) * 1000:.0f}"
    return f"{between * 1000:+.0f} ms (medians {medians})"


def _argv(bench: Bench, name: str, port: int) -> Argv:
    (weights,) = (bench.folder / name).glob("*.gguf")
    options = embedded.Options(weights=str(weights), context=CONTEXT)
    return embedded.command(options, name, port).argv


def _by_hand(keeper: Keeper, old: str, new: str, port: int) -> float:
    """Return the seconds of a stop, a start, a wait for health, and one token."""
    began = time.perf_counter()
    keeper.stop(old)
    keeper.start(new)
    until_healthy(port)
    ask(port, 4)
    return time.perf_counter() - began


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.stdout.write(f"{row(sys.argv[1])}\n")
