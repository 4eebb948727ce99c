"""What of a conversation is sent: the system prompt, a summary of what is older, and the rest word for word. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.inference.types.record import to_builtins
from tiny_agents.mcp_client.results.media import is_tool_media

SUMMARY_NOTE = """\
[The conversation so far is too long to be shown whole. This summary stands in place of its older part{carried}:

{summary}

End of the summary.]"""
CARRIED_NOTE = ", and a few messages of it follow word for word"
GOING_ON = "[Some messages are left out here.]"

MEDIA_TYPES = ("image_url", "input_audio")
MEDIA_WORDS = {"image_url": "an image", "input_audio": "a sound"}
CUT_NOTE = "\n[Cut here to save room: these are the first {shown:,} of {whole:,} characters.]"


class Compaction(msgspec.Struct, frozen=True):
    """The older part of a conversation is left out of what is sent.

    Attributes:
        summary: What stands in its place.
        upto: It ends before this position.
        carried: Positions in it of messages that are sent all the same.
        by: Who wrote the summary: the model, or we, where it could not be asked.
    """

    summary: str
    upto: int
    carried: tuple[int, ...] = ()
    by: str = "model"


def head_of(messages: Sequence[Any], lead: int, compaction: Compaction) -> list[Any]:
    """What is sent before `messages[compaction.upto:]`."""
    note = SUMMARY_NOTE.format(summary=compaction.summary, carried=CARRIED_NOTE if compaction.carried else "")
    head = [*messages[:lead], ChatCompletionInputMessage(role="user", content=note)]
    return joined([*head, *(messages[index] for index in compaction.carried)])


def joined(messages: Sequence[Any]) -> list[Any]:
    """`messages` with roles in the order that strict servers want: two of the user's become one, and between two answers
    something is said."""
    whole: list[Any] = []
    for message in messages:
        before = whole[-1] if whole else None
        role = message.get("role")
        if before is not None and role == "user" and before.get("role") == "user" and not is_tool_media(before):
            whole[-1] = merged(before, message)
            continue
        if before is not None and role == "assistant" and before.get("role") == "assistant":
            whole.append(ChatCompletionInputMessage(role="user", content=GOING_ON))
        whole.append(message)
    return whole


def merged(first: Any, second: Any) -> ChatCompletionInputMessage:
    """Two messages of the user's as one."""
    one, other = first.get("content"), second.get("content")
    if isinstance(one, str) and isinstance(other, str):
        return ChatCompletionInputMessage(role="user", content=f"{one}\n\n{other}")
    return ChatCompletionInputMessage(role="user", content=[*_parts(one), *_parts(other)])


def _parts(content: Any) -> list[Any]:
    return list(content) if isinstance(content, list) else [{"type": "text", "text": content}]


def composed(
    messages: Sequence[Any], head: Sequence[Any] | None, upto: int, stand_ins: Mapping[int, Any]
) -> Sequence[Any]:
    """The view: `head`, then the messages from `upto` on, some replaced by shorter ones. All where `head` is None."""
    if head is None and not stand_ins:
        return messages
    rest = list(messages[upto:])
    for position, message in stand_ins.items():
        if position >= upto:
            rest[position - upto] = message
    if not head:
        return rest
    if rest and rest[0].get("role") in ("user", "assistant"):
        return [*head[:-1], *joined([head[-1], rest[0]]), *rest[1:]]
    return [*head, *rest]


# ---- shorter messages


def has_media(message: Any) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(_kind(part) in MEDIA_TYPES for part in content)


def without_media(message: Any) -> Any:
    """The message with words in place of images and sounds."""
    content = [
        {"type": "text", "text": f"[{MEDIA_WORDS[_kind(part)]} that was here is left out to save room]"}
        if _kind(part) in MEDIA_TYPES
        else part
        for part in message.get("content")
    ]
    return _with_content(message, content)


def _kind(part: Any) -> str:
    return str(part.get("type")) if hasattr(part, "get") else ""


def shortened_result(message: Any, chars: int) -> Any:
    """A tool's result cut to its first `chars` characters, with a note."""
    content = str(message.get("content"))
    return _with_content(message, content[:chars] + CUT_NOTE.format(shown=chars, whole=len(content)))


def _with_content(message: Any, content: Any) -> ChatCompletionInputMessage:
    plain = {key: value for key, value in to_builtins(message).items() if value is not None}
    return ChatCompletionInputMessage.parse_obj_as_instance({**plain, "content": content})
