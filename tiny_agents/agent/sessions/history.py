"""A saved history -> one to go on with: what a crash left is closed, and cuts never split a tool call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiny_agents.agent.loop.rules import close_turn
from tiny_agents.errors import UsageError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.results.media import is_tool_media

TITLE_CHARS = 80


@dataclass(frozen=True, slots=True)
class Recovered:
    """A history that any server accepts.

    Attributes:
        unanswered: A request that nothing had come of when the process ended; it is not in `messages`, ask it again.
        interrupted: A request was being worked on, and what had come of it is in `messages`.
    """

    messages: list[Any]
    unanswered: str | None = None
    interrupted: bool = False


def recover(messages: Sequence[Any], run_start: int | None, partial: str) -> Recovered:
    """What a process that ended in the middle of a request leaves: the same as if it had been interrupted there."""
    kept = list(messages)
    if run_start is None or run_start >= len(kept):
        return Recovered(kept)
    request = kept[run_start]
    if partial and kept[-1].get("role") != "assistant":
        kept.append(ChatCompletionInputMessage(role="assistant", content=partial))
    close_turn(kept, run_start, "aborted")
    if len(kept) <= run_start:
        return Recovered(kept, unanswered=text_of(request))
    return Recovered(kept, interrupted=True)


def text_of(message: Any) -> str:
    """The words of a message, of all its parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if hasattr(part, "get"))
    return "\n".join(text for text in texts if isinstance(text, str))


def first_request(messages: Sequence[Any]) -> str:
    """The words of the first request; none where there is none."""
    return next((text_of(message) for message in messages if is_request(message)), "")


def title_of(text: str) -> str:
    """The start of a text, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1] + "…"


def is_request(message: Any) -> bool:
    """Whether this is something the user said (images that tools returned are in the user's name, too)."""
    return message.get("role") == "user" and not is_tool_media(message)


def requests_in(messages: Sequence[Any]) -> list[Any]:
    """The requests of a conversation, the first one first."""
    return [message for message in messages if is_request(message)]


def whole_until(messages: Sequence[Any], count: int) -> int:
    """The first length of at least `count` at which a cut splits no tool call from its results.

    Raises:
        UsageError: There are not so many messages.
    """
    if not 1 <= count <= len(messages):
        raise UsageError(f"there is no message {count}: the conversation has {len(messages)}, counted from 1")
    while count < len(messages) and (messages[count].get("role") == "tool" or is_tool_media(messages[count])):
        count += 1
    return count


def before_last_requests(messages: Sequence[Any], turns: int) -> int:
    """How many messages stay when the last `turns` requests, and what came of them, are dropped.

    Raises:
        UsageError: There were not so many.
    """
    starts = [index for index, message in enumerate(messages) if is_request(message)]
    if not 1 <= turns <= len(starts):
        asked = f"{len(starts)} request" + ("" if len(starts) == 1 else "s")
        raise UsageError(f"can't drop the last {turns}: the conversation has {asked}")
    return starts[-turns]


def unfinished_from(messages: Sequence[Any]) -> int | None:
    """Index of the last request if nothing, or only tool results, followed it; None where there is an answer."""
    if not messages or messages[-1].get("role") == "assistant":
        return None
    return next((index for index in reversed(range(len(messages))) if is_request(messages[index])), None)
