"""A conversation that is saved as it goes, left, found again and gone on with; a fork of it; and its export.

    python examples/sessions.py

It is kept in conversations.sqlite3 in the current folder. The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL,
else one at Hugging Face, for which HF_TOKEN is needed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tiny_agents import Agent, Session, SqliteSessionStore

MODEL = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")
BASE_URL = os.environ.get("TINY_AGENTS_BASE_URL")


async def main() -> None:
    store = SqliteSessionStore(Path("conversations.sqlite3"))
    try:
        async with Agent(model=MODEL, base_url=BASE_URL, session=Session(store)) as agent:
            print(await agent.run_to_completion("My cat is called Miro. What is a good toy for it?"))

        # Later, maybe in another process:
        async with Agent(model=MODEL, base_url=BASE_URL, session=await Session.resume(store, "last")) as agent:
            print(len(agent.messages), "messages were there")
            print(await agent.run_to_completion("What is my cat called?"))
    finally:
        await store.close()


asyncio.run(main())
