"""What Anthropic's SDK must find at a gateway, in any release since 0.76."""

from __future__ import annotations

from typing import Any

import anthropic
from anthropic.types import MessageParam, ToolParam

from tests.clients.checks import TOO_LONG, Checks, main

# The newest releases have no argument for it.
GREEDY = {"temperature": 0}
HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]
TOOL: ToolParam = {
    "name": "look_up",
    "description": "Look a word up.",
    "input_schema": {"type": "object", "properties": {"word": {"type": "string"}}},
}


class AnthropicChecks(Checks):
    """The SDK, without retries of its own."""

    def __init__(self, gateway: str, engine: str) -> None:
        super().__init__(gateway, engine)
        self._client = anthropic.Anthropic(
            base_url=gateway, api_key="none", max_retries=0, timeout=60
        )

    def _said(self, model: str = "tiny-a", **more: Any) -> str:
        answer = self._client.messages.create(
            model=model, max_tokens=4, extra_body=GREEDY, messages=HELLO, **more
        )
        return "".join(block.text for block in answer.content if block.type == "text")

    def request_ids(self) -> None:
        answer = self._client.messages.create(
            model="tiny-a", max_tokens=4, extra_body=GREEDY, messages=HELLO
        )
        error = self._fails(anthropic.NotFoundError, model="claude-7", messages=HELLO)
        assert answer._request_id
        assert error.request_id

    def _streamed(self, model: str = "tiny-a") -> str:
        with self._client.messages.stream(
            model=model, max_tokens=4, extra_body=GREEDY, messages=HELLO
        ) as stream:
            said = "".join(stream.text_stream)
            assert stream.get_final_message().stop_reason == "max_tokens"
        return said

    def messages(self) -> None:
        assert self._said()
        assert self._streamed()

    def events(self) -> None:
        kinds = [
            one.type
            for one in self._client.messages.create(
                model="tiny-a", max_tokens=4, extra_body=GREEDY, messages=HELLO, stream=True
            )
        ]
        assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")

    def tools(self) -> None:
        assert self._said(tools=[TOOL], system="Be brief.")

    def count_tokens(self) -> None:
        answer = self._client.messages.count_tokens(model="tiny-a", messages=HELLO)
        assert answer.input_tokens > 1

    def models(self) -> None:
        listed = [one.id for one in self._client.models.list()]
        assert listed == ["broken", "tiny-a", "tiny-b", "tiny-c", "tiny-e"]
        assert self._client.models.retrieve("tiny-a").display_name == "tiny-a"

    def no_such_model(self) -> None:
        error = self._fails(anthropic.NotFoundError, model="claude-7", messages=HELLO)
        assert "expected one of: " in error.message

    def a_model_that_cannot_be_brought_in(self) -> None:
        error = self._fails(anthropic.InternalServerError, model="broken", messages=HELLO)
        assert error.status_code == 503
        assert "nowhere.gguf" in error.message

    def what_the_engine_refuses(self) -> None:
        prompt: list[MessageParam] = [{"role": "user", "content": TOO_LONG}]
        error = self._fails(anthropic.BadRequestError, model="tiny-a", messages=prompt)
        assert "context" in error.message

    def what_the_gateway_refuses(self) -> None:
        error = self._fails(anthropic.BadRequestError, model=7, messages=HELLO)
        assert "model" in error.message

    def _fails(
        self, expected: type[anthropic.APIStatusError], **asked: Any
    ) -> anthropic.APIStatusError:
        found = None
        try:
            self._client.messages.create(max_tokens=4, **asked)
        except expected as error:
            found = error
        assert found is not None, f"expected {expected.__name__}"
        return found

    def a_stream_that_is_held(self) -> None:
        """Its model is brought in meanwhile."""
        assert self._said()
        assert self._streamed("tiny-b")

    def an_answer_that_is_held(self) -> None:
        assert self._said("tiny-b")
        assert self._said()

    def leaving(self) -> None:
        self._leaves(self._leave)

    def _leave(self) -> bool:
        with self._client.messages.stream(
            model="tiny-a", max_tokens=3000, messages=HELLO, extra_body={"ignore_eos": True}
        ) as stream:
            next(stream.text_stream)
            return self._is_computing()


if __name__ == "__main__":
    main(AnthropicChecks)
