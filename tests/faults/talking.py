"""A conversation with an agent whose model misbehaves, and what is checked of it whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.faults.scenario import Scenario
from tests.support.history import assert_valid
from tests.support.leftovers import MODEL_KEY, Leftovers
from tests.support.openai_server import OpenAIServer, Recorded, Turn, text
from tiny_agents import Agent, ChatCompletionInputMessage, TinyAgentsError

LIMIT_S = 60.0


def square(n: int) -> int:
    """n times n."""
    return n * n


class Script:
    """The turns of a scenario, the last one again and again, until it is `healed`."""

    def __init__(self, turns: Sequence[Turn] | Callable[[Recorded], Turn]) -> None:
        self.healed = False
        self._turns = turns
        self._taken = 0

    def __call__(self, request: Recorded) -> Turn:
        if self.healed:
            return text("All is well.")
        if callable(self._turns):
            return self._turns(request)
        self._taken += 1
        return self._turns[min(self._taken, len(self._turns)) - 1]


async def talk(scenario: Scenario, model: Callable[..., OpenAIServer], leftovers: Leftovers) -> OpenAIServer:
    """Ask once, check what comes of it, and ask again: a conversation always goes on."""
    script = Script(scenario.turns)
    server = model(script)
    options: dict[str, Any] = {"base_url": server.url, "model": "m", "api_key": MODEL_KEY, **scenario.options}
    async with asyncio.timeout(LIMIT_S), Agent(**options) as agent:
        agent.add_tool(square)
        said, results = "", []
        failed: TinyAgentsError | None = None
        try:
            async for item in agent.run("go"):
                assert_valid(agent.messages)
                if isinstance(item, ChatCompletionInputMessage):
                    results.append(str(item.content))
                elif item.choices:
                    said += item.choices[0].delta.content or ""
        except TinyAgentsError as error:
            failed = error
            leftovers.seen(error, repr(error), vars(error))
        if scenario.error is not None:
            assert isinstance(failed, scenario.error[0]), (failed, said)
            assert re.search(scenario.error[1], str(failed)), str(failed)
        else:
            assert failed is None
            assert agent.result is not None
            assert agent.result.text == scenario.answer
        scenario.check_told(results)
        if scenario.asked is not None:
            assert len(server.requests) == scenario.asked
        assert_valid(agent.messages)
        kept = "".join(str(m.get("content") or "") for m in agent.messages if m["role"] == "assistant")
        assert kept.startswith(scenario.kept or said), (kept, said)  # what a user saw is still there
        leftovers.seen(repr(agent), agent.messages)

        script.healed = True
        assert (await agent.run_to_completion("again")).text == "All is well."
        assert_valid(agent.messages)
    return server
