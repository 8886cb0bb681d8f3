"""What curl and httpx must find at a gateway: every byte, which SDKs do not show."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import httpx

from tests.clients.checks import TOO_LONG, Checks, main

CHAT = "/v1/chat/completions"
SIGN = ": keepalive\n"
PING = 'event: ping\ndata: {"type": "ping"}\n\n'


def asked(model: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hello"}]
    return {"model": model, "messages": messages, "max_tokens": 4, "temperature": 0, **more}


class PlainChecks(Checks):
    """What each of them sees."""

    def _curl(self, path: str, *words: str, body: object = None) -> str:
        given = ("-d", "@-", "-H", "Content-Type: application/json") if body is not None else ()
        argv = ["curl", "-sS", "-N", "--max-time", "60", *given, *words, f"{self._gateway}{path}"]
        done = subprocess.run(
            argv, input=json.dumps(body), capture_output=True, text=True, check=True
        )
        return done.stdout

    def _post(self, body: object, path: str = CHAT) -> httpx.Response:
        return httpx.post(f"{self._gateway}{path}", json=body, timeout=60)

    def curl(self) -> None:
        whole = json.loads(self._curl(CHAT, body=asked("tiny-a")))
        assert whole["choices"][0]["message"]["content"]
        old = json.loads(self._curl(CHAT, "--http1.0", body=asked("tiny-a")))
        assert old["choices"] == whole["choices"]
        assert self._curl(CHAT, body=asked("tiny-a", stream=True)).endswith("data: [DONE]\n\n")

    def curl_with_a_body_that_it_announces(self) -> None:
        """From 1 MiB on, it waits for `100 Continue`."""
        long = {"model": "tiny-e", "content": TOO_LONG * 12}
        said = self._curl("/tokenize", "-H", "Expect: 100-continue", body=long)
        assert len(json.loads(said)["tokens"]) > len(TOO_LONG)

    def curl_for_the_head_alone(self) -> None:
        assert self._curl("/v1/models", "--head").startswith("HTTP/1.1 200 OK")

    def curl_for_what_is_not_there(self) -> None:
        said = self._curl("/v2/models", "-w", "%{http_code}")
        assert said.endswith("404")

    def httpx(self) -> None:
        said = self._post(asked("tiny-a")).json()
        assert said["choices"][0]["message"]["content"]
        assert self._post({"input": "x", "model": "tiny-e"}, "/v1/embeddings").json()["data"]

    def httpx_side_by_side(self) -> None:
        async def both() -> list[int]:
            async with httpx.AsyncClient(base_url=self._gateway, timeout=60) as client:
                answers = await asyncio.gather(
                    *(client.post(CHAT, json=asked("tiny-a")) for _ in range(4))
                )
            return [answer.status_code for answer in answers]

        assert {*asyncio.run(both())} == {200}

    def looks(self) -> None:
        """An engine's own answers, and its page where it has one."""
        with httpx.Client(base_url=self._gateway, follow_redirects=True) as client:
            assert client.get("/props").json()["models_autoload"] is True
            assert client.get("/slots?model=tiny-a").json()[0]["n_ctx"]
            page = client.get("/upstream/tiny-a")
            assert page.status_code in {200, 404}
            of_page = client.get("/props", headers={"Referer": str(page.url)})
            assert of_page.json()["model_alias"] == "tiny-a"

    def signs_of_life(self) -> None:
        """They come before the events of a model that is brought in, and change none of them."""
        said = self._curl(CHAT, body=asked("tiny-b", stream=True))
        assert said.startswith(SIGN)
        events = said.replace(SIGN, "")
        assert events.startswith("data: {")
        assert events.endswith("data: [DONE]\n\n")
        said = self._curl("/v1/messages", body=asked("tiny-a", stream=True))
        assert said.startswith(PING)
        assert said.replace(PING, "").startswith("event: message_start\n")

    def leaving_a_queue(self) -> None:
        """Who goes while a model is brought in leaves nothing behind."""
        try:
            httpx.post(f"{self._gateway}{CHAT}", json=asked("tiny-b"), timeout=0.05)
        except httpx.TimeoutException:
            pass
        else:
            raise AssertionError("expected that the switch takes longer")
        assert self._post(asked("tiny-a")).status_code == 200


if __name__ == "__main__":
    main(PlainChecks)
