"""Both clients against a real server on loopback."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.openai_server import Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import (
    AsyncInferenceClient,
    ChatCompletionInputMessage,
    IncompleteStreamError,
    InferenceClient,
    InferenceConnectionError,
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
    UsageError,
)
from tiny_agents.inference.fold import ChatFold

pytestmark = pytest.mark.integration

HELLO = [{"role": "user", "content": "hi"}]
KEY = "pk-secret-0123456789"


class Sync:
    """Runs a chat with the synchronous client."""

    def chat(self, url: str, *, client: dict[str, Any] | None = None, **options: Any) -> tuple[Any, ChatFold]:
        folded = ChatFold()
        with InferenceClient(base_url=url, **(client or {})) as model:
            answer = model.chat_completion(HELLO, **options)
            if options.get("stream"):
                for chunk in answer:
                    folded.add(chunk)
                    self.folded = folded
            return answer, folded


class Async:
    """The same with the asynchronous one."""

    def chat(self, url: str, *, client: dict[str, Any] | None = None, **options: Any) -> tuple[Any, ChatFold]:
        async def main() -> tuple[Any, ChatFold]:
            folded = self.folded = ChatFold()
            async with asyncio.timeout(30), AsyncInferenceClient(base_url=url, **(client or {})) as model:
                answer: Any = await model.chat_completion(HELLO, **options)
                if options.get("stream"):
                    async for chunk in answer:
                        folded.add(chunk)
                return answer, folded

        return asyncio.run(main())


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_an_answer_whole_and_in_pieces(caller: Any, serve: Any) -> None:
    server = serve(text("Hel", "lo"))
    answer, _ = caller.chat(server.url, model="m", temperature=0.5, extra_body={"top_k": 3})
    assert answer.choices[0].message.content == "Hello"
    assert answer.usage.total_tokens == 15
    _, folded = caller.chat(server.url, stream=True)
    assert folded.content == "Hello"
    assert folded.finish_reason == "stop"
    assert server.chats == [
        {"model": "m", "messages": HELLO, "stream": False, "temperature": 0.5, "top_k": 3},
        {"model": "dummy", "messages": HELLO, "stream": True},
    ]


def test_tool_calls_whole_and_in_pieces(caller: Any, serve: Any) -> None:
    server = serve(calls(("add", {"a": 1}), ("add", {"a": 2})))
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "default": None}}}
    answer, _ = caller.chat(server.url, tools=[tool], tool_choice="add")
    assert [call.function.arguments for call in answer.choices[0].message.tool_calls] == ['{"a": 1}', '{"a": 2}']
    _, folded = caller.chat(server.url, tools=[tool], stream=True)
    assert [call.id for call in folded.message().tool_calls] == ["call_0", "call_1"]
    assert server.chats[0]["tools"] == [tool]
    assert server.chats[0]["tool_choice"] == {"type": "function", "function": {"name": "add"}}


def test_no_key_is_sent_unless_one_is_given(caller: Any, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_found0123456789")
    server = serve(text("x"))
    caller.chat(server.url)
    caller.chat(server.url, client={"api_key": KEY, "headers": {"X-Mine": "1"}, "cookies": {"s": "2"}})
    assert "authorization" not in server.requests[0].headers
    sent = server.requests[1].headers
    assert (sent["authorization"], sent["x-mine"], sent["cookie"]) == (f"Bearer {KEY}", "1", "s=2")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("code", [429, 500, 503])
def test_passing_failures_are_not_seen(caller: Any, serve: Any, code: int, stream: bool) -> None:
    server = serve(status(code, retry_after="0"), status(code, retry_after="0"), text("ok"))
    answer, folded = caller.chat(server.url, stream=stream)
    assert (folded.content if stream else answer.choices[0].message.content) == "ok"
    assert len(server.chats) == 3


def test_retries_can_be_turned_off(caller: Any, serve: Any) -> None:
    server = serve(status(503), text("ok"))
    with pytest.raises(ProviderError) as caught:
        caller.chat(server.url, client={"max_retries": 0})
    assert caught.value.status == 503
    assert len(server.chats) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_other_errors_are_said_at_once_and_never_repeat_the_key(caller: Any, serve: Any, code: int) -> None:
    server = serve(status(code, {"error": {"message": f"your key {KEY} is no good"}}, x_request_id="r-7"))
    with pytest.raises(ProviderError, match="is no good") as caught:
        caller.chat(server.url, client={"api_key": KEY}, stream=True)
    assert caught.value.status == code
    assert caught.value.request_id == "r-7"
    assert KEY not in f"{caught.value} {caught.value!r} {caught.value.body}"
    assert len(server.chats) == 1


def test_a_server_that_asks_for_a_long_wait_is_not_waited_for(caller: Any, serve: Any) -> None:
    server = serve(status(429, retry_after="3600"))
    with pytest.raises(ProviderError) as caught:
        caller.chat(server.url)
    assert caught.value.status == 429
    assert len(server.chats) == 1


@pytest.mark.parametrize(
    "turn",
    [
        raw(delta(content="half "), delta(content="an answer"), then="reset"),
        raw(delta(content="half "), delta(content="an answer"), done=False),
        raw(delta(content="half "), delta(content="an answer"), 'data: {"choices": [{"del', done=False),
    ],
    ids=["reset", "ended", "ended inside an event"],
)
def test_a_cut_answer_is_never_passed_as_whole(caller: Any, serve: Any, turn: Turn) -> None:
    server = serve(turn)
    with pytest.raises(IncompleteStreamError, match="broke off") as caught:
        caller.chat(server.url, stream=True)
    assert str(caught.value).count("broke off") == 1
    assert caller.folded.content == "half an answer"
    assert len(server.chats) == 1


def test_a_connection_that_breaks_after_the_last_word_has_lost_nothing(caller: Any, serve: Any) -> None:
    server = serve(raw(delta(content="all"), delta("stop"), then="reset"))
    _, folded = caller.chat(server.url, stream=True)
    assert folded.content == "all"


def test_what_follows_done_is_ignored(caller: Any, serve: Any) -> None:
    server = serve(raw(delta(content="all"), "data: [DONE]\n\n", delta(content=" and more")))
    _, folded = caller.chat(server.url, stream=True)
    assert folded.content == "all"


def test_odd_but_readable_streams_are_read(caller: Any, serve: Any) -> None:
    server = serve(
        raw(
            ": keep-alive\n\n",
            "event: message\n",
            'data:{"choices":[{"delta":{"role":"assistant","content":"a\u2028b"}}]}\r\n\r\n',
            {"choices": []},
            'data: {"choices": [{"delta":\ndata: {"content": "c"}}]}\n\n',
            {"choices": [{"delta": None}]},
            {"id": 5, "created": "now", "choices": [{"delta": {"content": "d"}, "index": None}]},
            delta("stop"),
            {"choices": [], "usage": {"total_tokens": 3}},
        )
    )
    _, folded = caller.chat(server.url, stream=True)
    assert folded.content == "a\u2028bcd"
    assert folded.usage.total_tokens == 3


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"error": {"message": "out of luck", "code": 500}}, "out of luck"),
        ({"error": "out of luck"}, "out of luck"),
        ("event: error\ndata: out of luck\n\n", "out of luck"),
    ],
)
def test_an_error_in_a_stream_is_raised_after_what_came_before(caller: Any, serve: Any, event: Any, says: str) -> None:
    server = serve(raw(delta(content="so far"), event))
    with pytest.raises(ProviderError, match=says):
        caller.chat(server.url, stream=True)
    assert caller.folded.content == "so far"


def test_garbage_in_a_stream_is_an_error_that_shows_it(caller: Any, serve: Any) -> None:
    server = serve(raw(delta(content="so far"), "data: <html>\n\n"))
    with pytest.raises(InvalidResponseError, match="<html>"):
        caller.chat(server.url, stream=True)
    assert caller.folded.content == "so far"


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_body_with_status_200_is_an_error(caller: Any, serve: Any, stream: bool) -> None:
    server = serve(Turn(status=200, body=b'{"error": {"message": "no capacity"}}'))
    with pytest.raises(ProviderError, match="no capacity"):
        caller.chat(server.url, stream=stream)


def test_a_server_that_can_not_stream_is_understood(caller: Any, serve: Any) -> None:
    whole = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "all at once"}}]}'
    server = serve(Turn(status=200, body=whole))
    _, folded = caller.chat(server.url, stream=True)
    assert folded.content == "all at once"
    assert folded.finish_reason == "stop"


@pytest.mark.parametrize(
    "body", [b"", b"<html>oops</html>", b"[1]", b'{"x": 1}', b'{"choices": null}', b'{"choices": "a"}']
)
def test_an_answer_that_is_no_completion_is_an_error(caller: Any, serve: Any, body: bytes) -> None:
    server = serve(Turn(status=200, body=body))
    with pytest.raises(InvalidResponseError, match="no chat completion"):
        caller.chat(server.url)


def test_a_web_page_in_place_of_a_stream_is_an_error_that_shows_it(caller: Any, serve: Any) -> None:
    server = serve(Turn(status=200, headers={"content-type": "text/html"}, body=b"<html>sign in</html>"))
    with pytest.raises(InvalidResponseError, match="sign in"):
        caller.chat(server.url, stream=True)


def test_silence_ends_in_a_timeout(caller: Any, serve: Any) -> None:
    server = serve(raw(delta(content="so far"), then="stall"))
    with pytest.raises(InferenceTimeoutError, match="sent nothing for 1 s") as caught:
        caller.chat(server.url, client={"timeout": 1}, stream=True)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.timeout_s == 1
    assert caller.folded.content == "so far"
    assert server.gone.wait(30)


def test_keep_alives_are_no_data(caller: Any, serve: Any) -> None:
    server = serve(raw(delta(content="so far"), *[item for _ in range(600) for item in (": ping\n\n", 0.05)]))
    with pytest.raises(InferenceTimeoutError):
        caller.chat(server.url, client={"timeout": 1}, stream=True)
    assert caller.folded.content == "so far"


def test_a_slow_stream_that_keeps_talking_is_fine(caller: Any, serve: Any) -> None:
    server = serve(raw(*[item for _ in range(24) for item in (delta(content="x"), 0.1)], delta("stop")))
    _, folded = caller.chat(server.url, client={"timeout": 2.0}, stream=True)
    assert folded.content == "x" * 24


def test_nobody_listening_is_said_with_the_address(caller: Any) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        with pytest.raises(InferenceConnectionError, match="Is the server running") as caught:
            caller.chat(url, client={"max_retries": 0})
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.url == f"{url}/chat/completions"


def test_a_connection_reset_before_the_answer_is_tried_again(caller: Any, serve: Any) -> None:
    state = {"first": True}

    def script(request: Recorded) -> Turn:
        if state.pop("first", False):
            raise ConnectionResetError  # the handler closes the connection without a word
        return text("ok")

    server = serve(script)
    answer, _ = caller.chat(server.url)
    assert answer.choices[0].message.content == "ok"
    assert len(server.requests) == 2


def test_a_post_is_redirected_within_its_host_and_no_further(caller: Any, serve: Any) -> None:
    elsewhere = serve(text("stolen"))
    moved = status(307, location="/v2/chat/completions")
    server = serve(lambda request: text("moved") if request.path.startswith("/v2") else moved)
    answer, _ = caller.chat(server.url, client={"api_key": KEY})
    assert answer.choices[0].message.content == "moved"
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    leaving = serve(status(307, location=f"{elsewhere.url}/chat/completions"))
    with pytest.raises(ProviderError, match="not followed"):
        caller.chat(leaving.url, client={"api_key": KEY})
    assert elsewhere.requests == []


def test_endless_redirects_end(caller: Any, serve: Any) -> None:
    server = serve(status(307, location="/v1/chat/completions"))
    with pytest.raises(ProviderError, match="more than 5 redirects"):
        caller.chat(server.url)


def test_an_empty_conversation_is_refused_before_anything_is_sent(serve: Any) -> None:
    server = serve(text("x"))
    with InferenceClient(base_url=server.url) as client, pytest.raises(UsageError, match="messages is empty"):
        client.chat_completion([])
    assert server.requests == []


def test_both_clients_have_the_same_methods_and_signatures() -> None:
    def public(cls: type) -> dict[str, Any]:
        return {name: member for name, member in inspect.getmembers(cls) if not name.startswith("_")}

    sync, asynchronous = public(InferenceClient), public(AsyncInferenceClient)
    assert sync.keys() == asynchronous.keys()
    assert inspect.signature(InferenceClient) == inspect.signature(AsyncInferenceClient)
    for name, member in sync.items():
        if inspect.isfunction(member):
            mine, other = inspect.signature(member), inspect.signature(asynchronous[name])
            assert list(mine.parameters.values()) == list(other.parameters.values()), name
            assert inspect.iscoroutinefunction(asynchronous[name]), name


def test_messages_may_be_dictionaries_and_records_mixed(serve: Any) -> None:
    server = serve(text("x"))
    with InferenceClient(base_url=server.url) as client:
        client.chat.completions.create(
            messages=[ChatCompletionInputMessage("user", "hi"), {"role": "user", "content": "ho"}]
        )
    assert server.chats[0]["messages"] == [{"role": "user", "content": "hi"}, {"role": "user", "content": "ho"}]


def test_one_connection_serves_many_calls(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny_agents.inference.streams.DRAIN_S", 30.0)  # on a busy machine an end may take its time
    server = serve(text("a", "b"))
    with InferenceClient(base_url=server.url) as client:
        for _ in range(3):
            assert len(list(client.chat_completion(HELLO, stream=True))) == 4
            client.chat_completion(HELLO)
    assert server.connections == 1


def test_threads_can_share_a_client(serve: Any) -> None:
    server = serve(text("a", "b"))
    answers: list[str] = []
    with InferenceClient(base_url=server.url) as client:

        def ask() -> None:
            answers.append(
                "".join(c.choices[0].delta.content or "" for c in client.chat_completion(HELLO, stream=True))
            )

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == ["ab"] * 8


@pytest.mark.anyio
async def test_many_tasks_can_share_a_client_on_few_connections(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny_agents.inference.streams.DRAIN_S", 30.0)  # on a busy machine an end may take its time
    server = serve(text("a", "b"))
    async with asyncio.timeout(30), AsyncInferenceClient(base_url=server.url) as client:

        async def ask() -> str:
            folded = ChatFold()
            async for chunk in await client.chat_completion(HELLO, stream=True):
                folded.add(chunk)
            return folded.content

        for _ in range(3):
            assert await asyncio.gather(*(ask() for _ in range(5))) == ["ab"] * 5
        assert server.connections <= 5


@pytest.mark.anyio
async def test_leaving_a_stream_early_closes_its_connection(serve: Any) -> None:
    server = serve(raw(delta(content="a"), then="stall"))
    async with asyncio.timeout(30), AsyncInferenceClient(base_url=server.url) as client:
        async with await client.chat_completion(HELLO, stream=True) as stream:
            async for _ in stream:
                break
        assert await asyncio.to_thread(server.gone.wait, 30)


@pytest.mark.anyio
async def test_a_stream_that_is_dropped_half_read_closes_its_connection(serve: Any) -> None:
    server = serve(raw(delta(content="a"), then="stall"))
    async with asyncio.timeout(30), AsyncInferenceClient(base_url=server.url) as client:
        async for _ in await client.chat_completion(HELLO, stream=True):
            break
        gc.collect()
        assert await asyncio.to_thread(server.gone.wait, 30)


@pytest.mark.anyio
async def test_a_dropped_client_does_not_take_its_stream_along(serve: Any) -> None:
    server = serve(raw(delta(content="a"), 0.2, delta(content="b"), delta("stop")))
    async with asyncio.timeout(30):
        client = AsyncInferenceClient(base_url=server.url)
        stream = await client.chat_completion(HELLO, stream=True)
        del client
        gc.collect()
        folded = ChatFold()
        async for chunk in stream:
            folded.add(chunk)
    assert folded.content == "ab"


def test_a_dropped_blocking_client_does_not_take_its_stream_along(serve: Any) -> None:
    server = serve(raw(delta(content="a"), 0.2, delta(content="b"), delta("stop")))
    client = InferenceClient(base_url=server.url)
    stream = client.chat_completion(HELLO, stream=True)
    del client
    gc.collect()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "ab"


def test_a_blocking_client_that_nobody_closed_leaves_no_open_connection(serve: Any) -> None:
    server = serve(text("x"))
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        InferenceClient(base_url=server.url).chat_completion(HELLO)
        gc.collect()
    assert [warning.message for warning in told if warning.category is ResourceWarning] == []


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_a_client_that_was_used_can_be_copied_and_pickled(serve: Any, again: Callable[[Any], Any]) -> None:
    server = serve(text("x"))
    with InferenceClient(base_url=server.url, api_key=KEY) as client:
        client.chat_completion(HELLO)
        other = again(client)
    with other:  # has connections of its own
        assert other.chat_completion(HELLO).choices[0].message.content == "x"
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_an_asynchronous_client_that_was_used_can_be_pickled(serve: Any) -> None:
    server = serve(text("x"))

    async def ask(client: AsyncInferenceClient) -> bytes:
        async with asyncio.timeout(30), client:
            await client.chat_completion(HELLO)
            return pickle.dumps(client)

    asyncio.run(ask(pickle.loads(asyncio.run(ask(AsyncInferenceClient(base_url=server.url))))))
    assert len(server.chats) == 2


@pytest.mark.anyio
async def test_cancelling_a_reader_closes_the_connection(serve: Any) -> None:
    server = serve(raw(delta(content="a"), then="stall"))
    async with asyncio.timeout(30), AsyncInferenceClient(base_url=server.url) as client:
        stream = await client.chat_completion(HELLO, stream=True)
        assert (await anext(stream)).choices[0].delta is not None
        reader = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert await asyncio.to_thread(server.gone.wait, 30)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


def test_a_proxy_is_used_for_the_web_and_not_for_loopback(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(text("through the proxy"))
    server = serve(text("direct"))
    monkeypatch.setenv("HTTP_PROXY", proxy.origin)
    with InferenceClient(base_url=server.url) as client:
        assert client.chat_completion(HELLO).choices[0].message.content == "direct"  # type: ignore[union-attr]
    with InferenceClient(base_url="http://model.example/v1") as client:
        answer = client.chat_completion(HELLO)
    assert answer.choices[0].message.content == "through the proxy"  # type: ignore[union-attr]
    assert proxy.requests[0].path == "http://model.example/v1/chat/completions"
    assert len(server.requests) == 1
