"""An agent whose answer is shown as it comes, with its tool calls, its progress and what it used; then a second question.

    python examples/stream.py

In a notebook the same lines work at the top level, with `await` and `async for`. The model is that of TINY_AGENTS_MODEL and
TINY_AGENTS_BASE_URL, else one at Hugging Face, for which HF_TOKEN is needed.
"""

from __future__ import annotations

import asyncio
import os

from tiny_agents import Agent, ChatCompletionInputMessage, Limits

MODEL = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")


def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


async def show(agent: Agent, question: str) -> None:
    print(">", question)
    async for item in agent.run(question, limits=Limits(seconds=120)):
        if isinstance(item, ChatCompletionInputMessage):
            print(f"[{item.name}: {item.content}]")
        elif item.choices:
            print(item.choices[0].delta.content or "", end="", flush=True)
    print()


async def main() -> None:
    async with Agent(model=MODEL, base_url=os.environ.get("TINY_AGENTS_BASE_URL")) as agent:
        agent.add_tool(word_count)
        await show(agent, "How many words has 'the quick brown fox'?")
        await show(agent, "And without the colour?")
        print(agent.usage)


asyncio.run(main())
