"""The openai package: no agent, so it only streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting

PACKAGES = ("openai",)


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=setting.model_url, api_key="none") as client:

        async def run(prompt: str) -> AsyncIterator[Any]:
            message: Any = {"role": "user", "content": prompt}
            async for chunk in await client.chat.completions.create(messages=[message], model="m", stream=True):
                yield chunk

        yield run
