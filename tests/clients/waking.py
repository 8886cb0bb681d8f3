"""Clients that ask for a model whose host sleeps, at once: `python -m tests.clients.waking URL`.

Each must get an answer, held until the host has woken.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
from anthropic.types import MessageParam
from openai.types.chat import ChatCompletionMessageParam

SECONDS = 120
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
GREETING: list[MessageParam] = [{"role": "user", "content": "Hello"}]


def whole(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(
            model="active", messages=HELLO, max_tokens=4, timeout=SECONDS
        )
    return answer.choices[0].message.content or ""


def streamed(url: str) -> str:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        events = client.chat.completions.create(
            model="active", messages=HELLO, max_tokens=4, stream=True, timeout=SECONDS
        )
        return "".join(one.choices[0].delta.content or "" for one in events if one.choices)


def message(url: str) -> str:
    with (
        anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=SECONDS) as client,
        client.messages.stream(model="active", max_tokens=4, messages=GREETING) as stream,
    ):
        return "".join(stream.text_stream)


if __name__ == "__main__":
    asking = (whole, streamed, message)
    with ThreadPoolExecutor(len(asking)) as pool:
        answers = [*pool.map(lambda ask: ask(sys.argv[1]), asking)]
    assert all(answers), answers
