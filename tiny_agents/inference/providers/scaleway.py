"""Scaleway: chat and embeddings. See Scaleway "Generative APIs" reference."""

from __future__ import annotations

from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import embeddings
from tiny_agents.inference.providers.provider import Provider

PROVIDER = Provider(
    "scaleway",
    "https://api.scaleway.ai",
    {
        "conversational": chat_adapter("/v1/chat/completions"),
        "feature-extraction": embeddings("/v1/embeddings"),
    },
    mapped_model,
    key_env="SCALEWAY_API_KEY",
)
