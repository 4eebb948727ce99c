"""An agent as a tool of another: one task, a conversation of its own for it, and the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import msgspec

from tiny_agents.agent.composition.inner_gate import inner_gate
from tiny_agents.agent.loop.request import Request
from tiny_agents.errors import TinyAgentsError, UsageError
from tiny_agents.mcp_client.calls.calling import CALLING
from tiny_agents.mcp_client.events import InnerEvent
from tiny_agents.mcp_client.results.results import ToolResult, failure
from tiny_agents.mcp_client.tools.functions import result_of

if TYPE_CHECKING:
    from tiny_agents.agent.agent import Agent
    from tiny_agents.agent.loop.result import AgentResult
    from tiny_agents.mcp_client.events import ServerEvent

MAX_DEPTH = 4
"""Agents below agents."""

NO_CALLS_LEFT = "no model calls are left for it within the limits of this request"


class Subagent:
    """A tool that asks another agent.

    Its servers are started with the first task, and serve all later ones; tasks may be worked on at the same time. What is
    left of the limits of the request that asks holds for the task too, and what it uses counts there.

    Args:
        agent: The one that is asked.
        outer: The one whose tool it is.
        name: Of the tool.
        emit: Told what happens.
    """

    def __init__(self, agent: Agent, outer: Agent, name: str, emit: Callable[[InnerEvent], None]) -> None:
        self.agent = agent
        self.name = name
        self._outer = outer
        self._emit = emit
        self._starting: asyncio.Task[None] | None = None

    async def ask(
        self, task: Annotated[str, "What is to be done, with all that is needed for it: nothing else is known of it."]
    ) -> ToolResult:
        """Have another agent do a task."""
        calling = CALLING.get()
        request = calling.request if calling is not None and isinstance(calling.request, Request) else None
        try:
            await self._started()
            if (
                request is not None and request.left()["model_calls"] < 1
            ):  # nothing is awaited from here to its first call
                return failure(f"the agent '{self.name}' was not asked: {NO_CALLS_LEFT}")
            outer = calling.gate if calling is not None else self._outer.gate  # with those of all agents above
            conversation = self.agent.new_conversation(gate=inner_gate(self.name, self.agent.gate, outer))
            items = conversation.run_within(request, task)
            emit = (calling.emit if calling is not None else None) or self._emit
            async with aclosing(items):
                async for item in items:
                    emit(InnerEvent(self.name, calling.id if calling is not None else None, item))
        except TinyAgentsError as error:
            return failure(f"the agent '{self.name}' failed: {error}")
        assert conversation.result is not None
        return self._answer(conversation.result)

    async def _started(self) -> None:
        """Start its servers, once for all tasks. Who stops waiting doesn't stop the start."""
        if self._starting is None or (self._starting.done() and _failed(self._starting)):
            self._starting = asyncio.create_task(self.agent.load_tools())
        await asyncio.shield(self._starting)

    def tell(self, event: ServerEvent) -> None:
        """Something happens at its servers; in which call isn't known."""
        self._emit(InnerEvent(self.name, None, event))

    def _answer(self, result: AgentResult) -> ToolResult:
        if result.output is not None:
            return result_of(result.output)
        why = str(result.limit) if result.limit is not None else ""
        if result.problem:
            return failure(f"the agent '{self.name}' gave no answer in the form that is asked of it: {result.problem}")
        if not result.has_answer:
            kept = f" It had written: {result.text}" if result.text else ""
            return failure(
                f"the agent '{self.name}' came to no answer. {why or _WHY.get(result.stop_reason, '')}{kept}"
            )
        return result_of(f"{result.text}\n[It stopped early: {why}]" if why else result.text)

    async def close(self) -> None:
        """End its servers, also those that are just starting."""
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self.agent.cleanup()


_WHY = {"empty": "Its model gave no answer.", "aborted": "It was interrupted."}


def _failed(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None


def check_circle(outer: Agent, inner: Agent, name: str, tools_of: Callable[[Agent], Iterator[Subagent]]) -> None:
    """Refuse an agent that would become a tool of itself, or of too many in a row.

    Raises:
        UsageError: The message names all that are on the way.
    """

    def ways(agent: Agent, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if agent is outer:
            raise UsageError(
                f"add_agent: agents would be tools of each other in a circle: {' -> '.join(names)} -> itself"
            )
        yield names
        for tool in tools_of(agent):
            yield from ways(tool.agent, (*names, tool.name))

    deepest = max(map(len, ways(inner, (name,))))
    if deepest > MAX_DEPTH:
        raise UsageError(f"add_agent: agents would be nested more than {MAX_DEPTH} deep")


def described(agent: Agent, description: str | None) -> str:
    """What a model is told of an agent as a tool."""
    text = (description or "").strip() or "An agent that does tasks of its own kind."
    if agent.output is None:
        return text
    schema = msgspec.json.encode(agent.output.schema).decode()
    return f"{text}\nIts answer is JSON that fits this schema: {schema}"
