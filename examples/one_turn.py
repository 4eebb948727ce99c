"""`MCPClient` in a program of your own: one turn at a time, and you decide what happens between them.

    python examples/one_turn.py "What time is it in Tokyo?"

The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL, else one at Hugging Face, for which HF_TOKEN is needed. The
time server comes with an extra: pip install 'tiny-agents[demo]'.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tiny_agents import ChatCompletionInputMessage, MCPClient

MOST_TURNS = 5


async def main(question: str) -> None:
    model = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")
    async with MCPClient(model=model, base_url=os.environ.get("TINY_AGENTS_BASE_URL")) as client:
        await client.add_mcp_server("stdio", command=sys.executable, args=["-m", "mcp_server_time"])
        print("tools:", ", ".join(tool.function.name for tool in client.available_tools))
        messages: list[dict[str, str] | ChatCompletionInputMessage] = [{"role": "user", "content": question}]
        for _ in range(MOST_TURNS):
            async for item in client.process_single_turn_with_tools(messages):
                if isinstance(item, ChatCompletionInputMessage):
                    print(f"\n[{item.name}] {item.content}")
                elif item.choices:
                    print(item.choices[0].delta.content or "", end="", flush=True)
            if messages[-1]["role"] == "assistant":  # it answered, and called nothing
                break
        print()


asyncio.run(main(" ".join(sys.argv[1:]) or "What time is it in Tokyo?"))
