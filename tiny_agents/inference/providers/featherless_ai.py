"""Featherless AI: open models for chat and text. See Featherless documentation, "API reference"."""

from __future__ import annotations

from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import completions
from tiny_agents.inference.providers.provider import Provider

PROVIDER = Provider(
    "featherless-ai",
    "https://api.featherless.ai",
    {
        "conversational": chat_adapter("/v1/chat/completions"),
        "text-generation": completions("/v1/completions", max_tokens=True),
    },
    mapped_model,
    key_env="FEATHERLESS_API_KEY",
)
