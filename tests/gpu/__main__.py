"""Compare a real card with what the project takes it to do; ends with 1 where there is none.

Everything is measured on card 0. A stranger takes so much of it that two models never fit together.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from reconciler.drivers.gpus import nvidia
from reconciler.model.facts import Known, Unknown
from reconciler.model.gpu import GIB, Card, Gpu
from reconciler.model.observed import GPU, Observed
from reconciler.steps.await_vram import MARGIN_BYTES, AwaitVram
from tests.contracts.hosts import here
from tests.engine import weights_in
from tests.gpu.server import CACHE, llama_server
from tests.stack import Stack, stack

MIB = 1024**2
LOOKS = 5
CONTEXT = 16384
COMES_BACK_WITHIN = 60.0
DRIFT = 64 * MIB
"""What the free memory of an idle card may differ between two looks at it."""

INVENTORY = """version: 1
hosts: {{local: {{gpu: nvidia}}}}
models:
  tiny-a: {{engine: {{{engine}, weights: {a}}}, port: {port}, stable_for: 1s, gpus: [0]}}
  tiny-b: {{engine: {{{engine}, weights: {b}}}, port: {port}, stable_for: 1s, gpus: [0]}}
"""


def gpu() -> Known[Gpu] | Unknown:
    """Look at the cards as the driver does."""
    fact = anyio.run(nvidia.Driver(nvidia.Options(), here(CACHE)).gpu)
    assert isinstance(fact, Known | Unknown)
    return fact


def card() -> Card:
    """Return the first card; raise AssertionError when it cannot be seen any more."""
    fact = gpu()
    assert isinstance(fact, Known), fact
    return fact.value.cards[0]


def holder(pid: int) -> int:
    """Return the bytes that a process holds of the first card."""
    return sum(one.bytes or 0 for one in card().holders if one.pid == pid)


def prepared(folder: Path, made: Stack, server: str) -> None:
    """Define two models of 1.1 GB and as much again of context."""
    a, b = (weights_in(folder, seed=seed, width=2048, layers=10) for seed in (1, 2))
    engine = f'kind: llamacpp, binary: {server}, context: {CONTEXT}, args: ["--gpu-layers", "99"]'
    text = INVENTORY.format(engine=engine, a=a, b=b, port=made.port)
    (folder / "state" / "inventory.yaml").write_text(text, encoding="utf-8")


@contextmanager
def stranger(leaves: int) -> Iterator[int]:
    """Let another process hold all of the card but `leaves` bytes; give its pid."""
    argv = (sys.executable, "-m", "tests.gpu.ballast", str(card().free - leaves))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


def look_seconds() -> Iterator[float]:
    """Yield how long a look at the cards takes, each time afresh."""
    for _ in range(LOOKS):
        began = time.monotonic()
        gpu()
        yield time.monotonic() - began


def facts(_: Stack) -> dict[str, Any]:
    """The cards are those that nvidia-smi lists, with the same memory."""
    query = (
        "nvidia-smi",
        "--query-gpu=index,name,uuid,memory.total,memory.free",
        "--format=csv,noheader,nounits",
    )
    listed = subprocess.run(query, check=True, capture_output=True, text=True).stdout.splitlines()
    seen = gpu()
    assert isinstance(seen, Known), seen
    for line, one in zip(listed, seen.value.cards, strict=True):
        index, name, uuid, total, free = line.split(", ")
        assert (int(index), name, uuid) == (one.index, one.name, one.uuid)
        assert abs(int(total) * MIB - one.total) < MIB
        assert abs(int(free) * MIB - one.free) < DRIFT
    return {
        "cards": [one.model_dump() for one in seen.value.cards],
        "seconds_of_a_look": statistics.median(look_seconds()),
    }


def estimate(made: Stack) -> dict[str, Any]:
    """What a model was estimated to need is not less than what it takes, but for the margin."""
    made.desire("tiny-a")
    plan = made.document("plan")
    (needed,) = (
        step["target"] for step in plan["hosts"][0]["steps"] if step["kind"] == "await_vram"
    )
    before = card().free
    made.apply()
    estimated, held, took = (
        int(float(needed.split()[0]) * GIB),
        holder(made.engines()["tiny-a"]),
        before - card().free,
    )
    assert held > 0, "NVML does not name the engine as a holder"
    assert took <= estimated + MARGIN_BYTES, f"{took} bytes were taken, {estimated} estimated"
    return {"estimated": estimated, "named_by_nvml": held, "taken": took}


def switch(made: Stack) -> dict[str, Any]:
    """A switch between models that do not fit together waits for memory and names the stranger."""
    with stranger(leaves=holder(made.engines()["tiny-a"]) // 2) as pid:
        assert holder(pid) > 0, "NVML does not name the stranger as a holder"
        made.desire("tiny-b")
        made.apply()
        assert set(made.engines()) == {"tiny-b"}
    steps = made.document("history")["runs"][-1]["steps"]
    return {
        "steps": [
            step
            for step in steps
            if step["step"] in {"stop", "await_vram", "start", "await_healthy"}
        ]
    }


def refusal(made: Stack) -> dict[str, Any]:
    """What a stranger holds is not waited for: the plan is refused and names its process."""
    made.desire("[]")
    made.apply()
    with stranger(leaves=GIB) as pid:
        made.desire("tiny-a")
        done = made.run("apply", "--yes")
        assert done.returncode == 4, done.stdout + done.stderr
        assert f"(pid {pid}" in done.stdout + done.stderr
    return {"said": (done.stdout + done.stderr).strip().splitlines()[-1]}


def release(made: Stack) -> dict[str, Any]:
    """Memory of an engine that was killed comes back, and await_vram sees it."""
    empty = card().free
    made.desire("tiny-a")
    made.apply()
    pid = made.engines()["tiny-a"]
    held = empty - card().free
    wait = AwaitVram(host="local", need_bytes=empty - DRIFT - MARGIN_BYTES)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    samples: list[tuple[float, int]] = []
    while True:
        seen = gpu()
        assert isinstance(seen, Known), seen
        samples.append((round(time.monotonic() - began, 4), seen.value.cards[0].free))
        if wait.holds(Observed({GPU("local"): Known(Gpu(cards=seen.value.cards[:1]))})):
            return {
                "held": held,
                "seconds": samples[-1][0],
                "samples": samples[:: max(1, len(samples) // 50)],
            }
        assert samples[-1][0] < COMES_BACK_WITHIN, (
            f"{empty - samples[-1][1]} bytes did not come back"
        )


CHECKS: tuple[Callable[[Stack], dict[str, Any]], ...] = (facts, estimate, switch, refusal, release)


def checked(check: Callable[[Stack], dict[str, Any]], made: Stack) -> dict[str, Any]:
    try:
        seen = {"holds": True, **check(made)}
    except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
        seen = {"holds": False, "why": f"{type(error).__name__}: {error}"}
    sys.stdout.write(f"{'ok    ' if seen['holds'] else 'FAILED'} {check.__doc__}\n")
    return seen


def main() -> int:
    found = gpu()
    if isinstance(found, Unknown):
        sys.stderr.write(
            f"test-gpu: nothing was tested, for want of an NVIDIA GPU: {found.reason}\n"
        )
        return 1
    server = llama_server()
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as made:
        prepared(Path(name), made, server)
        report = {check.__name__: checked(check, made) for check in CHECKS}
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / "report.json"
    path.write_text(json.dumps(report, indent=2), encoding="utf-8")
    sys.stdout.write(f"report: {path}\n")
    return 0 if all(one["holds"] for one in report.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
