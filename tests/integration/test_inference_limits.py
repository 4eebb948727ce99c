"""Limits and means of both clients against real servers: time, proxies, one's own HTTP client, loops, connections."""

from __future__ import annotations

import asyncio
import gc
import gzip
import inspect
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, delta, raw, status, text
from tests.support.parity import Clock
from tiny_agents import (
    AsyncInferenceClient,
    InferenceClient,
    InferenceConnectionError,
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
    UsageError,
)
from tiny_agents.inference import routing

pytestmark = pytest.mark.integration

HELLO = [{"role": "user", "content": "hi"}]
HF = "hf_token0123456789"
WAIT_S = 30.0
LOADING = status(503, {"error": "Model m is currently loading", "estimated_time": 20.0})

Ask = Callable[..., Any]


def _sync(_base_url: str | None = None, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
    with InferenceClient(base_url=_base_url, **(client or {})) as made:
        answer: Any = made.chat_completion(HELLO, **options)
        return _text(list(answer)) if options.get("stream") else answer.choices[0].message.content


def _async(_base_url: str | None = None, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
    async def main() -> Any:
        async with AsyncInferenceClient(base_url=_base_url, **(client or {})) as made:
            answer: Any = await made.chat_completion(HELLO, **options)
            if options.get("stream"):
                return _text([chunk async for chunk in answer])
            return answer.choices[0].message.content

    return asyncio.run(main())


def _text(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


# ---------------------------------------------------------------- time


def test_a_model_that_is_being_loaded_is_waited_for(ask: Ask, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    server = serve(LOADING, LOADING, LOADING, LOADING, text("ready"))
    assert ask(server.url, client={"max_retries": 1}) == "ready"
    assert len(server.chats) == 5
    assert clock.slept_s == 40


@pytest.mark.parametrize("limits", [{"timeout": 35}, {"total_timeout": 35}])
def test_it_is_not_waited_for_longer_than_allowed(
    ask: Ask, serve: Any, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
) -> None:
    clock = Clock(monkeypatch)
    server = serve(LOADING)
    with pytest.raises(ProviderError, match="currently loading") as caught:
        ask(server.url, client=limits)
    assert caught.value.status == 503
    assert 30 <= clock.slept_s <= 35


def test_without_retries_nothing_is_waited_for(ask: Ask, serve: Any) -> None:
    server = serve(LOADING)
    with pytest.raises(ProviderError):
        ask(server.url, client={"max_retries": 0})
    assert len(server.chats) == 1


def test_the_whole_call_has_a_limit_that_retries_keep(ask: Ask, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    server = serve(status(429, retry_after="20"))
    with pytest.raises(ProviderError) as caught:
        ask(server.url, client={"total_timeout": 50, "max_retries": 100})
    assert caught.value.status == 429
    assert (clock.slept_s, len(server.chats)) == (40, 3)


def late(request: Recorded) -> Turn:
    time.sleep(2)
    return text("late")


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_server_is_given_up_when_the_whole_time_is_over(ask: Ask, serve: Any, stream: bool) -> None:
    server = serve(raw(then="stall") if stream else late)
    with pytest.raises(InferenceTimeoutError, match=r"not finished within 0\.4 s.*total_timeout") as caught:
        ask(server.url, client={"total_timeout": 0.4, "max_retries": 0}, stream=stream)
    assert caught.value.timeout_s == 0.4
    assert caught.value.provider == "endpoint"


def test_a_stream_that_never_ends_is_left_when_the_whole_time_is_over(ask: Ask, serve: Any) -> None:
    server = serve(raw(*[item for _ in range(400) for item in (delta(content="x"), 0.02)]))
    with pytest.raises(InferenceTimeoutError, match="total_timeout"):
        ask(server.url, client={"total_timeout": 1}, stream=True)
    assert server.gone.wait(WAIT_S)


def test_time_that_is_over_is_not_started_again_for_another_try(ask: Ask, serve: Any) -> None:
    server = serve(lambda request: (time.sleep(0.3), status(500, retry_after="0"))[1])
    with pytest.raises((InferenceTimeoutError, ProviderError)):
        ask(server.url, client={"total_timeout": 0.5, "max_retries": 1000})
    assert len(server.chats) <= 2


@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_has_to_be_some_time(value: float) -> None:
    with pytest.raises(UsageError, match="total_timeout must be"):
        InferenceClient(total_timeout=value)


def test_errors_name_provider_and_model(ask: Ask, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(status(404, {"error": "no such model"}))
    monkeypatch.setattr(routing, "ROUTER", server.origin)
    with pytest.raises(ProviderError) as caught:
        ask(client={"model": "a/b", "token": HF})
    assert (caught.value.provider, caught.value.model, caught.value.status) == ("auto", "a/b", 404)
    stalled = serve(raw(delta(content="x"), then="stall"))
    with pytest.raises(InferenceTimeoutError) as timed_out:
        ask(stalled.url, client={"timeout": 0.3}, model="m", stream=True)
    assert (timed_out.value.provider, timed_out.value.model) == ("endpoint", "m")


# ---------------------------------------------------------------- proxies, and one's own client


@pytest.mark.parametrize("named", ["all", "http", "http://", "http://model.example", None])
def test_a_proxy_may_be_named(ask: Ask, serve: Any, monkeypatch: pytest.MonkeyPatch, named: str | None) -> None:
    proxy, wrong, server = serve(text("through it")), serve(text("wrong")), serve(text("direct"))
    monkeypatch.setenv("HTTP_PROXY", wrong.origin)
    settings = {"proxies": proxy.origin if named is None else {named: proxy.origin}}
    assert ask("http://model.example/v1", client=settings) == "through it"
    assert proxy.requests[0].path == "http://model.example/v1/chat/completions"
    assert ask(server.url, client=settings) == "direct"
    assert len(proxy.requests) == 1


def test_none_in_place_of_a_proxy_is_a_direct_connection(ask: Ask, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(text("through it"))
    monkeypatch.setenv("HTTP_PROXY", proxy.origin)
    with pytest.raises(InferenceConnectionError):
        ask("http://nowhere.invalid/v1", client={"proxies": {"http": None}, "max_retries": 0})
    with pytest.raises(InferenceConnectionError):
        ask("http://nowhere.invalid/v1", client={"trust_env": False, "max_retries": 0})
    assert proxy.requests == []


def test_proxies_that_make_no_sense_are_refused_without_showing_them() -> None:
    with pytest.raises(UsageError, match=r"proxies\['all'\] must start with") as caught:
        InferenceClient(proxies="user:secret@proxy:1")
    assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="not both"):
        InferenceClient(proxies="http://proxy:1", http_client=httpx2.Client())
    assert "secret" not in repr(InferenceClient(proxies="http://user:secret@proxy:1").settings)


def test_ones_own_client_is_used_and_left_open(serve: Any) -> None:
    server = serve(text("a"))
    with httpx2.Client(headers={"x-own": "1"}, follow_redirects=True) as own:
        for _ in range(2):
            with InferenceClient(base_url=server.url, http_client=own) as client:
                client.chat_completion(HELLO)
        assert not own.is_closed
        assert [request.headers["x-own"] for request in server.requests] == ["1", "1"]
        assert server.connections == 1


@pytest.mark.anyio
async def test_ones_own_asynchronous_client_is_used_and_left_open(serve: Any) -> None:
    server = serve(text("a"))
    async with asyncio.timeout(WAIT_S), httpx2.AsyncClient(headers={"x-own": "1"}) as own:
        for _ in range(2):
            async with AsyncInferenceClient(base_url=server.url, http_client=own) as client:
                await client.chat_completion(HELLO)
        assert not own.is_closed
        assert [request.headers["x-own"] for request in server.requests] == ["1", "1"]
        assert server.connections == 1


def test_with_ones_own_client_the_rules_stay(serve: Any) -> None:
    elsewhere = serve(text("stolen"))
    leaving = serve(status(307, location=f"{elsewhere.url}/chat/completions"))
    stalled = serve(raw(then="stall"))
    with httpx2.Client(follow_redirects=True, timeout=60) as own:
        with pytest.raises(ProviderError, match="not followed"):
            InferenceClient(base_url=leaving.url, api_key=HF, http_client=own).chat_completion(HELLO)
        assert elsewhere.requests == []
        with pytest.raises(InferenceTimeoutError, match=r"0\.3 s"):
            list(
                InferenceClient(base_url=stalled.url, http_client=own, timeout=0.3).chat_completion(HELLO, stream=True)
            )


def test_a_client_of_the_other_kind_is_refused() -> None:
    with pytest.raises(UsageError, match=r"must be an httpx2\.Client here"):
        InferenceClient(http_client=httpx2.AsyncClient())
    with pytest.raises(UsageError, match=r"must be an httpx2\.AsyncClient here"):
        AsyncInferenceClient(http_client=httpx2.Client())


# ---------------------------------------------------------------- what comes back


def test_a_compressed_answer_is_read(ask: Ask, serve: Any) -> None:
    body = b'{"choices": [{"message": {"content": "small"}}]}'
    server = serve(Turn(body=gzip.compress(body), headers={"content-encoding": "gzip"}))
    assert ask(server.url) == "small"
    broken = serve(Turn(body=b"not gzip", headers={"content-encoding": "gzip"}))
    with pytest.raises(InvalidResponseError, match="decompressed"):
        ask(broken.url)


# ---------------------------------------------------------------- the event loop, threads, connections


class Ticking:
    """A task that ticks while something else runs. A server's handler waits in `ticked` until it has."""

    def __init__(self) -> None:
        self._asked = 0
        self._seen = threading.Condition()
        self._ticks = 0
        self.starved: list[str] = []

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            with self._seen:
                self._ticks += 1
                self._seen.notify_all()

    def ticked(self, what: str) -> None:
        """Wait for a few ticks from now on: they come only if the loop is free while `what` is being waited for."""
        with self._seen:
            until = self._ticks + 5
            if not self._seen.wait_for(lambda: self._ticks >= until, timeout=WAIT_S / 2):
                self.starved.append(what)


@pytest.mark.anyio
async def test_a_slow_look_up_does_not_hold_the_loop(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = Ticking()

    def script(request: Recorded) -> Turn:
        ticking.ticked(f"{request.method} {request.path}")
        if request.method == "POST":
            return text("ok")
        mapping = b'{"provider": "groq", "providerId": "served", "status": "live", "task": "conversational"}'
        return Turn(body=b'{"inferenceProviderMapping": [' + mapping + b"]}")

    server = serve(script)
    monkeypatch.setenv("HF_ENDPOINT", server.origin)
    monkeypatch.setattr(routing, "ROUTER", server.origin)
    async with asyncio.timeout(3 * WAIT_S), AsyncInferenceClient("a/b", provider="groq", token=HF) as client:
        beside = asyncio.create_task(ticking.run())
        answer: Any = await client.chat_completion(HELLO)
        beside.cancel()
    assert answer.choices[0].message.content == "ok"
    assert ticking.starved == []
    assert [request.path for request in server.requests] == [
        "/api/models/a/b?expand=inferenceProviderMapping",
        "/groq/openai/v1/chat/completions",
    ]


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a file that can be slow")
@pytest.mark.filterwarnings("ignore:.*older name:FutureWarning")
async def test_slow_files_and_downloads_do_not_hold_the_loop(serve: Any, tmp_path: Path) -> None:
    ticking = Ticking()
    slow = tmp_path / "slow.png"
    os.mkfifo(slow)

    def write() -> None:
        with slow.open("wb") as file:  # opens once somebody reads
            ticking.ticked("the file")
            file.write(b"\x89PNG")

    def script(request: Recorded) -> Turn:
        ticking.ticked(f"{request.method} {request.path}")
        return (
            Turn(body=b"\x89PNG", headers={"content-type": "image/png"})
            if request.method == "GET"
            else Turn(body=b"[]")
        )

    server = serve(script)
    threading.Thread(target=write, daemon=True).start()
    async with asyncio.timeout(3 * WAIT_S), AsyncInferenceClient() as client:
        beside = asyncio.create_task(ticking.run())
        await client.post(data=slow, model=f"{server.origin}/run")
        await client.post(data=f"{server.origin}/dog.png", model=f"{server.origin}/run")
        beside.cancel()
    assert ticking.starved == []
    assert [(request.method, request.raw) for request in server.requests] == [
        ("POST", b"\x89PNG"),
        ("GET", b""),
        ("POST", b"\x89PNG"),
    ]


def test_a_client_is_usable_without_with_and_after_being_closed(serve: Any) -> None:
    server = serve(text("a"))
    client = InferenceClient(base_url=server.url)
    client.chat_completion(HELLO)
    assert server.open_connections == 1
    client.close()
    client.close()
    none_open(server)
    client.chat_completion(HELLO)
    client.close()
    none_open(server)


def none_open(server: OpenAIServer) -> None:
    deadline = time.monotonic() + WAIT_S
    while server.open_connections:
        assert time.monotonic() < deadline, f"{server.open_connections} connections stay open"
        time.sleep(0.005)


@pytest.mark.anyio
async def test_an_asynchronous_client_closes_its_connections(serve: Any) -> None:
    server = serve(text("a"))
    client = AsyncInferenceClient(base_url=server.url)
    async with asyncio.timeout(3 * WAIT_S):
        await asyncio.gather(*(client.chat_completion(HELLO) for _ in range(4)))
        assert 1 <= server.open_connections <= 4
        await client.close()
        await client.close()
        await asyncio.to_thread(none_open, server)
        await client.chat_completion(HELLO)
        await client.close()
        await asyncio.to_thread(none_open, server)


def test_a_dropped_client_leaves_no_connection_behind(serve: Any) -> None:
    server = serve(text("a"))
    client = InferenceClient(base_url=server.url)
    client.chat_completion(HELLO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del client
        gc.collect()
    none_open(server)


def test_an_asynchronous_client_may_be_used_by_one_loop_after_another(serve: Any) -> None:
    server = serve(text("a"))
    client = AsyncInferenceClient(base_url=server.url)

    async def once() -> str:
        async with asyncio.timeout(WAIT_S):
            answer: Any = await client.chat_completion(HELLO)
            return str(answer.choices[0].message.content)

    assert [asyncio.run(once()) for _ in range(3)] == ["a"] * 3
    asyncio.run(client.close())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the loops ended before the connections were closed
        gc.collect()


def test_threads_share_a_look_up(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(request: Recorded) -> Turn:
        mapping = b'{"provider": "groq", "providerId": "served", "status": "live", "task": "conversational"}'
        return (
            text("ok") if request.method == "POST" else Turn(body=b'{"inferenceProviderMapping": [' + mapping + b"]}")
        )

    server = serve(script)
    monkeypatch.setenv("HF_ENDPOINT", server.origin)
    monkeypatch.setattr(routing, "ROUTER", server.origin)
    answers: list[str] = []
    with InferenceClient("a/b", provider="groq", token=HF) as client:
        client.chat_completion(HELLO)

        def once() -> None:
            answer: Any = client.chat_completion(HELLO)
            answers.append(answer.choices[0].message.content)

        threads = [threading.Thread(target=once) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
    assert answers == ["ok"] * 8
    assert sum(request.method == "GET" for request in server.requests) == 1


def test_what_hangs_on_the_clients_has_the_same_signatures_too() -> None:
    sync, asynchronous = InferenceClient().chat.completions, AsyncInferenceClient().chat.completions
    for name in ("create", "parse"):
        mine, other = getattr(sync, name), getattr(asynchronous, name)
        assert list(inspect.signature(mine).parameters.values()) == list(inspect.signature(other).parameters.values())
        assert inspect.iscoroutinefunction(other)
