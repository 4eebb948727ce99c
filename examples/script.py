"""An agent in a script without async: ask, get the answer, ask again.

    python examples/script.py

The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL, else one at Hugging Face, for which HF_TOKEN is needed.
"""

from __future__ import annotations

import os

from tiny_agents import Agent, Limits

MODEL = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")


def word_count(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


with Agent(model=MODEL, base_url=os.environ.get("TINY_AGENTS_BASE_URL"), limits=Limits(seconds=120)) as agent:
    agent.add_tool(word_count)
    print(agent.run_sync("How many words has 'the quick brown fox'?"))
    print(agent.run_sync("And without the colour?"))
    print(agent.usage)
