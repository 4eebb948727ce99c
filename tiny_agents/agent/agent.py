"""`Agent`: a while-loop on top of `MCPClient` that holds the conversation."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, Self, overload

from tiny_agents.agent.abort import Aborted, until_aborted
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.requirements import commands_and_hosts
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.exit_tools import DEFAULT_SYSTEM_PROMPT, EXIT_LOOP_TOOLS
from tiny_agents.agent.model_choice import ModelSettings, choose_model, without_overridden
from tiny_agents.agent.rules import LoopState, StopReason, after_turn, close_turn
from tiny_agents.agent.sessions.session import Session, Unsaved
from tiny_agents.errors import ServerError, UsageError
from tiny_agents.inference import local
from tiny_agents.inference.async_client import AsyncInferenceClient
from tiny_agents.inference.credentials import find_token
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import ServerEvent
from tiny_agents.mcp_client.host import Host
from tiny_agents.mcp_client.known_servers import KnownServers
from tiny_agents.mcp_client.media import TakesImages
from tiny_agents.mcp_client.pinning import Pinning

logger = logging.getLogger("tiny_agents.agent")

Item = ChatCompletionStreamOutput | ChatCompletionInputMessage
"""What a run yields: chunks of the model's answers, and the result of each tool call as a message."""

DEFAULT_MAX_TURNS = 20
_EXIT_TOOL_NAMES = frozenset(tool.function.name for tool in EXIT_LOOP_TOOLS)


class Agent(MCPClient):
    """A model, its tools and the conversation with it.

        async with Agent(model="Qwen/Qwen3-32B", servers=[{"type": "stdio", "command": "my-server"}]) as agent:
            await agent.load_tools()
            async for item in agent.run("What can you do?"):
                ...

    Args:
        model, provider, base_url, api_key: Which model, where; see `AsyncInferenceClient`.
        servers: MCP servers, each a dictionary of the arguments of `add_mcp_server`: `type` and what belongs to it.
        required: Names of servers without which `load_tools` fails; any other may be missing.
        prompt: The system prompt; by default a short one that tells the model to keep going until it is done.
        timeout: Seconds without data from the model; comments and keep-alives don't count as data (default 300).
        startup_timeout: Seconds that a server may take to start and list its tools (default 60).
        tool_timeout: Seconds that a tool call may take (default 120).
        tool_emulation: Offer tools in words, for an endpoint that has no tool API.
        images, audio: Whether the model takes what tools return of these; see `MCPClient`.
        host: Answers what servers ask of us; see `mcp_client.host`. By default nobody does.
        instructions: Whether the model is told what servers say about their use; see `MCPClient`.
        pinning, known_servers: What becomes of tools that change, and where it is kept how they were; see `MCPClient`.
        max_parallel_calls: Most tool calls of one answer that run at the same time; by default all of them do.
        max_turns: Most model calls for one request; calls that only lead to tools count too.
        client: An inference client of your own, in place of what is above about the model.
        session: Saves the conversation as it goes, and brings along what was said before (see `agent.sessions`). By
            default nothing is saved.

    Attributes:
        messages: The conversation, a valid history at any time: start a new one by cutting it back to its first message.
        stop_reason: Why the last run ended (see `agent.rules`); None before the first, and while one is going on.
        failed_servers: Servers that `load_tools` could not start, by name, and why.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        servers: Iterable[Mapping[str, Any]] = (),
        required: Iterable[str] = (),
        provider: str | None = None,
        base_url: str | None = None,
        api_key: str | Literal[False] | None = None,
        prompt: str | None = None,
        timeout: float | None = None,
        startup_timeout: float = 60.0,
        tool_timeout: float = 120.0,
        tool_emulation: bool = False,
        images: TakesImages = "auto",
        audio: bool = False,
        host: Host | None = None,
        instructions: bool = True,
        pinning: Pinning = "warn",
        known_servers: KnownServers | None = None,
        max_parallel_calls: int | None = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        client: AsyncInferenceClient | None = None,
        session: Session | None = None,
    ) -> None:
        if max_turns < 1:
            raise UsageError(f"max_turns must be at least 1; got {max_turns!r}.")
        super().__init__(
            model=model,
            provider=provider,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            startup_timeout=startup_timeout,
            tool_timeout=tool_timeout,
            tool_emulation=tool_emulation,
            images=images,
            audio=audio,
            host=host,
            instructions=instructions,
            pinning=pinning,
            known_servers=known_servers,
            max_parallel_calls=max_parallel_calls,
            client=client,
        )
        self.messages: list[dict[str, Any] | ChatCompletionInputMessage] = [
            ChatCompletionInputMessage(role="system", content=prompt or DEFAULT_SYSTEM_PROMPT)
        ]
        self.session: Session | Unsaved = session or Unsaved()
        if session is not None:
            self.messages = session.history(self.messages)
            session.describe(session.about, [api_key] if api_key else [])
        self.max_turns = max_turns
        self.stop_reason: StopReason | None = None
        self.failed_servers: dict[str, ServerError] = {}
        self._servers = [dict(server) for server in servers]
        self._required = frozenset(required)
        self._running = False

    @classmethod
    def load(cls, ref: str | Path, *, inputs: Mapping[str, str] | None = None, trust: bool = False) -> Self:
        """The agent that a file, a folder, a bundled name or `user/agent` on the Hub describes: `Agent.load("clock")`.

        The model is the definition's; `TINY_AGENTS_MODEL` and its kin in the environment come before it, a saved Hugging
        Face token and the embedded model after it (see `agent.model_choice`).

        Args:
            inputs: Values of the definition's inputs, by id; others are looked for in the environment.
            trust: A definition from the Hub runs its author's commands on this machine: it is loaded only if you say so.

        Raises:
            ConfigError: The definition can't be used, or an input has no value.
            UsageError: It comes from the Hub and `trust` is not set.
        """
        definition = load_definition(ref)
        if definition.downloaded and not trust:
            uses = "; ".join(commands_and_hosts(definition))
            raise UsageError(f"{ref} was downloaded and would use: {uses}. Pass trust=True if you want that.")
        definition = resolve_inputs(without_overridden(definition, ModelSettings(), os.environ), values=inputs)
        has_token = bool(find_token(os.environ))
        chosen = choose_model(
            ModelSettings(), os.environ, definition, has_hf_token=has_token, has_local=local.is_available()
        )
        return cls.from_definition(definition, chosen)

    @classmethod
    def from_definition(
        cls,
        definition: AgentDefinition,
        model: ModelSettings,
        *,
        host: Host | None = None,
        pinning: Pinning | None = None,
        known_servers: KnownServers | None = None,
    ) -> Self:
        """An agent from a definition whose inputs are filled in, and the model that was chosen for it.

        Args:
            pinning: In place of the definition's.
        """
        return cls(
            **model.as_kwargs(),
            servers=[server.as_kwargs(definition.secrets) for server in definition.servers],
            required=[server.name for server in definition.servers if server.required],
            prompt=definition.prompt,
            tool_emulation=definition.tool_emulation,
            instructions=definition.instructions,
            host=host,
            pinning=pinning or definition.pinning or "warn",
            known_servers=known_servers,
            **definition.limits(),
        )

    async def load_tools(self) -> None:
        """Start all servers, at the same time. One that fails is noted in `failed_servers`; the others work.

        Raises:
            UsageError: A server's arguments make no sense.
            ServerError: One of the `required` servers could not be started.
        """
        try:
            async with asyncio.TaskGroup() as starting:
                for server in self._servers:
                    starting.create_task(self._load(server))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # the others were cancelled, or say the same of another server

    async def _load(self, server: dict[str, Any]) -> None:
        try:
            await self.add_mcp_server(**server)
        except ServerError as error:
            self.failed_servers[error.server] = error
            if error.server in self._required:
                raise
            logger.warning("%s", error)

    @overload
    def run(
        self, user_input: str, *, abort_event: asyncio.Event | None = None, events: Literal[False] = False
    ) -> AsyncGenerator[Item, None]: ...

    @overload
    def run(
        self, user_input: str, *, abort_event: asyncio.Event | None = None, events: Literal[True]
    ) -> AsyncGenerator[Item | ServerEvent, None]: ...

    def run(
        self, user_input: str, *, abort_event: asyncio.Event | None = None, events: bool = False
    ) -> AsyncGenerator[Item, None] | AsyncGenerator[Item | ServerEvent, None]:
        """Work on a request: yields chunks and tool results as they come, until the model is done.

        Args:
            user_input: What the user says; added to `messages`.
            abort_event: Set it to stop at once, also in the middle of an answer or a tool call. What was said stays in
                `messages`.
            events: Yield what happens at the servers too, as it happens (see `mcp_client.events`).

        Raises:
            InferenceError: The model could not be asked, or its answer broke off. What had come stays in `messages`; a
                request that got nothing at all is taken back, so it can simply be made again.
            UsageError: A run of this agent is still going on.
        """
        items = self._run(user_input, abort_event)
        return self._events.beside(items) if events else items

    async def _run(self, user_input: str, abort_event: asyncio.Event | None) -> AsyncGenerator[Item, None]:
        if self._running:
            raise UsageError("This agent is still busy with another request: wait for its end, or use a second agent.")
        self._running = True
        self.stop_reason = None
        start = len(self.messages)
        self.messages.append(ChatCompletionInputMessage(role="user", content=user_input))
        stop: StopReason = "failed"
        try:
            await self.session.begin(self.messages, tools=[tool.function.name for tool in self.available_tools])
            state = LoopState()
            while state.stop is None:
                before = len(self.messages)
                turn = self.process_single_turn_with_tools(self.messages, exit_loop_tools=EXIT_LOOP_TOOLS)
                async with aclosing(turn if abort_event is None else until_aborted(turn, abort_event)) as items:
                    async for item in items:
                        await self.session.heard(item)
                        yield item
                await self.session.turned()
                added = self.messages[before:]
                state = after_turn(state, added, max_turns=self.max_turns, exit_tools=_EXIT_TOOL_NAMES)
            stop = state.stop
        except Aborted:
            stop = "aborted"
        except (GeneratorExit, asyncio.CancelledError):
            stop = "aborted"
            raise
        finally:
            close_turn(self.messages, start, stop)
            self.stop_reason = stop
            self._running = False
            await self.session.end(stop)

    async def _before_calls(self) -> None:
        await self.session.changed()

    async def cleanup(self) -> None:
        """Leave all servers, close the inference client, and let others resume the session."""
        try:
            await super().cleanup()
        finally:
            await self.session.close()
