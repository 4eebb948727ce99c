"""One prompt to the agent, shown as it goes, and what there is to say about how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.exit_tools import EXIT_LOOP_TOOLS
from tiny_agents.cli.events import EventReader, asides
from tiny_agents.cli.render import TurnRenderer
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.mcp_client.calls import INTERRUPTED, NOT_MADE

EXIT_TOOLS = frozenset(tool.function.name for tool in EXIT_LOOP_TOOLS)
"""Tools of the agent loop itself; they aren't shown."""


async def show_turn(agent: Agent, text: str, renderer: TurnRenderer, abort: asyncio.Event | None = None) -> None:
    """Run one prompt and show what happens; the last line on the screen is finished, however it ends."""
    reader = EventReader()
    answering = 0  # how long the history was when the answer began that is being shown; 0 after a tool's result
    try:
        with agent.events() as happened:
            async with aclosing(agent.run(text, abort_event=abort)) as items:
                async for item in items:
                    if not isinstance(item, ChatCompletionStreamOutput):
                        answering = 0
                    elif answering != len(agent.messages):
                        if answering:
                            reader = EventReader()
                            renderer.ask_again()
                        answering = len(agent.messages)
                    for event in (*asides(happened.taken()), *reader.read(item)):
                        renderer.show(event)
            for event in asides(happened.taken()):
                renderer.show(event)
    finally:
        renderer.end()


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
