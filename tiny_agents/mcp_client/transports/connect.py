"""A server's description -> a session with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from tiny_agents.mcp_client.connection.changes import Change
from tiny_agents.mcp_client.connection.servers import (
    LOG_LEVELS,
    HttpServer,
    InProcessServer,
    Protocol,
    Server,
    SseServer,
    StdioServer,
)
from tiny_agents.mcp_client.connection.watch import Refused, Watch
from tiny_agents.mcp_client.host.host import Desk
from tiny_agents.mcp_client.protocol.agreement import Ourselves
from tiny_agents.mcp_client.protocol.conversation import Conversation
from tiny_agents.mcp_client.protocol.messages import HANDSHAKES, NotValid
from tiny_agents.mcp_client.protocol.peer import Link, Params, Peer
from tiny_agents.mcp_client.text import bounded_json, encodable, encodable_json, shortened, without_secrets
from tiny_agents.mcp_client.transports.asked import CAPABILITIES, answer_request
from tiny_agents.mcp_client.transports.mended import Traffic
from tiny_agents.mcp_client.transports.session import Session
from tiny_agents.mcp_client.transports.stdio import open_stdio

if TYPE_CHECKING:
    from tiny_agents.mcp_client.tools.known_servers import Era

LOG_LEVEL: Final = "info"
MAX_LOG_CHARS: Final = 40_000
MAX_NAME_CHARS: Final = 200
MAX_URI_CHARS: Final = 10_000  # of a resource that is said to have changed; nobody subscribed to a longer one


@asynccontextmanager
async def open_session(
    server: Server, watch: Watch, desk: Desk, protocol: Protocol = "auto", era: Era | None = None
) -> AsyncIterator[Session]:
    """Connect, agree on a protocol version, and stay connected while the block is open. Enter and leave in one task.

    Args:
        desk: Where what the server asks of us is answered.
        protocol: "legacy" shakes hands as before 2026-07-28, "2026-07-28" speaks that version unasked; "auto" finds out.
        era: What the last connection found out; spares the question.

    Raises:
        Exception: Whatever the transport or the protocol raises; `startup.explain` puts it into words.
    """
    async with _OPENERS[type(server)](server, watch, desk) as link, _talking(link, watch, desk) as conversation:
        try:
            await conversation.begin(protocol if era is None else era.protocol, None if era is None else era.discovered)
        except NotValid as problem:
            raise Refused(f"its greeting is not valid MCP: {problem}") from problem
        session = Session(conversation, watch, desk)
        if desk.log_level is not None and not session.is_modern and session.offers("logging"):
            await session.set_log_level(desk.log_level)
        yield session


@asynccontextmanager
async def _talking(link: Link, watch: Watch, desk: Desk) -> AsyncIterator[Conversation]:
    from tiny_agents import __version__

    async def answer(method: str, params: Params) -> dict[str, Any]:
        agreed = getattr(conversation, "agreement", None)
        version = HANDSHAKES[-1] if agreed is None else agreed.version
        return await answer_request(desk, watch, version, method, params)

    def notice(method: str, params: Params) -> None:
        if (told := _NOTICES.get(method)) is not None:
            told(watch, desk, params)

    peer = Peer(link, Traffic(desk.server, watch.secrets), answer, notice)
    ourselves = Ourselves(
        {"name": "tiny-agents", "version": __version__},
        {service: CAPABILITIES[service] for service in sorted(desk.serves)},
        desk.log_level or LOG_LEVEL,
    )
    conversation = Conversation(peer, ourselves)
    peer.start()
    try:
        yield conversation
    finally:
        await peer.close()


# ---------------------------------------------------------------- what a server announces


def _tools_changed(watch: Watch, _: Desk, __: Params) -> None:
    watch.tools_changed.set()


def _prompts_changed(watch: Watch, _: Desk, __: Params) -> None:
    watch.changes.note(Change("prompts"))


def _resources_changed(watch: Watch, _: Desk, __: Params) -> None:
    watch.changes.note(Change("resources"))


def _resource_updated(watch: Watch, _: Desk, params: Params) -> None:
    uri = params.get("uri")
    if isinstance(uri, str) and len(uri) <= MAX_URI_CHARS:
        watch.changes.note(Change("resources", encodable(uri)))


def _page_done(watch: Watch, _: Desk, params: Params) -> None:
    if isinstance(id := params.get("elicitationId"), str):
        watch.page_done(id)


def _logged(watch: Watch, desk: Desk, params: Params) -> None:
    level, name = params.get("level"), params.get("logger")
    if level not in LOG_LEVELS or not isinstance(name, (str, type(None))) or "data" not in params:
        return
    data = without_secrets(encodable_json(params["data"]), watch.secrets)
    desk.log(level, name and shortened(encodable(name), MAX_NAME_CHARS), bounded_json(data, MAX_LOG_CHARS))


_NOTICES: dict[str, Callable[[Watch, Desk, Params], None]] = {
    "notifications/tools/list_changed": _tools_changed,
    "notifications/prompts/list_changed": _prompts_changed,
    "notifications/resources/list_changed": _resources_changed,
    "notifications/resources/updated": _resource_updated,
    "notifications/elicitation/complete": _page_done,
    "notifications/message": _logged,
}
"""What becomes of a notice, in whichever way it came: unasked, or on a stream that we opened."""


# ---------------------------------------------------------------- one function per kind of server


def _http(server: HttpServer, watch: Watch, desk: Desk) -> AbstractAsyncContextManager[Link]:
    from tiny_agents.mcp_client.transports.streamable import open_streamable

    return open_streamable(server, watch, desk)


def _sse(server: SseServer, watch: Watch, desk: Desk) -> AbstractAsyncContextManager[Link]:
    from tiny_agents.mcp_client.transports.sse import open_sse

    return open_sse(server, watch, desk)


def _in_process(server: InProcessServer, watch: Watch, desk: Desk) -> AbstractAsyncContextManager[Link]:
    from tiny_agents.mcp_client.transports.in_process import open_in_process

    return open_in_process(server, watch, desk)


_OPENERS: dict[type[Server], Callable[[Any, Watch, Desk], AbstractAsyncContextManager[Link]]] = {
    StdioServer: open_stdio,
    HttpServer: _http,
    SseServer: _sse,
    InProcessServer: _in_process,
}
