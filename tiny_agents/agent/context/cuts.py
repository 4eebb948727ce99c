"""Where a conversation may be cut: what belongs together stays together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from tiny_agents.mcp_client.results.media import is_tool_media

SYSTEM_ROLES = ("system", "developer")


def lead_of(messages: Sequence[Any]) -> int:
    """How many messages of the system stand at the beginning."""
    return next((index for index, message in enumerate(messages) if not is_system(message)), len(messages))


def is_system(message: Any) -> bool:
    return message.get("role") in SYSTEM_ROLES


def is_request(message: Any) -> bool:
    """Whether this is what the user said; what tools returned besides text is in the user's name, too."""
    return message.get("role") == "user" and not is_tool_media(message)


def group_end(messages: Sequence[Any], start: int) -> int:
    """The end of what belongs to the message at `start`: of tool calls their results, and what these returned."""
    end = start + 1
    while end < len(messages) and (messages[end].get("role") == "tool" or is_tool_media(messages[end])):
        end += 1
    return end


def groups(messages: Sequence[Any], start: int, end: int) -> Iterator[tuple[int, int]]:
    """From `start` to `end`, the ranges that can't be split."""
    while start < end:
        stop = group_end(messages, start)
        yield start, stop
        start = stop


def with_group(messages: Sequence[Any], position: int) -> tuple[int, int]:
    """The range that can't be split and has this position in it."""
    start = position
    while start > 0 and (messages[start].get("role") == "tool" or is_tool_media(messages[start])):
        start -= 1
    return start, group_end(messages, start)


def last_request(messages: Sequence[Any], start: int) -> int | None:
    """Position of what the user said last, from `start` on."""
    return next((index for index in reversed(range(start, len(messages))) if is_request(messages[index])), None)


def cut_at(
    messages: Sequence[Any],
    start: int,
    room: int,
    tokens: Callable[[int, int], int],
    keep: int,
    *,
    whole: bool = False,
) -> int:
    """From where on messages stay as they are; what is before that is summed up. `start` where nothing can be.

    As many as `keep` requests stay, with all that came of them, if they fit into `room`; else fewer. Where not even the
    last one fits, it is cut between its turns, of which the last stays in any case (the request itself is carried along).

    Args:
        tokens: How many there are between two positions.
        whole: Keep just so many, whether they fit or not.
    """
    end = len(messages)
    requests = [index for index in range(start, end) if is_request(messages[index])]
    if whole:
        return requests[-keep] if len(requests) >= keep else start
    for begin in requests[-keep:]:
        if begin > start and tokens(begin, end) <= room:
            return begin
    last = requests[-1] if requests else start
    own = tokens(last, last + 1) if requests else 0
    turns = [first for first, _ in groups(messages, last + 1 if requests else start, end)]
    for begin in turns:
        if tokens(begin, end) + own <= room:
            return begin
    return turns[-1] if turns else last


def carried(messages: Sequence[Any], end: int, pinned: Collection[int], lead: int) -> tuple[int, ...]:
    """Positions before `end` of what stays though it is before the cut: what is pinned, with what belongs to it, and the
    request that is being worked on, if the cut is behind it."""
    kept = {index for position in pinned if lead <= position < end for index in range(*with_group(messages, position))}
    request = last_request(messages, lead)
    if request is not None and request < end:
        kept.add(request)
    return tuple(sorted(index for index in kept if index < end))
