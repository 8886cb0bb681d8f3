"""Models: three tiny ones on one port, and what each answers to the prompts."""

from __future__ import annotations

from collections.abc import Mapping

from tests.engine import EngineProcess, weights_in
from tests.stack import Stack

MODELS = {"tiny-a": 1, "tiny-b": 2, "tiny-c": 3}
"""Names, and the seeds of their weights."""

PROMPTS = (
    "The ships counts 9",
    "The fog wants 65 now",
    "The crew sees 93 more",
    "The tide wants 51 now",
    "The ships sees 9 more",
    "The star sees 107 more",
    "The rope has lost 37",
    "The fog has lost 65",
)
"""To none of them does a model hesitate between two words, whatever else is in a batch."""

LEAST_CERTAIN = 0.05
"""How much likelier the first word must be than the second, as a logarithm; noise is 0.003."""

INVENTORY = "version: 1\nmodels:\n"


def lay_out(here: Stack) -> None:
    """Define the three models."""
    lines = [
        f"  {name}: {{engine: {{{here.server.of_weights(weights_in(here.folder, seed=seed))}}},"
        f" port: {here.port}, stable_for: 0s}}\n"
        for name, seed in MODELS.items()
    ]
    (here.folder / "state" / "inventory.yaml").write_text(INVENTORY + "".join(lines))


def asked(prompt: int) -> dict[str, object]:
    """A request for few tokens, which a model always answers alike."""
    return {"prompt": PROMPTS[prompt], "max_tokens": 4, "temperature": 0, "seed": 1}


def recorded(here: Stack) -> Mapping[str, tuple[str, ...]]:
    """Ask each model by itself."""
    known = {}
    for name, seed in MODELS.items():
        with here.server.running(weights_in(here.folder, seed=seed)) as engine:
            known[name] = tuple(_certain(engine, prompt) for prompt in range(len(PROMPTS)))
    texts = [text for answers in known.values() for text in answers]
    assert len(set(texts)) == len(texts), known
    return known


def _certain(engine: EngineProcess, prompt: int) -> str:
    (choice,) = engine.post("/v1/completions", {**asked(prompt), "logprobs": 2})["choices"]
    for token in choice["logprobs"]["content"]:
        first, second = (one["logprob"] for one in token["top_logprobs"])
        assert first - second > LEAST_CERTAIN, (PROMPTS[prompt], token)
    text: str = choice["text"]
    return text
