"""Conversations that are killed: `python crash_worker.py URL DATABASE`, a line per try on standard input.

Each line is the id of a session, or `new`, and a number of seconds, or `never`. A forked child works through `REQUESTS` in
that session, from where it was left; after that time it is killed. The line that comes back is its exit status, -9 if it was
killed, and the seconds it took.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from tiny_agents import Agent, Session, SqliteSessionStore
from tiny_agents.agent.sessions import session as session_module

REQUESTS = 3


def square(n: int) -> int:
    """n times n."""
    return n * n


def answered(messages: Sequence[Any], number: int) -> bool:
    """Whether the model has answered a request to the end: its answers say which they are for, and end in a dot."""
    texts = [str(message.get("content")) for message in messages if message.get("role") == "assistant"]
    return any(text.startswith(f"done {number}:") and text.endswith(".") for text in texts)


async def work(url: str, database: str, session_id: str) -> None:
    store = SqliteSessionStore(database)
    session = Session(store) if session_id == "new" else await Session.resume(store, session_id)
    session.on_close = store.close
    async with Agent(base_url=url, model="m", session=session) as agent:
        agent.add_tool(square)
        for number in range(REQUESTS):
            if not answered(agent.messages, number):
                async for _ in agent.run(f"request {number}"):
                    pass


def one_try(url: str, database: str, session_id: str, seconds: str) -> str:
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(work(url, database, session_id))
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    limit = start + (math.inf if seconds == "never" else float(seconds))
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended:
        if time.monotonic() >= limit:
            os.kill(child, signal.SIGKILL)
            limit = math.inf
        time.sleep(0.0005)
        ended, status = os.waitpid(child, os.WNOHANG)
    return f"{os.waitstatus_to_exitcode(status)} {time.monotonic() - start}"


if __name__ == "__main__":
    session_module.PARTIAL_EVERY_S = 0.0  # each piece of an answer is one more point to be killed at

    for line in sys.stdin:
        print(one_try(sys.argv[1], sys.argv[2], *line.split()), flush=True)
