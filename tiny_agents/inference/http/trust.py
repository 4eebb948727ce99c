"""Whom is trusted over TLS, and whether a proxy stands in between."""

from __future__ import annotations

import functools
import os
import ssl
import urllib.request

import httpx2

from tiny_agents.errors import UsageError
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.wire import is_loopback, is_plain_loopback


@functools.cache
def trust_store() -> ssl.SSLContext:
    """One for the process: loading the certificates takes longer than everything else a client does to start."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # one of them is ssl.SSLError
        named = [f"{name}={value}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if (value := os.environ.get(name))]
        where = " and ".join(named) or "the system's"
        raise UsageError(f"The certificates to trust can't be read ({where}): {error}") from error


@functools.cache
def _no_trust() -> ssl.SSLContext:
    """For plain http: loads nothing, and would accept nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust_for(url: str) -> ssl.SSLContext:
    """Whom a client for `url` trusts: the system's authorities, or those of SSL_CERT_FILE. One for the process."""
    return _no_trust() if is_plain_loopback(url) else trust_store()


def goes_direct(url: str, settings: HTTPSettings) -> bool:
    """Whether no proxy stands between us and `url`; none does for loopback addresses."""
    if is_loopback(url):
        return True
    return not settings.proxies and not (settings.trust_env and urllib.request.getproxies())
