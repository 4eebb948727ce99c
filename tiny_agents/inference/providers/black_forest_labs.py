"""Black Forest Labs: FLUX images from a job queue. See BFL API reference, "Get result".

The answer to the job names the address to poll, on whichever of its hosts: no key goes there.
"""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.call import Call, Response, Route, Step
from tiny_agents.inference.providers.answers import Answer, image_at, poll, read, unkeyed
from tiny_agents.inference.providers.asking import IMAGE, JSON, options_of, post, renamed
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.provider import Adapter, Provider

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)  # an image takes 2 to 15 s
_FAILED = frozenset({"Error", "Failed", "Content Moderated", "Request Moderated", "Task not found"})


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    names = {"num_inference_steps": "steps", "guidance_scale": "guidance"}
    return {"prompt": call.inputs, **renamed(options_of(call), names)}


def _parse(call: Call[Any], route: Route, response: Response) -> Step[Any]:
    answer = read(route, response)
    look = unkeyed(answer, answer.need(str, "polling_url"), JSON)
    return poll(look, route, _outcome, pauses_s=PAUSES_S)


def _outcome(seen: Answer) -> Step[Any] | None:
    if seen.get("status") in _FAILED:
        raise seen.failed(seen.get("details") or seen.get("status"))
    return image_at(seen, "result", "sample") if seen.get("status") == "Ready" else None


PROVIDER = Provider(
    "black-forest-labs",
    "https://api.us1.bfl.ai",
    {
        "text-to-image": Adapter(
            post(lambda route: f"/v1/{route.model}", _image, headers=IMAGE, key_as=("x-key", "")), _parse
        )
    },
    mapped_model,
    key_env="BFL_API_KEY",
)
