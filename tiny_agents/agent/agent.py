"""`Agent`: a while-loop on top of `MCPClient` that holds the conversation."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from tiny_agents.agent.composition.verbs import Composes
from tiny_agents.agent.loaded import Loading
from tiny_agents.agent.loop.exit_tools import DEFAULT_SYSTEM_PROMPT, EXIT_LOOP_TOOLS
from tiny_agents.agent.loop.limits import DEFAULT_MODEL_CALLS, DEFAULT_RETRIES, Limits
from tiny_agents.agent.loop.usage import Usage, usage_of_call
from tiny_agents.agent.runs import Run, known_as
from tiny_agents.agent.sessions.requests import requests_in, text_of
from tiny_agents.agent.sessions.unsaved import Unsaved
from tiny_agents.agent.steering import Steering
from tiny_agents.agent.synchronous import Synchronous
from tiny_agents.errors import OutputError, ServerError, UsageError
from tiny_agents.inference.types.chat import (
    ChatCompletionInputMessage,
    ChatCompletionInputTool,
    ChatCompletionOutput,
    ChatCompletionStreamOutput,
)
from tiny_agents.mcp_client.bounds import MAX_RESULT_CHARS, MAX_TOOLS
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import AtHand

if TYPE_CHECKING:  # what works for an agent is loaded with the first one that is made
    import asyncio
    from pathlib import Path

    from tiny_agents.agent.context.conversation import Context
    from tiny_agents.agent.context.settings import ContextSettings
    from tiny_agents.agent.locking import Locked
    from tiny_agents.agent.loop.output import Output, Wanted
    from tiny_agents.agent.loop.prices import Price, Prices
    from tiny_agents.agent.loop.request import Request, UserInput
    from tiny_agents.agent.loop.result import AgentResult
    from tiny_agents.agent.loop.rules import StopReason
    from tiny_agents.agent.run_log import RunLog
    from tiny_agents.agent.sessions.session import Session
    from tiny_agents.inference.async_client import AsyncInferenceClient
    from tiny_agents.inference.streams import AsyncChatStream
    from tiny_agents.mcp_client.asking.asking import Seat
    from tiny_agents.mcp_client.bounds import Pinning
    from tiny_agents.mcp_client.calls.gate import Gate
    from tiny_agents.mcp_client.events import ContextCompacted, ServerEvent
    from tiny_agents.mcp_client.host.host import Host, SamplingReply, SamplingRequest
    from tiny_agents.mcp_client.observing.observing import ModelCall, Observer
    from tiny_agents.mcp_client.results.media import TakesImages
    from tiny_agents.mcp_client.tools.known_servers import KnownServers

Item = ChatCompletionStreamOutput | ChatCompletionInputMessage
"""What a run yields: chunks of the model's answers, and the result of each tool call as a message."""

DEFAULT_MAX_TURNS = DEFAULT_MODEL_CALLS


class Agent(Synchronous, Loading, Composes, Steering):
    """A model, its tools and the conversation with it.

        async with Agent(model="Qwen/Qwen3-32B", servers=[{"type": "stdio", "command": "my-server"}]) as agent:
            await agent.load_tools()
            async for item in agent.run("What can you do?"):
                ...

    Args:
        model, provider, base_url, api_key: Which model, where; see `AsyncInferenceClient`. Of several models each next one
            is asked where the one before can't be had; each request begins with the first again.
        fallbacks: More models to ask then, also at other places; see `MCPClient`.
        servers: MCP servers, each a dictionary of the arguments of `add_mcp_server`: `type` and what belongs to it.
        required: Names of servers without which `load_tools` fails; any other may be missing.
        prompt: The system prompt; by default a short one that tells the model to keep going until it is done.
        timeout: Seconds without data from the model; comments and keep-alives don't count as data (default 300).
        startup_timeout: Seconds that a server may take to start and list its tools (default 60).
        tool_timeout: Seconds that a tool call may take (default 120).
        tool_emulation: Offer tools in words, for an endpoint that has no tool API.
        images, audio: Whether the model takes what tools return of these; see `MCPClient`.
        host: Answers what servers ask of us; see `mcp_client.host.host`. By default nobody does.
        instructions: Whether the model is told what servers say about their use; see `MCPClient`.
        pinning, known_servers: What becomes of tools that change, and where it is kept how they were; see `MCPClient`.
        max_parallel_calls: Most tool calls of one answer that run at the same time; by default all of them do.
        gate: Is asked before each call that the model makes, such as a `PermissionGate` with rules; by default all are made.
        max_turns: Most model calls for one request; calls that only lead to tools count too. The same as
            `limits.model_calls`, which comes before it.
        limits: How much one request may use; see `Limits`.
        params: Passed on with each call of the model: `temperature`, `max_tokens`, `reasoning_effort` and whatever else
            `chat_completion` takes.
        output: What the final answer of a request has to be: a dataclass, msgspec struct, pydantic model or typed
            dictionary, or a JSON Schema. The object is `result.output`.
        output_retries: How often a model is asked again whose final answer isn't that.
        context: How much of the conversation the model gets: `ContextSettings`, or a mapping of its fields such as
            `{"max_tokens": 32_000}`. A long conversation is summed up for the model; `messages` stay whole.
        prices: What models cost in US dollars per million tokens, before what this package knows:
            `{"my-model": {"input": 0.5, "output": 1.5}}`.
        client: An inference client of your own, in place of what is above about the model.
        session: Saves the conversation as it goes, and brings along what was said before (see `agent.sessions`). By
            default nothing is saved.
        name: What those who observe know it by.
        observers, capture_content: Who is told of runs and calls, besides OpenTelemetry; see `MCPClient`.
        run_log: A file to which each run is written as it goes, a JSON object a line; see `agent.run_log`.

    Attributes:
        messages: The conversation, a valid history at any time: start a new one by cutting it back to its first message.
        stop_reason: Why the last run ended (see `agent.loop.rules`); None before the first, and while one is going on.
        result: What came of the last run, also if it failed; None before the first.
        usage: What all runs used.
        limits: How much one request may use.
        context: What is sent of the conversation: `context.tokens`, `context.summary`, `context.pin(message)`.
        session: What saves the conversation; None where nothing does.
        failed_servers: Servers that `load_tools` could not start, by name, and why.
        exit_loop_tools: Tools of the loop itself, with which the model ends a request or asks the user; none if empty.
    """

    def __init__(
        self,
        *,
        model: str | Sequence[str] | None = None,
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
        gate: Gate | None = None,
        max_turns: int = DEFAULT_MAX_TURNS,
        limits: Limits | None = None,
        params: Mapping[str, Any] | None = None,
        output: Wanted | None = None,
        output_retries: int = DEFAULT_RETRIES,
        context: ContextSettings | Mapping[str, Any] | None = None,
        prices: Prices | None = None,
        client: AsyncInferenceClient | None = None,
        fallbacks: Iterable[str | Mapping[str, Any]] = (),
        session: Session | None = None,
        name: str | None = None,
        observers: Iterable[Observer] = (),
        capture_content: bool | None = None,
        run_log: str | Path | None = None,
    ) -> None:
        from tiny_agents.agent.composition.composed import Composition
        from tiny_agents.agent.context.settings import context_settings
        from tiny_agents.agent.loop.output import output_of
        from tiny_agents.agent.loop.params import checked_params
        from tiny_agents.agent.loop.prices import checked_prices

        if max_turns < 1:
            raise UsageError(f"max_turns must be at least 1; got {max_turns!r}.")
        if model is not None and not isinstance(model, str):
            if not model:
                raise UsageError("model is an empty list: name one.")
            model, *others = model
            fallbacks = [*others, *fallbacks]
        settings = context_settings(context)
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
            result_max_chars=settings.result_max_chars or MAX_RESULT_CHARS,
            max_tools=settings.max_tools or MAX_TOOLS,
            gate=gate,
            client=client,
            fallbacks=fallbacks,
            observers=observers,
            capture_content=capture_content,
        )
        self._log: RunLog | None = None
        if run_log is not None:
            from tiny_agents.agent.run_log import RunLog

            self._log = RunLog(run_log, content=bool(capture_content))
            self._observing.observers += (self._log,)
            self._events.follow(self._log.happened)
        self._name = name or ""
        self._checksum = ""
        self._output = output_of(output, output_retries)
        system = prompt or DEFAULT_SYSTEM_PROMPT
        if self._output is not None:
            system = f"{system.rstrip()}\n\n{self._output.prompt}"
        self.messages: list[dict[str, Any] | ChatCompletionInputMessage] = [
            ChatCompletionInputMessage(role="system", content=system)
        ]
        self.session = session
        self._saving: Session | Unsaved = session or Unsaved()
        if session is not None:
            self.messages = session.history(self.messages)
            session.describe(session.about, [api_key] if api_key else [])
        self.limits = (limits or Limits()).over(Limits(model_calls=max_turns))
        self.result: AgentResult | None = None
        self.usage = Usage()
        self._params = {"stream_options": {"include_usage": True}, **checked_params(params)}
        self._prices = checked_prices(prices)
        self.composition = Composition(self._functions)
        self._price_known(self.limits)
        self.context = self._view_of_conversation(settings)
        if session is not None:
            self.context.restore(session.context)
        self._requests = requests_in(self.messages)
        self.stop_reason: StopReason | None = None
        self.failed_servers: dict[str, ServerError] = {}
        self.exit_loop_tools: Sequence[ChatCompletionInputTool] = EXIT_LOOP_TOOLS
        self._servers = [dict(server) for server in servers]
        self._required = frozenset(required)
        self._running = False
        self._at_work: list[Request] = []  # the same list for all conversations with these servers
        self._locked: Locked | None = None
        self.description: str | None = None

    async def load_tools(self) -> None:
        """Start all servers, at the same time. One that fails is noted in `failed_servers`; the others work.

        Python files of the definition are run first. Servers that run already, by their names, are left alone.

        Raises:
            UsageError: A server's arguments make no sense.
            ServerError: One of the `required` servers could not be started.
            ConfigError: A tool isn't as the agent's lock says, or a Python file of the definition can't be imported.
        """
        import asyncio

        self._require_open()
        self.composition.start()
        try:
            async with asyncio.TaskGroup() as starting:
                for server in self._servers:
                    if server.get("name") not in self.connections:
                        starting.create_task(self._load(server))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # the others were cancelled, or say the same of another server
        if self._locked is not None:
            self._locked.check_tools(self.connections)

    def new_conversation(self, *, gate: Gate | None = None) -> Self:
        """Another conversation with the same model, servers and tools, which may go on at the same time.

        It starts with the system prompt alone and isn't saved. Closing it does nothing; it ends with this agent.

        Args:
            gate: In place of this agent's.
        """

        other = self._beside(gate or self.gate)
        other.messages = self.messages[:1]
        other.session, other._saving = None, Unsaved()
        other.result, other.stop_reason, other.usage = None, None, Usage()
        other._requests, other._running = [], False
        other.context = other._view_of_conversation(self.context.settings)
        return other

    @property
    def gate(self) -> Gate | None:
        """What is asked before each call that the model makes."""
        return self._answering.gate

    @property
    def output(self) -> Output | None:
        """What the final answer of a request has to be."""
        return self._output

    async def _load(self, server: dict[str, Any]) -> None:
        try:
            await self.add_mcp_server(**server)
        except ServerError as error:
            self.failed_servers[error.server] = error
            if error.server in self._required:
                raise
            import logging

            logging.getLogger("tiny_agents.agent").warning("%s", error)

    @property
    def max_turns(self) -> int:
        """Most model calls for one request: `limits.model_calls`."""
        return self.limits.model_calls or DEFAULT_MODEL_CALLS

    @max_turns.setter
    def max_turns(self, most: int) -> None:
        self.limits = Limits(model_calls=most).over(self.limits)

    @overload
    def run(
        self,
        user_input: UserInput,
        *,
        abort_event: asyncio.Event | None = None,
        events: Literal[False] = False,
        limits: Limits | None = None,
    ) -> AsyncGenerator[Item, None]: ...

    @overload
    def run(
        self,
        user_input: UserInput,
        *,
        abort_event: asyncio.Event | None = None,
        events: Literal[True],
        limits: Limits | None = None,
    ) -> AsyncGenerator[Item | ServerEvent, None]: ...

    def run(
        self,
        user_input: UserInput,
        *,
        abort_event: asyncio.Event | None = None,
        events: bool = False,
        limits: Limits | None = None,
    ) -> AsyncGenerator[Item, None] | AsyncGenerator[Item | ServerEvent, None]:
        """Work on a request: yields chunks and tool results as they come, until the model is done or a limit is reached.

        Args:
            user_input: What the user says, text or a list of parts (text, images) as the chat API takes them; added to
                `messages`.
            abort_event: Set it to stop at once, also in the middle of an answer or a tool call. What was said stays in
                `messages`.
            events: Yield what happens at the servers too, as it happens (see `mcp_client.events`).
            limits: For this request; what they leave out is as in the agent's own.

        Raises:
            InferenceError: The model could not be asked, or its answer broke off. What had come stays in `messages`; a
                request that got nothing at all is taken back, so it can simply be made again.
            UsageError: A run of this agent is still going on, or the agent has been closed.
        """
        at_hand = AtHand()
        items = self._run(user_input, abort_event, limits, at_hand=at_hand)
        run = Run(self, at_hand, events)
        return known_as(self._events.beside(items, at_hand) if events else items, run)

    async def run_to_completion(
        self, user_input: UserInput, *, abort_event: asyncio.Event | None = None, limits: Limits | None = None
    ) -> AgentResult:
        """Work on a request to its end, and return what came of it. Arguments and errors are those of `run`.

        A run that came to a limit or was aborted is a result too: `stop_reason` and `has_answer` tell.

        Raises:
            OutputError: The final answer isn't what the agent's `output` asks for (and the run was not aborted).
        """
        async for _ in self.run(user_input, abort_event=abort_event, limits=limits):
            pass
        result = self.result
        assert result is not None
        if result.problem and result.stop_reason != "aborted":
            why = f"{result.limit} " if result.limit is not None else ""
            raise OutputError(
                f"{why}The final answer is not what was asked for. {result.problem}",
                text=result.text,
                result=result,
                model=result.model,
            )
        return result

    async def compact(self) -> ContextCompacted | None:
        """Have the older part of the conversation summed up now; `messages` stay whole, less of them is sent.

        What the model is asked for it counts in `usage`.

        Returns: By how much less; None where there is nothing to sum up.

        Raises:
            UsageError: A run is going on.
        """
        from tiny_agents.agent.context.conversation import Account

        self._require_rest()
        self._require_open()
        self._running, account = True, Account()
        try:
            return await self.context.compact(account)
        finally:
            self.usage += account.spent
            self._running = False
            await self._saving.rests(self.messages)

    def rollback(self) -> str:
        """Take the last request out of `messages`, with all that came of it, and return its text. Again for the one before,
        also for those of a session that was resumed.

        Tools that were called have been called; only the conversation forgets it.

        Raises:
            UsageError: There is none, or a run is going on.
        """
        self._require_rest()
        if not self._requests:
            raise UsageError("There is no request of this agent that could be taken back.")
        request = self._requests.pop()
        start = next((i for i, message in enumerate(self.messages) if message is request), None)
        if start is not None:
            del self.messages[start:]
            self._saving.cut(self.messages)
        return text_of(request)

    def retry(
        self, *, abort_event: asyncio.Event | None = None, limits: Limits | None = None
    ) -> AsyncGenerator[Item, None]:
        """Make the last request again, whether it failed, was interrupted or answered: `rollback`, then `run`."""
        content = self._requests[-1].get("content") if self._requests else None
        text = self.rollback()
        return self.run(text if content is None else content, abort_event=abort_event, limits=limits)

    def run_within(self, outer: Request | None, user_input: str) -> AsyncGenerator[Item, None]:
        """As `run`, as a part of another agent's request: within what is left of its limits, and on its bill."""
        return self._run(user_input, None, None, outer)

    async def _run(
        self,
        user_input: UserInput,
        abort_event: asyncio.Event | None,
        limits: Limits | None,
        outer: Request | None = None,
        at_hand: AtHand | None = None,
    ) -> AsyncGenerator[Item, None]:
        from asyncio import CancelledError

        from tiny_agents.agent.loop.abort import Aborted

        turn_of = getattr(self.process_single_turn_with_tools, "__func__", None)
        if turn_of is not MCPClient.process_single_turn_with_tools:
            at_hand = None  # turns of a subclass may leave chunks out, or wait with them
        request = self._begin(user_input, (limits or Limits()).over(self.limits), outer)
        hear = self.session.heard if self.session is not None else None  # of thousands of chunks
        stop: StopReason = "failed"
        try:
            await self._saving.begin(self.messages, tools=self._shelf.offered_names())
            while request.stop is None:
                turn = self.process_single_turn_with_tools(
                    self.messages, exit_loop_tools=self.exit_loop_tools, options=request.next_turn(at_hand)
                )
                items = request.bounded(turn, abort_event)
                try:
                    async for item in items:
                        if hear is not None:
                            await hear(item)
                        yield item
                finally:
                    await items.aclose()
                await self._saving.turned()
                request.turned()
            stop = request.stop
        except Aborted:
            stop = "aborted" if abort_event is not None and abort_event.is_set() else "time_limit"
        except (GeneratorExit, CancelledError):
            stop = "aborted"
            raise
        except Exception as error:
            request.failed(error)
            raise
        finally:
            self.result = request.end(stop, self._seats.now.name)
            self.usage += self.result.usage
            self.stop_reason = stop
            self._running = False
            self._at_work.remove(request)
            await self._saving.end(stop)

    def _begin(self, user_input: UserInput, limits: Limits, outer: Request | None) -> Request:
        from tiny_agents.agent.loop.request import Request

        self._require_rest()
        self._require_open()
        self._price_known(limits if outer is None else limits.within(outer.left(), {}))
        self._running = True
        self._seats.start_over()
        self.stop_reason = None
        request = Request(
            self.messages,
            user_input,
            limits,
            price=self._price,
            params=self._params,
            output=self._output,
            has_tools=self._offers_tools,
            run=self._observing.agent_run(
                agent=self._name,
                definition=self._checksum,
                model=self._seats.now.name,
                provider=self._seats.now.client.settings.provider or "",
                session=self.session.id if self.session is not None else "",
                request=user_input if isinstance(user_input, str) else text_of({"content": list(user_input)}),
            ),
            view=self.context,
            heard=self.context.heard,
            outer=outer,
        )
        self.context.begin(request)
        self._requests.append(request.message)
        self._at_work.append(request)
        return request

    def _offers_tools(self) -> bool:
        """Whether there are tools that do something."""
        return not self._shelf.is_empty()

    def _require_rest(self) -> None:
        if self._running:
            raise UsageError("This agent is still busy with another request: wait for its end, or use a second agent.")

    def _price(self, seat: Seat | None = None) -> Price | None:
        """What the model costs that is asked at the moment, or one of those that may be."""
        from tiny_agents.agent.loop.prices import price_of
        from tiny_agents.inference.settings import is_url

        seat = seat or self._seats.now
        settings = seat.client.settings
        base_url = settings.model if is_url(settings.model) else None
        return price_of(seat.model or settings.model, provider=settings.provider, base_url=base_url, own=self._prices)

    def _price_known(self, limits: Limits) -> None:
        if limits.cost_usd is not None:
            from tiny_agents.agent.loop.prices import check_priced

            models = {seat.name: self._price(seat) for seat in self._seats.all}
            check_priced(models, self.composition.tasks)

    def _view_of_conversation(self, settings: ContextSettings) -> Context:
        from tiny_agents.agent.context.conversation import Context

        context = Context(
            settings,
            messages=lambda: self.messages,
            seats=self._seats,
            ask=self._ask_beside,
            emit=self._answering.emit,
            params=self._params,
            price=self._price,
        )
        context.changed = self._note_context
        self._deferral.room = context.tool_room
        return context

    async def _ask_beside(self, messages: list[Any], params: Mapping[str, Any]) -> tuple[AsyncChatStream, ModelCall]:
        """Ask the model something that isn't a part of the conversation."""
        from tiny_agents.agent.loop.request import Request
        from tiny_agents.mcp_client.asking.refusals import ChatRequest

        within = self.context.purse.run if isinstance(self.context.purse, Request) else None
        call = self._observing.model_call(within, params=params, messages=messages)
        return await self._seats.ask(messages, ChatRequest(messages, (), params), call), call

    async def _sample(self, request: SamplingRequest) -> SamplingReply:
        """Ask the model what a server wants to know, on the bill of the latest request that is being worked on."""
        from msgspec.structs import replace

        from tiny_agents.mcp_client.host.host import Refusal
        from tiny_agents.mcp_client.host.sampling import sample

        work = self._at_work[-1] if self._at_work else None
        if work is not None and not work.has_room():
            raise Refusal("the limits of the user's request leave no room for it")
        seat = self._seats.all[0]
        price = self._price(seat if request.model is None else replace(seat, model=request.model))

        def counted(answer: ChatCompletionOutput) -> None:
            usage = usage_of_call(answer.usage, request.messages, request.tools, answer.choices[0].message, price)
            if work in self._at_work:
                work.share(usage)
            else:
                self.usage += usage

        if work is None:
            return await sample(seat, self._observing, request, counted)
        work.hold(1)
        try:
            return await sample(seat, self._observing, request, counted)
        finally:
            work.hold(-1)

    def _note_context(self) -> None:
        if self.session is not None:
            self.session.context = self.context.saved()

    def _told_instructions(self) -> str | None:
        parts = [*self.composition.told(), *filter(None, [super()._told_instructions()])]
        return "\n\n".join(parts) or None

    async def _before_calls(self) -> None:
        await self._saving.changed()

    async def cleanup(self) -> None:
        """Leave all servers, close the inference client, and let others resume the session. Agents that are tools of this
        one are ended too."""
        import asyncio

        if self._origin is not None:  # a conversation beside another one, which this belongs to
            return
        try:
            await asyncio.gather(self.composition.close(), super().cleanup())
        finally:
            if self._log is not None:
                self._log.close()
            await self._saving.close()
