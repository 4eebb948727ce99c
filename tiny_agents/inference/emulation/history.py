"""Reading the conversation and the tools of a call, whatever mixture of dictionaries and records they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tiny_agents.errors import UsageError
from tiny_agents.inference.types.record import to_builtins


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called; `schema` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        found = self.schema.get("properties")
        if not isinstance(found, dict):
            return {}
        return {name: schema if isinstance(schema, dict) else {} for name, schema in found.items()}

    @property
    def required(self) -> list[str]:
        found = self.schema.get("required")
        return [str(name) for name in found] if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered: the call it answers, and the text."""

    name: str
    arguments: dict[str, Any]
    text: str


def plain_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    return [dict(to_builtins(message)) for message in messages]


def text_of(message: dict[str, Any]) -> str:
    """The text of a message; of a multimodal one the text parts."""
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def tools_of(parameters: Any) -> list[Tool]:
    """The functions offered in a call's parameters."""
    found = []
    for tool in to_builtins(parameters.get("tools") or []):
        function = tool.get("function") or {}
        schema = function.get("parameters")
        found.append(
            Tool(
                str(function.get("name") or ""),
                function.get("description") or "",
                schema if isinstance(schema, dict) else {},
            )
        )
    return found


def chosen_tool(parameters: Any, tools: list[Tool]) -> Tool | str:
    """What `tool_choice` demands: "auto", "none", "required", or the one tool it names.

    Raises:
        UsageError: It names a tool that isn't offered.
    """
    choice = to_builtins(parameters.get("tool_choice")) or "auto"
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        named = next((tool for tool in tools if tool.name == name), None)
        if named is None:
            raise UsageError(
                f"tool_choice names {name!r}, which is not among the tools: {[tool.name for tool in tools]}."
            )
        return named
    return str(choice)


def last_question(messages: list[dict[str, Any]]) -> str:
    """The text of the last message of the user."""
    return next((text_of(message) for message in reversed(messages) if message.get("role") == "user"), "")


def pending_results(messages: list[dict[str, Any]]) -> list[Result]:
    """The tool results that the conversation ends with; empty if it ends with anything else."""
    results = []
    calls = calls_by_id(messages)
    for message in reversed(messages):
        if message.get("role") != "tool":
            break
        name, arguments = calls.get(str(message.get("tool_call_id")), (message.get("name") or "the tool", {}))
        results.append(Result(name, arguments, text_of(message)))
    return results[::-1]


def calls_by_id(messages: list[dict[str, Any]]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name and arguments of every call of the conversation, by its id; of calls that share one, the last."""
    found = {}
    for message in messages:
        for call in message.get("tool_calls") or []:
            function = call.get("function") or {}
            found[str(call.get("id"))] = (str(function.get("name")), arguments_of(function))
    return found


def arguments_of(function: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments; empty where the model wrote something that is no JSON object."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except msgspec.DecodeError:
            return {}
    return arguments if isinstance(arguments, dict) else {}


def next_call_number(messages: list[dict[str, Any]]) -> int:
    return 1 + sum(len(message.get("tool_calls") or []) for message in messages)
