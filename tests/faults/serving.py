"""An agent with a server that misbehaves and one that doesn't, and what is checked of them whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.leftovers import MODEL_KEY, SERVER_TOKEN, Leftovers
from tests.support.mcp_servers import bad_server, bad_server_over
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tests.support.processes import MemoryPeak
from tiny_agents import Agent, ChatCompletionInputMessage, ServerConnectionError
from tiny_agents.mcp_client.host.host import Host

LIMIT_S = 60.0
MB = 1_000_000
ALL = ("stdio", "http", "json", "sse")
"""Over http a server may answer with a stream of events, or ("json") with one body."""


@dataclass(frozen=True)
class ServerScenario:
    """What an MCP server does, and what must come of it.

    Attributes:
        name: What goes wrong, in a few words.
        promises: Which of `PROMISES` it proves.
        behaviour, argument: Of `bad_server.py` or `wild_server.py`.
        kinds: The transports.
        refused: Pattern of the error with which adding it fails; None where it doesn't.
        told: Pattern of what the model is told of a call of its `tool`; by transport where they differ.
        tools: What it offers in the end, by the server's names; None where it doesn't matter.
        warned: Pattern of a line in the log.
        state: What has become of the connection; None where it doesn't matter.
        host: Who answers what it asks.
        options, server: More arguments of `Agent`, and of `add_mcp_server`.
        most: How many bytes the whole may need.
    """

    name: str
    promises: tuple[str, ...]
    behaviour: str
    argument: str = ""
    kinds: Sequence[str] = ALL
    refused: str | None = None
    told: str | Mapping[str, str] = "^pong$"
    tool: str = "bad__ping"
    tools: Sequence[str] | None = None
    warned: str | None = None
    state: str | Mapping[str, str] | None = "ready"
    host: type[Host] = Host
    options: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    most: int = 100 * MB


def cases(*scenarios: ServerScenario) -> pytest.MarkDecorator:
    """Parametrises a test with scenarios, each on its transports."""
    params = [
        pytest.param(one, kind, id=f"{one.name} [{kind}]", marks=pytest.mark.promise(*one.promises))
        for one in scenarios
        for kind in one.kinds
    ]
    return pytest.mark.parametrize(("scenario", "kind"), params)


def by_kind(value: str | Mapping[str, str], kind: str) -> str:
    return value if isinstance(value, str) else value[kind]


def script(tool: str | None) -> Callable[[Recorded], Turn]:
    """Calls the tool of the one server and that of the other in one answer; then says that it is done."""

    def turn(request: Recorded) -> Turn:
        if request.body["messages"][-1]["role"] == "tool":
            return text("Done.")
        wanted = [("ping", {})] if tool is None else [(tool, {}), ("ping", {})]
        asked = sum(message["role"] == "user" for message in request.body["messages"])
        return calls(*wanted, ids=[f"call_{asked}_{index}" for index in range(len(wanted))])

    return turn


async def served(
    scenario: ServerScenario,
    kind: str,
    model: Callable[..., OpenAIServer],
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Add both servers, have the model call both, and check what comes of it."""
    extra = {"env": {**leftovers.env, "KEY": SERVER_TOKEN}} if kind == "stdio" else {"headers": {"X-Key": SERVER_TOKEN}}
    with bad_server_over(kind, scenario.behaviour, scenario.argument, **extra, **scenario.server) as parameters:
        await served_by(parameters, scenario, kind, model, leftovers, caplog)


async def served_by(
    parameters: Mapping[str, Any],
    scenario: ServerScenario,
    kind: str,
    model: Callable[..., OpenAIServer],
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same with a server that is there already."""
    chat = model(script(None if scenario.refused else scenario.tool))
    options: dict[str, Any] = {"base_url": chat.url, "model": "m", "api_key": MODEL_KEY, **scenario.options}
    with MemoryPeak() as peak:
        async with asyncio.timeout(LIMIT_S), Agent(host=scenario.host(), **options) as agent:
            await agent.add_mcp_server(**bad_server("well_behaved", name="good", env=leftovers.env))
            await _added({**parameters, "name": "bad"}, scenario, agent, leftovers)
            await _run(scenario, kind, agent, leftovers)
            assert agent.connections["good"].state == "ready"
            if not scenario.refused and scenario.state is not None:
                assert agent.connections["bad"].state == by_kind(scenario.state, kind)
    assert peak.grown < scenario.most, f"{peak.grown:,} bytes"
    leftovers.seen(repr(agent), agent.messages)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert all(len(line) < 5_000 for line in warnings)
    if scenario.warned is not None:
        assert any(re.search(scenario.warned, line) for line in warnings), warnings


async def _added(parameters: dict[str, Any], scenario: ServerScenario, agent: Agent, leftovers: Leftovers) -> None:
    if scenario.refused is None:
        await agent.add_mcp_server(**parameters)
    else:
        with pytest.raises(ServerConnectionError) as caught:
            await agent.add_mcp_server(**parameters)
        leftovers.seen(caught.value, repr(caught.value), vars(caught.value))
        assert re.search(scenario.refused, str(caught.value)), str(caught.value)
        assert caught.value.server == "bad"
        assert len(str(caught.value)) < 5_000
        assert "\x1b" not in str(caught.value)
        assert "bad" not in agent.connections
    offered = [tool.function.name for tool in agent.available_tools]
    assert offered[:2] == ["ping", "leave"]
    if scenario.tools is not None:
        assert offered[2:] == [*scenario.tools]


async def _run(scenario: ServerScenario, kind: str, agent: Agent, leftovers: Leftovers) -> None:
    results = []
    async for item in agent.run("go"):
        assert_valid(agent.messages)
        if isinstance(item, ChatCompletionInputMessage):
            results.append(str(item.content))
    leftovers.seen(results)
    assert agent.result is not None
    assert agent.result.text == "Done."
    assert results[-1] == "pong"
    if not scenario.refused:
        assert re.search(by_kind(scenario.told, kind), results[0], re.DOTALL), results[0][:500]
    assert_valid(agent.messages)
