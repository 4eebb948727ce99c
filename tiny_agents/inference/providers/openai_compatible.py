"""Providers that do chat, in the OpenAI protocol: a row each. Those that do more are modules of their own.

Columns: name, base URL, path of chat completions, environment variable of the key, how they differ in structured output.
See each provider's API reference and its page among Hugging Face's inference providers.
"""

from __future__ import annotations

from tiny_agents.inference.providers.chat import (
    Reshape,
    chat_adapter,
    schema_in_json_object,
)
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.provider import Provider, model_as_given

_V1 = "/v1/chat/completions"

# fmt: off
_ROWS: list[tuple[str, str, str, str, Reshape | None]] = [
    ("baseten", "https://inference.baseten.co", _V1, "BASETEN_API_KEY", None),
    ("cerebras", "https://api.cerebras.ai", _V1, "CEREBRAS_API_KEY", None),
    ("clarifai", "https://api.clarifai.com", "/v2/ext/openai/v1/chat/completions", "CLARIFAI_PAT", None),
    ("cohere", "https://api.cohere.com", "/compatibility/v1/chat/completions", "COHERE_API_KEY", schema_in_json_object),
    ("fireworks-ai", "https://api.fireworks.ai", "/inference/v1/chat/completions", "FIREWORKS_API_KEY",
     schema_in_json_object),
    ("groq", "https://api.groq.com", "/openai/v1/chat/completions", "GROQ_API_KEY", None),
    ("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net", _V1, "OVHCLOUD_API_KEY", None),
    ("publicai", "https://api.publicai.co", _V1, "PUBLICAI_API_KEY", None),
]
# fmt: on

PROVIDERS = {
    name: Provider(name, base_url, {"conversational": chat_adapter(path, reshape=reshape)}, mapped_model, key_env)
    for name, base_url, path, key_env, reshape in _ROWS
} | {
    # Its model names are its own, and Hugging Face doesn't route to it.
    "openai": Provider(
        "openai",
        "https://api.openai.com",
        {"conversational": chat_adapter(_V1)},
        model_as_given,
        key_env="OPENAI_API_KEY",
        routed=False,
    ),
}
