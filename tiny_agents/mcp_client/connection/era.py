"""Which protocol a server speaks, remembered: so that an old one isn't asked in words it doesn't know at every start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from tiny_agents.mcp_client.tools.known_servers import Era, KnownServers

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.servers import Protocol

LEGACY_KEPT_S = 7 * 86_400.0
"""How long a server counts as an old one before it is asked again."""

DISCOVERED_KEPT_S = 86_400.0
"""How long what a server said of itself is believed at most, whatever it allows."""


SERVER_CHARS = 200
MAX_DISCOVERED_BYTES = 100_000
"""What a server says of itself is not kept if it is longer: the file is for all servers."""


class EraMemory:
    """What is remembered of how one server is spoken to.

    Args:
        protocol: What the user wants; anything but "auto" leaves nothing to remember.
    """

    def __init__(self, identity: str, known: KnownServers, protocol: Protocol) -> None:
        self._identity = identity
        self._known = known
        self._protocol = protocol

    def remembered(self) -> Era | None:
        """How the server was spoken to the last time, if that still counts."""
        if self._protocol != "auto":
            return None
        era = self._known.get(self._identity).era
        return era if era is not None and era.until > time.time() else None

    def learn(self, era: Era | None, used: Era | None) -> None:
        """Keep what a start has shown. `used` is what it was told to begin with.

        A server that is another version than before may speak another protocol too: it is asked again next time.
        """
        if self._protocol != "auto":
            return
        if used is None:
            self._put(era)
        elif era is None or era.server != used.server:
            self._put(None)

    def forget(self) -> None:
        self._put(None)

    def _put(self, era: Era | None) -> None:
        self._known.change(self._identity, lambda known: msgspec.structs.replace(known, era=era))


def era_of(
    protocol: str, *, modern: bool, server: str, older_transport: bool, discovered: dict[str, Any] | None, ttl_s: float
) -> Era | None:
    """What can be kept of a connection that works; None where asking again costs nothing that could be saved.

    Args:
        discovered, ttl_s: What a server of the newer protocol said of itself, and how long it lets us keep that.
    """
    now = time.time()
    server = server[:SERVER_CHARS]
    if not modern:
        return Era("legacy", now + LEGACY_KEPT_S, server=server, sse=older_transport)
    if discovered is not None and ttl_s > 0 and _can_be_kept(discovered):
        until = now + min(ttl_s, DISCOVERED_KEPT_S)
        return Era(protocol, until, server=server, sse=older_transport, discovered=discovered)
    return Era("auto", now + LEGACY_KEPT_S, server=server, sse=True) if older_transport else None


def _can_be_kept(discovered: dict[str, Any]) -> bool:
    """Whether it is small, and JSON of ours can hold it: half a character can't be written."""
    try:
        return len(msgspec.json.encode(discovered)) <= MAX_DISCOVERED_BYTES
    except (ValueError, RecursionError):
        return False
