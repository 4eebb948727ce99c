"""Tools for any chat endpoint without a tool API: choose one by constrained JSON, then its arguments under its schema.

    1. choose     {"tool": <one of the names, or "none">}      skipped where `tool_choice` names one
    2. arguments  the tool's own JSON Schema                   -> a tool call
       answer     free text, if "none" was chosen              -> the final text

Two small questions instead of one large: a tool's schema stays the root of what is asked for, so its `$ref`s hold, and
the final text is not squeezed into JSON. Earlier calls and results are in the history as plain text. An endpoint that
ignores `response_format` still works as well as its model follows the written instruction: what comes back is read
leniently, and what is no JSON at all is taken for the final text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tiny_agents.inference.call import Call, Route
from tiny_agents.inference.emulation.flow import Flow, ask
from tiny_agents.inference.emulation.history import (
    Tool,
    arguments_of,
    calls_by_id,
    chosen_tool,
    next_call_number,
    plain_messages,
    text_of,
    tools_of,
)
from tiny_agents.inference.emulation.outputs import FIELD, call_answer, text_answer
from tiny_agents.inference.providers.provider import Adapter
from tiny_agents.inference.types.chat import ChatCompletionOutput

NONE = "none"
_NOT_FOR_THE_ENDPOINT = ("tools", "tool_choice", "tool_prompt", "stream", "stream_options", "parallel_tool_calls")
_NOT_FOR_A_CHOICE = ("response_format", "n", "stop", "logprobs", "top_logprobs")


def constrained(call: Call[ChatCompletionOutput], route: Route, adapter: Adapter) -> Flow[ChatCompletionOutput]:
    """The next message: one tool call or a text. Chains are the caller's loop: each result leads to a new choice."""
    tools = tools_of(call.parameters)
    messages = plain_messages(call.inputs)
    wanted = chosen_tool(call.parameters, tools)
    chat = _Chat(call, route, adapter, without_tool_messages(messages))
    number = next_call_number(messages)
    if not tools or wanted == "none":
        return (yield from chat.answer())
    chat.introduce(tools)
    said: dict[str, Any] = {}
    if isinstance(wanted, Tool):
        tool: Tool | None = wanted
    else:
        output = yield from chat.ask(
            choice_question(tools, wanted == "required"), choice_schema(tools, wanted == "required")
        )
        text = _text(output)
        tool, said = read_choice(text, tools)
        if tool is None and not said:
            return text_answer(text, "model", route.model, _finish_reason(output))
        if tool is None:
            return (yield from chat.answer())
    assert tool is not None
    arguments = said.get("arguments")
    if not isinstance(arguments, dict):
        output = yield from chat.ask(arguments_question(tool), tool.schema or {"type": "object"})
        arguments = read_object(_text(output))
        if arguments is None:
            return text_answer(_text(output), "model", route.model, _finish_reason(output))
    return call_answer(tool.name, arguments, number, route.model)


class _Chat:
    """Asks the endpoint: the user's call, with other messages and another format."""

    def __init__(
        self, call: Call[ChatCompletionOutput], route: Route, adapter: Adapter, messages: list[dict[str, Any]]
    ) -> None:
        self.call, self.route, self.adapter, self.messages = call, route, adapter, messages
        self.parameters = {name: value for name, value in call.parameters.items() if name not in _NOT_FOR_THE_ENDPOINT}

    def introduce(self, tools: list[Tool]) -> None:
        """Tell the model about the tools, in the system message."""
        listed = "\n".join(f"- {tool.name}: {' '.join(tool.description.split())}" for tool in tools)
        text = f"You can use these tools:\n{listed}"
        if self.messages and self.messages[0].get("role") == "system":
            first = {**self.messages[0], "content": f"{text_of(self.messages[0])}\n\n{text}".strip()}
            self.messages = [first, *self.messages[1:]]
        else:
            self.messages = [{"role": "system", "content": text}, *self.messages]

    def ask(self, question: str, schema: dict[str, Any]) -> Flow[ChatCompletionOutput]:
        """Put `question` after the conversation; the answer should be JSON that fits `schema`."""
        format_ = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        parameters = {name: value for name, value in self.parameters.items() if name not in _NOT_FOR_A_CHOICE}
        messages = _merged([*self.messages, {"role": "user", "content": question}])
        return (yield from self._send(messages, {**parameters, "response_format": format_}))

    def answer(self) -> Flow[ChatCompletionOutput]:
        """Let the model write the final text."""
        output = yield from self._send(self.messages, self.parameters)
        output[FIELD] = {"answer_from": "model", "model": self.route.model}
        return output

    def _send(self, messages: list[dict[str, Any]], parameters: dict[str, Any]) -> Flow[ChatCompletionOutput]:
        call = Call(
            self.call.task, messages, self.call.output, self.call.model, parameters=parameters, extra=self.call.extra
        )
        return (yield from ask(self.adapter, call, self.route))


# ---------------------------------------------------------------- questions


def choice_schema(tools: list[Tool], required: bool) -> dict[str, Any]:
    names = [tool.name for tool in tools] + ([] if required else [NONE])
    return {
        "type": "object",
        "properties": {"tool": {"type": "string", "enum": names}},
        "required": ["tool"],
        "additionalProperties": False,
    }


def choice_question(tools: list[Tool], required: bool) -> str:
    example = f'{{"tool": "{tools[0].name}"}}'
    otherwise = "" if required else f', or {{"tool": "{NONE}"}} if you can answer now without one'
    return f"Which tool do you use next? Reply with JSON only: {example}{otherwise}."


def arguments_question(tool: Tool) -> str:
    schema = msgspec.json.encode(tool.schema or {"type": "object"}).decode()
    return f"Reply with JSON only: the arguments for {tool.name}, an object that fits this JSON Schema:\n{schema}"


# ---------------------------------------------------------------- replies


def read_choice(text: str, tools: list[Tool]) -> tuple[Tool | None, dict[str, Any]]:
    """The tool that a reply names and the object it came in: (None, {}) if the reply is no choice at all."""
    by_name = {tool.name: tool for tool in tools}
    bare = text.strip().strip("`\"'.")
    if bare in by_name or bare == NONE:
        return by_name.get(bare), {"tool": bare}
    said = read_object(text)
    if said is None:
        return None, {}
    name = said.get("tool", said.get("name"))
    if isinstance(name, str) and name in by_name:
        return by_name[name], said
    return None, said if name == NONE else {}


def read_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a reply: the whole of it, in a fenced block, or the first that stands in the text."""
    for candidate in _candidates(text):
        try:
            found = msgspec.json.decode(candidate)
        except msgspec.DecodeError:
            continue
        if isinstance(found, dict):
            return found
    return None


def _candidates(text: str) -> Iterator[str]:
    while thought := re.match(r"[^{]*?<think>.*?</think>", text, flags=re.DOTALL):  # else it is a text in the object
        text = text[thought.end() :]
    yield text.strip()
    yield from (block.strip() for block in re.findall(r"```(?:json)?(.*?)```", text, flags=re.DOTALL))
    for start in (match.start() for match in re.finditer(r"\{", text)):
        if (end := _closing(text, start)) is not None:
            yield text[start:end]


def _closing(text: str, start: int) -> int | None:
    """Where the object that opens at `start` ends, brackets in strings not counted."""
    depth, in_string, escaped = 0, False, False
    for position in range(start, len(text)):
        letter = text[position]
        if in_string:
            in_string, escaped = (letter != '"' or escaped), (letter == "\\" and not escaped)
        elif letter == '"':
            in_string = True
        elif letter in "{}":
            depth += 1 if letter == "{" else -1
            if depth == 0:
                return position + 1
    return None


def _text(output: ChatCompletionOutput) -> str:
    message = output.choices[0].message if output.choices else None
    return (message.content if message is not None else None) or ""


def _finish_reason(output: ChatCompletionOutput) -> str:
    return (output.choices[0].finish_reason if output.choices else None) or "stop"


# ---------------------------------------------------------------- the history


def without_tool_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation in the three roles every endpoint knows; calls and results become sentences."""
    calls = calls_by_id(messages)
    rewritten = []
    for message in messages:
        role, text = message.get("role"), text_of(message)
        if role == "tool":
            name, _ = calls.get(str(message.get("tool_call_id")), (message.get("name") or "the tool", {}))
            rewritten.append({"role": "user", "content": f"Result of {name}:\n{text}"})
        elif message.get("tool_calls"):
            said = [text] if text else []
            said += [_call_in_words(call.get("function") or {}) for call in message["tool_calls"]]
            rewritten.append({"role": "assistant", "content": "\n".join(said)})
        else:
            kept = {name: message[name] for name in ("role", "content", "name") if message.get(name) is not None}
            rewritten.append(kept)
    return _merged(rewritten)


def _call_in_words(function: dict[str, Any]) -> str:
    arguments = msgspec.json.encode(arguments_of(function)).decode()
    return f"I use the tool {function.get('name')} with {arguments}"


def _merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of the same role as one message: many chat templates demand that the roles take turns."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        last = merged[-1] if merged else None
        same = last is not None and last.get("role") == message.get("role") != "system"
        if last is None or not same:
            merged.append(message)
        elif isinstance(last.get("content"), list) or isinstance(message.get("content"), list):
            merged[-1] = {**last, "content": [*_parts(last), *_parts(message)]}
        else:
            merged[-1] = {**last, "content": f"{text_of(last)}\n\n{text_of(message)}"}
    return merged


def _parts(message: dict[str, Any]) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
