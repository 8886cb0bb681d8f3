"""What OpenAI's SDK must find at a gateway, in any release since 2.30."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.clients.checks import TOO_LONG, Checks, main

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
    },
}
GREEDY: dict[str, Any] = {"max_tokens": 4, "temperature": 0, "seed": 1}


class OpenAIChecks(Checks):
    """The SDK, without retries of its own."""

    def __init__(self, gateway: str, engine: str) -> None:
        super().__init__(gateway, engine)
        self._given: dict[str, Any] = {
            "base_url": f"{gateway}/v1",
            "api_key": "none",
            "max_retries": 0,
        }
        self._client = openai.OpenAI(timeout=60, **self._given)

    def _said(self, model: str = "tiny-a") -> str:
        answer = self._client.chat.completions.create(model=model, messages=HELLO, **GREEDY)
        return answer.choices[0].message.content or ""

    def _streamed(self, model: str = "tiny-a") -> str:
        events = self._client.chat.completions.create(
            model=model, messages=HELLO, stream=True, **GREEDY
        )
        return "".join(one.choices[0].delta.content or "" for one in events if one.choices)

    def chat(self) -> None:
        assert self._said()
        assert self._streamed() == self._said()

    def chat_by_its_events(self) -> None:
        with self._client.chat.completions.stream(
            model="tiny-a", messages=HELLO, **GREEDY
        ) as stream:
            pieces = [one.delta for one in stream if one.type == "content.delta"]
        assert "".join(pieces) == self._said()

    def chat_side_by_side(self) -> None:
        async def said(client: openai.AsyncOpenAI) -> str:
            events = await client.chat.completions.create(
                model="tiny-a", messages=HELLO, stream=True, **GREEDY
            )
            return "".join(
                [one.choices[0].delta.content or "" async for one in events if one.choices]
            )

        async def all_said() -> list[str]:
            async with openai.AsyncOpenAI(timeout=60, **self._given) as client:
                return [*await asyncio.gather(*(said(client) for _ in range(3)))]

        assert {*asyncio.run(all_said())} == {self._said()}

    def completions(self) -> None:
        answer = self._client.completions.create(model="active", prompt="Hello", **GREEDY)
        assert answer.choices[0].text

    def tools(self) -> None:
        answer = self._client.chat.completions.create(
            model="tiny-a", messages=HELLO, tools=[TOOL], **GREEDY
        )
        events = self._client.chat.completions.create(
            model="tiny-a", messages=HELLO, tools=[TOOL], stream=True, **GREEDY
        )
        assert answer.choices[0].finish_reason in {"length", "tool_calls"}
        assert [one.choices[0].finish_reason for one in events if one.choices][-1] in {
            "length",
            "tool_calls",
        }

    def responses(self) -> None:
        tool: Any = {"type": "function", **TOOL["function"], "strict": None}
        answer = self._client.responses.create(
            model="tiny-a", input="Hello", max_output_tokens=4, temperature=0, tools=[tool]
        )
        assert answer.output_text
        assert self._responded("tiny-a")

    def _responded(self, model: str) -> str:
        # Their helper `stream` needs a content_index, which llama.cpp leaves out (b11549).
        events = [
            *self._client.responses.create(
                model=model, input="Hello", max_output_tokens=4, temperature=0, stream=True
            )
        ]
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        return "".join(one.delta for one in events if one.type == "response.output_text.delta")

    def embeddings(self) -> None:
        answer = self._client.embeddings.create(model="tiny-e", input=["one", "two"])
        assert [len(one.embedding) for one in answer.data] == [64, 64]

    def models(self) -> None:
        listed = {one.id: one.model_dump()["status"]["value"] for one in self._client.models.list()}
        assert {*listed} == {"tiny-a", "tiny-b", "tiny-c", "tiny-e", "broken"}
        assert listed["tiny-a"] == "loaded"
        assert self._client.models.retrieve("tiny-b").object == "model"

    def a_held_stream_that_fails(self) -> None:
        """The signs of life come before the error."""
        found = ""
        try:
            with self._client.responses.stream(model="broken", input="Hello") as stream:
                stream.get_final_response()
        except openai.APIError as error:
            found = error.message
        assert "nowhere.gguf" in found

    def no_such_model(self) -> None:
        error = self._fails(openai.NotFoundError, model="gpt-7", messages=HELLO)
        assert "expected one of: " in error.message

    def a_model_that_cannot_be_brought_in(self) -> None:
        error = self._fails(openai.InternalServerError, model="broken", messages=HELLO)
        assert error.status_code == 503
        assert "nowhere.gguf" in error.message

    def what_the_engine_refuses(self) -> None:
        prompt: list[ChatCompletionMessageParam] = [{"role": "user", "content": TOO_LONG}]
        error = self._fails(openai.BadRequestError, model="tiny-a", messages=prompt)
        assert "context" in error.message

    def what_the_gateway_refuses(self) -> None:
        error = self._fails(openai.BadRequestError, model=7, messages=HELLO)
        assert "model" in error.message

    def _fails(self, expected: type[openai.APIStatusError], **asked: Any) -> openai.APIStatusError:
        found = None
        try:
            self._client.chat.completions.create(**asked)
        except expected as error:
            found = error
        assert found is not None, f"expected {expected.__name__}"
        return found

    def a_stream_that_is_held(self) -> None:
        """Its model is brought in meanwhile."""
        before = self._said()
        said = self._streamed("tiny-b")
        assert said not in {"", before}

    def an_answer_that_is_held(self) -> None:
        before = self._said("tiny-b")
        assert self._said() not in {"", before}

    def a_response_that_is_held(self) -> None:
        before = self._responded("tiny-a")
        assert self._responded("tiny-b") not in {"", before}

    def leaving(self) -> None:
        self._leaves(self._leave)

    def _leave(self) -> bool:
        endless: dict[str, Any] = {"max_tokens": 3000, "extra_body": {"ignore_eos": True}}
        events = self._client.chat.completions.create(
            model="tiny-a", messages=HELLO, stream=True, **endless
        )
        next(iter(events))
        is_computing = self._is_computing()
        events.close()
        return is_computing


if __name__ == "__main__":
    main(OpenAIChecks)
