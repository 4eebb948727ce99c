"""What came of a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tiny_agents.agent.loop.usage import Usage
from tiny_agents.inference.types.chat import ChatCompletionInputMessage

if TYPE_CHECKING:
    from tiny_agents.agent.loop.limits import LimitReached
    from tiny_agents.agent.loop.rules import StopReason

Message = dict[str, Any] | ChatCompletionInputMessage

_SHOWN_CHARS = 500


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What came of a request. As text it is the answer.

    Attributes:
        text: What the model wrote last; half of it, where that broke off.
        output: The answer as `Agent(output=...)` asked for it; None if that was nothing, or was not fulfilled.
        stop_reason: Why the run ended; see `agent.loop.rules`.
        problem: Why `text` is not what `Agent(output=...)` asked for; empty where it is.
        limit: The limit that it came to.
        has_answer: Whether `text` is the model's whole answer, perhaps its last one at a limit. It isn't where the answer
            broke off, or was cut off by `max_tokens` or the server.
        finish_reason: Why the model stopped writing, as its server says: "stop", "length", "content_filter", ...
        messages: What the conversation grew by, the request first; empty if the request was taken back.
        usage: Tokens, model calls and cost.
        calls: The same for each model call.
        tool_calls: Tool calls that were carried out, also those that failed or were not allowed.
        duration_s: Seconds from the request to its end.
        model: Who answered last, as the server named it, or as it was asked for.
    """

    text: str
    stop_reason: StopReason
    output: Any = None
    problem: str = ""
    limit: LimitReached | None = None
    has_answer: bool = False
    finish_reason: str | None = None
    messages: Sequence[Message] = ()
    usage: Usage = field(default_factory=Usage)
    calls: Sequence[Usage] = ()
    tool_calls: int = 0
    duration_s: float = 0.0
    model: str | None = None

    @property
    def model_calls(self) -> int:
        """Calls of the model that were answered, at least in part."""
        return self.usage.model_calls

    @property
    def cost_usd(self) -> float | None:
        """US dollars; None where a price is not known."""
        return self.usage.cost_usd

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._shown())
        return f"AgentResult({shown})"

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return self._shown()

    def notes(self) -> list[str]:
        """What a reader is told below the answer: who gave it, what was used, why the run ended before it was done."""
        ended = "" if self.stop_reason in ("done", "exit_tool") else str(self.limit or f"ended: {self.stop_reason}")
        calls = f"{self.tool_calls} tool call{'s' if self.tool_calls != 1 else ''}" if self.tool_calls else ""
        return [note for note in (ended, self.model, str(self.usage), calls, f"{self.duration_s:.1f} s") if note]

    def _repr_html_(self) -> str:
        from tiny_agents.safe_html import result_html

        return result_html(self.text, self.notes(), self.problem)

    def _shown(self) -> Iterator[tuple[str, Any]]:
        text = self.text if len(self.text) <= _SHOWN_CHARS else self.text[:_SHOWN_CHARS] + "…"
        yield "text", text
        if self.output is not None:
            yield "output", self.output
        yield "stop_reason", self.stop_reason
        if self.problem:
            yield "problem", self.problem
        if self.limit is not None:
            yield "limit", str(self.limit)
        yield "usage", str(self.usage)
        yield "tool_calls", self.tool_calls
        yield "duration_s", round(self.duration_s, 3)
        if self.model is not None:
            yield "model", self.model
