"""What a run yields -> what a notebook shows of it, as HTML. Pure.

transcript = Transcript()
for item in agent.run(...): transcript.add(item)
transcript.end(result); transcript.html()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tiny_agents.agent.loop.result import AgentResult
from tiny_agents.inference.fold import ChatFold
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.events import (
    ContextCompacted,
    InnerEvent,
    ModelChanged,
    ServerAsked,
    ServerLog,
    ServerLost,
    ServerReturned,
    ToolAnswered,
    ToolChanged,
    ToolProgress,
    ToolsDeferred,
)
from tiny_agents.safe_html import (
    MAX_TEXT_CHARS,
    call_html,
    content_html,
    folded_html,
    json_text,
    markdown_html,
    media_html,
    note_html,
    page_html,
    pre_html,
    text_html,
)

MAX_MEDIA = 20
"""Most pictures and sounds of one result that are shown."""

_LOUD = frozenset({"warning", "error", "critical", "alert", "emergency"})


@dataclass(slots=True)
class _Said:
    pieces: list[str] = field(default_factory=list)

    def html(self, over: bool) -> str:
        return markdown_html("".join(self.pieces))


@dataclass(slots=True)
class _Thought:
    pieces: list[str] = field(default_factory=list)

    def html(self, over: bool) -> str:
        return folded_html("thought", pre_html("".join(self.pieces), MAX_TEXT_CHARS))


@dataclass(slots=True)
class _Note:
    text: str
    failed: bool = False

    def html(self, over: bool) -> str:
        return note_html(self.text, failed=self.failed)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: str
    answered: bool = False
    failed: bool = False
    result: str = ""
    media: list[str] = field(default_factory=list)
    progress: str = ""
    inner: Transcript | None = None

    def html(self, over: bool) -> str:
        state = self._state(over)
        body = "<small>arguments</small>" + pre_html(json_text(self.arguments))
        if self.inner is not None:
            body += self.inner.blocks_html(over or self.answered)
        if self.answered:
            body += "<small>result</small>" + self.result
        # Pictures stay in sight: a model's answer often does no more than point at them.
        folded = folded_html(f"{call_html(self.name, self.arguments)} {text_html(state)}", body, failed=self.failed)
        return folded + "".join(self.media)

    def _state(self, over: bool) -> str:
        if self.answered:
            return "failed" if self.failed else "✓"
        return "not finished" if over else f"… {self.progress}"


_Block = _Said | _Thought | _Note | _Call


@dataclass(slots=True)
class Transcript:
    """What a run said and did so far. `add` what it yields, `end` it, and ask for `html()` at any time."""

    _blocks: list[_Block] = field(default_factory=list)
    _fold: ChatFold = field(default_factory=ChatFold)
    _told: bool = False
    _turn_is_over: bool = False
    _tokens: list[int] = field(default_factory=lambda: [0, 0])
    _footer: str = ""
    _over: bool = False

    def add(self, item: Any) -> None:
        """A chunk, the message of a tool, or an event; anything else says nothing."""
        if (reader := _READERS.get(type(item))) is not None:
            reader(self, item)
        elif (note := _NOTES.get(type(item))) is not None:
            text = note(item)
            if text:
                self._blocks.append(_Note(text))

    def end(self, result: AgentResult | None = None) -> None:
        """The run is over: what is under way now won't end. `result` says what it used and why it ended."""
        self._over = True
        self._tell_calls()
        if result is None:
            read, wrote = self._tokens
            self._footer = f"{read:,} tokens in, {wrote:,} out" if read or wrote else ""
            return
        if result.problem:
            self.fail(result.problem)
        self._footer = " · ".join(result.notes())

    def fail(self, why: str) -> None:
        """Show an error."""
        self._blocks.append(_Note(why, failed=True))

    def note(self, text: str) -> None:
        """Show a line beside the conversation."""
        self._blocks.append(_Note(text))

    @property
    def text(self) -> str:
        """What the model said last."""
        return "".join(next((block.pieces for block in reversed(self._blocks) if isinstance(block, _Said)), []))

    def html(self) -> str:
        """All of it, without any script, style sheet or address from which something is loaded."""
        footer = [note_html(self._footer)] if self._footer else []
        return page_html([self.blocks_html(self._over), *footer])

    def blocks_html(self, over: bool) -> str:
        return "".join(block.html(over) for block in self._blocks)

    # ---- what a run yields

    def read_chunk(self, chunk: ChatCompletionStreamOutput) -> None:
        if self._turn_is_over or (self._fold.finish_reason is not None and chunk.choices and chunk.id != self._fold.id):
            self._fold, self._told, self._turn_is_over = ChatFold(), False, False
        self._fold.add(chunk)
        if chunk.usage is not None:
            self._tokens[0] += chunk.usage.prompt_tokens or 0
            self._tokens[1] += chunk.usage.completion_tokens or 0
        if not chunk.choices:
            return
        delta = chunk.choices[0].delta
        if thought := delta.reasoning or delta.reasoning_content:
            self._piece(_Thought, thought)
        if delta.content:
            self._piece(_Said, delta.content)
        if self._fold.finish_reason is not None:
            self._tell_calls()

    def _piece(self, kind: type[_Said] | type[_Thought], text: str) -> None:
        if not self._blocks or type(self._blocks[-1]) is not kind:
            self._blocks.append(kind())
        last = self._blocks[-1]
        assert isinstance(last, (_Said, _Thought))
        last.pieces.append(text)

    def _tell_calls(self) -> None:
        """The tool calls of this turn, once."""
        if self._told or not self._fold.has_tool_calls:
            return
        self._told = True
        message = self._fold.message()
        for call in (message.tool_calls if message is not None else None) or ():
            self._blocks.append(_Call(call.id, call.function.name, call.function.arguments or ""))

    def _call(self, call_id: str | None, tool: str) -> _Call:
        """The call with this id, else the first of this tool that isn't answered yet, else a new one."""
        self._tell_calls()
        calls = [block for block in self._blocks if isinstance(block, _Call)]
        for call in reversed(calls):
            if call_id and call.id == call_id:
                return call
        if not call_id:
            for call in calls:
                if not call.answered and (call.name == tool or call.name.endswith(f"__{tool}")):
                    return call
        call = _Call(call_id or "", tool, "")
        self._blocks.append(call)
        return call

    def read_message(self, message: ChatCompletionInputMessage) -> None:
        if message.role != "tool":
            return
        call = self._call(message.tool_call_id, message.name or "")
        self._turn_is_over = True
        if not call.answered:  # else the event told more than the model gets
            call.answered = True
            call.result = _shown(message.content)

    def read_answer(self, event: ToolAnswered) -> None:
        call = self._call(event.call_id, event.tool)
        result = event.result
        call.answered, call.failed = True, result.is_error
        call.result = pre_html(result.whole or result.text)
        media = [part for part in result.content if part.get("type") in ("image", "audio")]
        call.media = [media_html(str(part.get("mimeType")), str(part.get("data"))) for part in media[:MAX_MEDIA]]
        if len(media) > MAX_MEDIA:
            call.media.append(note_html(f"[{len(media) - MAX_MEDIA} more are not shown]"))

    def read_progress(self, event: ToolProgress) -> None:
        of = f" of {event.total:g}" if event.total is not None else ""
        self._call(None, event.tool).progress = f"{event.done:g}{of} {(event.message or '')[:200]}"

    def read_inner(self, event: InnerEvent) -> None:
        call = self._call(event.call, event.tool)
        call.inner = call.inner or Transcript()
        call.inner.add(event.event)


def _shown(content: Any) -> str:
    return pre_html(content) if isinstance(content, str) else content_html(content)


def _log(event: ServerLog) -> str:
    data = event.data if isinstance(event.data, str) else json_text(event.data)
    return f"{event.server} ({event.level}): {data[:1_000]}" if event.level in _LOUD else ""


def _changed(event: ToolChanged) -> str:
    what = "it can't be used until you accept it" if event.refused else "it is used as it is now"
    return f"The tool {event.tool} of {event.server} has changed ({', '.join(event.parts)}): {what}."


_READERS: Mapping[type, Callable[[Transcript, Any], None]] = {
    ChatCompletionStreamOutput: Transcript.read_chunk,
    ChatCompletionInputMessage: Transcript.read_message,
    ToolAnswered: Transcript.read_answer,
    ToolProgress: Transcript.read_progress,
    InnerEvent: Transcript.read_inner,
}

_NOTES: Mapping[type, Callable[[Any], str]] = {
    ServerLog: _log,
    ServerLost: lambda event: f"{event.server} {event.how}",
    ServerReturned: lambda event: f"{event.server} is back.",
    ServerAsked: lambda event: f"{event.request.server} asks something.",
    ToolChanged: _changed,
    ModelChanged: lambda event: f"{event.before} can't be had ({event.why}); {event.after} is asked.",
    ContextCompacted: lambda event: (
        f"Less of the conversation is sent to the model: about {event.before:,} tokens became {event.after:,}."
    ),
    ToolsDeferred: lambda event: (
        f"{event.sent} of {event.known} tools are shown to the model; it finds others by search."
    ),
}
