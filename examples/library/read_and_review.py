"""Resources and prompts of a server, without and with a model.

    python examples/library/read_and_review.py

The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL, else one at Hugging Face, for which HF_TOKEN is needed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tiny_agents import MCPClient

SERVER = Path(__file__).parent / "server.py"


async def main() -> None:
    model = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")
    async with MCPClient(model=model, base_url=os.environ.get("TINY_AGENTS_BASE_URL")) as client:
        await client.add_mcp_server("stdio", name="library", command=sys.executable, args=[str(SERVER)])

        for resource in await client.list_resources():
            print("resource:", resource.uri)
        (hours,) = await client.read_resource("library://opening-hours")
        print("open:", hours.text)

        filled = await client.get_prompt("review", {"book": "dracula"})
        messages = list(filled.messages)
        async for item in client.process_single_turn_with_tools(messages):
            if item.get("choices"):
                print(item.choices[0].delta.content or "", end="", flush=True)
        print()


asyncio.run(main())
