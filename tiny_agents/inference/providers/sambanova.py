"""SambaNova: chat and embeddings. See SambaNova Cloud documentation, "API reference"."""

from __future__ import annotations

from tiny_agents.inference.providers.chat import chat_adapter, schema_never_strict
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import embeddings
from tiny_agents.inference.providers.provider import Provider

PROVIDER = Provider(
    "sambanova",
    "https://api.sambanova.ai",
    {
        "conversational": chat_adapter("/v1/chat/completions", reshape=schema_never_strict),
        "feature-extraction": embeddings("/v1/embeddings"),
    },
    mapped_model,
    key_env="SAMBANOVA_API_KEY",
)
