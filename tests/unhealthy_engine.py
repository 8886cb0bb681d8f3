"""A program with llama-server's flags and routes, unhealthy at once or from SIGUSR1 on.

`--frail silent` never listens, `--frail busy` answers 503 for ever. Any other is well until the
signal: then it says nothing to anybody, `--frail hiccup` only to one question, and `--frail
overloaded` answers 503. `--frail deaf` ends for nothing but KILL.
"""

from __future__ import annotations

import argparse
import json
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

WORDS = "the keeper lost the key"


class Answers(BaseHTTPRequestHandler):
    """Answer what a healthy server of one idle slot would, or that it is overloaded."""

    busy = False
    unheard = 0.0
    """How many more questions get no answer."""
    alias = ""

    def do_GET(self) -> None:
        content: dict[str, Any] = {
            "/props": {
                "default_generation_settings": {},
                "total_slots": 1,
                "model_alias": self.alias,
            },
            "/slots": [{"id": 0, "n_ctx": 4096, "is_processing": False, "n_prompt_tokens": 0}],
        }
        self._answer(content.get(self.path, {}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"content": "ba", "tokens_predicted": 1})

    def _answer(self, content: Any) -> None:
        if Answers.unheard > 0:
            Answers.unheard -= 1
            Event().wait()
        body = json.dumps({"error": {"message": WORDS}} if Answers.busy else content).encode()
        self.send_response(503 if Answers.busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


def worsen(*, busy: bool = False, unheard: float = 0) -> None:
    """Say that all is busy, or nothing at all to so many questions."""
    Answers.busy, Answers.unheard = busy, unheard
    print(WORDS, flush=True)  # noqa: T201 - stdout is this program's log


def main() -> None:
    """Serve until a signal ends the process."""
    flags = argparse.ArgumentParser()
    flags.add_argument("--port", type=int)
    flags.add_argument("--alias")
    flags.add_argument("--frail", default="")
    given, _ = flags.parse_known_args()
    overloaded = given.frail == "overloaded"
    unheard = {"hiccup": 1.0, "overloaded": 0.0}.get(given.frail, float("inf"))
    signal.signal(signal.SIGUSR1, lambda *_: worsen(busy=overloaded, unheard=unheard))
    Answers.alias = given.alias
    if given.frail in {"silent", "busy"}:
        worsen(busy=True)
    if given.frail == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if given.frail == "silent":
        signal.pause()
    ThreadingHTTPServer(("127.0.0.1", given.port), Answers).serve_forever()


if __name__ == "__main__":
    main()
