"""WaveSpeedAI: images and videos from a job queue. See WaveSpeedAI API reference, "Get result"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiny_agents.errors import JobFailedError
from tiny_agents.inference.call import Call, Response, Route, Step
from tiny_agents.inference.media import Media, data_url
from tiny_agents.inference.providers.answers import Answer, file_at, image_at, own, poll, read
from tiny_agents.inference.providers.asking import IMAGE, Body, options_of, post
from tiny_agents.inference.providers.asking import look as look_at
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.provider import Adapter, Provider

PAUSES_S = (0.5,) * 1200  # ten minutes: a video takes minutes
_RUNNING = frozenset({"created", "pending", "queued", "processing"})

Result = Callable[..., Step[Any]]


def _from_text(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"prompt": call.inputs, **options_of(call)}


def _from_image(call: Call[Any], route: Route) -> dict[str, Any]:
    image = call.inputs
    # Whatever it is, it is looked at there; this is the type that is known to be taken.
    shown = data_url(Media(image.data) if isinstance(image, Media) else image, "image/jpeg")
    return {"image": shown, **options_of(call)}


def _task(body: Body, result: Result, headers: dict[str, str] | None = None) -> Adapter:
    def parse(call: Call[Any], route: Route, response: Response) -> Step[Any]:
        answer = read(route, response)
        if answer.get("data", "status") == "failed":
            raise _failed(answer)
        look = look_at(route, own(route.url, answer, "data", "urls", "get"), headers=headers)
        return poll(look, route, lambda seen: _outcome(seen, result), pauses_s=PAUSES_S)

    return Adapter(post(lambda route: f"/api/v3/{route.model}", body, headers=headers), parse, takes_urls=True)


def _outcome(seen: Answer, result: Result) -> Step[Any] | None:
    status = seen.get("data", "status")
    if status == "completed":
        return result(seen, "data", "outputs", 0)
    if status in _RUNNING:
        return None
    raise _failed(seen)


def _failed(seen: Answer) -> JobFailedError:
    return seen.failed(seen.get("data", "error") or f"its status is {seen.get('data', 'status')!r}")


PROVIDER = Provider(
    "wavespeed",
    "https://api.wavespeed.ai",
    {
        "text-to-image": _task(_from_text, image_at, IMAGE),
        "text-to-video": _task(_from_text, file_at),
        "image-to-image": _task(_from_image, image_at, IMAGE),
        "image-to-video": _task(_from_image, file_at),
    },
    mapped_model,
    key_env="WAVESPEED_API_KEY",
)
