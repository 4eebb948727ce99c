"""An agent in an asyncio program: several questions at the same time, each with its own time, and one that is given up.

    python examples/gather.py Oslo Rome

The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL, else one at Hugging Face, for which HF_TOKEN is needed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tiny_agents import Agent, InferenceError

MODEL = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")
SECONDS = float(os.environ.get("SECONDS_EACH", "60"))


async def ask(agent: Agent, city: str) -> str:
    conversation = agent.new_conversation()
    try:
        async with asyncio.timeout(SECONDS):  # cancelling a run stops its tool calls too
            return str(await conversation.run_to_completion(f"One sentence about {city}."))
    except TimeoutError:
        return f"{city} took too long."
    except InferenceError as error:
        return f"{city} failed: {error}"


async def main(cities: list[str]) -> None:
    async with Agent(model=MODEL, base_url=os.environ.get("TINY_AGENTS_BASE_URL")) as agent:
        await agent.load_tools()
        for answer in await asyncio.gather(*(ask(agent, city) for city in cities)):
            print(answer)


asyncio.run(main(sys.argv[1:] or ["Oslo", "Rome"]))
