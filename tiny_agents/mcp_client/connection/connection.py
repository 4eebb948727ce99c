"""`Connection`: one server, and the task that owns it.

The contexts of the SDK's transports must be left in the task that entered them, so for each life of a server one task does
both and waits in between. Everybody else only awaits that it is ready, calls through it, or asks it to leave: from any
task, in any order. When a server goes away, its pending calls fail at once; it is started again when it is needed next.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from msgspec.structs import replace

from tiny_agents.errors import (
    ServerConnectionError,
    ServerLoginError,
    ServerRefusedError,
    ServerTimeoutError,
    ToolRefusedError,
    UsageError,
    redact,
    without,
)
from tiny_agents.mcp_client.calls.slots import Slots
from tiny_agents.mcp_client.connection.credentials import clean_result, clean_tool, credentials_of, secrets_of
from tiny_agents.mcp_client.connection.era import EraMemory
from tiny_agents.mcp_client.connection.life import RESTART_REST_S, Life, Limited, ends, keep, restart_delay
from tiny_agents.mcp_client.connection.listing import follow_tools, list_offered, list_tools
from tiny_agents.mcp_client.connection.running_call import RunningCall
from tiny_agents.mcp_client.connection.servers import (
    RESTARTS,
    HttpServer,
    Protocol,
    Server,
    SseServer,
    StdioServer,
    address,
    older_transport,
    patient,
)
from tiny_agents.mcp_client.connection.startup import slow_problem, start_problem, with_stderr
from tiny_agents.mcp_client.connection.subscriptions import Subscriber
from tiny_agents.mcp_client.connection.watch import ConnectionLost, Refused, Watch
from tiny_agents.mcp_client.events import (
    ListChanged,
    ResourceUpdated,
    ServerEvent,
    ServerLost,
    ServerReturned,
)
from tiny_agents.mcp_client.host.rounds import PendingRounds, Round
from tiny_agents.mcp_client.observing.observing import host_and_port
from tiny_agents.mcp_client.results.results import ToolResult, with_notes
from tiny_agents.mcp_client.text import encodable_json, readable
from tiny_agents.mcp_client.tools.guard import ToolGuard
from tiny_agents.mcp_client.tools.known_servers import Era, KnownServers, identity_of
from tiny_agents.mcp_client.tools.table import ALL_TOOLS, ServerTool, ToolFilter, select
from tiny_agents.mcp_client.transports.connect import open_session
from tiny_agents.mcp_client.transports.session import Session, Wanted

if TYPE_CHECKING:
    from tiny_agents.mcp_client.bounds import Pinning
    from tiny_agents.mcp_client.connection.changes import Change, ListKind, Offered
    from tiny_agents.mcp_client.host.host import Desk

logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T")

MAX_PROBLEM_CHARS = 4_000  # a server may have a part in what is said

State = Literal["new", "connecting", "ready", "lost", "closed"]


class Connection:
    """One MCP server, from `start` to `close`, started again in between where it goes away.

    Attributes:
        name: What it is called in errors and in the names of its tools.
        tools: What it offers, as far as that is allowed; another tuple when that has changed.
        subscriptions: URIs of the resources whose changes are told.
        instructions: What the server says about its use, as it says it; None before it was started, or where it is silent.
        guard: Which of its tools have changed since they were first used.
        identity: What it is, whatever it is called.
        address: Host and port of a remote server; empty and 0 for others.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        *,
        startup_timeout_s: float,
        tool_timeout_s: float,
        desk: Desk,
        tools: ToolFilter = ALL_TOOLS,
        protocol: Protocol = "auto",
        secrets: Iterable[str] = (),
        pinning: Pinning = "warn",
        known: KnownServers | None = None,
        max_parallel_calls: int | None = None,
        restarts: int = RESTARTS,
        emit: Callable[[ServerEvent], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.tools: tuple[ServerTool, ...] = ()
        self.subscriptions: frozenset[str] = frozenset()
        self.instructions: str | None = None
        self._subscribing = Slots(1)
        self._server = patient(server, tool_timeout_s)
        self._startup_timeout_s = startup_timeout_s
        self._tool_timeout_s = tool_timeout_s
        self._filter = tools
        self._desk = desk
        self._protocol: Protocol = protocol
        self._emit = emit
        known = known or KnownServers()
        self.identity = identity_of(server)
        self.address = host_and_port(server.url) if isinstance(server, (HttpServer, SseServer)) else ("", 0)
        self.guard = ToolGuard(name, self.identity, address(server), pinning, known, emit)
        self._eras = EraMemory(self.identity, known, protocol)
        self._slots = Slots(max_parallel_calls)
        self._secrets = secrets_of(server, secrets)
        self._credentials = credentials_of(server, secrets)
        self._life: Life | None = None
        self._starting = Slots(1)
        self._closed = False
        self._restarts = 0
        self._most_restarts = restarts
        self._started_at = 0.0
        self._start_error: ServerConnectionError | None = None
        self._listed: list[ServerTool] = []

    def __repr__(self) -> str:
        return f"<Connection {self.name!r} {self.state}>"

    @property
    def state(self) -> State:
        """`lost` means that the server went away and is started again when it is needed."""
        if self._closed:
            return "closed"
        if self._life is None:
            return "new"
        if not self._life.started.is_set():
            return "connecting"
        return "ready" if self._life.is_ready and not self._life.loop.is_closed() else "lost"

    async def start(self) -> None:
        """Start or reach the server and list its tools. Cancelling leaves nothing behind.

        Raises:
            ServerConnectionError: It could not be started or reached, or took longer than `startup_timeout`.
        """
        async with self._starting:
            if self.state != "ready":
                await self._start()

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        timeout_s: float | None = None,
        round: Round | None = None,
        emit: Callable[[ServerEvent], None] | None = None,
    ) -> ToolResult:
        """Call a tool by the name its server gave it.

        A lost server is started first. Where it goes away during the call, the call is made once more if that can do no
        harm: it never reached the server, or the tool says that it is read-only or idempotent.

        Args:
            timeout_s: Seconds until the answer, counted anew when the server reports progress, up to `MAX_CALL_S`; None
                takes `tool_timeout`. The connection stays usable afterwards.
            emit: Told how far the call is; None tells all who listen.
            round: What the call goes on with; what the server asks next is then in the result's `pending`. None has the
                host answer it.

        Raises:
            ServerConnectionError: The server went away (the call may have run), or could not be started again.
            ServerTimeoutError: No answer in time; the server was told to stop.
            ToolRefusedError: The tool changed, and is held back until the user accepts that.
        """
        limit_s = self._tool_timeout_s if timeout_s is None else timeout_s
        arguments = encodable_json(arguments)
        again = True
        async with self._slots:
            tools = self.tools
            while True:
                life = await self._alive()
                if (problem := self.guard.refused.get(name)) is not None:
                    raise ToolRefusedError(problem, server=self.name, tool=name)
                try:
                    result = await self._call(life, name, arguments, limit_s, round, emit or self._emit)
                    break
                except ConnectionLost as loss:
                    if not again or (loss.ran and not _is_repeatable(name, tools)):
                        self._raise_lost(f"during the call of '{name}'", loss, life.watch)
                    again = False
                    logger.info("MCP server '%s' %s; the call of '%s' is made again", self.name, loss.how, name)
        self._restarts = 0
        if isinstance(result, Wanted):
            pending = PendingRounds(self.name, self.identity, name, arguments, result.requests, result.state)
            return ToolResult(f"'{name}' asks something before it goes on.", pending=pending)
        return self._redacted(result, life.watch) if result.is_error else result

    async def ask(self, what: str, request: Callable[[Session], Awaitable[T]]) -> T:
        """Ask the server for something that is no tool call: asking twice does no harm, so that is done once if it must be.

        Args:
            what: To do what, as it ends "the server refused ".

        Raises:
            ServerRefusedError: It answered with an error, or with nonsense.
            ServerConnectionError: It went away, twice, or could not be started again.
            ServerTimeoutError: No answer within `tool_timeout`.
        """
        return await self._on_life(what, lambda life: request(life.running))

    async def list_offered(self, kind: ListKind) -> list[dict[str, Any]]:
        """One of the server's lists, all of it, in the wire's own JSON; with the errors of `ask`.

        It isn't asked again for as long as the server said that its answer holds, unless it announced a change.
        """

        async def listed(life: Life) -> list[dict[str, Any]]:
            clock = asyncio.get_running_loop().time
            if (kept := life.kept.find(kind, clock())) is not None:
                return list(kept)
            times, asked = life.kept.times(kind), clock()
            items, holds_s = await list_offered(life.running, self.name, kind)
            life.kept.keep(kind, items, until=asked + holds_s, times=times)
            return items

        return await self._on_life(f"to list its {kind}", listed)

    def offers(self, what: Offered | Literal["completions"]) -> bool:
        """Whether the server says that it has something of the kind; False before it was started."""
        session = None if self._life is None else self._life.session
        return session is not None and session.offers(what)

    def freshen(self) -> None:
        """Have the tools listed again, in the background, where the server said for how long they hold and that is over."""
        if self.state == "ready" and self._life is not None and self._life.running.tools_are_stale:
            self._life.watch.tools_changed.set()

    async def announce_roots(self) -> None:
        """Tell a running server that was told of folders that they have changed; another asks when it starts."""
        if self.state == "ready" and "roots" in self._desk.serves and self._life is not None:
            await self._life.running.announce_roots()

    async def subscribe(self, *uris: str) -> None:
        """Tell of changes of these resources too, also when the server was started again; with the errors of `ask`."""
        await self._follow(lambda followed: followed | set(uris))

    async def unsubscribe(self, *uris: str) -> None:
        """The end of `subscribe`, with the same errors; those that weren't subscribed to don't matter."""
        await self._follow(lambda followed: followed - set(uris))

    async def _follow(self, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        async with self._subscribing:
            wanted = change(self.subscriptions)
            added = ", ".join(sorted(wanted - self.subscriptions))
            what = f"to tell when {added} changes" if added else "to end a subscription"
            await self._on_life(what, lambda life: life.follow(wanted))
            self.subscriptions = wanted

    async def _on_life(self, what: str, request: Callable[[Life], Awaitable[T]]) -> T:
        again = True
        while True:
            life = await self._alive()
            try:
                async with Limited(life, self._tool_timeout_s):
                    result = await request(life)
            except Refused as refused:
                reason = redact(readable(f"MCP server '{self.name}' refused {what}: {refused}"), life.watch.secrets)
                raise ServerRefusedError(reason, server=self.name, code=refused.code) from refused
            except ConnectionLost as loss:
                if not again:
                    self._raise_lost(f"when it was asked {what}", loss, life.watch, harmless=True)
                again = False
                logger.info("MCP server '%s' %s; it is asked again", self.name, loss.how)
            except TimeoutError:
                raise ServerTimeoutError(
                    f"MCP server '{self.name}': no answer within {self._tool_timeout_s:g} s (tool_timeout); "
                    f"it was asked {what}.",
                    server=self.name,
                    timeout_s=self._tool_timeout_s,
                ) from None
            else:
                self._restarts = 0
                return result

    async def close(self) -> None:
        """End the connection, and the server's process with all it started. From any task or thread, any number of times."""
        self._closed = True
        life = self._life
        if life is None or life.owner.done():
            return
        if life.loop is asyncio.get_running_loop():
            await life.leave_for_good()
        elif life.loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(life.leave_for_good(), life.loop))
        elif not life.loop.is_closed():  # it ends if that loop ever runs again; its process at the latest with ours
            life.loop.call_soon_threadsafe(life.close)

    def drop(self) -> bool:
        """Begin to end the connection, without waiting and from any thread; says whether there was something to end."""
        life = self._life
        if self._closed or life is None or life.over:
            return False
        self._closed = True
        if life.loop.is_closed():  # a process that is still there ends with the interpreter
            return False
        life.loop.call_soon_threadsafe(life.close)
        return True

    # ---- lives

    async def _alive(self) -> Life:
        """The current life of the server, or a new one where that is over."""
        life = self._life
        if life is not None and life.is_ready and not self._closed and life.loop is asyncio.get_running_loop():
            return life
        self._check_loop()
        if self._life is not None and self.state == "ready":
            return self._life
        known = self._life
        async with self._starting:
            if self._life is not None and self.state == "ready":
                return self._life
            if self._life is not known and self._start_error is not None:
                raise self._start_error  # what others tried while this call waited would not go better now
            delay_s = restart_delay(self._restarts, time.monotonic() - self._started_at, self._most_restarts)
            if delay_s is None:
                left_alone = f"is left alone for {RESTART_REST_S:g} s"
                rest = left_alone if self._most_restarts else "is not to be started again (restart: 0)"
                raise self._error(f"went away {_times(self._restarts + 1)} and {rest}.")
            self._restarts += 1
            await asyncio.sleep(delay_s)
            logger.info("MCP server '%s' is started again", self.name)
            return await self._start()

    def _check_loop(self) -> None:
        life = self._life
        if life is None or life.owner.done() or life.loop.is_closed() or life.loop is asyncio.get_running_loop():
            return
        raise UsageError(
            f"MCP server '{self.name}' is connected in another event loop, and can be used only there: "
            "from another thread with asyncio.run_coroutine_threadsafe, or with a client of its own for each loop."
        )

    async def _start(self) -> Life:
        if self._closed:
            raise self._error("has been closed.")
        first = self._life is None
        era = self._eras.remembered()
        life = await (self._begin_anew() if era is None else self._begin_as_before(era))
        said = life.running.instructions
        self.instructions = None if said is None else without(said, self._credentials)
        self._offer(life.tools, warn=first)
        if not first:
            self._emit(ServerReturned(self.name))
        return life

    async def _begin_as_before(self, era: Era) -> Life:
        """Begin as the last start did; where that doesn't work any more, find out anew."""
        given = self._server
        if era.sse and (older := older_transport(given, 404)) is not None:
            self._server = older
        try:
            life = await self._begin(era)
        except BaseException as error:
            self._server = given
            if not isinstance(error, ServerConnectionError) or self._closed:
                raise
            self._eras.forget()
            if isinstance(error.__cause__, TimeoutError):
                raise  # it had its time; the next start asks
            logger.info("MCP server '%s' can't be spoken to as before: it is asked again", self.name)
            return await self._begin_anew()
        self._learn(life, era)
        return life

    async def _begin_anew(self) -> Life:
        try:
            life = await self._begin()
        except ServerConnectionError as error:
            life = await self._begin_older(error)
        self._learn(life, None)
        return life

    def _learn(self, life: Life, used: Era | None) -> None:
        if life.session is not None:
            self._eras.learn(life.session.era(older_transport=isinstance(self._server, SseServer)), used)

    async def _begin(self, era: Era | None = None) -> Life:
        self._start_error = None
        self._started_at = time.monotonic()
        life = self._life = Life(self._lost)
        life.watch.secrets += self._secrets
        life.owner = asyncio.create_task(self._own(life, era), name=f"MCP server {self.name}")
        keep(life.owner)
        try:
            async with asyncio.timeout(self._startup_timeout_s) as limit:
                life.starting = limit, self._startup_timeout_s
                await life.started.wait()
        except TimeoutError as slow:
            await life.abandon()
            self._start_error = self._error(slow_problem(life.watch, self._startup_timeout_s), life.watch)
            raise self._start_error from slow
        except BaseException:
            await life.abandon()
            raise
        if life.over:
            await ends(life.owner)  # by then its last words have been read
            problem = start_problem(self._server, life.watch, life.error)
            kind = ServerLoginError if life.watch.denied and not life.watch.how else ServerConnectionError
            self._start_error = self._error(problem, life.watch, kind)
            raise self._start_error from life.error
        return life

    async def _begin_older(self, error: ServerConnectionError) -> Life:
        """The same over HTTP+SSE, where the newer transport isn't served; that holds from then on if it works."""
        newer, life = self._server, self._life
        older = None if life is None else older_transport(newer, life.watch.status)
        if older is None or self._closed:
            raise error
        self._server = older
        try:
            life = await self._begin()
        except BaseException as other:
            self._server = newer
            if isinstance(other, ServerConnectionError):
                self._start_error = error
                raise error from other
            raise
        logger.info("MCP server '%s' speaks the older HTTP+SSE transport", self.name)
        return life

    async def _own(self, life: Life, era: Era | None) -> None:
        """Enter, stay and leave in this task."""
        try:
            async with open_session(self._server, life.watch, self._desk, self._protocol, era) as session:
                life.tools = await list_tools(session, self.name)
                life.session = session
                life.subscriber = Subscriber(session, self.name, self._missed)
                life.started.set()
                following = [
                    asyncio.create_task(
                        follow_tools(
                            session, life.watch, self.name, partial(self._renew, life), self._startup_timeout_s
                        )
                    ),
                    asyncio.create_task(life.watch.changes.tell(self._tell)),
                    asyncio.create_task(self._follow_again(life)),
                ]
                try:
                    await life.leave.wait()
                finally:
                    for task in following:
                        task.cancel()
                    await asyncio.wait(following)
                    await life.subscriber.close()
        except Exception as error:  # noqa: BLE001 - whatever a transport raises means that the server is gone
            life.error = error
        finally:
            if life.session is not None:
                life.watch.lose("closed the connection")
            life.end()
            life.started.set()

    def _renew(self, life: Life, tools: list[ServerTool]) -> None:
        life.tools = tools
        if life is self._life:
            before = self.tools
            self._offer(tools, warn=False)
            if self.tools is not before:
                self._emit(tools_changed(self.name, before, self.tools))

    async def _follow_again(self, life: Life) -> None:
        """What was subscribed to before the server was started again."""
        if not (wanted := self.subscriptions):
            return
        try:
            await life.follow(wanted)
        except Refused:
            await self._follow_what_it_takes(life, wanted)
        except ConnectionLost:
            return  # it is tried again in the next life
        for uri in sorted(self.subscriptions):
            self._missed(uri)

    async def _follow_what_it_takes(self, life: Life, wanted: frozenset[str]) -> None:
        """One resource after the other, where a server that was started again doesn't take them all any more."""
        followed: frozenset[str] = frozenset()
        for uri in sorted(wanted):
            try:
                await life.follow(followed | {uri})
                followed |= {uri}
            except Refused as refused:
                self.subscriptions -= {uri}
                logger.warning("MCP server '%s' no longer tells when %s changes: %s", self.name, uri, refused)
            except ConnectionLost:
                return

    def _missed(self, uri: str) -> None:
        self._emit(ResourceUpdated(self.name, uri))

    def _tell(self, change: Change) -> None:
        if change.uri is None:
            self._emit(ListChanged(self.name, change.of))
        elif self.subscriptions:
            self._emit(ResourceUpdated(self.name, change.uri))

    def _offer(self, tools: list[ServerTool], *, warn: bool) -> None:
        self._listed = tools
        clean = [clean_tool(tool, self._credentials) for tool in tools]
        selected, unknown = select(clean, self._filter)
        passed = tuple(self.guard.passed(selected))
        if passed != self.tools:
            self.tools = passed
        if unknown and warn:
            logger.warning(
                "MCP server '%s' has no tool %s; it offers: %s",
                self.name,
                ", ".join(unknown),
                ", ".join(tool.name for tool in tools[:20]) or "none",
            )

    def accept_tools(self, names: Iterable[str] | None = None) -> list[str]:
        """Take tools that changed as they are now, and offer them again; all if no names are given. Returns which ones."""
        accepted = self.guard.accept(names)
        self._offer(self._listed, warn=False)
        return accepted

    # ---- calls

    async def _call(
        self,
        life: Life,
        name: str,
        arguments: dict[str, Any],
        limit_s: float,
        round: Round | None,
        emit: Callable[[ServerEvent], None],
    ) -> ToolResult | Wanted:
        unanswered = self._desk.unanswered
        call = RunningCall(life, limit_s, server=self.name, tool=name, emit=emit)
        try:
            async with call:
                with self._desk.call():
                    result = await life.running.call_tool(name, arguments, call.progress, round)
                if isinstance(result, ToolResult):
                    return with_notes(result, self._desk.notes_since(unanswered))
                return result
        except TimeoutError:
            since = " after its last report of progress" if call.has_reported else ""
            raise ServerTimeoutError(
                f"MCP server '{self.name}': the tool '{name}' did not finish within {limit_s:g} s{since} (tool_timeout). "
                "It was told to stop; it may have run.",
                server=self.name,
                timeout_s=limit_s,
            ) from None

    def for_model(self, result: ToolResult) -> ToolResult:
        """`result` as a model may be told of it: without this server's credentials, tokens of a login among them."""
        if self._life is None or result.is_error or not (secrets := self._life.watch.secrets):
            return result
        return clean_result(result, secrets, frozenset(self._secrets) - frozenset(self._credentials))

    def _redacted(self, result: ToolResult, watch: Watch) -> ToolResult:
        whole = None if result.whole is None else redact(result.whole, watch.secrets)
        return replace(result, text=redact(result.text, watch.secrets), whole=whole)

    def _lost(self, how: str) -> None:
        if not self._closed:
            secrets = self._secrets if self._life is None else self._life.watch.secrets
            self._emit(ServerLost(self.name, redact(how, secrets)))

    def _raise_lost(self, during: str, loss: ConnectionLost, watch: Watch, *, harmless: bool = False) -> NoReturn:
        ran = "" if harmless else " The call may have run." if loss.ran else " The call did not run."
        verb = "started" if isinstance(self._server, StdioServer) else "connected to"
        comes_back = loss.gone and not self._closed and self._most_restarts > 0
        again = f" The server is {verb} again when it is needed next." if comes_back else ""
        raise self._error(f"{loss.how} {during}.{ran}{again}", watch) from loss

    def _error(
        self, problem: str, watch: Watch | None = None, kind: type[ServerConnectionError] = ServerConnectionError
    ) -> ServerConnectionError:
        secrets = self._secrets if watch is None else watch.secrets
        stderr = redact(watch.stderr, secrets) if watch is not None else ""
        message = redact(readable(f"MCP server '{self.name}' {problem[:MAX_PROBLEM_CHARS]}"), secrets)
        return kind(with_stderr(message, stderr), server=self.name, stderr_tail=stderr)


def tools_changed(server: str, before: Iterable[ServerTool], now: Iterable[ServerTool]) -> ListChanged:
    """The event that says which tools came and went."""
    had, has = [tool.name for tool in before], [tool.name for tool in now]
    added = tuple(name for name in has if name not in set(had))
    return ListChanged(server, "tools", added, tuple(name for name in had if name not in set(has)))


def _is_repeatable(name: str, tools: Iterable[ServerTool]) -> bool:
    return any(tool.name == name and tool.repeatable for tool in tools)


def _times(count: int) -> str:
    return f"{count} times in a row" if count > 1 else "once"
