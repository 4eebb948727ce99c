"""The model's server can't be had, is overloaded, speaks no HTTP, breaks off or falls silent."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.faults.scenario import Scenario, cases
from tests.faults.talking import talk
from tests.support.leftovers import MODEL_KEY, Leftovers
from tests.support.openai_server import Turn, delta, raw, status, text
from tiny_agents import (
    Agent,
    IncompleteStreamError,
    InferenceClient,
    InferenceConnectionError,
    InferenceTimeoutError,
    Limits,
    ProviderError,
)

pytestmark = pytest.mark.anyio

FINE = text("Fine.")
START = delta(role="assistant", content="Once upon ")
SHORT: dict[str, Any] = {
    "timeout": 1
}  # on a busy machine there is time enough in it to connect, and for what comes in time
SILENT = (InferenceTimeoutError, r"sent nothing for 1 s \(the limit is `timeout`\)")
BROKEN_OFF = (IncompleteStreamError, "broke off before it was finished")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
EVENTS = b"".join(b"data: %s\n\n" % json.dumps(e).encode() for e in (START, delta("stop"))) + b"data: [DONE]\n\n"


def a_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@dataclass(frozen=True)
class Again:
    """`first`, and then the same events until the client has had enough; once more for each who asks."""

    first: tuple[Any, ...]
    events: tuple[Any, ...]
    every_s: float

    def __iter__(self) -> Iterator[Any]:
        yield from self.first
        for event in itertools.cycle(self.events):
            yield event
            yield self.every_s


def again(*events: Any, first: tuple[Any, ...] = (), every_s: float = 0.02) -> Turn:
    return Turn(Again(first, events, every_s))


def wire(*pieces: bytes | float, **more: Any) -> Turn:
    """An answer to the byte, after which the connection is closed."""
    return Turn(wire=pieces, **more)


@cases(
    Scenario("429 with seconds to wait", ("no loss",), [status(429, retry_after="0"), FINE], "Fine.", asked=2),
    Scenario("429 until a date", ("no loss",), [status(429, retry_after=a_date(-5)), FINE], "Fine.", asked=2),
    Scenario("429 until a date in the year 1", ("no loss",), [status(429, retry_after="Mon, 01 Jan 0001 00:00:00 GMT"),
             FINE], "Fine.", asked=2),
    Scenario("429 with a wait that is no number", ("no loss",), [status(429, retry_after="nan"), FINE], "Fine.", asked=2),
    Scenario("500, then an answer", ("no loss",), [status(500, retry_after="0"), FINE], "Fine.", asked=2),
    Scenario("503 twice, then an answer", ("no loss",), [*[status(503, retry_after="0")] * 2, FINE], "Fine.", asked=3),
    Scenario("408, then an answer", ("no loss",), [status(408, retry_after="0"), FINE], "Fine.", asked=2),
    Scenario("529, then an answer", ("no loss",), [status(529, retry_after="0"), FINE], "Fine.", asked=2),
    Scenario("closed before the answer, once", ("no loss",), [wire(), FINE], "Fine.", asked=2),
    Scenario("nothing but 500", ("valid", "no hang"), [status(500, retry_after="0")],
             error=(ProviderError, "answered 500: scripted 500"), asked=3),
    Scenario("429 with a wait of an hour", ("no hang",), [status(429, retry_after="3600")],
             error=(ProviderError, r"answered 429 \(too many requests\)"), asked=1),
    Scenario("429 with a wait without end", ("no hang",), [status(429, retry_after="inf")],
             error=(ProviderError, r"answered 429 \(too many requests\)"), asked=1),
    Scenario("400 is not asked again", ("valid",), [status(400)], error=(ProviderError, "answered 400"), asked=1),
    Scenario("a status that doesn't exist", ("valid",), [wire(b"HTTP/1.1 999 No\r\ncontent-length: 2\r\n\r\nhi")],
             error=(ProviderError, "answered 999: hi"), asked=1),
    Scenario("204, and no answer", ("valid",), [wire(b"HTTP/1.1 204 No\r\n\r\n")], error=BROKEN_OFF, asked=1),
    Scenario("a redirect to nowhere", ("valid",), [wire(b"HTTP/1.1 302 No\r\ncontent-length: 0\r\n\r\n")],
             error=(ProviderError, "answered 302")),
    Scenario("redirects without end", ("no hang",), [Turn(status=307, headers={"location": "/v1/chat/completions"},
             body=b"")], error=(ProviderError, "more than 5 redirects"), asked=6),
    *(Scenario(f"a redirect to {where}", ("valid", "no leak"), [Turn(status=307, headers={"location": where}, body=b"")],
               error=(ProviderError, says), asked=1)
      for where, says in {
          "http://[::1": "is no address",
          "http://host:99999999/": "is no address",
          "file:///etc/passwd": "is not followed",
          "javascript:alert(1)": "is not followed",
      }.items()),
    Scenario("disconnected before the answer", ("valid",), [raw(then="reset")], error=BROKEN_OFF, asked=1),
    Scenario("disconnected in the middle of the answer", ("valid", "no loss"), [raw(START, then="reset")],
             error=BROKEN_OFF, kept="Once upon ", asked=1),
    Scenario("ends in the middle of the answer", ("valid", "no loss"), [raw(START, done=False)],
             error=BROKEN_OFF, kept="Once upon ", asked=1),
    Scenario("disconnected after the last word", ("no loss",), [raw(START, delta("stop"), then="reset")], "Once upon "),
    Scenario("ends in the middle of an event", ("valid", "no loss"), [raw(START, 'data: {"choices": [{"del', done=False)],
             error=BROKEN_OFF, kept="Once upon "),
    Scenario("less than its length", ("valid",), [wire(HEAD, b"content-length: 5000\r\n\r\n", EVENTS[:60])],
             error=BROKEN_OFF),
    Scenario("less than its length, but whole", ("no loss",), [wire(HEAD, b"content-length: 5000\r\n\r\n", EVENTS)],
             "Once upon "),
    Scenario("pieces of no length", ("valid",), [wire(HEAD, b"transfer-encoding: chunked\r\n\r\nzz\r\n", EVENTS)],
             error=BROKEN_OFF),
    Scenario("HTTP 1.0, and no length", ("no loss",), [wire(HEAD.replace(b"/1.1", b"/1.0"), b"\r\n", EVENTS)],
             "Once upon "),
    Scenario("falls silent before the answer", ("no hang",), [raw(then="stall")], error=SILENT, options=SHORT),
    Scenario("falls silent before its head", ("no hang",), [wire(then="stall")], error=SILENT, options=SHORT, asked=1),
    Scenario("falls silent in the middle of the answer", ("no hang", "no loss"), [raw(START, then="stall")],
             error=SILENT, kept="Once upon ", options=SHORT),
    Scenario("falls silent in the middle of an event", ("no hang", "no loss"), [raw(START, "data: {", then="stall")],
             error=SILENT, kept="Once upon ", options=SHORT),
    Scenario("falls silent after the last word", ("no hang", "no loss"), [raw(START, delta("stop"), then="stall")],
             "Once upon ", options=SHORT),
    Scenario("a head that never ends", ("no hang",), [wire(HEAD, *[b"x: y\r\n", 0.02] * 2000)], error=SILENT,
             options=SHORT, asked=1),
    Scenario("an error that trickles without end", ("no hang",), [wire(b"HTTP/1.1 400 No\r\n\r\n", *[b"x", 0.02] * 2000)],
             error=(ProviderError, "answered 400: x+$"), options=SHORT),
    Scenario("a document that trickles without end", ("no hang",), [wire(b"HTTP/1.1 200 OK\r\n"
             b"content-type: application/json\r\n\r\n{", *[b" ", 0.02] * 2000)],
             error=(InferenceTimeoutError, "the answer was given up"), options=SHORT),
    Scenario("an error that falls silent", ("no hang",), [wire(b"HTTP/1.1 400 No\r\n\r\nx", then="stall")],
             error=(ProviderError, "answered 400: x"), options=SHORT),
    Scenario("closed after each answer", ("no loss",), [wire(HEAD, b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(EVENTS),
             EVENTS, b"\r\n0\r\n\r\nmore")], "Once upon "),
    Scenario("nothing but comments", ("no hang", "no loss"), [again(": ping\n\n", first=(START,))], error=SILENT,
             kept="Once upon ", options=SHORT),
    Scenario("a comment without end", ("no hang",), [again(":")], error=SILENT, options=SHORT),
    Scenario("an event that trickles without end", ("no hang",), [again("x", first=("data: ",))], error=SILENT,
             options=SHORT),
    Scenario("nothing but events without data", ("no hang",), [again("data:\n\n")], error=SILENT, options=SHORT),
    Scenario("nothing but chunks without choices", ("no hang",), [again({"choices": []})], error=SILENT, options=SHORT),
    Scenario("nothing but empty chunks", ("no hang",), [again(delta(content=""))], error=SILENT, options=SHORT),
    Scenario("nothing but roles", ("no hang",), [again(delta(role="assistant"))], error=SILENT, options=SHORT),
    Scenario("goes on after the end", ("no hang", "no loss"), [again(delta(content="x"), first=(START, delta("stop"),
             "data: [DONE]\n\n"))], "Once upon ", options=SHORT),
)  # fmt: skip
async def test_a_connection(scenario: Scenario, model: Callable[..., Any], leftovers: Leftovers) -> None:
    await talk(scenario, model, leftovers)


@pytest.mark.promise("no hang", "no loss")
async def test_a_slow_trickle_ends_with_the_time_of_its_request(model: Callable[..., Any]) -> None:
    server = model(again(delta(content="x")))
    async with Agent(base_url=server.url, model="m", limits=Limits(seconds=1)) as agent:
        result = await agent.run_to_completion("go")
    assert result.stop_reason == "time_limit"
    assert set(result.text) <= {"x"}
    assert server.gone.wait(30)


@pytest.mark.promise("no hang")
def test_a_slow_trickle_ends_with_the_time_of_its_call(model: Callable[..., Any]) -> None:
    server = model(again(delta(content="x")))
    client = InferenceClient(base_url=server.url, total_timeout=1)
    with pytest.raises(InferenceTimeoutError, match=r"not finished within 1 s"):
        list(client.chat_completion([{"role": "user", "content": "go"}], model="m", stream=True))


@pytest.mark.promise("no hang")
def test_what_says_nothing_or_goes_on_after_the_end_ends_for_blocking_clients_too(model: Callable[..., Any]) -> None:
    endless = again(delta(content="x"), first=(START, delta("stop"), "data: [DONE]\n\n"))
    server = model(again({"choices": []}), endless)
    with InferenceClient(base_url=server.url, **SHORT) as client:
        with pytest.raises(InferenceTimeoutError, match="sent nothing"):
            list(client.chat_completion([{"role": "user", "content": "go"}], model="m", stream=True))
        chunks = list(client.chat_completion([{"role": "user", "content": "go"}], model="m", stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Once upon "


@pytest.mark.promise("no hang", "valid")
async def test_nobody_listens(leftovers: Leftovers) -> None:
    with socket.socket() as taken:  # a port that is somebody's, who doesn't listen
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with Agent(base_url=url, model="m", api_key=MODEL_KEY) as agent:
            with pytest.raises(InferenceConnectionError, match="can't be reached") as caught:
                await agent.run_to_completion("go")
            assert agent.messages[1:] == []
    leftovers.seen(caught.value, vars(caught.value))
