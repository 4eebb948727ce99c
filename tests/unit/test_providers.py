"""Providers, without a network: what each is asked, and what becomes of its answers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.provider_queues import QUEUES
from tests.support.provider_script import CDN, HF, IMAGE, ODD, OWN, PNG, VIDEO, File, carry_out, sent_headers
from tiny_agents.errors import (
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
)
from tiny_agents.inference.call import Call
from tiny_agents.inference.media import Media
from tiny_agents.inference.providers import NAMES, get_provider
from tiny_agents.inference.providers.deepinfra import form
from tiny_agents.inference.tasks.audio import automatic_speech_recognition, text_to_speech
from tiny_agents.inference.tasks.text import feature_extraction, text_generation
from tiny_agents.inference.tasks.vision import (
    image_segmentation,
    image_to_image,
    image_to_video,
    text_to_image,
    text_to_video,
)
from tiny_agents.inference.wire import error_of

PNG_64 = base64.b64encode(PNG).decode()

# ---------------------------------------------------------------- who does what

TASKS = {
    "black-forest-labs": "text-to-image",
    "deepinfra": "automatic-speech-recognition conversational feature-extraction text-generation text-to-speech",
    "fal-ai": "automatic-speech-recognition image-segmentation image-to-image image-to-video text-to-image text-to-speech "
    "text-to-video",
    "featherless-ai": "conversational text-generation",
    "hyperbolic": "conversational text-generation text-to-image",
    "nebius": "conversational feature-extraction text-generation text-to-image",
    "novita": "conversational text-generation text-to-video",
    "nscale": "conversational text-to-image",
    "replicate": "automatic-speech-recognition image-to-image text-to-image text-to-speech text-to-video",
    "sambanova": "conversational feature-extraction",
    "scaleway": "conversational feature-extraction",
    "together": "conversational feature-extraction image-to-image image-to-video text-generation text-to-image "
    "text-to-speech text-to-video",
    "wavespeed": "image-to-image image-to-video text-to-image text-to-video",
    "zai-org": "conversational text-to-image",
}


def test_each_provider_does_its_tasks() -> None:
    others = [name for name in NAMES if name not in ("auto", "local", "hf-inference")]
    found = {name: " ".join(sorted(get_provider(name).tasks)) for name in others}
    assert found == {name: TASKS.get(name, "conversational") for name in others}


# ---------------------------------------------------------------- answers at once


@dataclass
class Once:
    """A task that is answered at once: what is sent, and what a good answer is."""

    call: Callable[[], Call[Any]]
    url: str
    body: Any
    answers: list[Any]
    result: Callable[[Any], bool]


def is_image(found: Any) -> bool:
    return bool(found.format == "PNG" and found.size == (1, 1))


def says(text: str) -> Callable[[Any], bool]:
    return lambda found: bool(found.text == text)


SIZED: dict[str, Any] = {"width": 96, "height": 64, "num_inference_steps": 4, "guidance_scale": 3.5}
B64 = [{"data": [{"b64_json": PNG_64}]}]
EMBEDDED = [{"data": [{"embedding": [1.0, 2.0]}, {"embedding": [3.0, 4.0]}]}]
COMPLETED = [{"choices": [{"text": " cat.", "finish_reason": "stop", "seed": 1}]}]
AUDIO = b"fLaC audio"

ONCE = {
    "deepinfra text": Once(
        lambda: text_generation("a", max_new_tokens=5, temperature=0.5),
        "https://api.deepinfra.com/v1/openai/completions",
        {"prompt": "a", "max_tokens": 5, "temperature": 0.5, "model": "served/m"},
        COMPLETED,
        lambda found: bool(found == " cat."),
    ),
    "hyperbolic text": Once(
        lambda: text_generation("a", details=True),
        "https://api.hyperbolic.xyz/v1/chat/completions",
        None,
        [{"choices": [{"message": {"content": " cat."}, "finish_reason": "stop"}]}],
        lambda found: bool((found.generated_text, found.details.finish_reason) == (" cat.", "stop")),
    ),
    "nebius embeddings": Once(
        lambda: feature_extraction("a", normalize=True),
        "https://api.studio.nebius.ai/v1/embeddings",
        {"input": "a", "model": "served/m"},
        EMBEDDED,
        lambda found: bool(found.shape == (2, 2) and str(found.dtype) == "float32"),
    ),
    "scaleway embeddings": Once(
        lambda: feature_extraction("a", normalize=True),
        "https://api.scaleway.ai/v1/embeddings",
        {"input": "a", "normalize": True, "model": "served/m"},
        EMBEDDED,
        lambda found: bool(found.tolist() == [[1.0, 2.0], [3.0, 4.0]]),
    ),
    "nebius image": Once(
        lambda: text_to_image("a cat", **SIZED),
        "https://api.studio.nebius.ai/v1/images/generations",
        {
            "prompt": "a cat",
            "width": 96,
            "height": 64,
            "num_inference_steps": 4,
            "response_format": "b64_json",
            "model": "served/m",
        },
        B64,
        is_image,
    ),
    "nebius image by address": Once(
        lambda: text_to_image("a cat", extra_body={"response_format": "url"}),
        "https://api.studio.nebius.ai/v1/images/generations",
        {"prompt": "a cat", "response_format": "url", "model": "served/m"},
        [{"data": [{"url": CDN}]}, IMAGE],
        is_image,
    ),
    "nscale image": Once(
        lambda: text_to_image("a cat", **SIZED),
        "https://inference.api.nscale.com/v1/images/generations",
        {
            "prompt": "a cat",
            "size": "96x64",
            "guidance_scale": 3.5,
            "response_format": "b64_json",
            "model": "served/m",
        },
        B64,
        is_image,
    ),
    "together image": Once(
        lambda: text_to_image("a cat", **SIZED),
        "https://api.together.xyz/v1/images/generations",
        {
            "prompt": "a cat",
            "width": 96,
            "height": 64,
            "steps": 4,
            "guidance": 3.5,
            "response_format": "base64",
            "model": "served/m",
        },
        B64,
        is_image,
    ),
    "hyperbolic image": Once(
        lambda: text_to_image("a cat", width=96),
        "https://api.hyperbolic.xyz/v1/images/generations",
        {"prompt": "a cat", "model_name": "served/m", "width": 96, "height": 512},
        [{"images": [{"image": PNG_64}]}],
        is_image,
    ),
    "fal-ai image": Once(
        lambda: text_to_image("a cat", width=96, height=64),
        "https://fal.run/served/m",
        {"prompt": "a cat", "image_size": {"width": 96, "height": 64}},
        [{"images": [{"url": CDN}]}, IMAGE],
        is_image,
    ),
    "fal-ai speech": Once(
        lambda: text_to_speech("hello", extra_body={"voice": "x"}),
        "https://fal.run/served/m",
        {"text": "hello", "voice": "x"},
        [{"audio": {"url": CDN}}, VIDEO],
        lambda found: bool(found == b"a video"),
    ),
    "fal-ai transcript": Once(
        lambda: automatic_speech_recognition(AUDIO),
        "https://fal.run/served/m",
        {"audio_url": f"data:audio/mpeg;base64,{base64.b64encode(AUDIO).decode()}"},
        [{"text": "hello"}],
        says("hello"),
    ),
    "fal-ai transcript of an address": Once(
        lambda: automatic_speech_recognition("https://a.example/b.flac"),
        "https://fal.run/served/m",
        {"audio_url": "https://a.example/b.flac"},
        [{"text": "hello"}],
        says("hello"),
    ),
    "replicate transcript": Once(
        lambda: automatic_speech_recognition(AUDIO),
        "https://api.replicate.com/v1/models/served/m/predictions",
        {"input": {"audio": f"data:audio/wav;base64,{base64.b64encode(AUDIO).decode()}"}},
        [{"output": {"transcription": "hello"}}],
        says("hello"),
    ),
    "replicate transcript as text": Once(
        lambda: automatic_speech_recognition("https://a.example/b.flac"),
        "https://api.replicate.com/v1/models/served/m/predictions",
        {"input": {"audio": "https://a.example/b.flac"}},
        [{"output": ["hello", "more"]}],
        says("hello"),
    ),
    "replicate transcript in a file": Once(
        lambda: automatic_speech_recognition(AUDIO),
        "https://api.replicate.com/v1/models/served/m/predictions",
        None,
        [{"output": {"txt_file": CDN}}, File(b"hello", "text/plain")],
        says("hello"),
    ),
    "deepinfra transcript": Once(
        lambda: automatic_speech_recognition(AUDIO),
        "https://api.deepinfra.com/v1/openai/audio/transcriptions",
        None,
        [{"text": "hello", "segments": [{"text": "hello", "start": 0, "end": 0.5}, "odd"]}],
        lambda found: bool([chunk.timestamp for chunk in found.chunks] == [[0, 0.5]]),
    ),
    "together speech": Once(
        lambda: text_to_speech("hello"),
        "https://api.together.xyz/v1/audio/speech",
        {"input": "hello", "model": "served/m"},
        [VIDEO],
        lambda found: bool(found == b"a video"),
    ),
    "together image from an image": Once(
        lambda: image_to_image("https://a.example/b.png", num_inference_steps=4),
        "https://api.together.xyz/v1/images/generations",
        {
            "prompt": "",
            "reference_images": ["https://a.example/b.png"],
            "response_format": "base64",
            "steps": 4,
            "model": "served/m",
        },
        B64,
        is_image,
    ),
    "replicate image from an image": Once(
        lambda: image_to_image(PNG, prompt="x"),
        "https://api.replicate.com/v1/models/served/m/predictions",
        {
            "input": {
                "image": f"data:image/jpeg;base64,{PNG_64}",
                "images": [f"data:image/jpeg;base64,{PNG_64}"],
                "input_image": f"data:image/jpeg;base64,{PNG_64}",
                "input_images": [f"data:image/jpeg;base64,{PNG_64}"],
                "prompt": "x",
            }
        },
        [{"status": "succeeded", "output": CDN}, IMAGE],
        is_image,
    ),
    "novita video": Once(
        lambda: text_to_video("a cat", seed=1),
        "https://api.novita.ai/v3/hf/served/m",
        {"prompt": "a cat", "seed": 1},
        [{"video": {"video_url": CDN}}, VIDEO],
        lambda found: bool(found == b"a video"),
    ),
}


@pytest.mark.parametrize("case", ONCE)
def test_a_task_is_asked_and_answered_in_the_providers_form(case: str) -> None:
    once = ONCE[case]
    seen = carry_out(case.split()[0], once.call(), once.answers)
    assert once.result(seen.output)
    assert seen.requests[0].url == once.url
    if once.body is not None:
        assert seen.requests[0].json == once.body


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("case", ONCE)
def test_an_odd_answer_is_an_error_that_names_the_provider(case: str, body: bytes) -> None:
    provider = case.split()[0]
    with pytest.raises((InvalidResponseError, InferenceTimeoutError)) as caught:
        carry_out(provider, ONCE[case].call(), [body])
    assert isinstance(caught.value, InvalidResponseError) or provider == "replicate"
    assert caught.value.provider == provider


@pytest.mark.parametrize("case", [case for case in ONCE if case != "together speech"])
def test_an_error_in_place_of_an_answer_is_told(case: str) -> None:
    with pytest.raises(ProviderError, match="no such voice") as caught:
        carry_out(case.split()[0], ONCE[case].call(), [{"error": f"no such voice ({OWN})"}])
    assert OWN not in str(caught.value)


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("nebius image", {"data": [{"b64_json": "?"}]}),
        ("nebius image", {"data": [{"b64_json": base64.b64encode(b"no image").decode()}]}),
        ("hyperbolic image", {"images": [{"image": "AAA"}]}),
        ("scaleway embeddings", {"data": [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}]}),
        ("scaleway embeddings", {"data": [{"embedding": ["one"]}]}),
        ("replicate transcript", {"output": {"segments": []}}),
        ("fal-ai image", {"images": [{"url": "data:image/png;base64"}]}),
    ],
)
def test_data_that_makes_no_result_is_an_error(case: str, answer: Any) -> None:
    with pytest.raises(InvalidResponseError):
        carry_out(case.split()[0], ONCE[case].call(), [answer])


def test_a_result_inside_a_data_address_needs_no_download() -> None:
    seen = carry_out("fal-ai", text_to_image("a cat"), [{"images": [{"url": f"data:image/png;base64,{PNG_64}"}]}])
    assert is_image(seen.output)
    assert len(seen.requests) == 1


def test_segments_of_fal_are_one_mask() -> None:
    job = {"request_id": "r", "status": "COMPLETED", "response_url": "https://queue.fal.run/a/requests/r"}
    result = {"image": {"url": f"data:image/png;base64,{PNG_64}"}}
    seen = carry_out("fal-ai", image_segmentation(PNG, threshold=0.5), [job, result])
    assert [(found.label, found.mask.size) for found in seen.output] == [("mask", (1, 1))]
    assert seen.requests[0].json == {
        "image_url": f"data:image/png;base64,{PNG_64}",
        "threshold": 0.5,
        "sync_mode": True,
    }


@pytest.mark.parametrize(
    ("served_as", "field"),
    [("black-forest-labs/FLUX.1-kontext-pro", "image_url"), ("black-forest-labs/FLUX.2-dev", "reference_images")],
)
def test_together_is_given_the_image_where_the_model_looks_for_it(served_as: str, field: str) -> None:
    seen = carry_out("together", image_to_image(PNG), B64, served_as=served_as)
    assert field in seen.requests[0].json


def test_together_is_told_the_size_of_a_video_as_two_numbers() -> None:
    call = image_to_video(PNG, target_size={"width": 96, "height": 64}, num_inference_steps=4)
    seen = carry_out("together", call, [QUEUES["together"].taken, *QUEUES["together"].done])
    body = seen.requests[0].json
    assert {name: body[name] for name in ("width", "height", "steps")} == {"width": 96, "height": 64, "steps": 4}
    assert body["frame_images"] == [{"input_image": f"data:image/png;base64,{PNG_64}", "frame": "first"}]


def test_zai_is_told_a_size_only_if_both_sides_are_given() -> None:
    queue = QUEUES["zai-org"]
    both = carry_out("zai-org", text_to_image("x", width=2, height=3), [queue.taken, *queue.done])
    one = carry_out("zai-org", text_to_image("x", width=2), [queue.taken, *queue.done])
    assert both.requests[0].json == {"model": "served/m", "prompt": "x", "size": "2x3"}
    assert one.requests[0].json == {"model": "served/m", "prompt": "x"}


# ---------------------------------------------------------------- keys, versions, weights


@pytest.mark.parametrize(
    ("provider", "call", "carrier"),
    [
        ("fal-ai", text_to_image("x"), {"authorization": f"Key {OWN}"}),
        ("black-forest-labs", text_to_image("x"), {"x-key": OWN}),
        ("together", text_to_image("x"), {"authorization": f"Bearer {OWN}"}),
        ("replicate", text_to_image("x"), {"authorization": f"Bearer {OWN}", "prefer": "wait"}),
    ],
)
def test_each_provider_gets_its_key_where_it_looks_for_it(
    provider: str, call: Call[Any], carrier: dict[str, str]
) -> None:
    answers: dict[str, list[Any]] = {
        "black-forest-labs": [QUEUES["black-forest-labs"].taken, *QUEUES["black-forest-labs"].done],
        "fal-ai": [{"images": [{"url": CDN}]}, IMAGE],
        "together": B64,
        "replicate": [{"output": CDN}, IMAGE],
    }
    seen = carry_out(provider, call, answers[provider])
    assert sent_headers(seen.requests[0]) == carrier
    seen = carry_out(provider, call, answers[provider], key=HF)
    assert sent_headers(seen.requests[0])["authorization"] == f"Bearer {HF}"
    assert "x-key" not in sent_headers(seen.requests[0])


def test_what_a_provider_is_told_beside_the_key_is_no_secret_in_its_errors() -> None:
    seen = carry_out("replicate", text_to_image("x"), [{"output": CDN}, IMAGE], headers={"x-mine": "my-own-secret"})
    error = error_of(seen.requests[0], 429, {}, f"Please wait; you sent my-own-secret and {OWN}".encode())
    assert error.body == "Please wait; you sent *** and ***"


def test_a_version_of_a_model_on_replicate_is_named_in_the_body() -> None:
    seen = carry_out("replicate", text_to_speech("hi"), [{"output": CDN}, VIDEO], served_as="owner/name:abc")
    assert seen.urls[0] == "POST https://api.replicate.com/v1/predictions"
    assert seen.requests[0].json == {"input": {"text": "hi"}, "version": "abc"}


WEIGHTS = "https://huggingface.co/org/model"


@pytest.mark.parametrize(
    ("provider", "call", "served_as", "added"),
    [
        (
            "fal-ai",
            text_to_image("x"),
            "fal-ai/flux-lora",
            {"loras": [{"path": f"{WEIGHTS}/resolve/main/w.safetensors", "scale": 1}]},
        ),
        (
            "fal-ai",
            text_to_image("x"),
            "fal-ai/lora",
            {
                "loras": [{"path": f"{WEIGHTS}/resolve/main/w.safetensors", "scale": 1}],
                "model_name": "stabilityai/stable-diffusion-xl-base-1.0",
            },
        ),
        (
            "fal-ai",
            text_to_video("x"),
            "served/m",
            {"loras": [{"path": f"{WEIGHTS}/resolve/main/w.safetensors", "scale": 1}]},
        ),
        ("replicate", text_to_image("x"), "served/m", {"input": {"prompt": "x", "lora_weights": WEIGHTS}}),
    ],
)
def test_the_weights_that_a_model_needs_are_named(
    provider: str, call: Call[Any], served_as: str, added: dict[str, Any]
) -> None:
    queue = QUEUES["fal-ai"]
    answers = [queue.taken, *queue.done] if call.task == "text-to-video" else [{"images": [{"url": CDN}]}, IMAGE]
    answers = [{"output": CDN}, IMAGE] if provider == "replicate" else answers
    mapping = {"adapterWeightsPath": "w.safetensors", "adapter": "lora"}
    seen = carry_out(provider, call, answers, served_as=served_as, mapping=mapping)
    assert {name: seen.requests[0].json.get(name) for name in added} == added


# ---------------------------------------------------------------- forms


def test_a_form_says_what_the_recording_is_as_far_as_it_is_known() -> None:
    named, kind = form(Media(b"data", "audio/flac"), {"model": "m", "n": 2, "on": True, "list": [1]})
    boundary = kind.partition("boundary=")[2]
    assert named.split(f"--{boundary}".encode())[1:] == [
        b'\r\nContent-Disposition: form-data; name="file"; filename="audio.flac"\r\nContent-Type: audio/flac\r\n'
        b"\r\ndata\r\n",
        b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n',
        b'\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n',
        b'\r\nContent-Disposition: form-data; name="on"\r\n\r\ntrue\r\n',
        b'\r\nContent-Disposition: form-data; name="list"\r\n\r\n[1]\r\n',
        b"--\r\n",
    ]
    bare, _ = form(Media(b"data"), {})
    assert b'filename="audio.wav"\r\nContent-Type: application/octet-stream\r\n' in bare


def test_a_fields_name_can_not_leave_its_line() -> None:
    body, _ = form(Media(b"x"), {'a"\r\nX-Evil: 1\r\n\r\n': "v"})
    assert b"\r\nX-Evil" not in body
