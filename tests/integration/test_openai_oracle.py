"""The same conversations through the openai package's client and through ours, against one server: equal on both sides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
import pydantic
import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import (
    AsyncInferenceClient,
    InferenceClient,
    InferenceConnectionError,
    InferenceError,
    InferenceTimeoutError,
    ProviderError,
)

pytestmark = pytest.mark.integration

KEY = "pk-secret-0123456789"
HELLO: list[Any] = [{"role": "user", "content": "What is the weather in Zürich?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}
PICTURE = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
        ],
    }
]
LOGPROBS = {
    "content": [
        {
            "token": "Hi",
            "logprob": -0.1,
            "bytes": [72, 105],
            "top_logprobs": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}],
        }
    ]
}


@dataclass
class Script:
    """What the server says, in turn, and how it is asked."""

    turns: Sequence[Turn]
    options: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=lambda: HELLO)
    client: dict[str, Any] = field(default_factory=dict)


def usage_last() -> Turn:
    last = {**delta(), "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
    return raw(delta(role="assistant", content=""), delta(content="Hi"), delta("stop"), last)


SCRIPTS: dict[str, Script] = {
    "plain": Script([text("It rains.")]),
    "every parameter": Script(
        [text("It rains.")],
        {
            "frequency_penalty": 0.5,
            "logit_bias": {"50256": -100},
            "logprobs": True,
            "top_logprobs": 2,
            "max_tokens": 64,
            "n": 2,
            "presence_penalty": -0.5,
            "seed": 7,
            "stop": ["\n\n", "END"],
            "temperature": 0.0,
            "top_p": 0.9,
            "response_format": {"type": "json_object"},
            "extra_body": {"top_k": 3, "reasoning_effort": "low"},
        },
    ),
    "in pieces": Script([text("It ", "rains ", "in Zürich \U0001f327.")], {"stream": True}),
    "in pieces, with the usage at the end": Script(
        [usage_last()], {"stream": True, "stream_options": {"include_usage": True}}
    ),
    "a tool call": Script([calls(("weather", {"city": "Zürich"}))], {"tools": [TOOL], "tool_choice": "required"}),
    "tool calls in pieces": Script(
        [calls(("weather", {"city": "Zürich"}), ("weather", {"city": "Bern"}), content="Let me look.")],
        {
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "stream": True,
            "extra_body": {"parallel_tool_calls": True},
        },
    ),
    "a schema": Script([text('{"name": "Zürich"}')], {"response_format": SCHEMA}),
    "a schema, in pieces": Script([text('{"name": ', '"Zürich"}')], {"response_format": SCHEMA, "stream": True}),
    "a picture": Script([text("A pixel.")], messages=PICTURE),
    "reasoning and fields that nobody declared": Script(
        [
            raw(
                {**delta(role="assistant", reasoning_content="hmm", vendor={"a": 1}), "provider": "acme"},
                delta(content="ok"),
                delta("stop"),
            )
        ],
        {"stream": True},
    ),
    "probabilities": Script(
        [raw({**delta(), "choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": LOGPROBS}]}, delta("stop"))],
        {"stream": True, "logprobs": True, "top_logprobs": 1},
    ),
    "two choices": Script(
        [
            raw(
                {**delta(), "choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]},
                delta(content="a"),
                delta("stop"),
                {**delta(), "choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
            )
        ],
        {"stream": True, "n": 2},
    ),
    "comments, and lines that end in CR LF": Script(
        [Turn([": hello\r\n\r\n", delta(role="assistant", content="a"), ": ping\r\n\r\n", delta("stop")], eol="\r\n")],
        {"stream": True},
    ),
    "a failure in passing": Script([status(503, retry_after="0"), status(429, retry_after="0"), text("ok")]),
    "a failure in passing, before a stream": Script([status(500, retry_after="0"), text("o", "k")], {"stream": True}),
}

Result = Any


def theirs(url: str, script: Script, mode: str) -> Result:
    arguments = {"model": "m", "messages": script.messages, **script.options}
    settings = {"base_url": url, "api_key": KEY, **script.client}
    if mode == "sync":
        with openai.OpenAI(**settings) as client:
            answer = client.chat.completions.create(**arguments)
            return [dump(chunk) for chunk in answer] if script.options.get("stream") else dump(answer)

    async def main() -> Result:
        async with asyncio.timeout(30), openai.AsyncOpenAI(**settings) as client:
            answer = await client.chat.completions.create(**arguments)
            return [dump(chunk) async for chunk in answer] if script.options.get("stream") else dump(answer)

    return asyncio.run(main())


def ours(url: str, script: Script, mode: str) -> Result:
    arguments = {"model": "m", "messages": script.messages, **script.options}
    settings = {"base_url": url, "api_key": KEY, **script.client}
    if mode == "sync":
        with InferenceClient(**settings) as client:
            answer = client.chat.completions.create(**arguments)
            return [dump(chunk) for chunk in answer] if script.options.get("stream") else dump(answer)

    async def main() -> Result:
        async with asyncio.timeout(30), AsyncInferenceClient(**settings) as client:
            answer = await client.chat.completions.create(**arguments)
            return [dump(chunk) async for chunk in answer] if script.options.get("stream") else dump(answer)

    return asyncio.run(main())


def dump(value: Any) -> Any:
    """What the server said, as plain data, without what is null."""
    plain = (
        value.model_dump(mode="json", exclude_unset=True) if isinstance(value, pydantic.BaseModel) else value.to_dict()
    )
    return without_nulls(plain)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def asked(requests: list[Recorded]) -> list[Any]:
    """What matters of requests; `stream: false` is the same as none."""
    return [
        (
            request.method,
            request.path,
            request.headers["authorization"],
            request.headers["content-type"],
            {key: item for key, item in without_nulls(request.body).items() if (key, item) != ("stream", False)},
        )
        for request in requests
    ]


def run(client: Callable[[str, Script, str], Result], script: Script, mode: str) -> tuple[list[Any], Result]:
    with OpenAIServer(script.turns) as server:
        result = client(server.url, script, mode)
        return asked(server.requests), result


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_both_send_the_same_and_get_the_same(name: str, mode: str) -> None:
    expected_requests, expected = run(theirs, SCRIPTS[name], mode)
    requests, result = run(ours, SCRIPTS[name], mode)
    assert requests == expected_requests
    assert result == expected


@pytest.mark.parametrize(
    ("code", "stream", "mode"),
    [
        (400, False, "sync"),
        (401, True, "sync"),
        (403, False, "async"),
        (404, True, "async"),
        (409, False, "sync"),
        (422, True, "async"),
        (429, False, "async"),
        (500, True, "sync"),
        (503, True, "async"),
    ],
)
def test_both_raise_the_same_status_after_as_many_tries(code: int, stream: bool, mode: str) -> None:
    turn = status(code, {"error": {"message": "out of luck", "type": "test"}}, retry_after="0", x_request_id="r-1")
    script = Script([turn], {"stream": stream}, client={"max_retries": 1})
    with OpenAIServer([turn]) as server:
        with pytest.raises(openai.APIStatusError) as expected:
            theirs(server.url, script, mode)
        tries = len(server.requests)
        with pytest.raises(ProviderError) as caught:
            ours(server.url, script, mode)
        assert len(server.requests) == 2 * tries
    assert (caught.value.status, caught.value.request_id) == (expected.value.status_code, expected.value.request_id)
    assert "out of luck" in str(caught.value)


def refused() -> str:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_both_say_that_nobody_listens(mode: str) -> None:
    script = Script([], client={"max_retries": 0})
    with pytest.raises(openai.APIConnectionError):
        theirs(refused(), script, mode)
    with pytest.raises(InferenceConnectionError):
        ours(refused(), script, mode)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_both_give_up_on_a_server_that_says_nothing(mode: str) -> None:
    script = Script([raw(then="stall")], {"stream": True}, client={"max_retries": 0, "timeout": 0.3})
    with OpenAIServer(script.turns) as server:
        # openai hands the HTTP library's own error over once the stream has begun.
        with pytest.raises(Exception, match="timed out") as expected:
            theirs(server.url, script, mode)
        assert "Timeout" in type(expected.value).__name__
        with pytest.raises(InferenceTimeoutError):
            ours(server.url, script, mode)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_both_raise_an_error_that_comes_within_a_stream(mode: str) -> None:
    script = Script(
        [raw(delta(content="so far"), {"error": {"message": "no capacity", "code": 500}})], {"stream": True}
    )
    with OpenAIServer(script.turns) as server:
        with pytest.raises(openai.APIError, match="no capacity"):
            theirs(server.url, script, mode)
        with pytest.raises(InferenceError, match="no capacity"):
            ours(server.url, script, mode)


class City(pydantic.BaseModel):
    """A place."""

    name: str
    people: int | None = pydantic.Field(default=None, description="Inhabitants")
    twins: list[City] = []


def test_a_pydantic_model_is_asked_for_and_parsed_in_the_same_way() -> None:
    turn = text('{"name": "Zürich", "people": 447000, "twins": []}')
    with OpenAIServer([turn]) as server:
        with openai.OpenAI(base_url=server.url, api_key=KEY) as client:
            expected = client.chat.completions.parse(model="m", messages=HELLO, response_format=City)
        with InferenceClient(base_url=server.url, api_key=KEY) as mine:
            answer = mine.chat.completions.parse(model="m", messages=HELLO, response_format=City)
        theirs_asked, ours_asked = asked(server.requests)
    assert ours_asked == theirs_asked
    message = answer.choices[0].message
    assert message is not None
    assert message.parsed == expected.choices[0].message.parsed == City(name="Zürich", people=447000)


def test_a_conversation_with_tools_goes_on_in_the_same_way() -> None:
    """The message that was received is sent back as it is, with the tool's answer after it."""
    turns = [calls(("weather", {"city": "Zürich"})), text("It rains.")]

    def go_on(create: Callable[..., Any]) -> str:
        messages: list[Any] = list(HELLO)
        message = create(model="m", messages=messages, tools=[TOOL]).choices[0].message
        messages.append(message)
        for call in message.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
        return str(create(model="m", messages=messages, tools=[TOOL]).choices[0].message.content)

    with OpenAIServer(turns) as server, openai.OpenAI(base_url=server.url, api_key=KEY) as client:
        assert go_on(client.chat.completions.create) == "It rains."
        expected = asked(server.requests)
    with OpenAIServer(turns) as server, InferenceClient(base_url=server.url, api_key=KEY) as mine:
        assert go_on(mine.chat.completions.create) == "It rains."
        assert asked(server.requests) == expected
