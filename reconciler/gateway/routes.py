"""Routes: every way into the gateway, what a key has to allow for it, and what answers there.

One table: what is not in it is not served, and a way in without a scope cannot be made. Whoever
asks, and from where, is judged by what stands here, so nothing is reached around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from reconciler.gateway.head import Refusal
from reconciler.gateway.naming import Spoken

Scope: TypeAlias = Literal["none", "list", "infer", "read", "operate", "admin"]
"""What a key has to allow: `none` is open to whoever reaches the gateway, `list` to keys that may
infer or read."""

Body: TypeAlias = Literal["json", "form", "any"]
"""What a request may carry: JSON, which no page of another origin can post unasked, a form with
files, or anything."""

Answer: TypeAlias = Literal[
    "engine",
    "props",
    "upstream",
    "moved",
    "models",
    "running",
    "states",
    "load",
    "alive",
    "ready",
    "preflight",
    "control",
]
"""What answers: a model's engine, the same or what is said of all where none is named, an engine's
own pages, that these stand one slash further, what is known of models, what brings one in, whether
all is well, what pages may, or what keeps the hosts."""

PLACE = re.compile(r"\\\{(\w+)((?:\\\.){3})?\\\}")
"""{word} or {word...}, as it reads in an escaped shape."""


class Entrance(NamedTuple):
    """One way in.

    In `shape`, {word} stands for one segment of a path and {word...} for all that follows. HEAD is
    GET without a body; the method * is any but OPTIONS, with which pages ask beforehand.
    """

    method: str
    shape: str
    scope: Scope
    answer: Answer
    spoken: Spoken = "openai"
    body: Body = "json"

    def takes(self, method: str) -> bool:
        """Whether a method may be used here."""
        if self.method == "*":
            return method != "OPTIONS"
        return self.method == method or (self.method == "GET" and method == "HEAD")


class Entered(NamedTuple):
    """The way in that a request takes, and what its path names there."""

    entrance: Entrance
    named: Mapping[str, str]


def _engine(spoken: Spoken, *shapes: str) -> tuple[Entrance, ...]:
    return tuple(Entrance("POST", shape, "infer", "engine", spoken) for shape in shapes)


def _control(method: str, scope: Scope, *words: str) -> tuple[Entrance, ...]:
    return tuple(Entrance(method, f"/api/v1/{word}", scope, "control") for word in words)


def _form(*shapes: str) -> tuple[Entrance, ...]:
    return tuple(Entrance("POST", shape, "infer", "engine", body="form") for shape in shapes)


TABLE: tuple[Entrance, ...] = (
    *_engine("openai", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"),
    *_engine("openai", "/chat/completions", "/completions"),
    *_engine("openai", "/v1/rerank", "/v1/reranking", "/v1/audio/speech"),
    *_form("/v1/audio/transcriptions", "/v1/audio/translations"),
    *_engine("responses", "/v1/responses", "/responses"),
    *_engine("anthropic", "/v1/messages", "/v1/messages/count_tokens"),
    *_engine("llamacpp", "/completion", "/infill", "/rerank", "/reranking"),
    *_engine("llamacpp", "/embedding", "/embeddings"),
    *_engine("llamacpp", "/tokenize", "/detokenize", "/apply-template"),
    Entrance("GET", "/props", "infer", "props", "llamacpp"),
    Entrance("GET", "/slots", "infer", "engine", "llamacpp"),
    Entrance("GET", "/v1/models", "list", "models"),
    Entrance("GET", "/models", "list", "models"),
    Entrance("GET", "/v1/models/{model...}", "list", "models"),
    Entrance("GET", "/models/{model...}", "list", "models"),
    Entrance("GET", "/models/sse", "list", "states"),
    Entrance("GET", "/api/events", "read", "states"),
    Entrance("GET", "/running", "list", "running"),
    Entrance("POST", "/models/load", "infer", "load"),
    Entrance("POST", "/models/unload", "operate", "control"),
    Entrance("POST", "/api/models/unload", "operate", "control"),
    Entrance("POST", "/api/models/unload/{model}", "operate", "control"),
    Entrance("POST", "/unload", "operate", "control"),
    Entrance("GET", "/unload", "operate", "control"),
    Entrance("GET", "/openapi.json", "read", "control"),
    Entrance("GET", "/metrics", "read", "control"),
    *_control("GET", "read", "status", "plan", "history", "history/{run}", "explain/{subject...}"),
    *_control(
        "GET", "read", "doctor", "validate", "version", "logs/{model}", "events", "gate/{host}"
    ),
    *_control("POST", "operate", "apply", "hold", "resume", "retry", "restart", "use"),
    *_control("POST", "admin", "rollback", "keys"),
    *_control("GET", "admin", "keys"),
    *_control("DELETE", "admin", "keys/{name}"),
    Entrance("GET", "/upstream/{model}", "infer", "moved"),
    Entrance("*", "/upstream/{model}/", "infer", "upstream", "llamacpp", "any"),
    Entrance("*", "/upstream/{model}/{path...}", "infer", "upstream", "llamacpp", "any"),
    Entrance("GET", "/health", "none", "alive"),
    Entrance("GET", "/healthz", "none", "alive"),
    Entrance("GET", "/readyz", "none", "ready"),
)

WHERE = (
    "the base URL of a client is http://HOST:PORT/v1, of one for Anthropic the same without /v1;"
    " GET /openapi.json lists every path"
)

PREFLIGHT = Entrance("OPTIONS", "/{path...}", "none", "preflight")
"""What browsers ask before a page of another origin may, wherever anything is served."""


def _pattern(shape: str) -> re.Pattern[str]:
    return re.compile(PLACE.sub(_group, re.escape(shape)))


def _group(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})"


class Router:
    """Finds the way in for a method and a path: at once where the path is a fixed one."""

    def __init__(self, table: Iterable[Entrance]) -> None:
        self._fixed = dict[str, list[Entrance]]()
        self._shaped = list[tuple[re.Pattern[str], Entrance]]()
        for entrance in table:
            if "{" in entrance.shape:
                self._shaped.append((_pattern(entrance.shape), entrance))
            else:
                self._fixed.setdefault(entrance.shape, []).append(entrance)

    def find(self, method: str, path: str) -> Entered | Refusal:
        """The way in, or why there is none."""
        there = [Entered(one, {}) for one in self._fixed.get(path, ())] or self._spread(path)
        for entered in there:
            if entered.entrance.takes(method):
                return self._as_spoken(entered)
        if not there:
            return Refusal(404, f"nothing is served at {path}; {WHERE}")
        if method == PREFLIGHT.method:
            return Entered(PREFLIGHT, {})
        expected = " or ".join(sorted({entered.entrance.method for entered in there}))
        return Refusal(405, f"found {method}, expected {expected}")

    def _as_spoken(self, entered: Entered) -> Entered:
        """The same in the protocol of an engine's own path, where that is a known one."""
        inner = self._fixed.get(f"/{entered.named.get('path', '')}")
        if entered.entrance.answer != "upstream" or inner is None:
            return entered
        return Entered(entered.entrance._replace(spoken=inner[0].spoken), entered.named)

    def spoken(self, path: str) -> Spoken:
        """The protocol in which errors are told at a path."""
        there = self._fixed.get(path)
        return there[0].spoken if there else "openai"

    def _spread(self, path: str) -> list[Entered]:
        found = ((pattern.fullmatch(path), entrance) for pattern, entrance in self._shaped)
        return [Entered(entrance, match.groupdict()) for match, entrance in found if match]


ROUTER = Router(TABLE)
