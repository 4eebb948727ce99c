"""Whatever comes from outside is read, or is one of the documented errors, and nothing else; `make fuzz` tries for longer.

`tests/data/corpus/` has inputs that once broke something, a file each.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.history import assert_valid
from tiny_agents.agent.loop.usage import usage_of_call
from tiny_agents.agent.sessions.export import FORMAT, from_json, to_json, to_markdown
from tiny_agents.errors import InferenceError, InvalidResponseError, ProviderError, UsageError
from tiny_agents.inference.call import Call, Request, Response, Route
from tiny_agents.inference.events import ChatEvents
from tiny_agents.inference.fold import ChatFold
from tiny_agents.inference.providers.chat import parse_chat
from tiny_agents.inference.sse import ErrorPayload, SSEDecoder
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.inference.types.chunks import chunks_of
from tiny_agents.inference.wire import MAX_RETRY_AFTER_S, error_of, loading_delay, redirected, retry_delay
from tiny_agents.mcp_client.calls.planning import Arguments, parse_arguments, plan_calls

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
ROUTE = Route("p", "http://model.example/v1", model="m", key="key0123456789")


def corpus(kind: str) -> Any:
    files = sorted((CORPUS / kind).iterdir())
    return pytest.mark.parametrize("data", [file.read_bytes() for file in files], ids=[file.name for file in files])


# ---------------------------------------------------------------- what is tried

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def odd(*usual: Any) -> st.SearchStrategy[Any]:
    """Mostly one of these, at times anything."""
    return st.one_of(*(one if isinstance(one, st.SearchStrategy) else st.just(one) for one in usual), JSON)


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=fields)


FUNCTION = record(name=odd("f", "g", "f", "", " f"), arguments=odd("{}", '{"a":', "1}", '{"a": 1}', {"a": 1}))
PIECE = record(index=odd(0, 0, 1, None), id=odd("a", "b", None), type=odd("function"), function=odd(FUNCTION))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "role": odd("assistant"),
    "content": odd("a", "", None, [{"type": "text", "text": "a"}]),
    "reasoning": odd("hm"),
    "reasoning_content": odd("hm"),
    "refusal": odd("no"),
    "reasoning_details": odd([{"type": "t", "text": "a", "index": 0}]),
    "thinking_blocks": odd([{"type": "thinking", "thinking": "a", "signature": "s"}]),
    "tool_calls": odd(st.lists(odd(PIECE), max_size=3)),
}
USAGE = record(prompt_tokens=odd(1), completion_tokens=odd(2), total_tokens=odd(3), prompt_tokens_details=odd({}))
CHOICE = record(
    index=odd(0, 1),
    delta=odd(record(**FIELDS)),
    message=odd(record(**FIELDS)),
    finish_reason=odd("stop", "tool_calls", "length", "error", None),
    text=odd("a"),
)
CHUNK = record(
    choices=odd(st.lists(odd(CHOICE), max_size=2)),
    usage=odd(USAGE),
    error=odd({"message": "boom"}, None),
    model=odd("m"),
    id=odd("x"),
    object=odd("chat.completion.chunk", "error"),
    message=odd("boom"),
    detail=odd("boom"),
)
PAYLOAD = st.one_of(
    CHUNK.map(json.dumps), st.sampled_from(["[DONE]", "", "{", '{"a":"\\ud83d"}']), st.text(max_size=10)
)
LINE = st.one_of(
    PAYLOAD.map("data: {}\n\n".format),
    st.sampled_from(
        ["data:", "data: ", "event: error\n", ": ping\n\n", "\r", "\n", "\r\n", "\n\n", "\ufeff", "id: 1\n"]
    ),
    st.text(max_size=6),
)
STREAM = st.lists(LINE, max_size=10).map(lambda lines: "".join(lines).encode("utf-8", "surrogatepass"))
BYTES = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"data", b":", b" ", b"\r", b"\n", b"event: error", b"x", b"\xef\xbb\xbf", b"\xff"]),
             max_size=30).map(b"".join),
    STREAM,
)  # fmt: skip


# ---------------------------------------------------------------- events of a stream


def decoded(pieces: list[bytes], most: int) -> list[tuple[type, bytes]] | str:
    """What was read; the word "refused" in place of what is not read any more."""
    decoder = SSEDecoder(max_event_bytes=most)
    found: list[bytes] = []
    try:
        for piece in pieces:
            found += decoder.feed(piece)
        found += decoder.finish()
    except InvalidResponseError:
        return "refused"
    return [(type(payload), payload) for payload in found]


@given(BYTES, st.lists(st.integers(0, 400), max_size=8))
def test_events_do_not_depend_on_how_the_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    whole = decoded([data], 10_000)
    assert decoded([bytes([byte]) for byte in data], 10_000) == whole
    assert decoded(pieces, 10_000) == whole
    assert whole == by_the_book(data)


def by_the_book(data: bytes) -> list[tuple[type, bytes]]:
    """The same as the standard says it, line by line; with what a last event without its empty line is."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found: list[tuple[type, bytes]] = []
    lines: list[bytes] = []
    name = b""
    for line in [*text.split(b"\n"), b""]:
        if not line:
            if lines:
                found.append((ErrorPayload if name == b"error" else bytes, b"\n".join(lines)))
            lines, name = [], b""
            continue
        field, colon, value = line.partition(b":")
        if (field, colon) == (b"data", b":"):  # a field without a value says nothing
            lines.append(value.removeprefix(b" "))
        elif (field, colon) == (b"event", b":"):
            name = value.strip()
    return found


# ---------------------------------------------------------------- answers


def read(data: bytes) -> None:
    """All that is done with an answer: its events, its message, its calls, a history for a strict server."""
    fold, events = ChatFold(), ChatEvents(ROUTE, ROUTE.url)
    chunks: list[ChatCompletionStreamOutput] = []
    shown = ""
    try:
        chunks += events.feed(data)
        chunks += events.end()
    except InferenceError as error:
        shown = str(error)
    assert ROUTE.key not in shown
    events.told()
    for chunk in chunks:
        fold.add(chunk)
        json.dumps(chunk.to_dict())
    settle(fold)


def settle(fold: ChatFold) -> None:
    message = fold.message()
    usage_of_call(fold.usage, [], [], message, None)
    if message is None:
        return
    planned = plan_calls(message, finish_reason=fold.finish_reason, used_ids=["a"])
    question = {"role": "user", "content": "?"}
    assert_valid([question, message, *(call.answer("done") for call in planned)])


@given(STREAM)
def test_any_answer_is_read_or_an_error(data: bytes) -> None:
    read(data)


@corpus("answers")
def test_answers_that_once_broke_something_are_read_or_an_error(data: bytes) -> None:
    read(data)


@given(CHUNK)
def test_any_document_is_an_answer_or_an_error(body: Any) -> None:
    response = Response(200, {}, json.dumps(body).encode(), ROUTE.url)
    try:
        output = parse_chat(Call("conversational", [], object), ROUTE, response)
    except InferenceError:
        return
    fold = ChatFold()
    for chunk in chunks_of(output):
        fold.add(chunk)
    settle(fold)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text('{}:1"', min_size=1, max_size=4)), max_size=12))
def test_pieces_of_several_calls_may_come_in_any_order(pieces: list[tuple[str, str]]) -> None:
    fold, expected = ChatFold(), dict[str, str]()
    for call_id, arguments in pieces:
        first = call_id not in expected
        index = list(expected).index(call_id) if not first else len(expected)
        expected[call_id] = expected.get(call_id, "") + arguments
        start = {"id": call_id, "type": "function"} if first else {}
        function = {"name": "f", "arguments": arguments} if first else {"arguments": arguments}
        call = {"index": index, **start, "function": function}
        fold.add(ChatCompletionStreamOutput.parse_obj_as_instance({"choices": [{"delta": {"tool_calls": [call]}}]}))
    message = fold.message()
    found = {call.id: call.function.arguments for call in (message.tool_calls if message else None) or []}
    assert found == expected


# ---------------------------------------------------------------- arguments of tool calls

WRITTEN = st.one_of(
    st.text(max_size=30),
    JSON.map(json.dumps),
    JSON.map(repr),
    st.lists(
        st.sampled_from(["{", "}", "[", "]", ":", ",", '"', "'", "a", "1", "-", "e9", ".", "null", "True", "NaN",
                         "\\", "\\u", "d83d", "\n", "```", "json", " ", "9" * 400, "\ud800", "\0", "//", "/*"]), max_size=20,
    ).map("".join),
)  # fmt: skip


def arguments_are_sound(text: str) -> None:
    for repair in (True, False):
        found: Arguments = parse_arguments(text, repair=repair)
        kept = json.loads(found.kept, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert isinstance(kept, dict)
        found.kept.encode()
        if found.value is None:
            assert found.problem
        else:
            assert json.loads(json.dumps(found.value, allow_nan=False)) is not None


@given(WRITTEN)
def test_any_arguments_are_an_object_or_a_problem(text: str) -> None:
    arguments_are_sound(text)


@corpus("arguments")
def test_arguments_that_once_broke_something_are_an_object_or_a_problem(data: bytes) -> None:
    arguments_are_sound(data.decode("utf-8", "surrogatepass"))


# ---------------------------------------------------------------- heads of answers

HEADER = st.one_of(
    st.text(max_size=30),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.lists(st.sampled_from(["Fri", ",", " ", "20", "Nov", "2026", "99999", ":", "GMT", "-0000", "+9999", "inf", "nan"]),
             max_size=10).map("".join),
)  # fmt: skip


@given(HEADER, st.integers(0, 10), st.floats(0, 1))
def test_any_retry_after_is_a_bounded_wait_or_none(value: str, attempt: int, jitter: float) -> None:
    delay = retry_delay(attempt, {"retry-after": value}, now=1e9, jitter=jitter)
    assert delay is None or 0 <= delay <= MAX_RETRY_AFTER_S


LOCATION = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(["http", "https", "file", ":", "//", "/", "[", "]", "::1", "a.example", "@", "?", "#",
                              "%", "99999999", "\\", "\n", "key0123456789", "ü", "xn--"]), max_size=8).map("".join),
)  # fmt: skip


@given(LOCATION, st.sampled_from([301, 302, 303, 307, 308]), st.sampled_from(["GET", "POST"]))
def test_any_redirect_stays_with_its_key_or_is_refused(location: str, status: int, method: Any) -> None:
    request = Request(method, "https://model.example/v1", headers={"x-own": "key9876543210"}, key=ROUTE.key)
    shown = ""
    try:
        found = redirected(request, status, location)
    except ProviderError as error:
        found, shown = request, str(error)
    assert "key0123456789" not in shown
    if not found.url.startswith("https://model.example"):
        assert (found.key, found.headers, found.method) == (None, {}, "GET")


@given(st.integers(100, 999), st.binary(max_size=60) | CHUNK.map(lambda body: json.dumps(body).encode()))
def test_any_error_body_is_an_error(status: int, body: bytes) -> None:
    request = Request("POST", ROUTE.url, key=ROUTE.key)
    error = error_of(request, status, {"x-request-id": ROUTE.key or ""}, body + (ROUTE.key or "").encode())
    assert ROUTE.key not in f"{error}{vars(error)}"
    delay = loading_delay(status, body)
    assert delay is None or 0 < delay <= 10


# ---------------------------------------------------------------- exported sessions

CALL = record(id=odd("a", "b"), type=odd("function"), function=odd(FUNCTION))
MESSAGE = record(
    role=odd("user", "assistant", "tool", "system"),
    content=odd("a", [{"type": "text", "text": "a"}],
                [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),
    tool_calls=odd(st.lists(odd(CALL), max_size=2)),
    tool_call_id=odd("a", "b"),
    name=odd("f"),
)  # fmt: skip
SESSION = st.one_of(
    st.lists(odd(MESSAGE), max_size=4),
    st.fixed_dictionaries(
        {"format": st.just(FORMAT), "version": odd(1), "messages": odd(st.lists(odd(MESSAGE), max_size=4))},
        optional={"title": odd("t"), "about": odd({"agent": "a"}),
                  "details": odd(st.lists(odd({"created": "x", "usage": {}}), max_size=4))},
    ),
    JSON,
)  # fmt: skip


def session_is_sound(text: str) -> None:
    try:
        stored = from_json(text)
    except UsageError:
        return
    assert_valid(saved.message for saved in stored.messages)
    assert [saved.message for saved in from_json(to_json(stored)).messages] == [
        saved.message for saved in stored.messages
    ]
    to_markdown(stored)


@given(st.text(max_size=20) | SESSION.map(json.dumps))
def test_any_text_is_a_session_or_an_error(text: str) -> None:
    session_is_sound(text)


@corpus("sessions")
def test_sessions_that_once_broke_something_are_read_or_an_error(data: bytes) -> None:
    session_is_sound(data.decode())
