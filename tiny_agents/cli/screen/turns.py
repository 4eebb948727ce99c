"""One prompt to the agent, shown as it goes, and what there is to say about how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Protocol

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.loop.exit_tools import EXIT_LOOP_TOOLS
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.cli.screen.events import Event, EventReader, Item, asides
from tiny_agents.cli.screen.inner import InnerCalls
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.mcp_client.calls.planning import INTERRUPTED, NOT_MADE
from tiny_agents.mcp_client.events import EventStream, InnerEvent, ServerEvent

EXIT_TOOLS = frozenset(tool.function.name for tool in EXIT_LOOP_TOOLS)
"""Tools of the agent loop itself; they aren't shown."""


class TurnView(Protocol):
    """Shows a turn: see `render.TurnRenderer` and `live.turn.LiveTurn`."""

    @property
    def said(self) -> int: ...

    def show(self, event: Event, /) -> None: ...

    def happened(self, event: ServerEvent, /) -> None: ...

    def typing(self, typed: TypedAhead, /) -> None: ...

    def ask_again(self) -> None: ...

    async def settle(self, stop: asyncio.Event | None = None, /) -> None: ...

    def end(self) -> None: ...

    def say_origin(self) -> None: ...


async def show_turn(
    agent: Agent, run: AsyncGenerator[Item, None], view: TurnView, stop: asyncio.Event | None = None
) -> None:
    """Show what happens in a run; the last line on the screen is finished, however it ends.

    Args:
        stop: The run's abort event, which also ends the showing of what came faster than it could be shown.
    """
    reader = EventReader()
    inner = InnerCalls(EXIT_TOOLS)
    answering = 0  # how long the history was when the answer began that is being shown; 0 after a tool's result
    with listening(agent, view, inner) as events:
        try:
            async with aclosing(run) as items:
                async for item in items:
                    for happened in events.taken():  # a result comes with its message, or before
                        _tell(happened, view, inner)
                    if not isinstance(item, ChatCompletionStreamOutput):
                        answering = 0
                    elif answering != len(agent.messages):
                        if answering:
                            reader = EventReader()
                            view.ask_again()
                        answering = len(agent.messages)
                    for event in reader.read(item):
                        view.show(event)
            for happened in events.taken():
                _tell(happened, view, inner)
            await view.settle(stop)
        except Exception:
            await view.settle(stop)
            raise
        finally:
            view.end()


@contextmanager
def listening(agent: Agent, view: TurnView, inner: InnerCalls | None = None) -> Iterator[EventStream]:
    """Have what happens at the servers shown, as it happens."""
    with agent.events() as events:
        task = asyncio.create_task(_listen(events, view, inner or InnerCalls(EXIT_TOOLS)))
        try:
            yield events
        finally:
            task.cancel()


async def _listen(events: EventStream, view: TurnView, inner: InnerCalls) -> None:
    async for event in events:
        _tell(event, view, inner)


def _tell(event: ServerEvent, view: TurnView, inner: InnerCalls) -> None:
    view.happened(event)
    for aside in inner.read(event) if isinstance(event, InnerEvent) else asides((event,)):
        view.show(aside)


def stop_notice(agent: Agent) -> str | None:
    """What to say about a run that ended without an answer, or at a limit; None where it ended well."""
    result = agent.result
    if result is None or result.stop_reason in ("aborted", "failed"):
        return None
    if result.stop_reason in ("done", "exit_tool"):
        cut = f"The answer was cut off by the model's server (finish_reason '{result.finish_reason}')."
        return None if result.has_answer else cut
    if result.limit is not None:
        rest = "The answer is what it had until then." if result.has_answer else "The work may be unfinished."
        return f"{result.limit} {rest}"
    return _NOTICES[result.stop_reason]


_NOTICES: Mapping[str, str] = {
    "empty": "The model gave no answer.",
    "bad_output": "The model's answer does not have the form that was asked for.",
}


def kept(messages: Sequence[Any], said: int) -> str:
    """What an interrupted turn leaves in the history, in words.

    Args:
        messages: The messages it left, dictionaries or records.
        said: Characters of text that came from the model.
    """
    if not messages:
        return "Nothing had been answered, so your question was taken back as well; the up arrow brings it back."
    results = [message for message in messages if message["role"] == "tool"]
    interrupted = sum(1 for message in results if message["content"] in (INTERRUPTED, NOT_MADE))
    parts = ["your question"]
    if said:
        parts.append(f"{said:,} characters of the answer")
    if finished := len(results) - interrupted:
        parts.append(_count(finished, "tool result"))
    if interrupted:
        parts.append(
            f"the note that {_count(interrupted, 'tool call')} {'was' if interrupted == 1 else 'were'} interrupted"
        )
    return f"Kept: {', '.join(parts)}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
