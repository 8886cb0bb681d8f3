"""Measure models that take turns because requests ask for them, through a real `serve`."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.embedded.weights import write_weights
from tests.bench import lagging
from tests.bench.by_hand import bare_switch, engine, seconds
from tests.bench.serving import ask, taking
from tests.engine import free_port
from tests.load.gateway import address
from tests.stack import Stack, stack

SWITCHES = 30
PROMPT_TOKENS = 8000
DESIRED = "version: 1\nactive: a\nallow: any\nmin_residency: 0s\n"


class Turns(NamedTuple):
    """A `serve` with two models of one port, `a` and `b`."""

    here: Stack
    port: int

    def ask(self, model: str, tokens: int = 4) -> dict[str, Any]:
        """The answer of a model to a prompt of so many tokens, and of one token."""
        prompt = [300 + (number * 7) % 97 for number in range(tokens)]
        wish = {"model": model, "prompt": prompt, "n_predict": 1, "cache_prompt": True}
        answer: dict[str, Any] = json.loads(ask(self.port, "/completion", json.dumps(wish)))
        return answer


def turning() -> Iterator[str]:
    """Switch often between tiny models, and once back to a long conversation."""
    with tempfile.TemporaryDirectory() as name:
        lags = Path(name) / "lags"
        with _turns(64, 2, 1024, lags) as turns:
            turns.ask("a")
            since = lagging.now()
            yield from _switches(turns)
            until = lagging.now()
        yield _lag(lagging.noted(lags, since, until))
        with _turns(512, 8, PROMPT_TOKENS + 512, lags) as turns:
            yield from _conversation(turns)


def _lag(noted: list[lagging.Noted]) -> str:
    late, computed = (
        sorted(one) for one in zip(*((n.late, n.computed) for n in noted), strict=True)
    )
    rare = int(len(noted) * 0.999)
    worst = f"{late[-1] * 1000:.0f} ms at most, {len(noted)} looks"
    return (
        f"| loop lag during {SWITCHES} switches, p99.9 | ≤ 20 ms | {late[rare] * 1000:.1f} ms, of"
        f" which it computed {computed[rare] * 1000:.1f} ms ({worst}) |"
    )


@contextmanager
def _turns(width: int, layers: int, context: int, lags: Path) -> Iterator[Turns]:
    """Lay out two models of one size, and serve them; how late the loop is stands in `lags`."""
    with tempfile.TemporaryDirectory() as name, stack(Path(name)) as here, address() as at:
        models = []
        for model, seed in (("a", 1), ("b", 2)):
            weights = here.folder / f"{model}.gguf"
            write_weights(weights, seed=seed, width=width, layers=layers, context_length=context)
            settings = f"{{kind: embedded, weights: {weights}, context: {context}}}"
            models.append(f"  {model}: {{engine: {settings}, port: {here.port}, stable_for: 0s}}\n")
        inventory = here.folder / "state" / "inventory.yaml"
        inventory.write_text("version: 1\nmodels:\n" + "".join(models))
        here.desired(DESIRED)
        program = f"from tests.bench.lagging import noted_in; noted_in({str(lags)!r})"
        with taking(here, at, words=("-c", program)):
            yield Turns(here, int(at.partition(":")[2]))


def _switches(turns: Turns) -> Iterator[str]:
    model, port = turns.here.folder / "a.gguf", free_port()
    running = engine(port, model, 1024)
    ours, bare = [], []
    for number in range(SWITCHES):
        wanted = "ba"[number % 2]
        ours.append(seconds(lambda: turns.ask(wanted)))  # noqa: B023 - called at once
        took, running = bare_switch(port, running, model, 1024)
        bare.append(took)
    running.kill()
    running.wait()
    added = statistics.median(mine - other for mine, other in zip(ours, bare, strict=True))
    medians = f"{statistics.median(ours) * 1000:.0f} - {statistics.median(bare) * 1000:.0f}"
    yield (
        "| request for the other model -> its answer, minus a bare switch | ≤ +50 ms |"
        f" {added * 1000:+.0f} ms (medians {medians}) |"
    )


def _conversation(turns: Turns) -> Iterator[str]:
    turns.ask("b")
    began = lagging.now()
    cold = turns.ask("a", PROMPT_TOKENS)["timings"]["prompt_ms"]
    whole_cold = lagging.now() - began
    turns.ask("b")
    began = lagging.now()
    timings = turns.ask("a", PROMPT_TOKENS)["timings"]
    whole = lagging.now() - began
    warm = timings["prompt_ms"]
    yield (
        f"| first token after switching back to {PROMPT_TOKENS} tokens through the gateway ÷ cold |"
        f" ≤ 0.05 | {warm / cold:.4f} ({warm / 1000:.3f} s ÷ {cold / 1000:.2f} s),"
        f" {timings['cache_n']} tokens remembered |"
    )
    yield (
        "| the same, from the request, with the whole switch ÷ cold with a switch | own line |"
        f" {whole / whole_cold:.3f} ({whole:.2f} s ÷ {whole_cold:.2f} s) |"
    )
