"""What a person should know of an address before it is opened. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.inference.reach import leads_inside


def about_address(url: str) -> Iterator[str]:
    """A line with the host that `url` leads to, and one for each thing about it that is easily overlooked."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    yield f"It leads to {one_line(host)}."
    if not host.isascii() or "xn--" in host:
        yield f"Take care: not all its letters are what they look like ({_in_ascii(host)})."
    if leads_inside(url):
        yield "Take care: that is on this machine or in a private network."
    elif parts.scheme == "http":
        yield "Take care: it isn't encrypted (http)."


def _in_ascii(host: str) -> str:
    return host if host.isascii() else ascii(host)[1:-1]
