"""`Bearer`: sends the token of a login along. What logs in is loaded with the first login that is kept, or asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

import httpx2

from tiny_agents.mcp_client.oauth.store import Slot
from tiny_agents.mcp_client.transports.answers import origin

if TYPE_CHECKING:  # importing it costs 0.5 s, and most servers want no login
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.oauth.login import Authorizer
    from tiny_agents.mcp_client.oauth.options import Auth

MAX_TRIES = 4  # of one request: as it is, with a renewed token, after a login, with more scopes


class Bearer(httpx2.Auth):
    """Sends the token to its server and nowhere else.

    Args:
        desk: Where a person is asked.
        watch: Told of secrets that must not be shown, and paused while a person logs in.
        patient: Whether a request may wait for a login.
    """

    def __init__(
        self, url: str, auth: Auth, desk: Desk, watch: Watch, patient: Callable[[httpx2.Request], bool]
    ) -> None:
        self._url = url
        self._auth = auth
        self._desk = desk
        self._watch = watch
        self._patient = patient
        self._origin = origin(httpx2.URL(url))
        self._slot = Slot(url, auth.client_id, auth.account)
        self._authorizer: Authorizer | None = None
        self._looked = False
        watch.secrets += auth.secrets

    async def close(self) -> None:
        """Stop what is under way."""
        if self._authorizer is not None:
            await self._authorizer.close()

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        if origin(request.url) != self._origin:
            yield request
            return
        token = await self._kept_token()
        for _ in range(MAX_TRIES):
            if token is not None:
                request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if self._authorizer is None and not _asks(response):
                return
            from tiny_agents.mcp_client.oauth.flow import read_challenge

            challenge = read_challenge(response)
            if challenge is None:
                if self._authorizer is not None:
                    self._authorizer.accepted(token)
                return
            if not self._patient(request):
                return
            if self._authorizer is None:
                await self._authorizing().token()  # a login may have been kept meanwhile
            if (token := await self._authorizing().renewed(token, challenge)) is None:
                return

    async def _kept_token(self) -> str | None:
        if self._authorizer is None and (self._looked or not self._slot.path.exists()):
            self._looked = True
            return None
        return await self._authorizing().token()

    def _authorizing(self) -> Authorizer:
        if self._authorizer is None:
            from tiny_agents.mcp_client.oauth.login import Authorizer
            from tiny_agents.mcp_client.transports.streams import quiet_sdk

            quiet_sdk()
            self._authorizer = Authorizer(self._url, self._auth, self._desk, self._watch, slot=self._slot)
        return self._authorizer


def _asks(response: httpx2.Response) -> bool:
    """Whether an answer may be a challenge."""
    return response.status_code == 401 or (response.status_code == 403 and "www-authenticate" in response.headers)
