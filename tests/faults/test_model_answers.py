"""What the model's server sends is odd: events, chunks and documents that are not as they should be."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.scenario import Scenario, cases
from tests.faults.talking import talk
from tests.support.leftovers import Leftovers
from tests.support.openai_server import Turn, delta, raw, text
from tiny_agents import IncompleteStreamError, InvalidResponseError, ProviderError

pytestmark = pytest.mark.anyio

STOP = delta("stop")
A = delta(content="a")
FINE = text("Fine.")
NESTED = "[" * 100_000
NO_CHUNK = (InvalidResponseError, "something that is no chunk of a chat answer")


def event(payload: dict[str, Any]) -> str:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n"


def one(**fields: Any) -> dict[str, Any]:
    """A chunk whose only choice has these fields."""
    return {"choices": [{"index": 0, **fields}]}


def document(body: Any, **headers: str) -> Turn:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Turn(body=sent, headers={name.replace("_", "-"): value for name, value in headers.items()})


def answers(*read: tuple[str, Any, str]) -> list[Scenario]:
    """Streams that are odd and still readable: what is odd, the events, the answer."""
    return [
        Scenario(
            f"stream: {name}", ("no loss",), [raw(*events) if isinstance(events, tuple) else events], answer, asked=1
        )
        for name, events, answer in read
    ]


def refusals(*read: tuple[str, Any, tuple[type[Exception], str]], kept: str = "") -> list[Scenario]:
    return [
        Scenario(f"stream: {name}", ("valid", "no loss"), [raw(*events) if isinstance(events, tuple) else events],
                 error=error, kept=kept)
        for name, events, error in read
    ]  # fmt: skip


@cases(*answers(
    ("data: without a space", (event(A).replace("data: ", "data:"), STOP), "a"),
    ("lines end in CRLF", raw(A, STOP, eol="\r\n"), "a"),
    ("lines end in CR", raw(A, STOP, eol="\r"), "a"),
    ("a byte order mark", (b"\xef\xbb\xbf", A, STOP), "a"),
    ("names of events, ids, comments", ("event: x\nid: 1\nretry: 5\n: hi\n" + event(A), STOP), "a"),
    ("text split in its characters", (*(bytes([byte]) for byte in event(delta(content="Grüße 😀")).encode()), STOP),
     "Grüße 😀"),
    ("a line separator in the text", (event(delta(content="a\u2028b\u2029c\x85d")), STOP), "a\u2028b\u2029c\x85d"),
    ("half characters in two chunks", (r'data: {"choices":[{"delta":{"content":"a\ud83d"}}]}' + "\n\n",
     r'data: {"choices":[{"delta":{"content":"\ude00b"}}]}' + "\n\n", STOP), "a😀b"),
    ("half a character alone", (r'data: {"choices":[{"delta":{"content":"a\ud800b"}}]}' + "\n\n", STOP), "a\ufffdb"),
    ("bytes that are no UTF-8", (b'data: {"choices":[{"delta":{"content":"a\xff\xfeb"}}]}\n\n', STOP), "a\ufffd\ufffdb"),
    ("a zero character", (delta(content="a\0b"), STOP), "a\0b"),
    ("no choices first", ({"choices": []}, A, STOP), "a"),
    ("choices missing or null", ({"id": "x"}, {"choices": None}, A, STOP), "a"),
    ("a choice that is a text", ({"choices": ["x"]}, A, STOP), "a"),
    ("a delta missing, null or a text", (one(), one(delta=None), one(delta="x"), A, STOP), "a"),
    ("only counts at the end", (A, STOP, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}), "a"),
    ("counts that are none", (A, STOP, {"choices": [], "usage": "lots"}), "a"),
    ("counts below zero and without end", (A, STOP, {"choices": [], "usage": {"prompt_tokens": -5,
     "completion_tokens": 1e300, "prompt_tokens_details": 3}}), "a"),
    ("null content", (delta(role="assistant", content=None), A, delta("stop", content=None)), "a"),
    ("content in parts", (delta(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), STOP), "ab"),
    ("content that is a number", (delta(content=4), delta(content=2), STOP), "42"),
    ("reasoning that is a number", (delta(reasoning=1, reasoning_details="x"), A, STOP), "a"),
    ("reasoning beside the text", (delta(reasoning="hm"), delta(reasoning_content="hm"), A, STOP), "a"),
    ("a role in every chunk", (delta(role="assistant", content="a"), delta(role="assistant", content="b"),
     delta("stop", role="assistant")), "ab"),
    ("a role that is none", (delta(role=3, content="a"), STOP), "a"),
    ("a message in place of a delta", (one(message={"role": "assistant", "content": "a"}, finish_reason="stop"),), "a"),
    ("text of the older API", (one(text="a"), one(text="", finish_reason="stop")), "a"),
    ("a refusal in place of text", (delta(refusal="I can't "), delta(refusal="do that."), STOP), "I can't do that."),
    ("two reasons to stop", (A, STOP, delta("length")), "a"),
    ("an unheard-of reason to stop", (delta("because", content="a"),), "a"),
    ("text after the reason to stop", (A, STOP, delta(content="b")), "ab"),
    ("no [DONE]", raw(A, STOP, done=False), "a"),
    ("no reason to stop", (A,), "a"),
    ("a stop without calls that says there are some", (A, delta("tool_calls")), "a"),
    ("an unknown number of a mile", ('data: {"choices":[],"x":' + "9" * 6000 + "}\n\n", A, STOP), "a"),
    ("an error that is null", ({"error": None, **one(delta={"content": "a"}, finish_reason="stop")},), "a"),
    ("compressed", document(gzip.compress((event(A) + event(STOP)).encode()), content_type="text/event-stream",
     content_encoding="gzip"), "a"),
    ("called a document", document((event(A) + event(STOP)).encode()), "a"),
    ("called plain text", document((event(A) + event(STOP)).encode(), content_type="text/plain"), "a"),
    ("called nothing", document((event(A) + event(STOP)).encode(), content_type=""), "a"),
    ("[DONE] with spaces", raw(A, STOP, "data:  [DONE] \n\n", done=False), "a"),
    ("a document that is called a stream", raw(json.dumps({"choices": [{"message": {"content": "a"}}]}), done=False), "a"),
    ("a document", document({"choices": [{"message": {"role": "assistant", "content": "a"}}]}), "a"),
    ("a document with content in parts", document({"choices": [{"message": {"content": [{"type": "text",
     "text": "a"}]}}]}), "a"),
    ("a document with calls that are none", document({"choices": [{"message": {"content": "a", "tool_calls": ["x", None,
     3]}}], "usage": [1]}), "a"),
    ("a document that refuses", document({"choices": [{"message": {"content": None, "refusal": "No."}}]}), "No."),
))  # fmt: skip
async def test_what_can_be_read_is_read(scenario: Scenario, model: Callable[..., Any], leftovers: Leftovers) -> None:
    await talk(scenario, model, leftovers)


@cases(
    *refusals(
        ("an event that is no JSON", (A, "data: {oops\n\n"), (InvalidResponseError, r"no chunk of a chat answer: '\{oops'")),
        ("half a JSON", (A, 'data: {"choices": [\n\n'), NO_CHUNK),
        ("JSON that is no object", (A, "data: null\n\n"), NO_CHUNK),
        ("JSON nested without end", (A, f"data: {NESTED}\n\n"), NO_CHUNK),
        ("an error object", (A, {"error": {"message": "boom"}}), (ProviderError, "reported an error: boom")),
        ("an error that is a text", (A, {"error": "boom"}), (ProviderError, "reported an error: boom")),
        ("an error event", (A, 'event: error\ndata: {"message": "boom"}\n\n'), (ProviderError, "boom")),
        ("an error with a choice", (A, {"error": {"message": "boom"}, **one(delta={"content": ""}, finish_reason="error")}),
         (ProviderError, "reported an error: boom")),
        ("a stop because of an error", (A, delta("error")), (ProviderError, "reported an error")),
        ("an error as vLLM sends it", (A, {"object": "error", "message": "boom", "code": 500}), (ProviderError, "boom")),
        ("an error as FastAPI sends it", (A, {"detail": "boom"}), (ProviderError, "boom")),
        kept="a",
    ),
    *refusals(
        ("a chunk of too many bytes", (delta(content="x" * 17_000_000),), (InvalidResponseError, "more than 16,777,216")),
        ("a line without an end", ("x" * 17_000_000,), (InvalidResponseError, "more than 16,777,216")),
        ("a web page as a stream", raw("<html>down</html>", done=False), (InvalidResponseError, "<html>down</html>")),
        ("an error as a stream", raw('{"error": {"message": "boom"}}', done=False), (ProviderError, "error: boom")),
        ("lines of JSON as a stream", raw(json.dumps(A) + "\n", json.dumps(STOP) + "\n", done=False),
         (InvalidResponseError, "no chat completion")),
        ("a line of text as a stream", raw("out of order", done=False), (InvalidResponseError, "out of order")),
        ("nothing as a stream", raw(done=False), (IncompleteStreamError, "broke off")),
        ("an error with status 200", document({"error": {"message": "overloaded"}}), (ProviderError, "error: overloaded")),
        ("an error beside an answer", document({"error": {"message": "boom"}, **one(message={"content": "a"})}),
         (ProviderError, "error: boom")),
        ("an answer that stopped because of an error", document(one(message={"content": "a"}, finish_reason="error")),
         (ProviderError, "reported an error")),
        ("a web page", document(b"<html>down</html>", content_type="text/html"), (InvalidResponseError, "down")),
        ("an empty document", document(b""), (InvalidResponseError, "no chat completion")),
        ("half a document", document(b'{"choices":[{"message":{"content":"a'), (InvalidResponseError, "no chat completion")),
        ("a document nested without end", document(b'{"choices":' + NESTED.encode()), (InvalidResponseError, "no chat")),
        ("a document without choices", document({"choices": None}), (InvalidResponseError, "no chat completion")),
        ("a list", document([]), (InvalidResponseError, "no chat completion")),
        ("compressed, but it isn't", document(b"no", content_encoding="gzip"), (InvalidResponseError, "decompressed")),
    ),
)  # fmt: skip
async def test_what_is_no_answer_is_an_error_that_shows_it(
    scenario: Scenario, model: Callable[..., Any], leftovers: Leftovers
) -> None:
    await talk(scenario, model, leftovers)
