"""Driving `emulate` without a network: a script answers what it asks, and what it asked is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tiny_agents.inference.call import Ask, Call, Request, Response, Route
from tiny_agents.inference.emulation import emulate
from tiny_agents.inference.types.chat import ChatCompletionOutput

ROUTE = Route("local", "http://127.0.0.1:9/v1", "tiny", "key", is_endpoint=True)

Reply = dict[str, Any] | str | Callable[[Request], dict[str, Any] | str]


def tool(name: str, description: str = "", required: Sequence[str] | None = None, **properties: Any) -> dict[str, Any]:
    """A tool of the chat API; a property is a JSON type or a whole schema."""
    schemas = {key: {"type": value} if isinstance(value, str) else value for key, value in properties.items()}
    parameters = {"type": "object", "properties": schemas, "required": list(schemas if required is None else required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def chat_reply(content: str | None, finish_reason: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


def emulated(
    messages: str | list[Any],
    tools: Sequence[dict[str, Any]],
    replies: Sequence[Reply] = (),
    *,
    strategy: Any = "small",
    route: Route = ROUTE,
    extra: dict[str, Any] | None = None,
    **parameters: Any,
) -> tuple[ChatCompletionOutput, list[Request]]:
    """The answer, and what had to be asked for it. A reply that is text is the text of a chat answer."""
    conversation = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    call = Call(
        "conversational",
        conversation,
        ChatCompletionOutput,
        parameters={"tools": list(tools), **parameters},
        extra=extra or {},
    )
    step = emulate(call, route, strategy=strategy)
    asked: list[Request] = []
    waiting = list(replies)
    while isinstance(step, Ask):
        asked.append(step.request)
        assert waiting, f"unexpected request: {step.request}"
        reply = waiting.pop(0)
        found = reply(step.request) if callable(reply) else reply
        body = chat_reply(found) if isinstance(found, str) else found
        step = step.then(Response(200, {}, json.dumps(body).encode(), step.request.url))
    assert not waiting, f"replies that nobody asked for: {waiting}"
    return step, asked


def called(output: ChatCompletionOutput) -> tuple[str, dict[str, Any]]:
    """Name and arguments of the only tool call."""
    message = output.choices[0].message
    assert message is not None
    assert message.tool_calls is not None
    assert len(message.tool_calls) == 1
    function = message.tool_calls[0].function
    assert function is not None
    assert isinstance(function.arguments, str)
    return str(function.name), json.loads(function.arguments)


def said(output: ChatCompletionOutput) -> str:
    message = output.choices[0].message
    assert message is not None
    assert not message.tool_calls
    return message.content or ""
