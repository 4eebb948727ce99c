"""Novita AI: chat, text, videos. See Novita AI documentation, "Model API reference"."""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.call import Call, Response, Route, Step
from tiny_agents.inference.providers.answers import file_at, read
from tiny_agents.inference.providers.asking import options_of, post
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import completions
from tiny_agents.inference.providers.provider import Adapter, Provider


def _video(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"prompt": call.inputs, **options_of(call)}


def _parse_video(call: Call[Any], route: Route, response: Response) -> Step[bytes]:
    return file_at(read(route, response), "video", "video_url")


PROVIDER = Provider(
    "novita",
    "https://api.novita.ai",
    {
        "conversational": chat_adapter("/v3/openai/chat/completions"),
        "text-generation": completions("/v3/openai/completions"),
        "text-to-video": Adapter(post(lambda route: f"/v3/hf/{route.model}", _video), _parse_video),
    },
    mapped_model,
    key_env="NOVITA_API_KEY",
)
