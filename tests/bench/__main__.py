"""Measure the numbers that the project holds itself to, and print them as a Markdown table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from reconciler.model.records import StepDone
from tests.bench.afar import looking
from tests.bench.bodies import bodies
from tests.bench.by_hand import ask, bare_switch, engine, seconds
from tests.bench.crowd import hosts
from tests.bench.launchers import launchers
from tests.bench.sleeper import waking
from tests.bench.small import small
from tests.bench.streams import streams
from tests.bench.turning import turning
from tests.bench.two_models import ROUNDS, answered, stack
from tests.bench.watching import watching
from tests.engine import free_port

BASELINE = "import pydantic, ruamel.yaml, anyio, httpx; pydantic.create_model('M', a=(int, 1))"
HOSTS = 1000
PROMPT_TOKENS = 4000
GIB = 1024**3


def process(*argv: str) -> Callable[[], object]:
    """The words that run a Python which keeps what it compiled, as an installed program's does."""
    kept = {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "reconciler-bench"),
    }

    def run() -> object:
        return subprocess.run(
            [sys.executable, *argv], check=True, capture_output=True, env=os.environ | kept
        )

    run()
    return run


def median_pair(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Return the medians of two actions, run in turn."""
    pairs = [(seconds(first), seconds(second)) for _ in range(ROUNDS)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(
        pair[1] for pair in pairs
    )


def commands() -> Iterator[str]:
    with stack(64, 2, 1024) as bench:
        bench.switch("a")
        os.environ["XDG_STATE_HOME"] = str(bench.folder)
        (bench.folder / "reconciler-host").symlink_to(bench.folder / "host")
        baseline = process("-c", BASELINE)
        plan = process(
            "-m",
            "reconciler",
            "plan",
            "--state",
            str(bench.folder),
            "--data",
            str(bench.folder / "data"),
        )
        reference, planned = median_pair(baseline, plan)
        _, version = median_pair(baseline, process("-m", "reconciler", "--version"))
        row = "| `plan`, nothing to do, ÷ baseline | ≤ 1.7 | "
        yield (
            row
            + f"{planned / reference:.2f} ({planned * 1000:.0f} ms ÷ {reference * 1000:.0f} ms) |"
        )
        yield f"| `--version` ÷ baseline | ≤ 0.7 | {version / reference:.2f} |"


def overhead() -> Iterator[str]:
    with stack(64, 2, 1024) as bench:
        bench.switch("a")
        model, port = next((bench.folder / "a").glob("*.gguf")), free_port()
        running = engine(port, model, 1024)
        ours, judged, bare = [], [], []
        for number in range(2 * ROUNDS):
            began = bench.switch("ba"[number % 2])
            judged.append(bench.app.clock.wall() - began)
            ours.append(answered(bench.app) - began)
            took, running = bare_switch(port, running, model, 1024)
            bare.append(took)
        running.kill()
        running.wait()
        between = statistics.median(mine - other for mine, other in zip(ours, bare, strict=True))
        medians = f"{statistics.median(ours) * 1000:.0f} - {statistics.median(bare) * 1000:.0f}"
        verdict = statistics.median(late - mine for late, mine in zip(judged, ours, strict=True))
        gap = (
            f"{between * 1000:+.0f} ms (medians {medians}); {verdict * 1000:.0f} ms more to the"
            " verdict"
        )
        yield f"| switch, tiny model, empty slots, minus a bare loop | ≤ +50 ms | {gap} |"


def conversation() -> Iterator[str]:
    with stack(512, 8, PROMPT_TOKENS + 512) as bench:
        bench.switch("a")
        cold = ask(bench.port, PROMPT_TOKENS)
        bench.switch("b")
        bench.switch("a")
        warm = ask(bench.port, PROMPT_TOKENS)
        ratio = f"{warm / cold:.3f} ({warm:.2f} s ÷ {cold:.2f} s)"
        yield (
            f"| first token after switching back to {PROMPT_TOKENS} tokens ÷ cold | ≤ 0.05 |"
            f" {ratio} |"
        )
        for row in bench.app.run(bench.app.journal.since, 0):
            done = row.record
            if (
                isinstance(done, StepDone)
                and done.step in {"save_slots", "restore_slots"}
                and done.evidence.get("slots")
            ):
                size = max(
                    path.stat().st_size
                    for path in (bench.folder / "host" / "models" / "a" / "slots").iterdir()
                )
                each = (
                    f"{done.seconds * GIB / size:.1f} s/GiB ({size / 2**20:.0f} MiB in"
                    f" {done.seconds:.2f} s)"
                )
                yield f"| `{done.step}`, per GiB | own line | {each} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "commands": commands, "overhead": overhead, "conversation": conversation,
    "hosts": lambda: hosts(HOSTS), "watching": watching, "looking": looking, "waking": waking,
    "small": small, "streams": streams, "bodies": bodies, "turning": turning,
    "launchers": launchers,
}  # fmt: skip


def main(names: list[str]) -> None:
    """Measure the named parts, or all, each in a process that keeps nothing of another."""
    if len(names) == 1:
        for line in PARTS[names[0]]():
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        return
    sys.stdout.write("| what | goal | measured |\n|---|---|---|\n")
    sys.stdout.flush()
    for name in names or PARTS:
        subprocess.run([sys.executable, "-m", "tests.bench", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
