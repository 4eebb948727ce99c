"""Nscale: chat, and images in OpenAI's form. See Nscale documentation, "Serverless inference"."""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.call import Call, Route
from tiny_agents.inference.providers.asking import options_of
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import images, sized
from tiny_agents.inference.providers.provider import Provider

_UNKNOWN = ("num_inference_steps", "cfg_scale")  # refused there


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    options = {name: value for name, value in options_of(call).items() if name not in _UNKNOWN}
    return {"response_format": "b64_json", "prompt": call.inputs, "model": route.model, **sized(options)}


PROVIDER = Provider(
    "nscale",
    "https://inference.api.nscale.com",
    {
        "conversational": chat_adapter("/v1/chat/completions"),
        "text-to-image": images("/v1/images/generations", _image),
    },
    mapped_model,
    key_env="NSCALE_API_KEY",
)
