"""Resource links in results: what a server pointed to, a model can have read, from that server and no other place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated

from tiny_agents.errors import ServerError, UsageError
from tiny_agents.mcp_client.resources.resources import ResourceContent, as_result
from tiny_agents.mcp_client.results.results import ToolResult, failure
from tiny_agents.mcp_client.text import encodable
from tiny_agents.mcp_client.tools.table import READ_LINK

READ_NOTE = f"[The tool '{READ_LINK}' reads what is linked here.]"

MAX_LINKS = 1_000
"""Links that are remembered, the latest ones."""

Read = Callable[[str, str], Awaitable[tuple[ResourceContent, ...]]]
"""Reads a URI at the server of a name."""


class Links:
    """The links of all results so far.

    An address that a model makes up, or has from elsewhere, isn't read: only the server that gave a link is asked for it, so
    neither a file of this machine nor a page of the web is reached in any other way than through that server.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()  # (URI, server)

    def note(self, server: str, result: ToolResult) -> bool:
        """Remember the links of a result; says whether it has some."""
        found = [block.get("uri") for block in result.content if block.get("type") == "resource_link"]
        uris = [encodable(uri) for uri in found if isinstance(uri, str) and uri]
        for uri in uris[-MAX_LINKS:]:
            self._known[uri, server] = None
            self._known.move_to_end((uri, server))
        while len(self._known) > MAX_LINKS:
            self._known.popitem(last=False)
        return bool(uris)

    async def read_resource_link(
        self,
        uri: Annotated[str, "The address in the link, exactly as it stands there."],
        server: Annotated[str, "Whose link it is; needed only where several servers gave the same."] = "",
    ) -> ToolResult:
        """Read what a resource link in a tool's result leads to."""
        owners = [owner for known, owner in self._known if known == uri and server in ("", owner)]
        if not owners:
            raise UsageError(f"no tool's result had a link to {uri!r}; only such links can be read")
        if len(owners) > 1:
            raise UsageError(
                f"several servers gave this link; say whose is meant with server: {', '.join(sorted(owners))}"
            )
        try:
            return as_result(await self._read(uri, owners[0]))
        except ServerError as error:
            return failure(str(error))
