"""Cookies of a remote server are kept for it and nobody else, and are bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tiny_agents.inference.call import Request
from tiny_agents.inference.http.outgoing import incoming
from tiny_agents.inference.http.senders import Reply
from tiny_agents.mcp_client.transports.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, Cookies

FAR = "https://far.example/mcp?key=1"


async def nothing() -> AsyncIterator[bytes]:
    for data in ():
        yield data


async def close() -> None: ...


def answer(*cookies: str) -> Reply:
    headers = incoming([(b"Set-Cookie", cookie.encode()) for cookie in cookies])
    return Reply(Request("POST", FAR), 200, "OK", headers, nothing(), close)


def test_several_cookies_come_back_and_only_to_the_server_that_set_them() -> None:
    cookies = Cookies()
    cookies.take(answer("a=1; Expires=Wed, 01 Jan 2200 00:00:00 GMT; Secure", "b=2; Path=/other", "c=3; Max-Age=0"))
    assert cookies.header("https://far.example/mcp/") == "a=1"
    assert sorted(cookies.header("https://far.example/other").split("; ")) == ["a=1", "b=2"]
    assert cookies.header("https://else.example/mcp") == ""
    assert cookies.header("http://far.example/mcp") == ""


def test_cookies_for_others_and_too_large_or_too_many_ones_are_not_kept() -> None:
    cookies = Cookies()
    cookies.take(answer("a=1; Domain=else.example", "b=" + "x" * MAX_COOKIE_BYTES))
    assert cookies.header(FAR) == cookies.header("https://else.example/mcp") == ""
    cookies.take(answer(*(f"c{number}=1" for number in range(MAX_COOKIES + 1))))
    assert cookies.header(FAR) == ""
