"""Jobs of a provider over real sockets: look-ups, calls, polls and downloads, with both clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, status
from tiny_agents import AsyncInferenceClient, InferenceClient, InferenceTimeoutError, JobFailedError

pytestmark = pytest.mark.integration

KEY = "pk-own-key-0123"
LIMIT_S = 60.0
MAPPING = {"provider": "wavespeed", "providerId": "served/m", "status": "live", "task": "text-to-video"}
POLL_PATH = "/api/v3/predictions/j/result"
CDN_PATH = "/out.mp4"
TAKEN = {"data": {"urls": {"get": f"https://api.wavespeed.ai{POLL_PATH}"}}}
RUNNING = {"data": {"status": "processing"}}
DONE = {"data": {"status": "completed", "outputs": [f"https://cdn.example{CDN_PATH}"]}}


def as_json(value: Any) -> Turn:
    return Turn(body=json.dumps(value).encode())


class Provider:
    """Answers for the Hub, the provider and the host of its results; `looks` are the answers to looks at the job."""

    def __init__(self, *looks: Turn, before: Callable[[], None] = lambda: None) -> None:
        self._looks = list(looks)
        self._before = before
        self.looked = threading.Event()

    def __call__(self, asked: Recorded) -> Turn:
        self._before()
        if asked.path.startswith("/api/models/"):
            return as_json({"id": "org/model", "inferenceProviderMapping": [MAPPING]})
        if asked.path == POLL_PATH:
            self.looked.set()
            return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if asked.path == CDN_PATH:
            return Turn(body=b"a video", headers={"content-type": "video/mp4"})
        return as_json(TAKEN)


def here(url: httpx2.URL, server: OpenAIServer) -> httpx2.URL:
    """The same address on the server of the test, whichever host it names."""
    origin = httpx2.URL(server.origin)
    return url.copy_with(scheme="http", host=origin.host, port=origin.port)


class Loopback(httpx2.HTTPTransport):
    def __init__(self, server: OpenAIServer) -> None:
        super().__init__()
        self._server = server

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = here(request.url, self._server)
        return super().handle_request(request)


class AsyncLoopback(httpx2.AsyncHTTPTransport):
    def __init__(self, server: OpenAIServer) -> None:
        super().__init__()
        self._server = server

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = here(request.url, self._server)
        return await super().handle_async_request(request)


OPTIONS: dict[str, Any] = {"model": "org/model", "provider": "wavespeed", "api_key": KEY}


def run_sync(server: OpenAIServer, **options: Any) -> bytes:
    with (
        httpx2.Client(transport=Loopback(server)) as http,
        InferenceClient(**OPTIONS, **options, http_client=http) as client,
    ):
        return client.text_to_video("a cat")


def run_async(server: OpenAIServer, **options: Any) -> bytes:
    async def main() -> bytes:
        async with (
            asyncio.timeout(LIMIT_S),
            httpx2.AsyncClient(transport=AsyncLoopback(server)) as http,
            AsyncInferenceClient(**OPTIONS, **options, http_client=http) as client,
        ):
            return await client.text_to_video("a cat")

    return asyncio.run(main())


both = pytest.mark.parametrize("run", [run_sync, run_async])


@both
def test_a_job_is_followed_to_its_result_and_only_the_provider_sees_the_key(run: Callable[..., bytes]) -> None:
    with OpenAIServer(Provider(as_json(RUNNING), as_json(DONE))) as server:
        assert run(server) == b"a video"
    asked = [(one.path.partition("?")[0], one.headers.get("authorization")) for one in server.requests]
    assert asked == [
        ("/api/models/org/model", None),
        ("/api/v3/served/m", f"Bearer {KEY}"),
        (POLL_PATH, f"Bearer {KEY}"),
        (POLL_PATH, f"Bearer {KEY}"),
        (CDN_PATH, None),
    ]


@both
def test_a_look_that_fails_in_passing_does_not_lose_the_job(run: Callable[..., bytes]) -> None:
    with OpenAIServer(Provider(status(502, "bad gateway"), as_json(DONE))) as server:
        assert run(server) == b"a video"
    assert sum(one.method == "POST" for one in server.requests) == 1


@both
def test_a_job_that_fails_ends_the_call(run: Callable[..., bytes]) -> None:
    failed = as_json({"data": {"status": "failed", "error": "bad prompt"}})
    with OpenAIServer(Provider(failed)) as server, pytest.raises(JobFailedError, match="bad prompt"):
        run(server)


@both
def test_a_job_is_not_waited_for_beyond_the_limit_on_the_whole_call(run: Callable[..., bytes]) -> None:
    with OpenAIServer(Provider(as_json(RUNNING))) as server, pytest.raises(InferenceTimeoutError) as caught:
        run(server, total_timeout=1.5)
    assert caught.value.timeout_s == 1.5
    assert len(server.requests) < 10


def test_the_event_loop_goes_on_during_look_ups_polls_and_downloads() -> None:
    ticks = 0
    ticked = threading.Condition()

    def wait_for_ticks() -> None:
        """Answer only after the loop has gone on: a client that blocked it would wait for this in vain."""
        with ticked:
            until = ticks + 3
            assert ticked.wait_for(lambda: ticks >= until, timeout=LIMIT_S / 2), "the loop stood still"

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            with ticked:
                ticks += 1
                ticked.notify_all()

    async def main(server: OpenAIServer) -> bytes:
        async with (
            asyncio.timeout(LIMIT_S),
            httpx2.AsyncClient(transport=AsyncLoopback(server)) as http,
            AsyncInferenceClient(**OPTIONS, http_client=http) as client,
        ):
            ticking = asyncio.create_task(tick())
            try:
                return await client.text_to_video("a cat")
            finally:
                ticking.cancel()

    with OpenAIServer(Provider(as_json(RUNNING), as_json(DONE), before=wait_for_ticks)) as server:
        assert asyncio.run(main(server)) == b"a video"
    assert ticks >= 15


def test_a_call_that_is_cancelled_while_its_job_runs_leaves_the_client_usable() -> None:
    async def main(server: OpenAIServer, provider: Provider) -> bytes:
        async with (
            asyncio.timeout(LIMIT_S),
            httpx2.AsyncClient(transport=AsyncLoopback(server)) as http,
            AsyncInferenceClient(**OPTIONS, http_client=http) as client,
        ):
            call = asyncio.create_task(client.text_to_video("a cat"))
            assert await asyncio.to_thread(provider.looked.wait, LIMIT_S / 2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return await client.text_to_video("another cat")

    provider = Provider(as_json(RUNNING), as_json(DONE))
    with OpenAIServer(provider) as server:
        assert asyncio.run(main(server, provider)) == b"a video"
    look_ups = [one for one in server.requests if one.path.startswith("/api/models/")]
    assert len(look_ups) == 1  # what the Hub said is kept
