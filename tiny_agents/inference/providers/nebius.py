"""Nebius: chat, text, embeddings, images. See Nebius AI Studio documentation, "API reference"."""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.call import Call, Route
from tiny_agents.inference.providers.asking import options_of
from tiny_agents.inference.providers.chat import chat_adapter, schema_guided
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import completions, embeddings, images
from tiny_agents.inference.providers.provider import Provider


def _image(call: Call[Any], route: Route) -> dict[str, Any]:
    options = options_of(call)
    options.pop("guidance_scale", None)  # refused there
    if options.get("response_format") not in ("b64_json", "url"):
        options["response_format"] = "b64_json"
    return {"prompt": call.inputs, **options, "model": route.model}


PROVIDER = Provider(
    "nebius",
    "https://api.studio.nebius.ai",
    {
        "conversational": chat_adapter("/v1/chat/completions", reshape=schema_guided),
        "text-generation": completions("/v1/completions"),
        "feature-extraction": embeddings("/v1/embeddings", with_options=False),
        "text-to-image": images("/v1/images/generations", _image),
    },
    mapped_model,
    key_env="NEBIUS_API_KEY",
)
