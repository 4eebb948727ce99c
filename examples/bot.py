"""A bot in a chat room: many users at once, a conversation for each, and bounds for all of it.

    printf 'ann: Hello\\nbob: Hi\\n' | python examples/bot.py

Lines of standard input stand for the messages of a chat platform: `user: message`. With discord.py, `Bot.heard` is what
`on_message` calls, and `say` is `channel.send`. The model is that of TINY_AGENTS_MODEL and TINY_AGENTS_BASE_URL, else one at
Hugging Face, for which HF_TOKEN is needed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tiny_agents import Agent, Limits, TinyAgentsError

MODEL = os.environ.get("TINY_AGENTS_MODEL", "Qwen/Qwen3-32B")
MAX_USERS = 1_000  # conversations that are remembered; the one that rested longest is forgotten first
MAX_WAITING = 3  # messages of one user that may wait for the ones before
AT_ONCE = 8  # runs at the same time
MAX_CHARS = 2_000  # of a message; Discord takes no longer one


@dataclass
class Chat:
    agent: Agent
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Bot:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._chats: OrderedDict[str, Chat] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def heard(self, user: str, message: str, say: Callable[[str], Awaitable[None]]) -> None:
        chat = self._chat(user)
        if chat.waiting >= MAX_WAITING:
            await say("One after the other, please.")
            return
        chat.waiting += 1
        try:
            async with chat.turn, self._room:  # a conversation does one thing at a time
                result = await chat.agent.run_to_completion(
                    message[:MAX_CHARS], limits=Limits(seconds=60, model_calls=8)
                )
            await say(result.text[:MAX_CHARS] or "I have nothing to say to that.")
        except TinyAgentsError as error:
            print(error, file=sys.stderr)
            await say("Sorry, that didn't work.")
        finally:
            chat.waiting -= 1

    def _chat(self, user: str) -> Chat:
        chat = self._chats.pop(user, None) or Chat(self._agent.new_conversation())
        self._chats[user] = chat
        if len(self._chats) > MAX_USERS and (
            idle := next((u for u, c in self._chats.items() if u != user and not c.waiting), None)
        ):
            del self._chats[idle]
        return chat


async def main() -> None:
    async with Agent(model=MODEL, base_url=os.environ.get("TINY_AGENTS_BASE_URL")) as agent:
        await agent.load_tools()
        bot = Bot(agent)
        async with asyncio.TaskGroup() as heard:
            while line := await asyncio.to_thread(sys.stdin.readline):
                user, _, message = line.strip().partition(": ")

                async def say(text: str, user: str = user) -> None:
                    print(f"@{user} {text}", flush=True)

                heard.create_task(bot.heard(user, message, say))


asyncio.run(main())
