"""What holds for every request of a client. Without httpx2, whose import costs as much as the rest of a client."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tiny_agents.records import Discreet


class HTTPSettings(Discreet, msgspec.Struct, frozen=True):
    """What holds for every request of a client.

    Attributes:
        timeout_s: Seconds any single wait may take.
        max_retries: Further tries after one that failed in passing (`RETRIED_STATUS`, no connection).
        trust_env: Whether proxies are taken from the environment; loopback addresses never go through one.
        follow_redirects: False hands a redirect over as the answer (the Hub describes a file in one).
        proxies: Address of the proxy by pattern of the URL ("all://", "https://", "http://host"); None is a direct
            connection. Loopback addresses never go through one.
    """

    not_shown = frozenset({"proxies"})

    timeout_s: float = 300.0
    max_retries: int = 2
    trust_env: bool = True
    follow_redirects: bool = True
    proxies: Mapping[str, str | None] = msgspec.field(default_factory=dict)
