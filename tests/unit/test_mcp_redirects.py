"""Which redirects of a remote server are followed: those that take the whole message, to nobody else."""

from __future__ import annotations

import httpx2
import pytest

from tiny_agents.mcp_client.transports.redirects import destination, may_follow

HERE = "http://far.example:80/mcp?key=1"


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/mcp/", "http://far.example/mcp/"),
        ("other?x=1", "http://far.example/other?x=1"),
        ("//else.example/", "http://else.example/"),
        ("https://far.example/mcp", "https://far.example/mcp"),
        ("file:///etc/passwd", "file://far.example/etc/passwd"),
        ("", "http://far.example/mcp?key=1"),
    ],
)
def test_a_redirect_leads_to(location: str, leads_to: str) -> None:
    assert str(destination(HERE, location)) == leads_to


def test_a_redirect_to_no_address_is_an_error() -> None:
    with pytest.raises(httpx2.RemoteProtocolError, match="Invalid URL in location header"):
        destination(HERE, "http://far.example:no-port/")


@pytest.mark.parametrize(
    ("method", "status", "there", "followed"),
    [
        ("POST", 307, "http://far.example/mcp/", True),
        ("POST", 308, "http://far.example/mcp/", True),
        ("POST", 301, "http://far.example/mcp/", False),
        ("POST", 302, "http://far.example/mcp/", False),
        ("POST", 303, "http://far.example/mcp/", False),
        ("DELETE", 301, "http://far.example/mcp/", True),
        ("DELETE", 302, "http://far.example/mcp/", False),
        ("GET", 302, "http://far.example/mcp/", True),
        ("GET", 303, "http://far.example/mcp/", True),
        ("POST", 307, "https://far.example/mcp", True),
        ("POST", 307, "https://far.example:8443/mcp", False),
        ("POST", 307, "http://far.example:8080/mcp", False),
        ("POST", 307, "https://else.example/mcp", False),
        ("GET", 307, "http://else.example/mcp", False),
        ("POST", 307, "http://me:x@far.example/mcp", False),
        ("POST", 307, "http://far.example.evil.example/mcp", False),
    ],
)
def test_a_redirect_is_followed(method: str, status: int, there: str, followed: bool) -> None:
    assert may_follow(method, HERE, status, httpx2.URL(there)) is followed


def test_never_from_https_to_http() -> None:
    assert not may_follow("GET", "https://far.example/mcp", 307, httpx2.URL("http://far.example/mcp"))
