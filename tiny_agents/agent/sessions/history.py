"""A saved history -> one to go on with: what a crash left is closed, and cuts never split a tool call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tiny_agents.agent.loop.rules import close_turn
from tiny_agents.agent.sessions.requests import is_request, text_of
from tiny_agents.errors import UsageError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.results.media import is_tool_media


class Recovered(msgspec.Struct, frozen=True):
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
