"""A request of ours as connections take it, and the head of an answer as we read it."""

from __future__ import annotations

import base64
import functools
import logging
from collections.abc import Mapping

import httpx2

from tiny_agents.errors import public_url
from tiny_agents.inference.call import Request
from tiny_agents.inference.http.http1.pool import Headers, Place, Waits, place_of
from tiny_agents.inference.http.tries import CONNECT_TIMEOUT_S

logger = logging.getLogger("tiny_agents.inference")

UNPACKED = "gzip, deflate"
"""How a body may be compressed that is read as a whole."""


def outgoing(request: Request, headers: Mapping[str, str], content: bytes | None) -> tuple[Place, Headers]:
    """Where a request goes, and all of its headers.

    Args:
        headers: As `wire_headers` gives them.
    """
    place, password = _whereto(request.url)
    told = {"accept-encoding": UNPACKED, **headers, **password}
    fields = [(b"host", place.host), *((name.encode(), value.encode()) for name, value in told.items())]
    if content is not None:
        fields.append((b"content-length", b"%d" % len(content)))
    return place, fields


def waits(limit_s: float, head_s: float) -> Waits:
    return Waits(min(limit_s, CONNECT_TIMEOUT_S), limit_s, limit_s, head_s)


def note(request: Request, status: int) -> None:
    """Say in the log that an answer came, as httpx2's client does."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("HTTP Request: %s %s HTTP %d", request.method, public_url(request.url), status)


def incoming(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers of an answer; of several with a name the values, with commas between."""
    shown: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        shown[name] = f"{shown[name]}, {value}" if name in shown else value
    return shown


def _whereto(url: str) -> tuple[Place, dict[str, str]]:
    """Where a request for `url` goes, and the header for a password that is in it."""
    if "?" in url or "@" in url:  # may hold what is secret: not remembered
        return _place(url)
    return _known_place(url)


def _place(url: str) -> tuple[Place, dict[str, str]]:
    whole = httpx2.URL(url)
    password = base64.b64encode(f"{whole.username}:{whole.password}".encode()).decode() if whole.userinfo else ""
    return place_of(whole), {"authorization": f"Basic {password}"} if password else {}


_known_place = functools.lru_cache(maxsize=64)(_place)
