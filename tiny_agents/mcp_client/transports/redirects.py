"""Where a remote server sends a message on to, and whether that may be followed. Pure."""

from __future__ import annotations

import httpx2

from tiny_agents.mcp_client.transports.answers import origin


def destination(url: str, location: str) -> httpx2.URL:
    """Where a redirect leads that came from `url`.

    Raises:
        httpx2.RemoteProtocolError: To no address.
    """
    try:
        there = httpx2.URL(location)
        if there.scheme and not there.host:
            return there.copy_with(host=httpx2.URL(url).host)
        return httpx2.URL(url).join(there) if there.is_relative_url else there
    except httpx2.InvalidURL as error:
        raise httpx2.RemoteProtocolError(f"Invalid URL in location header: {error}.") from None


def may_follow(method: str, url: str, status: int, there: httpx2.URL) -> bool:
    """Whether a redirect may be followed: it takes the whole message, and to nobody else."""
    keeps = status in (307, 308) or method == "GET" or (status == 301 and method != "POST")
    if not keeps or there.userinfo:
        return False
    here = httpx2.URL(url)
    upgraded = (here.scheme, there.scheme) == ("http", "https") and here.host == there.host
    return origin(here) == origin(there) or (upgraded and here.port is None and there.port is None)
