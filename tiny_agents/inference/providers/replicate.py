"""Replicate: images, videos, speech. Mostly the answer has the result; a model that has to start leaves a job to poll.

See Replicate HTTP API reference, "Create a prediction" (`Prefer: wait` waits up to a minute).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiny_agents.inference.call import Call, Response, Route, Step
from tiny_agents.inference.media import data_url
from tiny_agents.inference.providers.answers import (
    Answer,
    done_or_poll,
    download,
    file_at,
    image_at,
    own,
    read,
    still_running,
)
from tiny_agents.inference.providers.asking import IMAGE, Body, look, options_of, post
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.provider import Adapter, Provider
from tiny_agents.inference.types.record import parse
from tiny_agents.inference.types.tasks import AutomaticSpeechRecognitionOutput

PAUSES_S = (1.0,) * 600  # ten minutes: a model may have to start
_WAITED_S = 60.0  # by the server, before it answers with a job that still runs
_WAIT = {"prefer": "wait"}
_RUNNING = frozenset({"starting", "processing"})
_FAILED = frozenset({"failed", "canceled", "aborted"})

Result = Callable[[Answer], Step[Any]]


def _task(inputs: Body, result: Result, headers: dict[str, str] | None = None) -> Adapter:
    def body(call: Call[Any], route: Route) -> dict[str, Any]:
        _, _, version = (route.model or "").partition(":")
        own_inputs = {"input": {**inputs(call, route), **options_of(call)}}
        return {**own_inputs, "version": version} if version else own_inputs

    def parse_answer(call: Call[Any], route: Route, response: Response) -> Step[Any]:
        answer = read(route, response)
        if answer.get("urls", "get"):
            there = look(route, own(route.url, answer, "urls", "get"), headers=headers)
            return done_or_poll(answer, there, lambda seen: _outcome(seen, result), pauses_s=PAUSES_S)
        found = _outcome(answer, result)
        if found is None:
            raise still_running(route, _WAITED_S)
        return found

    return Adapter(post(_path, body, headers={**_WAIT, **(headers or {})}), parse_answer, takes_urls=True)


def _path(route: Route) -> str:
    """A model with a version (`owner/name:version`) is named in the body, one without in the address."""
    return "/v1/predictions" if ":" in (route.model or "") else f"/v1/models/{route.model}/predictions"


def _outcome(seen: Answer, result: Result) -> Step[Any] | None:
    status = seen.get("status")
    if status in _FAILED or seen.get("error"):
        raise seen.failed(seen.get("error") or f"its status is {status!r}")
    # A model that streams shows what it has so far while it runs.
    if status in _RUNNING or seen.get("output") is None:
        return None
    return result(seen)


# ---------------------------------------------------------------- what is asked


def _prompt(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"prompt": call.inputs}


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    weights = {"lora_weights": f"https://huggingface.co/{route.lora.repository}"} if route.lora else {}
    return {"prompt": call.inputs, **weights}


def _speech(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"text": call.inputs}


def _recording(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"audio": data_url(call.inputs, "audio/wav")}


def _from_image(call: Call[Any], route: Route) -> dict[str, Any]:
    # The models there have no common name for it; what one doesn't know it leaves aside.
    image = data_url(call.inputs, "image/jpeg")
    return {"image": image, "images": [image], "input_image": image, "input_images": [image]}


# ---------------------------------------------------------------- what comes back


def _place(answer: Answer) -> tuple[str | int, ...]:
    """Where the address of the (first) result lies."""
    return ("output", 0) if isinstance(answer.get("output"), list) else ("output",)


def _first_image(answer: Answer) -> Step[Any]:
    return image_at(answer, *_place(answer))


def _first_file(answer: Answer) -> Step[bytes]:
    return file_at(answer, *_place(answer))


def _transcript(answer: Answer) -> Step[AutomaticSpeechRecognitionOutput]:
    """Models there answer with a text, a list of texts, or an object that has the text or the address of it."""
    place = _place(answer)
    found = answer.get(*place)
    if isinstance(found, dict):
        if isinstance(found.get("txt_file"), str):
            return download(answer, found["txt_file"], lambda file: _said(file.body.decode("utf-8", "replace")))
        found = found.get("translation") or found.get("transcription")
    if not isinstance(found, str):
        raise answer.odd("without a transcript")
    return _said(found)


def _said(text: str) -> AutomaticSpeechRecognitionOutput:
    return parse(AutomaticSpeechRecognitionOutput, {"text": text})


PROVIDER = Provider(
    "replicate",
    "https://api.replicate.com",
    {
        "automatic-speech-recognition": _task(_recording, _transcript),
        "image-to-image": _task(_from_image, _first_image, IMAGE),
        "text-to-image": _task(_image, _first_image, IMAGE),
        "text-to-speech": _task(_speech, _first_file),
        "text-to-video": _task(_prompt, _first_file),
    },
    mapped_model,
    key_env="REPLICATE_API_TOKEN",
)
