"""Hyperbolic: chat, text, images. See Hyperbolic documentation, "Inference API".

Text generation goes to its chat endpoint, with the text in place of the messages, as huggingface_hub sends it.
"""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.call import Call, Response, Route
from tiny_agents.inference.providers.answers import image_in_base64, read
from tiny_agents.inference.providers.asking import IMAGE, options_of, post, renamed
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import generated
from tiny_agents.inference.providers.provider import Adapter, Provider

_CHAT = "/v1/chat/completions"
_SIDE_PX = 512  # width and height have to be given there


def _text(call: Call[Any], route: Route) -> dict[str, Any]:
    return {"messages": call.inputs, **options_of(call), "model": route.model}


def _parse_text(call: Call[Any], route: Route, response: Response) -> Any:
    answer = read(route, response)
    return generated(call, answer, answer.need(str, "choices", 0, "message", "content"))


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    options = renamed(options_of(call), {"num_inference_steps": "steps", "guidance_scale": "cfg_scale"})
    return {"prompt": call.inputs, "model_name": route.model, "width": _SIDE_PX, "height": _SIDE_PX, **options}


def _parse_image(call: Call[Any], route: Route, response: Response) -> Any:
    return image_in_base64(read(route, response), "images", 0, "image")


PROVIDER = Provider(
    "hyperbolic",
    "https://api.hyperbolic.xyz",
    {
        "conversational": chat_adapter(_CHAT),
        "text-generation": Adapter(post(_CHAT, _text), _parse_text),
        "text-to-image": Adapter(post("/v1/images/generations", _image, headers=IMAGE), _parse_image),
    },
    mapped_model,
    key_env="HYPERBOLIC_API_KEY",
)
