"""The inference clients without an agent around them, in the two packages that have both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting


@asynccontextmanager
async def tiny_agents(setting: Setting) -> AsyncIterator[Run]:
    from tiny_agents import AsyncInferenceClient

    async with AsyncInferenceClient(base_url=setting.model_url, api_key="none") as client:
        yield lambda prompt: _chunks(client, prompt)


@asynccontextmanager
async def huggingface_hub(setting: Setting) -> AsyncIterator[Run]:
    from huggingface_hub import AsyncInferenceClient

    async with AsyncInferenceClient(base_url=setting.model_url, api_key="none") as client:
        yield lambda prompt: _chunks(client, prompt)


async def _chunks(client: Any, prompt: str) -> AsyncIterator[Any]:
    message = {"role": "user", "content": prompt}
    async for chunk in await client.chat.completions.create(messages=[message], model="m", stream=True):
        yield chunk
