"""Prompts of servers: how they are listed, and their messages as a chat API takes them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tiny_agents.errors import UsageError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.resources.resources import seen
from tiny_agents.mcp_client.results.media import TakesImages, media_parts
from tiny_agents.mcp_client.results.results import ToolResult, read_result
from tiny_agents.mcp_client.text import encodable, readable


class PromptArgument(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    required: bool = False


class Prompt(msgspec.Struct, frozen=True):
    """A conversation's beginning that a server has prepared, to be filled in by a person."""

    server: str
    name: str
    title: str | None = None
    description: str | None = None
    arguments: tuple[PromptArgument, ...] = ()


class FilledPrompt(msgspec.Struct, frozen=True):
    """A prompt with its arguments filled in.

    Attributes:
        messages: Of the user and of the assistant, ready to be added to a conversation. Content is text, or a list of text
            and image parts.
    """

    messages: tuple[ChatCompletionInputMessage, ...]
    description: str | None = None


class Completion(msgspec.Struct, frozen=True):
    """Values that an argument may have, best first, at most 100.

    Attributes:
        total: How many there are in all, where the server knows.
        has_more: Whether there are more than these.
    """

    values: tuple[str, ...]
    total: int | None = None
    has_more: bool = False


def read_prompt_entry(server: str, listed: Mapping[str, Any]) -> Prompt:
    """A prompt from its entry in a `prompts/list` answer."""
    arguments = tuple(
        PromptArgument(
            encodable(str(argument["name"])), seen(argument.get("description")), bool(argument.get("required"))
        )
        for argument in listed.get("arguments") or ()
    )
    return Prompt(
        server, encodable(str(listed["name"])), seen(listed.get("title")), seen(listed.get("description")), arguments
    )


def check_arguments(prompt: Prompt, given: Mapping[str, Any]) -> dict[str, str]:
    """The arguments as they are sent: texts.

    Raises:
        UsageError: One is missing, unknown, or no text.
    """
    where = f"the prompt '{readable(prompt.name)}' of the MCP server '{prompt.server}'"
    known = [argument.name for argument in prompt.arguments]
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it takes {', '.join(known) or 'none'}"
            raise UsageError(f"{where} has no argument '{name}'; {hint}")
        if not isinstance(value, str):
            raise UsageError(f"the argument '{name}' of {where} must be text, not {type(value).__name__}")
    missing = [argument for argument in prompt.arguments if argument.required and argument.name not in given]
    if missing:
        listed = ", ".join(f"'{m.name}' ({m.description})" if m.description else f"'{m.name}'" for m in missing)
        raise UsageError(f"{where} needs {listed}")
    return {name: encodable(value) for name, value in given.items()}


def fill(answer: Mapping[str, Any], *, images: TakesImages, audio: bool) -> FilledPrompt:
    """A `prompts/get` answer as messages: text, what is embedded, and what a model takes besides."""
    messages = tuple(_message(message, images, audio) for message in answer.get("messages") or ())
    return FilledPrompt(messages, seen(answer.get("description")))


def _message(message: Mapping[str, Any], images: TakesImages, audio: bool) -> ChatCompletionInputMessage:
    block = message.get("content")
    block = dict(block) if isinstance(block, Mapping) else {}
    user = message.get("role") != "assistant"
    parts = media_parts(ToolResult("", content=(block,)), images=images and user, audio=audio and user)
    content: Any = parts or _titled(block)
    return ChatCompletionInputMessage(role="user" if user else "assistant", content=content)


def _titled(block: dict[str, Any]) -> str:
    """The words of a block; those of a resource with its address."""
    words = read_result([block], max_chars=MAX_MESSAGE_CHARS).text
    resource = block.get("resource")
    if isinstance(resource, Mapping) and "text" in resource:
        return encodable(f"[Resource {resource.get('uri')}]\n{words}")
    return words


MAX_MESSAGE_CHARS = 400_000
"""Longest text of one message of a prompt; it was asked for, so this is generous."""


def read_completion(answer: Mapping[str, Any]) -> Completion:
    """A `completion/complete` answer."""
    values: Sequence[Any] = answer.get("values") or ()
    return Completion(
        tuple(encodable(str(value)) for value in values[:100]), answer.get("total"), bool(answer.get("hasMore"))
    )
