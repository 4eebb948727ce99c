"""`Bearer`: the token of a login. What logs in is loaded with the first login that is kept, or asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import httpx2

from tiny_agents.mcp_client.oauth.store import Slot
from tiny_agents.mcp_client.transports.answers import origin

if TYPE_CHECKING:  # importing it costs 0.5 s, and most servers want no login
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.oauth.login import Authorizer
    from tiny_agents.mcp_client.oauth.options import Auth


class Bearer:
    """The token that messages to a server carry, and to nobody else.

    Args:
        desk: Where a person is asked.
        watch: Told of secrets that must not be shown, and paused while a person logs in.
    """

    def __init__(self, url: str, auth: Auth, desk: Desk, watch: Watch) -> None:
        self._url = url
        self._auth = auth
        self._desk = desk
        self._watch = watch
        self._origin = origin(httpx2.URL(url))
        self._slot = Slot(url, auth.client_id, auth.account)
        self._authorizer: Authorizer | None = None
        self._looked = False
        watch.secrets += auth.secrets

    async def close(self) -> None:
        """Stop what is under way."""
        if self._authorizer is not None:
            await self._authorizer.close()

    @property
    def is_in_use(self) -> bool:
        """Whether there is a login, or one was kept: otherwise no message has a token."""
        if self._authorizer is None and not self._looked:
            self._looked = True
            if self._slot.path.exists():
                self._authorizing()
        return self._authorizer is not None

    def minds(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer has to be told to `renewed`: it may be a challenge, or say that a token is good."""
        return self._authorizer is not None or status == 401 or (status == 403 and "www-authenticate" in headers)

    async def token(self, url: str) -> str | None:
        """What a message to `url` has to carry; None where that is nothing."""
        return await self._authorizing().token() if self._is_own(url) else None

    async def renewed(
        self, token: str | None, url: str, status: int, headers: Mapping[str, str], *, patient: bool
    ) -> str | None:
        """What the message has to carry that was answered so; None if it isn't to be sent again.

        Args:
            token: What it carried.
            url: Where it went.
            headers: Of the answer, names in lower case.
            patient: Whether the message may wait for a login.

        Raises:
            LoginFailed: There is no other token, and why.
        """
        if not self._is_own(url):
            return None
        from tiny_agents.mcp_client.oauth.flow import read_challenge

        challenge = read_challenge(status, headers)
        if challenge is None:
            if self._authorizer is not None:
                self._authorizer.accepted(token)
            return None
        if not patient:
            return None
        if self._authorizer is None:
            await self._authorizing().token()  # a login may have been kept meanwhile
        return await self._authorizing().renewed(token, challenge)

    def _is_own(self, url: str) -> bool:
        return url == self._url or origin(httpx2.URL(url)) == self._origin

    def _authorizing(self) -> Authorizer:
        if self._authorizer is None:
            from tiny_agents.mcp_client.oauth.login import Authorizer
            from tiny_agents.mcp_client.transports.streams import quiet_sdk

            quiet_sdk()
            self._authorizer = Authorizer(self._url, self._auth, self._desk, self._watch, slot=self._slot)
        return self._authorizer
