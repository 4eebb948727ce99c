"""Tasks on files, images and streamed texts: both clients against a real server on loopback."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.openai_server import Recorded, Turn, status
from tiny_agents import (
    AsyncInferenceClient,
    IncompleteStreamError,
    InferenceClient,
    InputNotFoundError,
    InvalidResponseError,
    ProviderError,
    TextGenerationOutput,
    UnsupportedTaskError,
)

pytestmark = pytest.mark.integration

LABELS = b'[{"label": "cat", "score": 0.9}]'


def png(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), color).save(buffer, format="PNG")
    return buffer.getvalue()


PNG = png()


class Sync:
    """Runs a task with the synchronous client; a stream is read to its end."""

    def run(self, url: str, task: str, *args: Any, client: dict[str, Any] | None = None, **options: Any) -> Any:
        with InferenceClient(base_url=url, **(client or {})) as model:
            result = getattr(model, task)(*args, **options)
            return list(result) if options.get("stream") else result


class Async:
    """The same with the asynchronous one."""

    def run(self, url: str, task: str, *args: Any, client: dict[str, Any] | None = None, **options: Any) -> Any:
        async def main() -> Any:
            async with asyncio.timeout(30), AsyncInferenceClient(base_url=url, **(client or {})) as model:
                result = await getattr(model, task)(*args, **options)
                return [piece async for piece in result] if options.get("stream") else result

        return asyncio.run(main())


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Any:
    return request.param()


def answers(image: Turn, result: Turn) -> Callable[[Recorded], Turn]:
    """A server that has an image at one address and a model at all others."""
    return lambda request: image if request.method == "GET" else result


# ---------------------------------------------------------------- inputs


def test_a_file_is_sent_however_it_is_given(caller: Any, serve: Any, tmp_path: Path) -> None:
    server = serve(Turn(body=LABELS))
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        for source in (PNG, bytearray(PNG), path, str(path), file, Image.open(io.BytesIO(PNG))):
            (found,) = caller.run(f"{server.origin}/run", "image_classification", source)
            assert (found.label, found["score"]) == ("cat", 0.9)
    sent = [(request.path, request.headers["content-type"]) for request in server.requests]
    assert sent == [("/run", "image/png")] * 6
    assert [Image.open(io.BytesIO(request.raw)).size for request in server.requests] == [(3, 2)] * 6


def test_a_url_is_fetched_without_key_and_headers(caller: Any, serve: Any) -> None:
    server = serve(answers(Turn(body=PNG, headers={"content-type": "image/png"}), Turn(body=LABELS)))
    secrets = {"api_key": "pk-secret-0123456789", "headers": {"x-mine": "1"}, "cookies": {"s": "2"}}
    caller.run(f"{server.origin}/run", "image_classification", f"{server.origin}/cat.png?v=1", client=secrets)
    fetched, posted = server.requests
    assert (fetched.method, fetched.path) == ("GET", "/cat.png?v=1")
    assert not {"authorization", "x-mine", "cookie"} & fetched.headers.keys()
    assert (posted.raw, posted.headers["x-mine"], posted.headers["cookie"]) == (PNG, "1", "s=2")
    assert posted.headers["authorization"] == "Bearer pk-secret-0123456789"


@pytest.mark.parametrize(
    ("image", "error", "says"),
    [
        (status(404, b"no such page"), ProviderError, "image: could not be fetched.*404"),
        (Turn(body=b""), InvalidResponseError, "image: .*/cat.png is empty"),
        (Turn(body=b"<p>Sign in", headers={"content-type": "text/html"}), InvalidResponseError, "a web page"),
    ],
)
def test_a_url_without_the_image_is_never_posted(
    caller: Any, serve: Any, image: Turn, error: type[Exception], says: str
) -> None:
    server = serve(answers(image, Turn(body=LABELS)))
    with pytest.raises(error, match=says):
        caller.run(f"{server.origin}/run", "image_classification", f"{server.origin}/cat.png")
    assert {request.method for request in server.requests} == {"GET"}


def test_a_file_that_is_not_there_is_named_and_nothing_is_sent(caller: Any, serve: Any) -> None:
    server = serve(Turn(body=LABELS))
    with pytest.raises(InputNotFoundError, match="audio: there is no file 'no/such.flac'"):
        caller.run(f"{server.origin}/run", "automatic_speech_recognition", "no/such.flac")
    assert server.requests == []


# ---------------------------------------------------------------- results


def test_an_image_comes_back_as_one(caller: Any, serve: Any) -> None:
    server = serve(Turn(body=png("blue"), headers={"content-type": "image/png"}))
    image = caller.run(f"{server.origin}/run", "image_to_image", PNG, "make it blue", strength=0.5)
    assert (image.size, image.getpixel((0, 0))) == ((3, 2), (0, 0, 255))
    (request,) = server.requests
    assert request.headers["accept"] == "image/png"
    assert request.body["parameters"] == {"prompt": "make it blue", "strength": 0.5}


@pytest.mark.parametrize("body", [b'{"error": "out of memory"}', b"<html>out of memory", b""])
def test_what_is_no_image_is_an_error(caller: Any, serve: Any, body: bytes) -> None:
    server = serve(Turn(body=body))
    with pytest.raises(InvalidResponseError, match="/run .*that is no image: .*" + ("out of memory" if body else "")):
        caller.run(f"{server.origin}/run", "text_to_image", "a horse")


def test_embeddings_and_recordings_come_back_as_such(caller: Any, serve: Any) -> None:
    server = serve(Turn(body=b"[[1, 2.5]]"), Turn(body=b"fLaC", headers={"content-type": "audio/flac"}))
    array = caller.run(f"{server.origin}/run", "feature_extraction", "hello")
    assert (array.dtype.name, array.tolist()) == ("float32", [[1.0, 2.5]])
    assert caller.run(f"{server.origin}/run", "text_to_speech", "hello") == b"fLaC"


# ---------------------------------------------------------------- text generation


def token(text: str, **fields: Any) -> dict[str, Any]:
    return {"token": {"id": 1, "text": text, "logprob": -0.5, "special": False}, **fields}


STEPS = [token("a"), token(" b", generated_text="a b", details={"finish_reason": "length", "generated_tokens": 2})]


def test_a_text_arrives_whole_or_in_pieces_bare_or_with_details(caller: Any, serve: Any) -> None:
    whole = Turn(body=b'[{"generated_text": "a b", "details": {"finish_reason": "length"}}]')
    server = serve(lambda request: Turn(STEPS, done=False) if request.body["stream"] else whole)
    assert caller.run(server.origin, "text_generation", "x", max_new_tokens=2) == "a b"
    output = caller.run(server.origin, "text_generation", "x", details=True)
    assert isinstance(output, TextGenerationOutput)
    assert (output.generated_text, output["details"]["finish_reason"]) == ("a b", "length")
    assert caller.run(server.origin, "text_generation", "x", stream=True) == ["a", " b"]
    steps = caller.run(server.origin, "text_generation", "x", stream=True, details=True)
    assert [step.token.text for step in steps] == ["a", " b"]
    assert steps[-1].details.generated_tokens == 2
    assert [(request.path, request.body["stream"]) for request in server.requests] == [
        ("/", False),
        ("/", False),
        ("/", True),
        ("/", True),
    ]


def test_a_server_that_does_not_stream_gives_its_text_in_one_piece(caller: Any, serve: Any) -> None:
    server = serve(Turn(body=b'[{"generated_text": "a b"}]'))
    assert caller.run(server.origin, "text_generation", "x", stream=True) == ["a b"]
    (step,) = caller.run(server.origin, "text_generation", "x", stream=True, details=True)
    assert (step.token.text, step.generated_text) == ("a b", "a b")


def test_a_stream_that_breaks_off_says_so(caller: Any, serve: Any) -> None:
    server = serve(Turn([token("a")], then="reset"))
    with pytest.raises(IncompleteStreamError, match="broke off"):
        caller.run(server.origin, "text_generation", "x", stream=True)


def test_an_error_in_a_stream_is_raised(caller: Any, serve: Any) -> None:
    server = serve(Turn([token("a"), {"error": "Input too long", "error_type": "validation"}]))
    with pytest.raises(ProviderError, match="Input too long"):
        caller.run(server.origin, "text_generation", "x", stream=True)


def test_a_server_that_refuses_options_is_asked_without_them(caller: Any, serve: Any) -> None:
    refusal = {"error": "The following `model_kwargs` are not used by the model: ['watermark', 'stop'] (note: typos)"}
    whole = Turn(body=b'[{"generated_text": "a b"}]')
    server = serve(lambda request: status(400, refusal) if "stop" in request.body["parameters"] else whole)
    assert caller.run(server.origin, "text_generation", "x", watermark=True, top_k=3) == "a b"
    assert server.requests[-1].body["parameters"] == {
        "details": False,
        "do_sample": False,
        "return_full_text": False,
        "top_k": 3,
    }
    assert len(server.requests) == 3


def test_leaving_a_text_early_closes_the_connection(serve: Any) -> None:
    server = serve(Turn([token("a")], then="stall"))
    with InferenceClient(base_url=server.origin) as model, model.text_generation("x", stream=True) as stream:
        assert next(stream) == "a"
    assert server.gone.wait(30)


# ---------------------------------------------------------------- the loop runs on

PATIENCE_S = 30.0
TICKS = 5


async def ticking(until: threading.Event) -> None:
    """Sets the event once the loop has come round a few times: what holds the loop holds the event, too."""
    for _ in range(TICKS):
        await asyncio.sleep(0.01)
    until.set()


async def beside_ticks(until: threading.Event, work: Any) -> Any:
    async with asyncio.timeout(2 * PATIENCE_S):
        ticks = asyncio.create_task(ticking(until))
        try:
            return await work
        finally:
            await ticks


def slowly(until: threading.Event, turn: Turn, seen: list[bool]) -> Callable[[Recorded], Turn]:
    """Answers reads once the event is set, and notes whether it was in time."""

    def answer(request: Recorded) -> Turn:
        if request.method == "GET":
            seen.append(until.wait(PATIENCE_S))
            return turn
        return Turn(body=LABELS)

    return answer


def test_a_slow_look_up_does_not_hold_the_loop(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    until, seen = threading.Event(), list[bool]()
    server = serve(slowly(until, Turn(body=b'{"pipeline_tag": "fill-mask"}'), seen))
    monkeypatch.setenv("HF_ENDPOINT", server.origin)

    async def main() -> None:
        async with AsyncInferenceClient(provider="hf-inference", model="a/b", token=False) as model:
            with pytest.raises(UnsupportedTaskError, match="a/b is made for fill-mask"):
                await beside_ticks(until, model.image_classification(PNG))

    asyncio.run(main())
    assert seen == [True]


def test_a_slow_download_does_not_hold_the_loop(serve: Any) -> None:
    until, seen = threading.Event(), list[bool]()
    server = serve(slowly(until, Turn(body=PNG), seen))

    async def main() -> Any:
        async with AsyncInferenceClient(base_url=f"{server.origin}/run") as model:
            return await beside_ticks(until, model.image_classification(f"{server.origin}/cat.png"))

    assert asyncio.run(main())[0].label == "cat"
    assert seen == [True]
    assert server.requests[-1].raw == PNG


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe with a name is the slow file here")
def test_a_slow_file_does_not_hold_the_loop(serve: Any, tmp_path: Path) -> None:
    until, seen = threading.Event(), list[bool]()
    server = serve(Turn(body=LABELS))
    pipe = tmp_path / "slow.png"
    os.mkfifo(pipe)

    def write() -> None:
        seen.append(until.wait(PATIENCE_S))
        pipe.write_bytes(PNG)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()

    async def main() -> Any:
        async with AsyncInferenceClient(base_url=f"{server.origin}/run") as model:
            return await beside_ticks(until, model.image_classification(pipe))

    assert asyncio.run(main())[0].label == "cat"
    writer.join(PATIENCE_S)
    assert seen == [True]
    assert server.requests[0].raw == PNG


def test_a_file_is_read_and_encoded_on_another_thread(serve: Any) -> None:
    server = serve(Turn(body=b'{"text": "hello"}'))
    threads: list[tuple[str, int]] = []

    class Recording(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            threads.append(("read", threading.get_ident()))
            return super().read(size)

    class Options(dict[str, Any]):
        def items(self) -> Any:
            threads.append(("encoded", threading.get_ident()))
            return super().items()

    async def main() -> Any:
        async with asyncio.timeout(30), AsyncInferenceClient(base_url=f"{server.origin}/run") as model:
            options = {"generation_parameters": Options(num_beams=2)}
            return await model.automatic_speech_recognition(Recording(b"fLaC"), extra_body=options)

    assert asyncio.run(main()).text == "hello"
    assert {what for what, _ in threads} == {"read", "encoded"}
    assert threading.get_ident() not in {thread for _, thread in threads}
    expected = {"inputs": "ZkxhQw==", "parameters": {"generation_parameters": {"num_beams": 2}}}
    assert server.requests[0].body == expected
