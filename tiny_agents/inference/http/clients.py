"""Clients of httpx2: how one is made, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import httpx2
import msgspec

from tiny_agents.errors import UsageError, public_url, redact_addresses
from tiny_agents.inference.http.http1.pool import Waits
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.trust import trust_for
from tiny_agents.inference.http.unpacking import accepted
from tiny_agents.inference.wire import is_loopback
from tiny_agents.records import Discreet

OwnClient: TypeAlias = httpx2.Client | httpx2.AsyncClient
"""What `http_client=` takes: the user's own, with its own proxies, certificates and pool."""

OwnT = TypeVar("OwnT", httpx2.Client, httpx2.AsyncClient)


class Address(Discreet, msgspec.Struct, frozen=True):
    """Where a request goes, as httpx2 is told.

    httpx2 logs the URL of each request. What is secret in one (a password, a key in its query) isn't in `url`, but is put in
    where the request goes out.
    """

    not_shown = frozenset({"extensions", "auth"})

    url: str
    extensions: dict[str, Any] = msgspec.field(default_factory=dict)
    auth: dict[str, Any] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, url: str) -> Address:
        """Of a request through the user's own client, whose transport may want the URL to be whole where it can be."""
        if ("?" not in url and "@" not in url) or redact_addresses(url) == url:
            return cls(url)
        return hidden_address(url)


def hidden_address(url: str) -> Address:
    """Of a request through a client of ours: no user, password or query is in its URL."""
    if "?" not in url and "@" not in url:
        return Address(url)
    whole = httpx2.URL(url)
    auth = {"auth": httpx2.BasicAuth(whole.username, whole.password)} if whole.userinfo else {}
    return Address(public_url(url), {"target": whole.raw_path}, auth)


def client_options(url: str, settings: HTTPSettings, transport: Callable[..., Any]) -> dict[str, Any]:
    """Arguments of an httpx2 client for `url`; `transport` makes the connections through a proxy."""
    local = is_loopback(url)
    shared = {
        "verify": trust_for(url),
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=100),
    }
    if local:
        return {**shared, "trust_env": False}
    try:
        mounts = {
            pattern: None if address is None else transport(proxy=address, **shared)
            for pattern, address in settings.proxies.items()
        }
    except ImportError as error:
        raise UsageError("A SOCKS proxy needs the package 'socksio': pip install 'httpx2[socks]'.") from error
    # Those of the environment are for more particular patterns, and would win.
    return {**shared, "trust_env": settings.trust_env and not mounts, "mounts": mounts}


def checked_own(client: OwnClient | None, wanted: type[OwnT]) -> OwnT | None:
    if client is None or isinstance(client, wanted):
        return client
    raise UsageError(
        f"http_client must be an httpx2.{wanted.__name__} here; got {type(client).__module__}.{type(client).__name__}."
    )


def built(
    client: OwnClient, method: str, address: Address, headers: Mapping[str, str], content: bytes | None, waits: Waits
) -> httpx2.Request:
    """A request as httpx2 has it, which knows no limit for the whole head of its answer.

    Args:
        headers: As they are sent, names in lower case.
    """
    told = {**headers, "accept-encoding": accepted(headers)}
    return client.build_request(
        method,
        address.url,
        content=content,
        headers=[(name.encode(), value.encode()) for name, value in told.items()],  # of text only ASCII would be sent
        timeout=httpx2.Timeout(connect=waits.connect, write=waits.write, read=waits.read, pool=waits.read),
        extensions=address.extensions,
    )
