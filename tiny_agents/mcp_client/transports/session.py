"""`Session`: an open conversation with one server, in terms of our own types."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tiny_agents.mcp_client.calls.promises import broken_promise
from tiny_agents.mcp_client.connection.changes import Change, ListKind, Offered
from tiny_agents.mcp_client.connection.era import era_of
from tiny_agents.mcp_client.connection.watch import (
    CODE_BROKEN,
    CODE_CUT_OFF,
    CODE_UNREACHABLE,
    ConnectionLost,
    Refused,
    Watch,
)
from tiny_agents.mcp_client.protocol.messages import (
    METHOD_NOT_FOUND,
    URL_ELICITATION_REQUIRED,
    Closed,
    NotValid,
    RpcError,
)
from tiny_agents.mcp_client.protocol.rounds import TooManyRounds, finished, next_params, questions_in
from tiny_agents.mcp_client.protocol.streams import LIST_FLAGS, StreamLost
from tiny_agents.mcp_client.results.mending import mended_answer
from tiny_agents.mcp_client.results.results import ToolResult, failure, read_result
from tiny_agents.mcp_client.text import encodable_json
from tiny_agents.mcp_client.tools.table import ServerTool, read_tool
from tiny_agents.mcp_client.transports.asked import answer
from tiny_agents.mcp_client.transports.pages import open_pages, read_pages
from tiny_agents.mcp_client.transports.routing import Routing

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.servers import LogLevel
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.host.rounds import Round
    from tiny_agents.mcp_client.protocol.conversation import Conversation
    from tiny_agents.mcp_client.protocol.peer import Report
    from tiny_agents.mcp_client.tools.known_servers import Era

logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T")

MAX_TTL_MS = 365 * 86_400_000


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

    def __init__(self, conversation: Conversation, watch: Watch, desk: Desk) -> None:
        self._conversation = conversation
        self._agreement = conversation.agreement
        self._watch = watch
        self._desk = desk
        self._routing = Routing(conversation, desk.server)
        self._answer = partial(answer, desk, watch)
        self._promised: dict[str, dict[str, Any] | None] = {}  # tool -> the schema of its results
        self._listened = False
        self._tools_until = math.inf
        self.is_modern = self._agreement.modern
        self.instructions: str | None = self._agreement.instructions or None

    def offers(self, what: Offered | Literal["logging", "completions"]) -> bool:
        """Whether the server says that it has something; True too where it wasn't asked what it has."""
        declared = self._agreement.capabilities
        return what in declared or (self.is_modern and not declared)

    def _announces(self, what: Offered) -> bool:
        return self._agreement.capabilities.get(what, {}).get("listChanged") is True

    def era(self, *, older_transport: bool) -> Era | None:
        """What can be remembered of how this server is spoken to."""
        server, discovered = self._agreement.server, self._agreement.discovered
        return era_of(
            self._agreement.version,
            modern=self.is_modern,
            server=f"{server['name']} {server['version']}" if server else "",
            older_transport=older_transport,
            discovered=discovered,
            ttl_s=0.0 if discovered is None else _holds_s(discovered),
        )

    async def list_tools(self, cursor: str | None) -> tuple[list[ServerTool], str | None]:
        """One page of tools, and the cursor of the next; a server without tools has one empty page.

        Raises:
            Refused: The server can't or won't list them, or its list is no valid MCP.
            ConnectionLost: It went away.
        """
        try:
            page = await self._conversation.ask("tools/list", _from(cursor))
            listed = self._routing.usable(_listed_in(page, "tools"))
        except RpcError as error:
            if error.code == METHOD_NOT_FOUND:
                return [], None
            self._raise_if_lost(error)
            raise Refused(str(error)) from error
        except NotValid as error:
            raise Refused(f"its list of tools is not valid MCP: {error}") from error
        self._tools_hold(_holds_s(page), first=cursor is None)
        if cursor is None:
            self._promised = {}
        for tool in listed:  # of several with a name the first one counts
            self._promised.setdefault(tool["name"], tool.get("outputSchema"))
        return [read_tool(tool) for tool in listed], page.get("nextCursor")

    def _tools_hold(self, seconds: float, *, first: bool) -> None:
        until = asyncio.get_running_loop().time() + seconds if seconds else math.inf
        self._tools_until = until if first else min(until, self._tools_until)

    @property
    def tools_are_stale(self) -> bool:
        """Whether the server said for how long its tools hold, that time is over, and it announces no changes."""
        return not self._announces("tools") and asyncio.get_running_loop().time() >= self._tools_until

    async def listen(self) -> bool:
        """Hear of it whenever the server's lists change, as long as its stream of changes is open.

        At the beginning the tools count as changed, and all lists when it is opened again: nobody knows what was missed.

        Returns: Whether a stream was there that has ended and can be opened again. Servers of before 2026-07-28 have none,
            their notices come unasked.
        """
        offered: tuple[Offered, ...] = ("tools", "prompts", "resources")
        wanted = [what for what in offered if self._announces(what)]
        if not self.is_modern or not wanted:
            return False
        try:
            async with self._conversation.stream({LIST_FLAGS[what]: True for what in wanted}) as changes:
                granted = await changes.opened()
                honored = [what for what in wanted if granted.get(LIST_FLAGS[what]) is True]
                if not honored:
                    return False
                for what in honored if self._listened else (what for what in honored if what == "tools"):
                    self._changed(what)
                self._listened = True
                await changes.ended()  # the notices themselves arrive where those of older servers do
        except StreamLost as lost:
            logger.debug("a server's stream of changes broke off: %s", lost)
        except RpcError as error:
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
        try:
            with self._reported("of subscriptions"):
                async with self._conversation.stream({"resourceSubscriptions": sorted(uris)}) as changes:
                    granted = (await changes.opened()).get("resourceSubscriptions")
                    left_out = set(uris).difference(granted if isinstance(granted, list) else ())
                    if left_out:
                        raise Refused(f"it doesn't tell when these change: {', '.join(sorted(left_out))}")
                    opened()
                    await changes.ended()
        except StreamLost as lost:
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
        with self._reported("to a subscription"):
            await self._conversation.ask("resources/subscribe", {"uri": uri})

    async def unsubscribe(self, uri: str) -> None:
        """The end of `subscribe`, with the same errors."""
        with self._reported("to the end of a subscription"):
            await self._conversation.ask("resources/unsubscribe", {"uri": uri})

    async def set_log_level(self, level: LogLevel) -> None:
        """Say which reports are wanted; for servers of before 2026-07-28. One that refuses sends what it likes."""
        try:
            with self._reported("to a level of logging"):
                await self._conversation.ask("logging/setLevel", {"level": level})
        except Refused as refused:
            logger.debug("a server takes no level of logging: %s", refused)

    async def announce_roots(self) -> None:
        """Say that the folders have changed; servers of 2026-07-28 and later ask whenever they want to know."""
        if not self.is_modern:
            await self._conversation.say("notifications/roots/list_changed")

    async def list_page(self, kind: ListKind, cursor: str | None) -> tuple[list[dict[str, Any]], str | None, float]:
        """One page of a list, the cursor of the next, and for how many seconds the server says that the page holds.

        A server that has nothing of the kind has one empty page.

        Raises:
            Refused: The server can't or won't list them, or its list is no valid MCP.
            ConnectionLost: It went away.
        """
        from tiny_agents.mcp_client.protocol import shapes

        method, field, shape = _lists()[kind]
        try:
            with self._reported(f"to list its {kind}"):
                page = await self._conversation.ask(method, _from(cursor))
                items = shapes.plain(shapes.read(page, shape))[field]
        except Refused as refused:
            if refused.code == METHOD_NOT_FOUND:
                return [], None, 0.0
            raise
        return items, page.get("nextCursor"), _holds_s(page)

    async def read_resource(self, uri: str) -> list[dict[str, Any]]:
        """The contents of a resource, in the wire's own JSON; with the errors of `list_page`."""
        from tiny_agents.mcp_client.protocol import shapes

        with self._reported("to a request to read"):
            found = await self._with_pages("resources/read", {"uri": uri})
            contents: list[dict[str, Any]] = shapes.plain(shapes.read(found, shapes.Contents))["contents"]
        return contents

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> dict[str, Any]:
        """A prompt that is filled in, in the wire's own JSON; with the errors of `list_page`."""
        from tiny_agents.mcp_client.protocol import shapes

        params = {"name": name, "arguments": arguments}
        with self._reported("to a request for a prompt"):
            found = await self._with_pages("prompts/get", params)
            prompt: dict[str, Any] = shapes.plain(shapes.read(found, shapes.Prompt))
        return prompt

    async def complete(
        self, kind: Literal["prompt", "template"], of: str, argument: str, value: str, known: Mapping[str, str]
    ) -> dict[str, Any]:
        """Values for an argument of a prompt, by its name, or of a template, by itself; with the errors of `list_page`."""
        from tiny_agents.mcp_client.protocol import shapes

        ref = {"type": "ref/prompt", "name": of} if kind == "prompt" else {"type": "ref/resource", "uri": of}
        params: dict[str, Any] = {"ref": ref, "argument": {"name": argument, "value": value}}
        if known:
            params["context"] = {"arguments": dict(known)}
        with self._reported("to a request for completions"):
            found = shapes.read(await self._conversation.ask("completion/complete", params), shapes.Completed)
        completion: dict[str, Any] = shapes.plain(found.completion)
        return completion

    async def _finished(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of a request, with what the server asks meanwhile answered by the desk."""
        if not self.is_modern:
            return await self._conversation.ask(method, params)
        return await finished(lambda more: self._conversation.ask(method, {**params, **more}), self._answer)

    async def _with_pages(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """As `_finished`; a request for which pages have to be opened first is made once more when they were."""
        try:
            return await self._finished(method, params)
        except RpcError as error:
            await self._open_pages(error)
        return await self._finished(method, params)

    async def _open_pages(self, error: RpcError) -> None:
        """Open the pages that a server wants opened before it answers.

        Raises:
            RpcError: The server's, if it wants something else; where the person doesn't open a page, the message says so.
        """
        if error.code != URL_ELICITATION_REQUIRED or "elicitation" not in self._desk.serves:
            raise error
        pages = read_pages(error.data)
        if not pages:
            raise error
        if not await open_pages(pages, self._desk, self._watch):
            said = f"{error.message} (not everything that it needs was opened)"
            raise RpcError(error.code, said, error.data) from error

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """What the protocol raises, as `Refused` or `ConnectionLost`."""
        try:
            yield
        except RpcError as error:
            self._raise_if_lost(error)
            raise Refused(str(error), code=error.code) from error
        except NotValid as error:
            raise Refused(f"its answer {what} is not valid MCP: {error}") from error
        except TooManyRounds as error:
            raise Refused(f"it {error}") from error

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        on_progress: Report,
        round: Round | None = None,
    ) -> ToolResult | Wanted:
        """Call a tool and wait for its answer, however long it takes; cancelling tells the server.

        Args:
            on_progress: Told what the server reports of the call while it runs.
            round: What the call goes on with; the server's next questions are then returned. None has the host answer them.

        Raises:
            ConnectionLost: The server went away before it answered.
        """
        try:
            try:
                found = await self._send_call(name, arguments, on_progress, round)
            except RpcError as error:
                await self._open_pages(error)
                found = await self._send_call(name, arguments, on_progress, round)
            if round is not None and self.is_modern and (asked := questions_in(found)) is not None:
                return Wanted(encodable_json(asked.requests), asked.state)
            if found.get("resultType") != "complete":  # of these, nothing was mended
                found = mended_answer({**found, "resultType": "complete"})
            content = _listed_in(found, "content")
        except RpcError as error:
            self._raise_if_lost(error)
            return failure(str(error))
        except NotValid as error:
            return failure(f"the server's answer is not valid MCP: {error}")
        except TooManyRounds as error:
            return failure(f"the server {error}")
        except Exception as error:  # noqa: BLE001 - arguments may hold what no JSON can, and a person's answers too
            return failure(str(error) or type(error).__name__)
        promised, data, is_error = self._promised.get(name), found.get("structuredContent"), bool(found.get("isError"))
        problem = broken_promise(promised, data) if promised and data is not None and not is_error else None
        if problem is not None:
            return failure(f"the result of '{name}' is not what its output schema says: {problem}")
        return read_result(content, structured_content=data, is_error=is_error)

    def _send_call(
        self, name: str, arguments: dict[str, Any], report: Report, round: Round | None
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        call = {"name": name, "arguments": arguments}
        if not self.is_modern:
            return self._conversation.ask("tools/call", call, on_progress=report)
        if round is not None:
            return self._routing.call({**call, **next_params(dict(round.answers), round.state)}, report)
        return self._call_finished(call, report)

    def _call_finished(self, call: dict[str, Any], report: Report) -> Coroutine[Any, Any, dict[str, Any]]:
        return finished(lambda more: self._routing.call({**call, **more}, report), self._answer)

    def _raise_if_lost(self, error: RpcError) -> None:
        """Tell the loss of the connection from an error that the server reports; it may use the same numbers."""
        if error.code == CODE_UNREACHABLE:
            raise ConnectionLost(error.message, ran=False) from error
        if error.code == CODE_BROKEN:
            raise ConnectionLost(error.message, gone=False) from error
        if isinstance(error, Closed):
            raise ConnectionLost(self._watch.how or "closed the connection") from error
        if error.code == CODE_CUT_OFF:
            raise ConnectionLost(error.message, gone=False) from error


def _from(cursor: str | None) -> dict[str, Any]:
    return {} if cursor is None else {"cursor": cursor}


def _listed_in(result: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Raises NotValid where there is no list."""
    found = result.get(key)
    if not isinstance(found, list):
        raise NotValid(f"{key}: is missing" if found is None else f"{key}: must be a list")
    return found


def _lists() -> dict[ListKind, tuple[str, str, Any]]:
    """How each list is asked for, where its items are in the answer, and what that looks like."""
    from tiny_agents.mcp_client.protocol import shapes

    return {
        "prompts": ("prompts/list", "prompts", shapes.Prompts),
        "resources": ("resources/list", "resources", shapes.Resources),
        "resource templates": ("resources/templates/list", "resourceTemplates", shapes.Templates),
    }


def _holds_s(result: Mapping[str, Any]) -> float:
    """For how many seconds a result holds; a server may say any number."""
    ttl_ms = result.get("ttlMs")
    return min(max(ttl_ms, 0), MAX_TTL_MS) / 1000 if isinstance(ttl_ms, int) else 0.0
