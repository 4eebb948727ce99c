"""`Conversation`: an open connection on which both sides have agreed on a version, and requests made as that wants them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tiny_agents.mcp_client.protocol.agreement import PROBE_S, Agreement, Ourselves, agree
from tiny_agents.mcp_client.protocol.messages import MODERN, RpcError
from tiny_agents.mcp_client.protocol.peer import Params, Peer, Report
from tiny_agents.mcp_client.protocol.streams import Stream

_streams = itertools.count(1)


class Conversation:
    """What is said to one server. `begin` comes first.

    Attributes:
        agreement: What both sides know of each other.
    """

    agreement: Agreement

    def __init__(self, peer: Peer, ourselves: Ourselves) -> None:
        self._peer = peer
        self._ourselves = ourselves

    @property
    def takes_headers(self) -> bool:
        """Whether what a request is about has to be said in HTTP headers too."""
        return self._peer.link.takes_headers and self.agreement.modern

    async def begin(self, protocol: str, prior: Mapping[str, Any] | None = None) -> None:
        """Agree on a version; see `agree`."""
        self.agreement = await agree(self, self._ourselves, protocol, prior)

    def ask(
        self,
        method: str,
        params: Params,
        *,
        on_progress: Report | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        """A request's result.

        Args:
            headers: More than those of every request.

        Raises:
            RpcError: The server's error; `Closed` where no answer can come.
        """
        sent = self._headers(self.agreement.version, method, params, headers)
        return self._peer.request(method, params, self.agreement.meta, headers=sent, on_progress=on_progress)

    async def say(self, method: str) -> None:
        """A notice."""
        await self._peer.notify(method, {}, self._headers(self.agreement.version, method, {}))

    @asynccontextmanager
    async def stream(self, wanted: dict[str, Any]) -> AsyncIterator[Stream]:
        """A stream of changes, asked for and ended with the block.

        Args:
            wanted: What the server should tell of, as the protocol has it.
        """
        method, params = "subscriptions/listen", {"notifications": wanted}
        id = f"listen-{next(_streams)}"  # never the number of another request
        stream = self._peer.streams[id] = Stream()

        async def wait_for_its_end() -> None:
            try:
                headers = self._headers(self.agreement.version, method, params)
                await self._peer.request(method, params, self.agreement.meta, headers=headers, id=id)
            except RpcError as error:
                stream.end(lost=True, error=error)
            else:
                stream.end()

        waiting = asyncio.create_task(wait_for_its_end(), name=f"MCP {id}")
        try:
            yield stream
        finally:
            waiting.cancel()
            await asyncio.wait({waiting})
            del self._peer.streams[id]

    def _headers(
        self, version: str, method: str, params: Mapping[str, Any], more: Mapping[str, str] | None = None
    ) -> Mapping[str, str] | None:
        if not self._peer.link.takes_headers:
            return None
        from tiny_agents.mcp_client.protocol.headers import VERSION, request_headers

        if version not in MODERN:
            return {VERSION: version}
        return {**request_headers(version, method, params), **(more or {})}

    # ---- the first words

    async def discover(self, version: str) -> dict[str, Any]:
        method, meta = "server/discover", self._ourselves.meta(version)
        headers = self._headers(version, method, {})
        return await self._peer.request(method, {}, meta, headers=headers, timeout_s=PROBE_S, can_be_cancelled=False)

    async def initialize(self, version: str) -> dict[str, Any]:
        params = {
            "protocolVersion": version,
            "capabilities": self._ourselves.capabilities,
            "clientInfo": self._ourselves.info,
        }
        return await self._peer.request("initialize", params, {}, can_be_cancelled=False)

    async def initialized(self, version: str) -> None:
        method = "notifications/initialized"
        await self._peer.notify(method, {}, self._headers(version, method, {}))
