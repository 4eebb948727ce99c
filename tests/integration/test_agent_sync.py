"""An agent in a program without an event loop."""

from __future__ import annotations

import pytest

from tests.support.mcp_servers import desk_server
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tests.support.processes import Mark, linux_only
from tiny_agents import Agent, UsageError

pytestmark = pytest.mark.integration


def model(request: Recorded) -> Turn:
    messages = request.body["messages"]
    if messages[-1]["role"] == "tool":
        return text(f"It is {messages[-1]['content']}.")
    return calls(("add", {"a": len(messages), "b": 1}), ids=[f"c{len(messages)}"])


@linux_only
def test_servers_run_from_the_first_call_to_the_end_and_the_conversation_goes_on() -> None:
    mark = Mark()
    with OpenAIServer(model) as server:
        with Agent(base_url=server.url, model="m", servers=[desk_server(env=mark.env)]) as agent:
            assert not mark.pids()
            assert str(agent.run_sync("Add.")) == "It is 3."
            (pid,) = mark.pids()
            assert str(agent.run_sync("Again.")) == "It is 7."
            beside = agent.new_conversation()
            assert str(beside.run_sync("Add.")) == "It is 3."
            beside.close()
            assert mark.pids() == [pid]
        assert not mark.pids()
        with pytest.raises(UsageError, match="has been closed"):
            agent.run_sync("Once more?")
        agent.close()


@pytest.mark.anyio
async def test_where_an_event_loop_runs_it_says_what_to_use() -> None:
    agent = Agent(base_url="http://127.0.0.1:1/v1", model="m")
    with pytest.raises(UsageError, match="await agent.run_to_completion"):
        agent.run_sync("Hello")
    with pytest.raises(UsageError, match="async with"), agent:
        pass
    with pytest.raises(UsageError, match="await agent.cleanup"):
        agent.close()
    await agent.cleanup()
