"""What `Agent.run` yields -> what a reader wants to be told. Pure.

reader = EventReader()
for item in agent.run(...):  for event in reader.read(item): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiny_agents.inference.fold import ChatFold
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.events import CompactedBy, ContextCompacted, ServerEvent, ToolsDeferred

Item = ChatCompletionStreamOutput | ChatCompletionInputMessage


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of what the model says."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants to use; `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered. `of_several` is True where the same turn called more than one; `id` is the call's."""

    name: str
    text: str
    of_several: bool
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote the answer, where the embedded model says so: "model", "tool" or "refusal"."""

    answer_from: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A line about what the agent did on its own."""

    text: str


Event = Text | Thought | ToolCall | ToolResult | Origin | Aside


@dataclass(slots=True)
class EventReader:
    """Turns the items of one `Agent.run` into events, in order.

    A tool call arrives in pieces; it becomes one event as soon as the model's turn is over, before the tool runs.
    """

    _fold: ChatFold = field(default_factory=ChatFold)
    _told: int | None = None  # tool calls of this turn, once they are told
    _turn_is_over: bool = False

    def read(self, item: Item) -> list[Event]:
        if isinstance(item, ChatCompletionStreamOutput):
            return self._chunk(item)
        events = self._calls()
        if item.role == "tool":
            self._turn_is_over = True
            several = (self._told or 0) > 1
            events.append(ToolResult(item.name or "", content_text(item.content), several, item.tool_call_id or ""))
        return events

    def _calls(self) -> list[Event]:
        """The tool calls of this turn, once."""
        if self._told is not None or not self._fold.has_tool_calls:
            return []
        message = self._fold.message()
        calls = (message.tool_calls if message is not None else None) or []
        self._told = len(calls)
        return [ToolCall(call.id, call.function.name, call.function.arguments or "") for call in calls]

    def _chunk(self, chunk: ChatCompletionStreamOutput) -> list[Event]:
        if self._turn_is_over:
            self._fold, self._told, self._turn_is_over = ChatFold(), None, False
        self._fold.add(chunk)
        choice = chunk.choices[0] if chunk.choices else None
        events: list[Event] = []
        if choice is not None:
            thought = choice.delta.reasoning or choice.delta.reasoning_content
            if thought:
                events.append(Thought(thought))
            if choice.delta.content:
                events.append(Text(choice.delta.content))
        if choice is not None and choice.finish_reason is None:
            return events  # looking up undeclared fields costs a second decoding; only a last chunk has any for us
        if self._fold.finish_reason is not None:
            events.extend(self._calls())
        note: Any = chunk.get("tiny_agents")
        if isinstance(note, dict) and isinstance(note.get("answer_from"), str):
            events.append(Origin(note["answer_from"]))
        return events


COMPACTED: Mapping[CompactedBy, str] = {
    "summary": "The older part of the conversation was summed up for the model",
    "cut": "The oldest part of the conversation is left out for the model",
    "images": "Older images are left out for the model",
    "results": "Long tool results are cut for the model",
}


def asides(events: Iterable[ServerEvent]) -> Iterator[Aside]:
    """What there is to say about events beside the items of a run."""
    for event in events:
        if isinstance(event, ContextCompacted):
            yield Aside(f"{COMPACTED[event.by]}: about {event.before:,} tokens became {event.after:,}.")
        elif isinstance(event, ToolsDeferred):
            yield Aside(
                f"{event.sent} of {event.known} tools are shown to the model, which finds the others with a search: about "
                f"{event.tokens_saved:,} tokens less per turn."
            )


def content_text(content: list[Any] | str | None) -> str:
    """A message's content as text; parts that are no text are named in brackets."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = []
    for part in content:
        kind = part.get("type") if hasattr(part, "get") else None
        parts.append(str(part.get("text") or "") if kind == "text" else f"[{kind or 'unknown part'}]")
    return "\n".join(parts)
