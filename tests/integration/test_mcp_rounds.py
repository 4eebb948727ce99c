"""A call that its server interrupts with questions can be put aside and gone on with elsewhere; and how many run at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer

from tests.integration.test_mcp_known_servers import Shifty
from tests.support.mcp_servers import bad_server, busy_server, desk_server, no_model
from tests.support.openai_server import OpenAIServer, calls, text
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.calls.gate import CallRequest, Verdict
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.host.host import FormRequest, Host, Reply, UrlRequest
from tiny_agents.mcp_client.host.rounds import PendingRounds

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


class Later(Host):
    """Declares that people can be asked; nobody is, while a call is made."""

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        return Reply("cancel")


@pytest.fixture
def asking(tmp_path: Path) -> dict[str, Any]:
    """A server that keeps nothing between a question and its answer; each client gets a process of its own."""
    shifty = Shifty(tmp_path)
    shifty.be(tools=("ask",), modern=True)
    return {**shifty.parameters, "name": "s"}


async def begun(server: dict[str, Any], what: str) -> PendingRounds:
    """A call that was begun, put aside and written down, in a client that is gone by now."""
    async with no_model(host=Later()) as client:
        await client.add_mcp_server(**server)
        result = await client.call_tool("ask", {"what": what}, on_input="return")
        assert result.pending is not None
        assert not result.is_error
        return written_down(result.pending)


def written_down(pending: PendingRounds) -> PendingRounds:
    return PendingRounds.from_dict(json.loads(json.dumps(pending.as_dict())))


async def test_a_call_that_asks_goes_on_in_another_process_with_the_answer(asking: dict[str, Any]) -> None:
    async with asyncio.timeout(60):
        pending = await begun(asking, "form")
        assert (pending.server, pending.tool, pending.arguments) == ("s", "ask", {"what": "form"})
        question = pending.questions["question"]
        assert isinstance(question, FormRequest)
        assert question.message == "Which color?", "what steers a terminal is gone"
        assert set(question.schema["properties"]) == {"color", "size"}
        async with no_model(host=Later()) as client:
            await client.add_mcp_server(**asking)
            done = await client.resume_tool(pending, {"question": Reply("accept", {"color": "red"})})
            assert done.pending is None
            told = {"answer": {"action": "accept", "content": {"color": "red", "size": 3}}, "state": "begun"}
            assert json.loads(done.text) == told
            refused = await client.resume_tool(pending, {"question": Reply("decline")})
            assert json.loads(refused.text)["answer"] == {"action": "decline"}
            with pytest.raises(
                UsageError, match="the answer to 'question' doesn't fit the form: size: must be a number"
            ):
                await client.resume_tool(pending, {"question": Reply("accept", {"color": "red", "size": "xl"})})


async def test_a_call_may_ask_again_and_what_is_not_for_a_person_is_answered_in_the_protocol_s_words(
    asking: dict[str, Any],
) -> None:
    async with asyncio.timeout(60):
        pending = await begun(asking, "form roots")
        async with no_model(host=Later()) as client:
            await client.add_mcp_server(**asking)
            more = (await client.resume_tool(pending, {"question": Reply("cancel")})).pending
        assert more is not None
        assert more.questions == {}
        assert more.requests["question"]["method"] == "roots/list"
        async with no_model(host=Later()) as client:
            await client.add_mcp_server(**asking)
            done = await client.resume_tool(written_down(more), {"question": {"roots": [{"uri": "file:///work"}]}})
            assert json.loads(done.text) == {"answer": {"roots": [{"uri": "file:///work"}]}, "state": "begun form"}


async def test_a_server_of_the_sdk_goes_on_too() -> None:
    async with asyncio.timeout(60), no_model(host=Later()) as client:
        await client.add_mcp_server(**busy_server(name="s"))
        pending = (await client.call_tool("ask", {"what": "form"}, on_input="return")).pending
        assert pending is not None
        done = await client.resume_tool(pending, {"question": Reply("accept", {"color": "red"})})
        assert json.loads(done.text) == {"action": "accept", "content": {"color": "red", "size": 3}}
        asked = await client.call_tool("ask", {"what": "form"})
        assert json.loads(asked.text) == {"action": "cancel"}, "the host answers what isn't put aside"


async def test_a_call_goes_on_only_with_its_answers_and_at_its_server(asking: dict[str, Any]) -> None:
    async with asyncio.timeout(60):
        pending = await begun(asking, "form")
        async with no_model() as client:
            with pytest.raises(UsageError, match="'s' that asked is not here"):
                await client.resume_tool(pending, {})
            await client.add_mcp_server(**desk_server(name="s"))
            with pytest.raises(UsageError, match="'s' that asked is another one here"):
                await client.resume_tool(pending, {"question": Reply("accept", {"color": "red"})})
        async with no_model(host=Later()) as client:
            await client.add_mcp_server(**asking)
            with pytest.raises(UsageError, match="'question' has none"):
                await client.resume_tool(pending)
            with pytest.raises(UsageError, match="'color' was not asked"):
                await client.resume_tool(pending, {"question": Reply("cancel"), "color": Reply("cancel")})
    with pytest.raises(UsageError, match="no tool call that waits"):
        PendingRounds.from_dict({"server": "s"})


async def test_a_call_that_asks_nothing_and_an_old_server_just_answer() -> None:
    async with asyncio.timeout(60), no_model(host=Later()) as client:
        await client.add_mcp_server(**desk_server(name="new"))
        await client.add_mcp_server(**bad_server("well_behaved", name="old"))
        done = await client.call_tool("add", {"a": 1, "b": 2}, on_input="return")
        assert (done.text, done.pending) == ("3", None) or done.structured_content == {"result": 3}
        assert (await client.call_tool("ping", on_input="return")).text == "pong"


# ---------------------------------------------------------------- how many calls at once


class Counting:
    """Counts how many run at the same time. None ends before there were as many as are `awaited`."""

    def __init__(self, awaited: int) -> None:
        self.now = self.most = 0
        self._awaited = awaited
        self._met = asyncio.Event()

    async def __call__(self, number: int) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self._awaited:
            self._met.set()
        await self._met.wait()
        await asyncio.sleep(0.01 * (5 - number))  # the later ones are quicker
        self.now -= 1
        return str(number)


@pytest.mark.parametrize(("limit", "most"), [(None, 5), (2, 2), (1, 1)])
async def test_no_more_calls_of_an_answer_run_at_once_than_are_wanted(limit: int | None, most: int) -> None:
    count = Counting(most)
    with OpenAIServer([calls(*[("count", {"number": n}) for n in range(5)]), text("done")]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", max_parallel_calls=limit) as client:

            @client.add_tool
            async def count_(number: int) -> str:
                return await count(number)

            client.add_tool(count.__call__, name="count", description="Counts.")
            messages: list[Any] = [{"role": "user", "content": "go"}]
            async for _ in client.process_single_turn_with_tools(messages):
                pass
    assert [message["content"] for message in messages[2:]] == ["0", "1", "2", "3", "4"]
    assert count.most == most


async def test_a_server_may_have_a_limit_of_its_own_and_a_turn_that_is_left_frees_it() -> None:
    count, server = Counting(2), MCPServer("inside", log_level="ERROR")

    @server.tool(structured_output=False)
    async def slow(number: int) -> str:
        return await count(number)

    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server("inprocess", server=server, max_parallel_calls=2)
        results = await asyncio.gather(*(client.call_tool("slow", {"number": n}) for n in range(5)))
        assert [result.text for result in results] == ["0", "1", "2", "3", "4"]
        assert count.most == 2
        waiting = [asyncio.create_task(client.call_tool("slow", {"number": 0})) for _ in range(4)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert (await client.call_tool("slow", {"number": 4})).text == "4"


@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_is_at_least_one(value: int) -> None:
    with pytest.raises(UsageError, match="max_parallel_calls must be at least 1"):
        no_model(max_parallel_calls=value)


@pytest.mark.parametrize("value", [0, True, "2", 1.5])
async def test_a_server_s_limit_is_a_whole_number(value: Any) -> None:
    async with no_model() as client:
        with pytest.raises(UsageError, match="'max_parallel_calls' must be"):
            await client.add_mcp_server("stdio", command="x", max_parallel_calls=value)


# ---------------------------------------------------------------- what stands before a call


async def told(gate: Any, *wanted: tuple[str, dict[str, Any]], **options: Any) -> list[str]:
    """What a model is told about calls of `add` and `wait`, both functions."""
    with OpenAIServer([calls(*wanted), text("done")]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", gate=gate, **options) as client:

            @client.add_tool
            def add(a: int, b: int) -> int:
                return a + b

            messages: list[Any] = [{"role": "user", "content": "go"}]
            async for _ in client.process_single_turn_with_tools(messages):
                pass
            assert (await client.call_tool("add", {"a": 1, "b": 1})).text == "2", "the program's own calls pass"
    return [message["content"] for message in messages[2:]]


async def test_a_gate_sees_each_call_and_what_it_says_is_told_to_the_model(caplog: pytest.LogCaptureFixture) -> None:
    async def gate(request: CallRequest) -> bool | Verdict:
        seen.append((request.name, dict(request.arguments)))
        if request.arguments["a"] == 3:
            raise OSError("no connection to the judge")
        return [True, False, Verdict(False, "two is enough")][request.arguments["a"]]

    seen: list[Any] = []
    assert await told(gate, *(("add", {"a": a, "b": 1}) for a in range(4))) == [
        "1",
        "Error: the call of 'add' was not allowed, so it was not made",
        "Error: the call of 'add' was not allowed, so it was not made: two is enough",
        "Error: the call of 'add' was not allowed, so it was not made: whether it is allowed could not be decided",
    ]
    assert seen == [("function.add", {"a": a, "b": 1}) for a in range(4)]
    assert "no connection to the judge" in caplog.text


async def test_the_time_a_person_thinks_is_not_the_tool_s() -> None:
    async def gate(request: CallRequest) -> bool:
        await asyncio.sleep(0.7)
        return True

    assert await told(gate, ("add", {"a": 1, "b": 2}), tool_timeout=0.6) == ["3"]


async def test_a_turn_that_is_left_at_the_gate_says_that_the_call_was_not_made() -> None:
    asked = asyncio.Event()

    async def gate(request: CallRequest) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return True

    with OpenAIServer([calls(("ping", {}))]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", gate=gate) as client:
            await client.add_mcp_server(**bad_server("well_behaved"))
            messages: list[Any] = [{"role": "user", "content": "go"}]

            async def turn() -> None:
                async for _ in client.process_single_turn_with_tools(messages):
                    pass

            task = asyncio.create_task(turn())
            await asked.wait()
            task.cancel()
            await asyncio.wait({task})
            assert messages[-1]["content"] == "Error: this call was interrupted before it was made. It did not run."
            assert (await client.call_tool("ping")).text == "pong"
