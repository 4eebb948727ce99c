"""fal: images, videos, speech. What takes longer is a job in a queue, on a host of its own.

See fal documentation, "Queue API" and the pages of its models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tiny_agents.inference.call import Ask, Call, Lora, Request, Response, Route, Step
from tiny_agents.inference.media import Media, data_url
from tiny_agents.inference.providers.answers import (
    Answer,
    done_or_poll,
    download,
    file_at,
    image_at,
    image_in,
    own,
    read,
)
from tiny_agents.inference.providers.asking import IMAGE, Body, look, options_of, post, renamed
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.provider import Adapter, Provider
from tiny_agents.inference.types.record import parse
from tiny_agents.inference.types.tasks import AutomaticSpeechRecognitionOutput, ImageSegmentationOutputElement

PAUSES_S = (0.5,) * 1200  # ten minutes: a video takes minutes
_QUEUE = "https://queue.fal.run"
_QUEUE_BEHIND_ROUTER = "?_subdomain=queue"
_KEY = ("authorization", "Key ")
_RUNNING = frozenset({None, "IN_QUEUE", "IN_PROGRESS"})
_HUB = "https://huggingface.co"
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"

Result = Callable[[Answer], Step[Any]]


# ---------------------------------------------------------------- answers at once, and jobs


def _at_once(body: Body, result: Result, headers: dict[str, str] | None = None) -> Adapter:
    def parse_answer(call: Call[Any], route: Route, response: Response) -> Step[Any]:
        return result(read(route, response))

    prepare = post(lambda route: f"/{route.model}", body, headers=headers, key_as=_KEY)
    return Adapter(prepare, parse_answer, takes_urls=True)


def _queued(body: Body, result: Result, headers: dict[str, str] | None = None) -> Adapter:
    def prepare(call: Call[Any], route: Route) -> Request:
        there = _queue(route)
        return post(lambda route: f"/{route.model}{_query(route)}", body, headers=headers, key_as=_KEY)(call, there)

    def parse_answer(call: Call[Any], route: Route, response: Response) -> Step[Any]:
        answer = read(route, response)
        answer.need(str, "request_id")
        job = own(_queue(route).url, answer, "response_url")

        def ask(url: str) -> Request:
            return look(route, url + _query(route), headers=headers, key_as=_KEY)

        def outcome(seen: Answer) -> Step[Any] | None:
            status = seen.get("status")
            if status == "COMPLETED" and not seen.get("error"):
                return Ask(ask(job), lambda last: result(read(route, last)))
            if status not in _RUNNING or seen.get("error"):
                raise seen.failed(seen.get("error") or f"its status is {status!r}")
            return None

        return done_or_poll(answer, ask(f"{job}/status"), outcome, pauses_s=PAUSES_S)

    return Adapter(prepare, parse_answer, takes_urls=True)


def _queue(route: Route) -> Route:
    return route if route.routed else replace(route, url=_QUEUE)


def _query(route: Route) -> str:
    return _QUEUE_BEHIND_ROUTER if route.routed else ""


# ---------------------------------------------------------------- what is asked


def _prompt(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"prompt": call.inputs, **options_of(call), **_loras(route.lora)}


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    body = _prompt(call, route)
    if {"width", "height"} <= body.keys():
        body["image_size"] = {side: body.pop(side) for side in ("width", "height")}
    if route.lora and route.model == "fal-ai/lora":  # Stable Diffusion: there the base model has to be named
        body["model_name"] = _SDXL
    return body


def _image_from_image(call: Call[Any], route: Route) -> dict[str, Any]:
    image = data_url(call.inputs, "image/jpeg")
    options = renamed(options_of(call), {"target_size": "image_size"})
    return {"image_url": image, "image_urls": [image], **options, **_loras(route.lora)}


def _video_from_image(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"image_url": data_url(call.inputs, "image/jpeg"), **options_of(call), **_loras(route.lora)}


def _segments(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"image_url": data_url(call.inputs, "image/png"), **options_of(call), "sync_mode": True}


def _speech(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"text": call.inputs, **options_of(call)}


def _recording(call: Call[Any], route: Route) -> dict[str, Any]:
    audio = call.inputs
    # Whatever it is, it is looked at there; this is the type that is known to be taken.
    shown = data_url(Media(audio.data) if isinstance(audio, Media) else audio, "audio/mpeg")
    return {"audio_url": shown, **options_of(call)}


def _loras(lora: Lora | None) -> dict[str, Any]:
    if lora is None:
        return {}
    return {"loras": [{"path": f"{_HUB}/{lora.repository}/resolve/main/{lora.file}", "scale": 1}]}


# ---------------------------------------------------------------- what comes back


def _first_image(answer: Answer) -> Step[Any]:
    return image_at(answer, "images", 0, "url")


def _video(answer: Answer) -> Step[bytes]:
    return file_at(answer, "video", "url")


def _audio(answer: Answer) -> Step[bytes]:
    return file_at(answer, "audio", "url")


def _text(answer: Answer) -> AutomaticSpeechRecognitionOutput:
    answer.need(str, "text")
    return parse(AutomaticSpeechRecognitionOutput, dict(answer.json))


def _mask(answer: Answer) -> Step[list[ImageSegmentationOutputElement]]:
    def one_segment(response: Response) -> list[ImageSegmentationOutputElement]:
        return [ImageSegmentationOutputElement(label="mask", mask=image_in(response))]

    return download(answer, answer.need(str, "image", "url"), one_segment)


PROVIDER = Provider(
    "fal-ai",
    "https://fal.run",
    {
        "automatic-speech-recognition": _at_once(_recording, _text),
        "text-to-image": _at_once(_image, _first_image, IMAGE),
        "text-to-speech": _at_once(_speech, _audio),
        "text-to-video": _queued(_prompt, _video),
        "image-to-video": _queued(_video_from_image, _video),
        "image-to-image": _queued(_image_from_image, _first_image, IMAGE),
        "image-segmentation": _queued(_segments, _mask),
    },
    mapped_model,
    key_env="FAL_KEY",
)
