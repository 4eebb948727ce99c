"""`Session`: an open conversation with one server, in terms of our own types."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tiny_agents.mcp_client.calls.promises import broken_promise
from tiny_agents.mcp_client.connection.changes import Change, ListKind, Offered
from tiny_agents.mcp_client.connection.era import era_of
from tiny_agents.mcp_client.connection.servers import LogLevel
from tiny_agents.mcp_client.connection.watch import (
    CODE_BROKEN,
    CODE_UNREACHABLE,
    ConnectionLost,
    Progress,
    Refused,
    Watch,
)
from tiny_agents.mcp_client.host.host import Desk
from tiny_agents.mcp_client.host.rounds import Round
from tiny_agents.mcp_client.results.results import ToolResult, failure, read_result
from tiny_agents.mcp_client.text import encodable, encodable_json, shortened
from tiny_agents.mcp_client.tools.known_servers import Era
from tiny_agents.mcp_client.tools.mending import plain_words, put_back
from tiny_agents.mcp_client.tools.table import ServerTool, read_tool
from tiny_agents.mcp_client.transports.pages import open_pages, read_pages

if TYPE_CHECKING:  # importing it costs 0.7 s
    import mcp
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, InputRequiredResult
    from pydantic import ValidationError


logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T")

MAX_SAID_CHARS = 4_000
"""Longest message of a report of progress: hundreds of them may wait for somebody to look."""

MAX_TTL_MS = 365 * 86_400_000

_SDK_CLOSED = "Connection closed"  # what the SDK says to calls that wait when its streams end
_SDK_BROKEN = "SSE stream"  # how it begins to say that one answer's stream broke off


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call isn't over: what the server asks first, by its ids, and the state that belongs to it."""

    requests: dict[str, dict[str, Any]]
    state: str | None


class Session:
    """An open conversation with one server.

    Attributes:
        is_modern: It speaks the protocol of 2026-07-28 or later, in which changes come on streams that we open.
        instructions: What the server says about its use; None where it says nothing.
    """

    def __init__(self, client: mcp.Client, watch: Watch, desk: Desk) -> None:
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        self._client = client
        self._watch = watch
        self._desk = desk
        self._promised: dict[str, dict[str, Any] | None] = {}  # tool -> the schema of its results
        self._listened = False
        self._tools_until = math.inf
        self.is_modern = client.protocol_version in MODERN_PROTOCOL_VERSIONS
        self.instructions: str | None = client.instructions or None

    def offers(self, what: Offered | Literal["logging", "completions"]) -> bool:
        """Whether the server says that it has something; True too where it wasn't asked what it has."""
        declared = self._client.server_capabilities.model_dump(exclude_none=True)
        return what in declared or (self.is_modern and not declared)

    def era(self, *, older_transport: bool) -> Era | None:
        """What can be remembered of how this server is spoken to."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        info = self._client.server_info
        discovered = self._client.session.discover_result
        return era_of(
            self._client.protocol_version,
            modern=self._client.protocol_version in MODERN_PROTOCOL_VERSIONS,
            server=f"{info.name} {info.version}" if info is not None else "",
            older_transport=older_transport,
            discovered=None if discovered is None else discovered.model_dump(mode="json", by_alias=True),
            ttl_s=0.0 if discovered is None else _holds_s(discovered.ttl_ms),
        )

    async def list_tools(self, cursor: str | None) -> tuple[list[ServerTool], str | None]:
        """One page of tools, and the cursor of the next; a server without tools has one empty page.

        Raises:
            Refused: The server can't or won't list them, or its list is no valid MCP.
            ConnectionLost: It went away.
        """
        from mcp import MCPError
        from mcp_types import METHOD_NOT_FOUND
        from pydantic import ValidationError

        try:
            page = await self._client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return [], None
            self._raise_if_lost(error)
            raise Refused(plain_words(str(error))) from error
        except ValidationError as error:
            raise Refused(f"its list of tools is not valid MCP: {first_problem(error)}") from error
        self._tools_hold(_holds_s(page.ttl_ms), first=cursor is None)
        listed = [put_back(tool.model_dump(mode="json", by_alias=True)) for tool in page.tools]
        if cursor is None:
            self._promised = {}
        for tool in listed:  # of several with a name the first one counts
            self._promised.setdefault(tool["name"], tool.get("outputSchema"))
        return [read_tool(tool) for tool in listed], page.next_cursor

    def _tools_hold(self, seconds: float, *, first: bool) -> None:
        until = asyncio.get_running_loop().time() + seconds if seconds else math.inf
        self._tools_until = until if first else min(until, self._tools_until)

    @property
    def tools_are_stale(self) -> bool:
        """Whether the server said for how long its tools hold, that time is over, and it announces no changes."""
        tools = self._client.server_capabilities.tools
        announces = tools is not None and bool(tools.list_changed)
        return not announces and asyncio.get_running_loop().time() >= self._tools_until

    async def listen(self) -> bool:
        """Hear of it whenever the server's lists change, as long as its stream of changes is open.

        At the beginning the tools count as changed, and all lists when it is opened again: nobody knows what was missed.

        Returns: Whether a stream was there that has ended and can be opened again. Servers of before 2026-07-28 have none,
            their notices come unasked.
        """
        from mcp import MCPError
        from mcp.client.subscriptions import SubscriptionLost

        declared = self._client.server_capabilities
        offered: dict[Offered, Any] = {
            "tools": declared.tools, "prompts": declared.prompts, "resources": declared.resources
        }  # fmt: skip
        wanted: list[Offered] = [what for what, it in offered.items() if it is not None and it.list_changed]
        if not self.is_modern or not wanted:
            return False
        try:
            async with self._client.listen(
                tools_list_changed="tools" in wanted,
                prompts_list_changed="prompts" in wanted,
                resources_list_changed="resources" in wanted,
            ) as changes:
                honored = [what for what in wanted if getattr(changes.honored, f"{what}_list_changed")]
                if not honored:
                    return False
                for what in honored if self._listened else (what for what in honored if what == "tools"):
                    self._changed(what)
                self._listened = True
                async for _ in changes:
                    pass  # the notices themselves arrive where those of older servers do
        except SubscriptionLost as lost:
            logger.debug("a server's stream of changes broke off: %s", lost)
        except MCPError as error:
            logger.debug("a server has no stream of changes: %s", error)
            return error.code in (CODE_UNREACHABLE, CODE_BROKEN)
        return True

    def _changed(self, what: Offered) -> None:
        if what == "tools":
            self._watch.tools_changed.set()
        else:
            self._watch.changes.note(Change(what))

    async def follow_resources(self, uris: Collection[str], opened: Callable[[], None]) -> bool:
        """Hear of it whenever one of these resources changes, as long as the stream is open; for 2026-07-28 and later.

        Args:
            opened: Called once the server has agreed.

        Returns: True, the stream has ended and can be opened again.

        Raises:
            Refused: The server doesn't agree.
            ConnectionLost: It went away.
        """
        from mcp.client.subscriptions import SubscriptionLost

        try:
            with self._reported("of subscriptions"):
                async with self._client.listen(resource_subscriptions=sorted(uris)) as changes:
                    left_out = set(uris) - set(changes.honored.resource_subscriptions or ())
                    if left_out:
                        raise Refused(f"it doesn't tell when these change: {', '.join(sorted(left_out))}")
                    opened()
                    async for _ in changes:
                        pass
        except SubscriptionLost as lost:
            logger.debug("a server's stream of changes broke off: %s", lost)
        except ConnectionLost as loss:
            if loss.gone:
                raise
        return True

    async def subscribe(self, uri: str) -> None:
        """Hear of it whenever this resource changes; for servers of before 2026-07-28.

        Raises:
            Refused, ConnectionLost: The server doesn't agree; it went away.
        """
        import mcp_types as types

        request = types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
        with self._reported("to a subscription"):
            await self._client.session.send_request(request, types.EmptyResult)

    async def unsubscribe(self, uri: str) -> None:
        """The end of `subscribe`, with the same errors."""
        import mcp_types as types

        request = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
        with self._reported("to the end of a subscription"):
            await self._client.session.send_request(request, types.EmptyResult)

    async def set_log_level(self, level: LogLevel) -> None:
        """Say which reports are wanted; for servers of before 2026-07-28. One that refuses sends what it likes."""
        import mcp_types as types

        request = types.SetLevelRequest(params=types.SetLevelRequestParams(level=level))
        try:
            with self._reported("to a level of logging"):
                await self._client.session.send_request(request, types.EmptyResult)
        except Refused as refused:
            logger.debug("a server takes no level of logging: %s", refused)

    async def announce_roots(self) -> None:
        """Say that the folders have changed; servers of 2026-07-28 and later ask whenever they want to know."""
        import mcp_types as types

        if not self.is_modern:
            await self._client.session.send_notification(types.RootsListChangedNotification())

    async def list_page(self, kind: ListKind, cursor: str | None) -> tuple[list[dict[str, Any]], str | None, float]:
        """One page of a list, the cursor of the next, and for how many seconds the server says that the page holds.

        A server that has nothing of the kind has one empty page.

        Raises:
            Refused: The server can't or won't list them, or its list is no valid MCP.
            ConnectionLost: It went away.
        """
        from mcp_types import METHOD_NOT_FOUND

        fetch, field = _LISTS[kind]
        try:
            with self._reported(f"to list its {kind}"):
                page = await fetch(self._client, cursor)
        except Refused as refused:
            if refused.code == METHOD_NOT_FOUND:
                return [], None, 0.0
            raise
        items = [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in getattr(page, field)]
        return items, page.next_cursor, _holds_s(page.ttl_ms)

    async def read_resource(self, uri: str) -> list[dict[str, Any]]:
        """The contents of a resource, in the wire's own JSON; with the errors of `list_page`."""
        with self._reported("to a request to read"):
            answer = await self._with_pages(lambda: self._client.read_resource(uri))
        return [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in answer.contents]

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        """A prompt that is filled in, in the wire's own JSON; with the errors of `list_page`."""
        with self._reported("to a request for a prompt"):
            answer = await self._with_pages(lambda: self._client.get_prompt(name, arguments))
        return answer.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def complete(
        self, kind: Literal["prompt", "template"], of: str, argument: str, value: str, known: Mapping[str, str]
    ) -> dict[str, Any]:
        """Values for an argument of a prompt, by its name, or of a template, by itself; with the errors of `list_page`."""
        import mcp_types as types

        ref = types.PromptReference(name=of) if kind == "prompt" else types.ResourceTemplateReference(uri=of)
        with self._reported("to a request for completions"):
            answer = await self._client.complete(ref, {"name": argument, "value": value}, dict(known) or None)
        return answer.completion.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def _with_pages(self, request: Callable[[], Awaitable[T]]) -> T:
        """The answer to a request; one for which pages have to be opened first is made once more when they were.

        Raises:
            MCPError: As the SDK; where the person doesn't open a page, the message says so.
        """
        from mcp import MCPError
        from mcp_types import URL_ELICITATION_REQUIRED

        try:
            return await request()
        except MCPError as error:
            if error.code != URL_ELICITATION_REQUIRED or "elicitation" not in self._desk.serves:
                raise
            pages = read_pages(error.data)
            if not pages:
                raise
            if not await open_pages(pages, self._desk, self._watch):
                raise MCPError(error.code, f"{error.message} (not everything that it needs was opened)") from error
        return await request()

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """What the SDK raises, as `Refused` or `ConnectionLost`."""
        from mcp import MCPError
        from mcp.client import InputRequiredRoundsExceededError
        from pydantic import ValidationError

        try:
            yield
        except MCPError as error:
            self._raise_if_lost(error)
            raise Refused(str(error), code=error.code) from error
        except ValidationError as error:
            raise Refused(f"its answer {what} is not valid MCP: {first_problem(error)}") from error
        except InputRequiredRoundsExceededError as error:
            raise Refused(f"it asked back more than {error.max_rounds} times") from error

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        on_progress: Callable[[Progress], None],
        round: Round | None = None,
    ) -> ToolResult | Wanted:
        """Call a tool and wait for its answer, however long it takes; cancelling tells the server.

        Args:
            on_progress: Told what the server reports of the call while it runs.
            round: What the call goes on with; the server's next questions are then returned. None has the host answer them.

        Raises:
            ConnectionLost: The server went away before it answered.
        """
        from mcp import MCPError
        from mcp.client import InputRequiredRoundsExceededError
        from mcp_types import CallToolResult
        from pydantic import ValidationError

        async def report(progress: float, total: float | None, message: str | None) -> None:
            said = encodable(shortened(message, MAX_SAID_CHARS)) if message else None
            on_progress(Progress(progress, total, said))

        try:
            answer = await self._with_pages(lambda: self._send_call(name, arguments, report, round))
        except MCPError as error:
            self._raise_if_lost(error)
            return failure(plain_words(str(error)))
        except ValidationError as error:
            return failure(f"the server's answer is not valid MCP: {first_problem(error)}")
        except InputRequiredRoundsExceededError as error:
            return failure(f"the server asked back more than {error.max_rounds} times")
        except Exception as error:  # noqa: BLE001 - a server's answer can make the SDK, or the schema it is checked against, fail in any way
            return failure(str(error) or type(error).__name__)
        if not isinstance(answer, CallToolResult):
            asked = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
            return Wanted(encodable_json(asked.get("inputRequests") or {}), answer.request_state)
        promised, data = self._promised.get(name), answer.structured_content
        problem = broken_promise(promised, data) if promised and data is not None and not answer.is_error else None
        if problem is not None:
            return failure(f"the result of '{name}' is not what its output schema says: {problem}")
        return read_result(
            [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in answer.content],
            structured_content=answer.structured_content,
            is_error=bool(answer.is_error),
        )

    async def _send_call(
        self, name: str, arguments: dict[str, Any], report: ProgressFnT, round: Round | None
    ) -> CallToolResult | InputRequiredResult:
        if round is None or not self.is_modern:
            return await self._client.call_tool(name, arguments, progress_callback=report)
        from mcp_types import CallToolRequestParams

        answers = {"inputResponses": dict(round.answers)} if round.answers else {}
        params = CallToolRequestParams.model_validate({"name": name, **answers})
        return await self._client.session.call_tool(
            name,
            arguments,
            progress_callback=report,
            input_responses=params.input_responses,
            request_state=round.state,
            allow_input_required=True,
        )

    def _raise_if_lost(self, error: mcp.MCPError) -> None:
        """Tell the loss of the connection from an error that the server reports; it may use the same numbers."""
        from mcp_types import CONNECTION_CLOSED

        if error.code == CODE_UNREACHABLE:
            raise ConnectionLost(error.message, ran=False) from error
        if error.code == CODE_BROKEN:
            raise ConnectionLost(error.message, gone=False) from error
        if error.code == CONNECTION_CLOSED and error.message == _SDK_CLOSED:
            raise ConnectionLost(self._watch.how or "closed the connection") from error
        if error.code == CONNECTION_CLOSED and error.message.startswith(_SDK_BROKEN) and self._watch.process is None:
            raise ConnectionLost("broke its answer off", gone=False) from error


_LISTS: dict[ListKind, tuple[Callable[[mcp.Client, str | None], Awaitable[Any]], str]] = {
    "prompts": (lambda client, cursor: client.list_prompts(cursor=cursor), "prompts"),
    "resources": (lambda client, cursor: client.list_resources(cursor=cursor), "resources"),
    "resource templates": (lambda client, cursor: client.list_resource_templates(cursor=cursor), "resource_templates"),
}
"""How each list is asked for, and where its items are in the answer."""


def _holds_s(ttl_ms: int | None) -> float:
    """For how many seconds something holds; a server may say any number."""
    return min(max(ttl_ms or 0, 0), MAX_TTL_MS) / 1000


def first_problem(error: ValidationError) -> str:
    """What a validation found first, on one line, without the value (it may be anything)."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in problem["loc"] if not str(step).startswith("function-"))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
