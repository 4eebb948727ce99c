"""A request of ours as connections take it, and the head of an answer as we read it."""

from __future__ import annotations

import base64
import functools
import logging
from collections.abc import Callable, Iterable, Mapping

import httpx2

from tiny_agents.errors import public_url
from tiny_agents.inference.call import Request
from tiny_agents.inference.http.http1.pool import Headers, Place, Waits, place_of
from tiny_agents.inference.http.tries import CONNECT_TIMEOUT_S, SLOWEST_BYTES_PER_S
from tiny_agents.inference.http.unpacking import accepted

logger = logging.getLogger("tiny_agents.inference")

KNOWN_PLACES = 64

Whereto = Callable[[str], tuple[Place, Mapping[str, str]]]
"""Where a request for an address goes, and the header for a password that is in it."""


def outgoing(
    request: Request, headers: Mapping[str, str], content: bytes | None, whereto: Whereto
) -> tuple[Place, Headers]:
    """Where a request goes, and all of its headers.

    Args:
        headers: As `wire_headers` gives them.
    """
    place, password = whereto(request.url)
    told = {"host": place.host.decode("ascii"), **headers, **password, "accept-encoding": accepted(headers)}
    if content is not None:
        told["content-length"] = str(len(content))
    return place, [(name.encode(), value.encode()) for name, value in told.items()]


def waits(limit_s: float, content: bytes | None) -> Waits:
    """The limits of a request to a model: also until the whole head is there, which may come byte by byte, or never end.

    Args:
        limit_s: Seconds any single wait may take.
    """
    head_s = limit_s + len(content or b"") / SLOWEST_BYTES_PER_S
    return Waits(min(limit_s, CONNECT_TIMEOUT_S), limit_s, limit_s, head_s)


def note(request: Request, status: int) -> None:
    """Say in the log that an answer came, as httpx2's client does."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("HTTP Request: %s %s HTTP %d", request.method, public_url(request.url), status)


def incoming(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers of an answer, names in lower case; of several with a name the values, with what may stand between them."""
    shown: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        shown[name] = f"{shown[name]}{_BETWEEN.get(name, ', ')}{value}" if name in shown else value
    return shown


_BETWEEN = {"set-cookie": "\n"}  # there are commas in cookies: RFC 9110, 5.3


def known_places() -> Whereto:
    """Remembers the places of one sender, and is forgotten with it: there may be secrets in their addresses."""
    return functools.lru_cache(maxsize=KNOWN_PLACES)(_place)


def _place(url: str) -> tuple[Place, Mapping[str, str]]:
    whole = httpx2.URL(url)
    return place_of(whole), password_in(whole)


def password_in(url: httpx2.URL) -> dict[str, str]:
    """The header for a user and password that are in an address."""
    if not url.userinfo:
        return {}
    return {"authorization": f"Basic {base64.b64encode(f'{url.username}:{url.password}'.encode()).decode()}"}
