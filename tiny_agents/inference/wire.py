"""How requests and errors look on the wire, and what is worth another try. Pure: no httpx2, no clock, no socket."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import ProviderError, UsageError, public_url, redact, secrets_in_address
from tiny_agents.inference.call import Request
from tiny_agents.inference.encoding import encode_json
from tiny_agents.inference.reach import may_lead_to
from tiny_agents.inference.types.record import decode_json

MAX_RETRY_AFTER_S = 60.0  # a server that asks for more is not waited for: the error says when to come back
BACKOFF_S = (0.5, 8.0)  # first delay and the most
RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
LOADING_S = (1.0, 10.0)  # least and most between two looks at a model that is being loaded
USER_AGENT = "tiny-agents"


def encoded(request: Request) -> Request:
    """`request` with its JSON encoded already: work for a worker thread where the JSON holds whole files."""
    if request.json is None:
        return request
    headers = {"content-type": "application/json", **request.headers}
    return replace(request, json=None, body=encode_json(request.json), headers=headers)


def wire_headers(request: Request, *, stream: bool) -> dict[str, str]:
    """Headers of `request` as they are sent, names in lower case; the request's own win over ours.

    Raises UsageError, without showing the value, for one that can't be sent: it may be a key that was pasted badly.
    """
    headers = {"user-agent": USER_AGENT, "accept": "*/*"}
    if stream:
        headers["accept"] = "text/event-stream, application/json"
        headers["accept-encoding"] = "identity"  # a compressed stream arrives in lumps
    if request.json is not None:
        headers["content-type"] = "application/json"
    if request.key:
        name, before = request.key_as
        headers[name] = before + request.key
    headers.update((name.lower(), value) for name, value in request.headers.items())
    for name, value in headers.items():
        if not _sendable(value):
            what = "The key" if request.key and name == request.key_as[0] else f"The value of the header {name!r}"
            raise UsageError(f"{what} can't be sent: it must be text of plain ASCII characters on one line.")
    return headers


def _sendable(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and not _CONTROL.search(value)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def retry_delay(attempt: int, headers: Mapping[str, str], *, now: float, jitter: float) -> float | None:
    """Seconds to wait before try number `attempt + 2`; None if the server wants to be left alone for longer.

    Args:
        attempt: 0 after the first try.
        now: Unix time, for a `Retry-After` that names a date.
        jitter: 0 to 1; spreads clients that failed together.
    """
    asked = _retry_after(headers, now)
    if asked is not None:
        return asked if asked <= MAX_RETRY_AFTER_S else None
    first, most = BACKOFF_S
    return float(min(most, first * 2**attempt) * (1 - 0.25 * jitter))


def loading_delay(status: int, body: bytes) -> float | None:
    """Seconds to the next look if a server says that it is loading the model; None if it says something else.

    Source: Hugging Face Inference API: status 503, `{"error": "Model ... is currently loading", "estimated_time": 20.0}`.
    llama.cpp: status 503, `{"error": {"message": "Loading model"}}`.
    """
    if status != 503:
        return None
    try:
        found = decode_json(body)
    except msgspec.DecodeError:
        return None
    expected = found.get("estimated_time") if isinstance(found, dict) else None
    if not isinstance(expected, (int, float)) and "loading" not in error_text(body, fallback="").lower():
        return None
    least, most = LOADING_S
    return min(most, max(least, float(expected))) if isinstance(expected, (int, float)) else least


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    with contextlib.suppress(ValueError):  # not a number: then it is a date
        return max(0.0, float(value))
    import email.utils

    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that follows a redirect.

    Within an origin (or from http to https on the same host) everything stays. To another origin only reads are
    followed, and without the key: a body or a credential goes to no host that the user didn't name. Never from https to
    http, nor from outside to this machine or into a private network.

    Raises:
        ProviderError: A redirect that is not followed; the message names where it leads.
    """
    here = urlsplit(request.url)
    try:
        target = urljoin(request.url, location)
        there = urlsplit(target)
        _origin(there)  # reads its port
    except ValueError as error:
        raise ProviderError(
            f"{public_url(request.url)} redirects to {redact(location, secrets_of(request))[:200]!r}, which is no address.",
            status=status,
            url=public_url(request.url),
        ) from error
    reads = request.method in ("GET", "HEAD")
    upgrade = (here.scheme, there.scheme) == ("http", "https") and here.hostname == there.hostname and not here.port
    downgrade = (here.scheme, there.scheme) == ("https", "http")
    allowed = there.scheme in ("http", "https") and not downgrade and may_lead_to(request.url, target)
    if allowed and (reads or status in (307, 308)):
        if upgrade or _origin(here) == _origin(there):
            return replace(request, url=target)
        if reads:
            return Request(request.method, target)
    raise ProviderError(
        f"{public_url(request.url)} redirects to {redact(public_url(target), secrets_of(request))}, which is not followed. "
        "If that is the right address, use it as base_url.",
        status=status,
        url=public_url(request.url),
    )


def _origin(parts: Any) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def error_of(request: Request, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """What an HTTP error status becomes; the server's own words are kept, our keys are not."""
    secrets = secrets_of(request)
    text = redact(body.decode("utf-8", "replace"), secrets).strip()
    said = " ".join(error_text(body, fallback=text, secrets=secrets).split())[:500]
    host = public_url(request.url)
    request_id = headers.get("x-request-id") or headers.get("request-id")
    parts = [f"{host} answered {status}{_meaning(status)}"]
    if said:
        parts.append(f": {said}")
    if request_id:
        request_id = redact(request_id, secrets)
        parts.append(f" (request id {request_id})")
    return ProviderError("".join(parts), status=status, body=text, url=host, request_id=request_id)


_NO_SECRETS = frozenset({"accept", "accept-language", "content-type", "prefer", "x-hf-bill-to", "x-source-channel"})


def secrets_of(request: Request) -> list[str]:
    """What must not come back in a message: the key, and the values of the user's own headers that may hold one."""
    named = [value for name, value in request.headers.items() if name.lower() not in _NO_SECRETS]
    return [*([request.key] if request.key else []), *named, *secrets_in_address(request.url)]


def error_text(body: bytes, *, fallback: str, secrets: list[str] | None = None) -> str:
    """The sentence in an error body, whichever of the usual shapes it has."""
    try:
        found = decode_json(body)
    except msgspec.DecodeError:
        return fallback
    for name in ("error", "message", "detail", "msg"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return redact(found, secrets or ()) if isinstance(found, str) else fallback


def _meaning(status: int) -> str:
    hints = {
        401: " (the key was not accepted: check api_key, or the token you are logged in with)",
        403: " (the key may not do this)",
        404: " (no such model or address)",
        402: " (no credit left)",
        429: " (too many requests)",
    }
    return hints.get(status, "")


def is_redirect(status: int, headers: Mapping[str, str]) -> bool:
    return status in (301, 302, 303, 307, 308) and "location" in headers


def silence(where: str, timeout_s: float) -> str:
    return f"{where} sent nothing for {timeout_s:g} s (the limit is `timeout`)."


def is_plain_loopback(url: str) -> bool:
    """Whether `url` is plain http on this machine: nobody has to be trusted for that."""
    return url.startswith("http:") and is_loopback(url)


@functools.lru_cache(maxsize=128)
def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
