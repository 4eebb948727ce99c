"""Cookies of a remote server: with them, what balances load finds the machine again that has the session."""

from __future__ import annotations

import httpx2

from tiny_agents.inference.http.senders import Reply

MAX_COOKIES = 50
MAX_COOKIE_BYTES = 4096
"""As many, and as large ones, as browsers keep of a server at least: RFC 6265, 6.1."""


class Cookies:
    """What a server set, for the messages after it."""

    def __init__(self) -> None:
        self._kept = httpx2.Cookies()

    def take(self, reply: Reply) -> None:
        """Keep those of an answer, if there are any."""
        asked = httpx2.Request(reply.request.method, reply.request.url)
        cookies = reply.headers["set-cookie"].split("\n")
        fields = [("set-cookie", each) for each in cookies if len(each) <= MAX_COOKIE_BYTES]
        self._kept.extract_cookies(httpx2.Response(reply.status, headers=fields, request=asked))
        if len(self._kept.jar) > MAX_COOKIES:
            self._kept.clear()

    def header(self, url: str) -> str:
        """The header for a message to `url`; empty where there is none."""
        asked = httpx2.Request("POST", url)
        self._kept.set_cookie_header(asked)
        return str(asked.headers.get("cookie", ""))
