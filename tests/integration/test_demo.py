"""What `make demo` shows: a real model, run here without a key, calls a real MCP server and tells the true time."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tiny_agents import Agent, ChatCompletionInputMessage

pytestmark = pytest.mark.integration

QUESTION = "What time is it in Tokyo?"
SERVER = {"type": "stdio", "command": sys.executable, "args": ["-m", "mcp_server_time"]}


def true_times(since: datetime) -> set[str]:
    """Every HH:MM in Tokyo from `since` until now."""
    now = datetime.now(ZoneInfo("Asia/Tokyo"))
    minutes = int((now - since).total_seconds() // 60) + 2
    return {f"{since + timedelta(minutes=n):%H:%M}" for n in range(minutes)}


def times_in(answer: str) -> set[str]:
    return set(re.findall(r"\b\d\d:\d\d\b", answer))


def test_the_command_of_the_demo_tells_the_true_time() -> None:
    since = datetime.now(ZoneInfo("Asia/Tokyo"))
    command = [sys.executable, "-m", "tiny_agents", "run", "clock", "--provider", "local", "--prompt", QUESTION]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (told,) = times_in(done.stdout)
    assert told in true_times(since)
    assert "Tokyo" in done.stdout
    assert 'get_current_time {"timezone":"Asia/Tokyo"}' in done.stderr.replace('": "', '":"')
    assert "SmolLM2-135M-Instruct" in done.stderr


def test_ten_of_ten_answers_tell_the_true_time() -> None:
    async def main() -> list[tuple[datetime, str, str]]:
        answers = []
        async with asyncio.timeout(300), Agent(provider="local", servers=[SERVER]) as agent:
            await agent.load_tools()
            for _ in range(10):
                del agent.messages[1:]
                since, answer, result = datetime.now(ZoneInfo("Asia/Tokyo")), "", ""
                async for item in agent.run(QUESTION):
                    if isinstance(item, ChatCompletionInputMessage):
                        result = str(item.content)
                    elif item.choices and item.choices[0].delta is not None:
                        answer += item.choices[0].delta.content or ""
                answers.append((since, answer, result))
        return answers

    answers = asyncio.run(main())
    assert len(answers) == 10
    for since, answer, result in answers:
        (told,) = times_in(answer)
        assert told in true_times(since), (answer, result)
