"""Together AI: chat, text, embeddings, images, speech, and videos from a job queue.

See Together AI API reference, "Create image", "Create video", "Create audio".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tiny_agents.inference.call import Call, Response, Route, Step
from tiny_agents.inference.media import data_url
from tiny_agents.inference.providers.answers import Answer, done_or_poll, file_at, read
from tiny_agents.inference.providers.asking import look, options_of, post, renamed
from tiny_agents.inference.providers.chat import chat_adapter, schema_in_json_object
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import completions, embeddings, images, speech
from tiny_agents.inference.providers.provider import Adapter, Provider

PAUSES_S = (2.0,) * 300  # ten minutes: a video takes minutes
_RUNNING = frozenset({None, "queued", "in_progress"})  # the status may be left out at first
_STEPS = {"num_inference_steps": "steps"}
_IMAGES = "/v1/images/generations"
_VIDEOS = "/v2/videos"


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    options = renamed(options_of(call), {**_STEPS, "guidance_scale": "guidance"})
    return {"prompt": call.inputs, "response_format": "base64", **options, "model": route.model}


def _image_from_image(call: Call[Any], route: Route) -> dict[str, Any]:
    image = data_url(call.inputs, "image/jpeg")
    name = (route.model or "").lower()
    # FLUX.1 Kontext takes one image, everything else a list of them.
    given = {"image_url": image} if "kontext" in name and "flux.1" in name else {"reference_images": [image]}
    options = renamed(options_of(call), _STEPS)
    return {"prompt": "", **given, "response_format": "base64", **options, "model": route.model}


# ---------------------------------------------------------------- videos


def _video(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"prompt": call.inputs, "model": route.model, **_video_options(call)}


def _video_from_image(call: Call[Any], route: Route) -> dict[str, Any]:
    frame = {"input_image": data_url(call.inputs, "image/png"), "frame": "first"}
    return {"model": route.model, "frame_images": [frame], **_video_options(call)}


def _video_options(call: Call[Any]) -> dict[str, Any]:
    options = renamed(options_of(call), _STEPS)
    size = options.pop("target_size", None) or {}
    return {**options, **{side: size[side] for side in ("width", "height") if side in size}}


def _parse_video(call: Call[Any], route: Route, response: Response) -> Step[bytes]:
    answer = read(route, response)
    job = quote(answer.need(str, "id"), safe="")
    return done_or_poll(answer, look(route, f"{route.url}{_VIDEOS}/{job}"), _outcome, pauses_s=PAUSES_S)


def _outcome(seen: Answer) -> Step[bytes] | None:
    status = seen.get("status")
    if status in _RUNNING:
        return None
    if status == "completed":
        return file_at(seen, "outputs", "video_url")
    raise seen.failed(seen.get("error", "message") or seen.get("error") or f"its status is {status!r}")


PROVIDER = Provider(
    "together",
    "https://api.together.xyz",
    {
        "conversational": chat_adapter("/v1/chat/completions", reshape=schema_in_json_object),
        "text-generation": completions("/v1/completions"),
        "feature-extraction": embeddings("/v1/embeddings"),
        "text-to-image": images(_IMAGES, _image),
        "image-to-image": images(_IMAGES, _image_from_image),
        "text-to-speech": speech("/v1/audio/speech"),
        "text-to-video": Adapter(post(_VIDEOS, _video), _parse_video),
        "image-to-video": Adapter(post(_VIDEOS, _video_from_image), _parse_video, takes_urls=True),
    },
    mapped_model,
    key_env="TOGETHER_API_KEY",
)
