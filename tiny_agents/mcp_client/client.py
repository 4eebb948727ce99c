"""`MCPClient`: a model with the tools of MCP servers, one turn at a time."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from tiny_agents.errors import UsageError
from tiny_agents.inference.types.chat import (
    ChatCompletionInputMessage,
    ChatCompletionInputTool,
    ChatCompletionStreamOutput,
)
from tiny_agents.mcp_client.bounds import MAX_RESULT_CHARS, MAX_TOOLS, check_bounds
from tiny_agents.mcp_client.events import AtHand, Events, EventStream, ServerEvent
from tiny_agents.mcp_client.instructions import instructions_text
from tiny_agents.mcp_client.offers import Offers
from tiny_agents.mcp_client.results.media import TakesImages, media_parts
from tiny_agents.mcp_client.tools.table import FUNCTIONS, Offer, unknown_tool

# What works for a client is loaded with the first one that is made, and what it needs for servers with the first server.
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from tiny_agents.inference.async_client import AsyncInferenceClient
    from tiny_agents.mcp_client.asking.turns import TurnOptions
    from tiny_agents.mcp_client.bounds import Pinning
    from tiny_agents.mcp_client.calls.gate import Gate
    from tiny_agents.mcp_client.connection import servers
    from tiny_agents.mcp_client.connection.connection import Connection
    from tiny_agents.mcp_client.host.host import Host, Reply, SamplingReply, SamplingRequest
    from tiny_agents.mcp_client.host.rounds import OnInput, PendingRounds
    from tiny_agents.mcp_client.observing.observing import Observer
    from tiny_agents.mcp_client.results.results import ToolResult
    from tiny_agents.mcp_client.tools.functions import Functions
    from tiny_agents.mcp_client.tools.known_servers import KnownServers

Message = dict[str, Any] | ChatCompletionInputMessage
"""A message of a conversation; what is added to one is a `ChatCompletionInputMessage`."""

Item = ChatCompletionStreamOutput | ChatCompletionInputMessage
"""What a turn yields: chunks of the model's answer, and the result of each tool call as a message."""

F = TypeVar("F", bound=Callable[..., Any])


class MCPClient(Offers):
    """A model and the tools of any number of MCP servers.

        async with MCPClient(base_url="http://localhost:8080/v1", model="qwen3") as client:
            await client.add_mcp_server("stdio", command="uvx", args=["mcp-server-time"])
            messages = [{"role": "user", "content": "What time is it in Tokyo?"}]
            async for item in client.process_single_turn_with_tools(messages):
                ...

    Servers may be added, used and left from different tasks (in a notebook: from different cells). At the end call
    `cleanup()` or use `async with`: no process is left behind.

    Args:
        model: Name of the model, or URL of an endpoint. With `base_url` the name is still sent along.
        provider: Who serves it; see `AsyncInferenceClient`. "local" is the embedded model.
        base_url: An OpenAI-compatible endpoint.
        api_key: Its key, or a Hugging Face token.
        timeout: Seconds without data from the model (default 300, as of the inference client).
        startup_timeout: Seconds a server may take to start and list its tools.
        tool_timeout: Seconds a tool call may take; counted anew when its server reports progress, up to an hour.
        tool_emulation: Offer tools in words, for an endpoint that has no tool API; see `AsyncInferenceClient`.
        images: Whether the model takes images. Those that a tool returns then follow the tool messages in a user message;
            else the model reads what they are. "auto" sends them until a server refuses.
        audio: The same for sound.
        host: Answers what servers ask of us: of a person, of the model, which folders. By default nobody does.
        instructions: Whether the model is told, at the end of the system prompt, what servers say about their use; bounded
            and marked as theirs (see `mcp_client.instructions`). `messages` stay as they are.
        pinning: What becomes of a tool whose description, schemas or hints change after it was first used: "warn" tells
            of it (an event, and a warning in the log), "strict" also refuses it until `accept_tools` is called, "off"
            does nothing.
        known_servers: What is remembered of servers and their tools. By default until this client is closed;
            `KnownServers(path)` keeps it from one program to the next.
        max_parallel_calls: Most tool calls of one answer that run at the same time; by default all of them do.
        gate: Is asked before each call that the model makes (`async def gate(request: CallRequest) -> bool | Verdict`); a
            call that isn't allowed, or whose gate fails, is answered with the reason. Your own `call_tool` isn't asked
            about. By default all calls are made.
        result_max_chars: Longest tool result that the model gets at once (500 or more); it reads on with a tool.
        max_tools: With more tools than this, or very long ones, those of servers are found by a search instead of all being
            sent (see `mcp_client.asking.deferral`). What is found, and what is called by its name, is sent from then on.
        client: An inference client of your own, in place of what is above about the model; it isn't closed with this one.
        fallbacks: Models to ask, in this order, where the model can't be had (there is none, it is overloaded, nothing
            comes) and has said nothing yet: names at the same place, URLs, or dictionaries of `model`, `provider`,
            `base_url`, `api_key` and `timeout`.
        observers: Told of each call of a model and of a tool (see `mcp_client.observing.observing`), besides OpenTelemetry.
        capture_content: Whether observers record what is said, too: messages, arguments and results. By default spans do
            where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says so.

    Attributes:
        client: The inference client.
        payload_model: The model's name as it is sent.
        connections: The servers, by name, in the order they were added.

    Raises:
        UsageError: Nothing says which model to use.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        base_url: str | None = None,
        api_key: str | Literal[False] | None = None,
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
        gate: Gate | None = None,
        result_max_chars: int = MAX_RESULT_CHARS,
        max_tools: int = MAX_TOOLS,
        client: AsyncInferenceClient | None = None,
        fallbacks: Iterable[str | Mapping[str, Any]] = (),
        observers: Iterable[Observer] = (),
        capture_content: bool | None = None,
    ) -> None:
        from types import MappingProxyType
        from weakref import finalize

        from tiny_agents.inference.async_client import AsyncInferenceClient
        from tiny_agents.mcp_client.asking.asking import Seat, Seats, fallback_seat
        from tiny_agents.mcp_client.asking.deferral import Deferral
        from tiny_agents.mcp_client.calls.answering import Answering
        from tiny_agents.mcp_client.calls.slots import Slots
        from tiny_agents.mcp_client.connection.dropping import drop_all
        from tiny_agents.mcp_client.host.host import Host
        from tiny_agents.mcp_client.observing.observing import Observing
        from tiny_agents.mcp_client.observing.telemetry import telemetry
        from tiny_agents.mcp_client.resources.catalog import Catalog
        from tiny_agents.mcp_client.results.links import Links
        from tiny_agents.mcp_client.results.spill import Spill
        from tiny_agents.mcp_client.tools.functions import Functions
        from tiny_agents.mcp_client.tools.known_servers import KnownServers
        from tiny_agents.mcp_client.tools.shelf import Shelf

        if model is None and base_url is None and client is None and provider != "local":
            raise UsageError("which model? Give at least one of model=, base_url=, provider='local' or client=.")
        check_bounds(pinning, startup_timeout, tool_timeout, max_parallel_calls, result_max_chars)
        self.payload_model = model
        self._owns_client = client is None
        self.client = client or AsyncInferenceClient(
            model=None if base_url is not None else model,
            provider=provider,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            tool_emulation=tool_emulation,
        )
        text_only = images == "auto" and (provider == "local" or tool_emulation)
        first = Seat(self.client, model, False if text_only else images)
        self._events = Events()
        self._seats = Seats([first, *(fallback_seat(other, first, timeout) for other in fallbacks)], self._events.emit)
        self._observing = Observing(tuple(observers), telemetry, capture_content)
        self._observing.secrets += [key for seat in self._seats.all if (key := seat.client.settings.key)]
        self._audio = audio
        self._host = host or Host()
        self._model_names = [model or "", *self._host.sampling_models]
        self._instructions = instructions
        self._tells: dict[str, bool | None] = {}  # by server: whether its instructions are told; None is as above
        self._spill = Spill(result_max_chars)
        self._functions = Functions(tool_timeout_s=tool_timeout)
        self._connections: dict[str, Connection] = {}
        self.connections: Mapping[str, Connection] = MappingProxyType(self._connections)
        self._catalog = Catalog(self.connections, images=lambda: self._seats.now.images, audio=audio)
        self._pinning: Pinning = pinning
        self._known = known_servers or KnownServers()
        self._answering = Answering(
            source=self._source,
            missing=self._no_tool,
            media=self._media_of,
            functions=self._functions,
            spill=self._spill,
            links=Links(self._catalog.read),
            has_resources=lambda server: self._connections[server].offers("resources"),
            slots=Slots(max_parallel_calls),
            gate=gate,
            observing=self._observing,
            addresses=self._address,
            emit=self._events.emit,
        )
        self._deferral = Deferral(self._functions, self._events.emit, max_tools=max_tools)
        self._startup_timeout_s = startup_timeout
        self._tool_timeout_s = tool_timeout
        self._shelf = Shelf(self.connections, self._functions)
        if type(self.client) is not AsyncInferenceClient:
            self._shelf.lend()
        self._closed = False
        self._origin: MCPClient | None = None
        # In a notebook a cell is executed again, and the client that it had made is nobody's: its servers must not stay.
        finalize(self, drop_all, self._connections).atexit = False

    async def __aenter__(self) -> Self:
        self._require_open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.cleanup()

    async def cleanup(self) -> None:
        """Leave all servers, end those that were started as processes, and close the inference client.

        From any task, also several at once, and as often as you like. Calls that are still running fail.
        """
        import asyncio

        self._closed = True
        try:
            await asyncio.gather(*(connection.close() for connection in self._connections.values()))
        finally:
            self._events.close()
            self._spill.close()
            await self._seats.close()
            if self._owns_client:
                await self.client.close()

    def _require_open(self) -> None:
        if (self._origin or self)._closed:
            ended = "cleanup(), or the end of its `async with`"
            raise UsageError(
                f"this {type(self).__name__} has been closed ({ended}) and can't be used again: make a new one"
            )

    # ---- servers

    @overload
    async def add_mcp_server(self, type: Literal["stdio"], **params: Unpack[servers.StdioServerParameters]) -> None: ...

    @overload
    async def add_mcp_server(self, type: Literal["http"], **params: Unpack[servers.HttpServerParameters]) -> None: ...

    @overload
    async def add_mcp_server(self, type: Literal["sse"], **params: Unpack[servers.SseServerParameters]) -> None: ...

    @overload
    async def add_mcp_server(
        self, type: Literal["inprocess"], **params: Unpack[servers.InProcessServerParameters]
    ) -> None: ...

    async def add_mcp_server(self, type: servers.ServerType, **params: Any) -> None:
        """Connect to a server and offer its tools to the model.

        Several may be added at the same time. A tool keeps the name its server gave it where a model accepts that name
        and no server added earlier has it; `tools.py` says what happens otherwise.

        Args:
            type: "stdio" starts a process; "http" is streamable HTTP; "sse" the older HTTP+SSE transport;
                "inprocess" takes a server object of the package mcp.
            **params: For any server `name` (what to call it in errors and tool names; by default its package, script or
                host), `allowed_tools` (names of the tools to offer, as the server spells them), `tools` (the same with
                patterns: `{"allow": ["read_*"], "deny": ["*_secret"]}`), `startup_timeout`, `tool_timeout`, `protocol`
                ("auto", "legacy" or "2026-07-28"), `roots` (folders that it is told it may work in), `instructions` (False:
                what it says about its use isn't told to the model), `log_level` (the least serious report it should
                send, such as "warning"), `max_parallel_calls` (most calls it gets at the same time), `prefix` (what the
                names of its tools begin with: "always" for its name, or a text of your own), `defer` (whether its tools are
                found by a search: "auto", "always", "never"), `restart` (how often it is
                started again in a row) and `secrets` (texts that must not appear in messages and results). For
                "stdio" `command`, `args`, `env`, `cwd`; for "http" `url`, `headers`, `auth` (how to
                log in: "auto", "none", "oauth" or a mapping, see `oauth.options.AuthParameters`), `timeout`,
                `sse_read_timeout`, `terminate_on_close`; for "sse" the same without the last; for "inprocess" `server`.
                Times are seconds or a timedelta.

        Raises:
            UsageError: Parameters that make no sense, or a name that is taken.
            ServerConnectionError: The server could not be started or reached; `stderr_tail` has its last words. A
                `ServerLoginError` where it wants a login that nobody makes, or that fails.
        """
        from tiny_agents.mcp_client.connection.adding import connection_to
        from tiny_agents.mcp_client.connection.credentials import secrets_of
        from tiny_agents.mcp_client.connection.servers import describe_options, describe_server, server_name

        self._require_open()
        server = describe_server(type, params)
        options = describe_options(type, params)
        name = options.name or server_name(server, (*self._connections, FUNCTIONS))
        if name in self._connections or name == FUNCTIONS:
            raise UsageError(
                f"add_mcp_server('{type}'): there is a server '{name}' already; give this one another name"
            )
        connection = self._connections[name] = connection_to(
            server,
            name,
            options,
            startup_timeout_s=self._startup_timeout_s,
            tool_timeout_s=self._tool_timeout_s,
            host=self._host,
            sample=self._sample,
            models=self._model_names,
            pinning=self._pinning,
            known=self._known,
            events=self._events,
        )
        self._observing.secrets += secrets_of(server, options.secrets)
        self._shelf.prefixes[name] = None if options.prefix is None else options.prefix or name
        self._deferral.modes[name] = options.defer
        self._tells[name] = options.instructions
        try:
            await connection.start()
        except BaseException:
            del self._connections[name]
            raise

    async def announce_roots(self) -> None:
        """Tell the servers that the host's `roots` have changed. Newer ones (2026-07-28) ask whenever they want to know."""
        import asyncio

        await asyncio.gather(*(connection.announce_roots() for connection in self._connections.values()))

    # ---- tools

    def add_tool(self, function: F, *, name: str | None = None, description: str | None = None) -> F:
        """Offer a Python function to the model; also as a decorator, `@client.add_tool`.

            def add(a: int, b: int = 1) -> int:
                \"""Add two numbers.

                Args:
                    a: The first.
                \"""

        Annotations become the schema and the docstring the descriptions (see `functions.describe_function`). An
        asynchronous function is awaited, any other runs in a thread of its own. What it returns is told to the model:
        text as it is, data (also dataclasses) as JSON. What it raises is told to the model too.

        Args:
            name: What the model calls it; by default the function's name.
            description: What the model is told about it; by default the start of the docstring.

        Returns: The function.

        Raises:
            UsageError: It can't be a tool, or there is a function of this name.
        """
        self._require_open()
        self._shelf.refresh()  # those that came before keep their names
        self._functions.add(function, name, description)
        return function

    @property
    def available_tools(self) -> list[ChatCompletionInputTool]:
        """The tools a model is offered. What you take out of the list stays out, and is refused if a model asks for it.

        It follows the servers: tools that come are appended, tools that go are taken out. A turn that has begun keeps
        those it began with.
        """
        return self._shelf.tools

    @available_tools.setter
    def available_tools(self, tools: Iterable[ChatCompletionInputTool]) -> None:
        self._shelf = self._shelf.with_tools(tools)

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        on_input: OnInput = "ask",
    ) -> ToolResult:
        """Call a tool directly, without a model.

        Args:
            name: As the model knows it, or as its server does where only one server has it.
            arguments: What its `parameters` describe; the server checks them.
            timeout: Seconds until the answer, or between two reports of progress; None takes the server's `tool_timeout`.
            on_input: Who answers what the server asks before it goes on. "ask": the client's host. "return": you, later
                and maybe elsewhere: the result's `pending` is what is asked, for `resume_tool`. Servers of before
                2026-07-28 can't wait; their questions go to the host in any case.

        Returns: The result; where the tool failed, `is_error` is set and `text` says why.

        Raises:
            UsageError: No server offers this tool.
            ToolRefusedError: It changed in this moment, and `pinning` is "strict".
            ServerConnectionError: Its server went away (the call may have run), or could not be started again.
            ServerTimeoutError: No answer in time; the server stays usable.
        """
        from tiny_agents.mcp_client.host.rounds import Round

        self._shelf.refresh()
        offer = self._shelf.table.find(name)
        if offer is None:
            raise UsageError(self._no_tool(name, self._shelf.names))
        given = dict(arguments or {})
        if offer.server == FUNCTIONS or on_input == "ask":
            return await self._source(offer).call_tool(offer.tool.name, given, timeout_s=timeout)
        connection = self._connections[offer.server]
        return await connection.call_tool(offer.tool.name, given, timeout_s=timeout, round=Round())

    async def resume_tool(
        self,
        pending: PendingRounds,
        answers: Mapping[str, Reply | Mapping[str, Any]] | None = None,
        *,
        timeout: float | None = None,
    ) -> ToolResult:
        """Go on with a call that waits for answers; it may have been begun in another process.

        Args:
            pending: From `ToolResult.pending`.
            answers: By the ids of `pending.requests`: a `Reply` to what is asked of a person, else the protocol's result.

        Returns: The result, or what is asked next (`pending` again).

        Raises:
            UsageError: Answers are missing or strange, or this isn't the server that asked.
            ServerError: As `call_tool`.
        """
        connection = self._connections.get(pending.server)
        if connection is None or connection.identity != pending.identity:
            there = "is another one here" if connection else "is not here"
            raise UsageError(f"resume_tool: the server '{pending.server}' that asked {there}")
        round = pending.resumed(answers or {})
        return await connection.call_tool(pending.tool, dict(pending.arguments), timeout_s=timeout, round=round)

    @property
    def changed_tools(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Tools that aren't what they were when they were first used, by server, and which parts of them differ."""
        return {name: dict(c.guard.changed) for name, c in self._connections.items() if c.guard.changed}

    def accept_tools(self, server: str | None = None, tools: Iterable[str] | None = None) -> dict[str, list[str]]:
        """Accept that tools have changed: as they are now they count as known, and what was held back is offered.

        Args:
            server: The server's name; None for all.
            tools: Names as that server spells them; None for all that changed.

        Returns: What was accepted, by server.

        Raises:
            UsageError: There is no such server.
        """
        if server is not None and server not in self._connections:
            raise UsageError(f"accept_tools: there is no server '{server}'")
        chosen = self._connections if server is None else {server: self._connections[server]}
        names = None if tools is None else list(tools)
        accepted = {name: connection.accept_tools(names) for name, connection in chosen.items()}
        return {name: taken for name, taken in accepted.items() if taken}

    def origin_of(self, name: str) -> tuple[str, str] | None:
        """The server that a tool comes from, and its name there; None if no tool has or had this name.

        Args:
            name: As the model knows it.
        """
        return self._shelf.table.was(name)

    def _no_tool(self, name: str, offered: Collection[str]) -> str:
        """Why there is no tool of this name; one that is held back is told apart from one that never was."""
        server, tool = self._shelf.table.was(name) or (None, name)
        for connection in self._connections.values():
            if server in (None, connection.name) and (problem := connection.guard.refused.get(tool)) is not None:
                return problem
        return unknown_tool(name, offered)

    def _source(self, offer: Offer) -> Connection | Functions:
        return self._functions if offer.server == FUNCTIONS else self._connections[offer.server]

    def _address(self, server: str) -> tuple[str, int]:
        """Host and port of a remote server."""
        connection = self._connections.get(server)
        return connection.address if connection is not None else ("", 0)

    async def _sample(self, request: SamplingRequest) -> SamplingReply:
        """Ask the model what a server wants to know. For subclasses that keep an account."""
        from tiny_agents.mcp_client.host.sampling import sample

        return await sample(self._seats.all[0], self._observing, request)

    # ---- events

    def events(self) -> AbstractContextManager[EventStream]:
        """What happens at the servers, as it happens, also between turns:

            with client.events() as events:
                async for event in events:
                    ...

        Several may listen. It ends when the client is closed; of events that nobody takes the last 1,000 are kept.
        """
        return self._events.listening()

    # ---- one turn

    @overload
    def process_single_turn_with_tools(
        self,
        messages: MutableSequence[Message],
        exit_loop_tools: Sequence[ChatCompletionInputTool] | None = None,
        exit_if_first_chunk_no_tool: bool = False,
        *,
        events: Literal[False] = False,
        options: TurnOptions | None = None,
    ) -> AsyncGenerator[Item, None]: ...

    @overload
    def process_single_turn_with_tools(
        self,
        messages: MutableSequence[Message],
        exit_loop_tools: Sequence[ChatCompletionInputTool] | None = None,
        exit_if_first_chunk_no_tool: bool = False,
        *,
        events: Literal[True],
        options: TurnOptions | None = None,
    ) -> AsyncGenerator[Item | ServerEvent, None]: ...

    def process_single_turn_with_tools(
        self,
        messages: MutableSequence[Message],
        exit_loop_tools: Sequence[ChatCompletionInputTool] | None = None,
        exit_if_first_chunk_no_tool: bool = False,
        *,
        events: bool = False,
        options: TurnOptions | None = None,
    ) -> AsyncGenerator[Item, None] | AsyncGenerator[Item | ServerEvent, None]:
        """Ask the model once, and carry out the tool calls it makes.

        `messages` grows by the model's answer and by one tool message per call, and is a valid history whatever happens
        and whenever you look: an answer that breaks off keeps its text and loses its (half) calls; a call that you
        don't wait for, by leaving the iteration or being cancelled, is cancelled at its server too and answered with a
        note that it was interrupted.

        Args:
            messages: The conversation so far.
            exit_loop_tools: Tools of yours with which a model ends the turn. They are answered with an empty message,
                after all other calls of the turn.
            exit_if_first_chunk_no_tool: End the turn, with nothing yielded and nothing added to `messages`, where the
                first two chunks hold no tool call. For a model that was asked whether it wants to go on; the text it
                would have written is not read.
            events: Yield what happens at the servers too, as it happens: how far calls are, what servers log and ask, which
                are lost and return (see `mcp_client.events`).
            options: Further arguments of the chat call, whether tools may be called, a note to the model.

        Yields:
            Each chunk of the model's answer as it comes; then the tool messages in the order of the calls, each as soon
            as it and those before it are there. The calls run at the same time. A call that can't be run, or fails, is
            answered with a text for the model that starts with "Error". A result too long for a model is cut, and can be
            read on with a tool of its own, as what a result links to can be read. Images are not in the tool messages but in
            one that follows in `messages`.

        Raises:
            InferenceError: The model could not be asked, or its answer broke off.
            UsageError: This client has been closed.
        """
        from tiny_agents.mcp_client.turn import one_turn

        if not events:
            return one_turn(self, messages, exit_loop_tools or (), exit_if_first_chunk_no_tool, options)
        from msgspec.structs import replace

        from tiny_agents.mcp_client.asking.turns import TurnOptions

        at_hand = AtHand()
        options = replace(options or TurnOptions(), at_hand=at_hand)
        turn = one_turn(self, messages, exit_loop_tools or (), exit_if_first_chunk_no_tool, options)
        return self._events.beside(turn, at_hand)

    def _beside(self, gate: Gate | None) -> Self:
        """A client for another conversation at the same time, with the same servers, tools and models.

        Closing is the part of this one, which stays alive as long as the other.
        """
        from msgspec.structs import replace

        from tiny_agents.mcp_client.asking.asking import Seats

        other = copy.copy(self)
        other._origin = self._origin or self
        other._events = self._events.of_another()
        emit = other._events.emit
        other._seats = Seats(self._seats.all, emit)
        other._deferral = self._deferral.beside(emit)
        other._answering = replace(self._answering, gate=gate, emit=emit, media=other._media_of)
        return other

    def _media_of(self, result: ToolResult) -> list[dict[str, Any]]:
        """The parts of a result that go to the model as they are."""
        return media_parts(result, images=self._seats.now.images, audio=self._audio)

    async def _before_calls(self) -> None:
        """The history holds the calls of a turn, and they are about to be carried out. For subclasses."""

    def _told_instructions(self) -> str | None:
        said = {name: c.instructions for name, c in self._connections.items() if c.instructions}
        for name in list(said):
            own = self._tells.get(name)
            if not (self._instructions if own is None else own):
                del said[name]
        return instructions_text(said) if said else None
