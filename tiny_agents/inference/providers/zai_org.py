"""Z.ai: chat, and images from a job queue. See Z.ai API reference, "Generate image (async)"."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tiny_agents.inference.call import Call, Response, Route, Step
from tiny_agents.inference.providers.answers import Answer, done_or_poll, image_at, read
from tiny_agents.inference.providers.asking import IMAGE, look, options_of, post
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import sized
from tiny_agents.inference.providers.provider import Adapter, Provider

PAUSES_S = (1.0, 2.0, *(5.0,) * 60)  # five minutes; an image takes 5 to 30 s
_ENGLISH = {"accept-language": "en-US,en", "x-source-channel": "hugging_face"}  # as huggingface_hub presents itself


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    options = sized(options_of(call))
    for side in ("width", "height"):  # one alone is refused
        options.pop(side, None)
    return {"model": route.model, "prompt": call.inputs, **options}


def _parse(call: Call[Any], route: Route, response: Response) -> Step[Any]:
    answer = read(route, response)
    job = quote(answer.need(str, "id"), safe="")
    look_there = look(route, f"{route.url}/api/paas/v4/async-result/{job}", headers={**_ENGLISH, **IMAGE})
    return done_or_poll(answer, look_there, _outcome, pauses_s=PAUSES_S)


def _outcome(seen: Answer) -> Step[Any] | None:
    status = seen.get("task_status")
    if status == "FAIL":
        raise seen.failed(seen.get("error"))
    return None if status == "PROCESSING" else image_at(seen, "image_result", 0, "url")


PROVIDER = Provider(
    "zai-org",
    "https://api.z.ai",
    {
        "conversational": chat_adapter("/api/paas/v4/chat/completions", headers=_ENGLISH),
        "text-to-image": Adapter(
            post("/api/paas/v4/async/images/generations", _image, headers={**_ENGLISH, **IMAGE}), _parse
        ),
    },
    mapped_model,
    key_env="ZAI_API_KEY",
)
