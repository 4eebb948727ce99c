"""A server's description -> a session with it."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tiny_agents.mcp_client.connection.changes import Change
from tiny_agents.mcp_client.connection.servers import (
    HttpServer,
    InProcessServer,
    Protocol,
    Server,
    SseServer,
    StdioServer,
)
from tiny_agents.mcp_client.connection.watch import (
    Refused,
    Watch,
)
from tiny_agents.mcp_client.host.host import (
    Desk,
)
from tiny_agents.mcp_client.text import bounded_json, encodable, encodable_json, shortened, without_secrets
from tiny_agents.mcp_client.tools.known_servers import Era
from tiny_agents.mcp_client.transports.asked import CALLBACKS
from tiny_agents.mcp_client.transports.mended import mended
from tiny_agents.mcp_client.transports.remote import open_http, open_sse
from tiny_agents.mcp_client.transports.session import Session, first_problem
from tiny_agents.mcp_client.transports.stdio import open_stdio, running

if TYPE_CHECKING:  # importing it costs 0.7 s
    from mcp_types import DiscoverResult

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
        Exception: Whatever the transport or the SDK raises; `startup.explain` puts it into words.
    """
    process = running(server, watch) if isinstance(server, StdioServer) else nullcontext()
    async with process, _session(server, watch, desk, protocol, era) as session:
        yield session


@asynccontextmanager
async def _session(
    server: Server, watch: Watch, desk: Desk, protocol: Protocol, era: Era | None
) -> AsyncIterator[Session]:
    import mcp
    from mcp_types import (
        Implementation,
        LoggingMessageNotificationParams,
        SamplingCapability,
        SamplingToolsCapability,
    )

    async def log(params: LoggingMessageNotificationParams) -> None:
        name = params.logger and shortened(encodable(params.logger), MAX_NAME_CHARS)
        data = without_secrets(encodable_json(params.data), watch.secrets)
        desk.log(params.level, name, bounded_json(data, MAX_LOG_CHARS))

    # The SDK logs what it survives, with tracebacks. Without a handler Python would print that on the user's screen;
    # whoever configures logging gets all of it.
    for name in ("mcp", "client"):
        sdk_logger = logging.getLogger(name)
        if not sdk_logger.handlers:
            sdk_logger.addHandler(logging.NullHandler())
    ourselves = Implementation(name="tiny-agents", version=importlib.metadata.version("tiny-agents"))
    transport = _OPENERS[type(server)](server, watch, desk)
    if not isinstance(server, InProcessServer):
        transport = mended(transport, desk.server, watch.secrets)
    callbacks: dict[str, Any] = {CALLBACKS[service][0]: CALLBACKS[service][1](desk, watch) for service in desk.serves}
    async with (
        _in_words(),
        mcp.Client(
            transport,
            client_info=ourselves,
            mode=protocol if era is None else era.protocol,
            prior_discover=_discovered(era),
            cache=None,
            message_handler=partial(_notice, watch),
            logging_callback=log,
            sampling_capabilities=SamplingCapability(tools=SamplingToolsCapability()),
            log_level=desk.log_level or LOG_LEVEL,
            **callbacks,
        ) as client,
    ):
        session = Session(client, watch, desk)
        if desk.log_level is not None and not session.is_modern and session.offers("logging"):
            await session.set_log_level(desk.log_level)
        yield session


@asynccontextmanager
async def _in_words() -> AsyncIterator[None]:
    """What the SDK finds wrong with the greeting, without the names of its classes."""
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        raise Refused(f"its greeting is not valid MCP: {first_problem(error)}") from error


async def _notice(watch: Watch, message: object) -> None:
    """What a server announces, in whichever way: unasked, or on a stream that we opened."""
    import mcp_types as types

    if isinstance(message, types.ToolListChangedNotification):
        watch.tools_changed.set()
    elif isinstance(message, types.PromptListChangedNotification):
        watch.changes.note(Change("prompts"))
    elif isinstance(message, types.ResourceListChangedNotification):
        watch.changes.note(Change("resources"))
    elif isinstance(message, types.ResourceUpdatedNotification) and len(message.params.uri) <= MAX_URI_CHARS:
        watch.changes.note(Change("resources", encodable(message.params.uri)))
    elif isinstance(message, types.ElicitCompleteNotification):
        watch.page_done(message.params.elicitation_id)


def _discovered(era: Era | None) -> DiscoverResult | None:
    if era is None or era.discovered is None:
        return None
    from mcp_types import DiscoverResult

    return DiscoverResult.model_validate(era.discovered)


def _in_process(server: InProcessServer, _: Watch, __: Desk) -> Any:
    return server.server  # the SDK talks to the object itself


_OPENERS: dict[type[Server], Callable[[Any, Watch, Desk], Any]] = {
    StdioServer: open_stdio,
    HttpServer: open_http,
    SseServer: open_sse,
    InProcessServer: _in_process,
}
