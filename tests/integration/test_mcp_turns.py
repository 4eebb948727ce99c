"""Turns of a scripted model with real tools: what is asked, what is yielded, and a history that is valid at any time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from tests.support.cancelling import cancelled_at
from tests.support.history import assert_valid
from tests.support.mcp_servers import bad_server, desk_server
from tests.support.openai_server import OpenAIServer, Turn, calls, delta, raw, status, text
from tiny_agents.errors import IncompleteStreamError, InferenceError, UsageError
from tiny_agents.inference.async_client import AsyncInferenceClient
from tiny_agents.inference.types.chat import (
    ChatCompletionInputMessage,
    ChatCompletionInputTool,
    ChatCompletionStreamOutput,
)
from tiny_agents.mcp_client.client import MCPClient, Message

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

EXIT = ChatCompletionInputTool.parse_obj_as_instance(
    {"type": "function", "function": {"name": "task_complete", "parameters": {"type": "object", "properties": {}}}}
)


@asynccontextmanager
async def scripted(*turns: Turn, server: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Any]:
    """A client whose model follows the script, with a server (by default the small one with `ping` and `leave`)."""
    with OpenAIServer(turns) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="scripted", **options) as client:
            await client.add_mcp_server(**(server or bad_server("well_behaved", name="s")))
            yield client, model


def question() -> list[Message]:
    return [{"role": "user", "content": "?"}]


async def turn(client: MCPClient, messages: list[Message], **options: Any) -> list[Any]:
    """All items of one turn; the history is checked after each of them."""
    items = []
    async for item in client.process_single_turn_with_tools(messages, **options):
        assert_valid(messages)
        items.append(item)
    assert_valid(messages)
    return items


def answers(items: list[Any]) -> list[tuple[str | None, str]]:
    return [(item.name, item.content) for item in items if isinstance(item, ChatCompletionInputMessage)]


def shown(items: list[Any]) -> str:
    chunks = [item for item in items if isinstance(item, ChatCompletionStreamOutput)]
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


# ---------------------------------------------------------------- what goes right


async def test_an_answer_in_text() -> None:
    async with scripted(text("Hel", "lo")) as (client, model):
        messages = question()
        items = await turn(client, messages)
    assert shown(items) == "Hello"
    assert len(items) == 4
    assert messages[1] == ChatCompletionInputMessage(role="assistant", content="Hello")
    (asked,) = model.chats
    assert asked["model"] == "scripted"
    assert asked["messages"] == [{"role": "user", "content": "?"}]
    assert asked["tool_choice"] == "auto"
    assert asked["stream"] is True
    assert asked["tools"][0] == {
        "type": "function",
        "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}},
    }


async def test_without_tools_none_are_mentioned() -> None:
    with OpenAIServer([text("Hi")]) as model:
        async with asyncio.timeout(30), MCPClient(base_url=model.url, model="m") as client:
            assert shown(await turn(client, question())) == "Hi"
    assert not {"tools", "tool_choice"} & set(model.chats[0])


async def test_a_call_is_run_and_its_result_sent_with_the_next_turn() -> None:
    async with scripted(calls(("ping", {}), content="Let me see."), text("It lives.")) as (client, model):
        messages = question()
        assert answers(await turn(client, messages)) == [("ping", "pong")]
        assert shown(await turn(client, messages)) == "It lives."
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]
    sent = model.chats[1]["messages"]
    assert sent[1]["content"] == "Let me see."
    assert sent[1]["tool_calls"][0] == {
        "id": "call_0",
        "type": "function",
        "function": {"name": "ping", "arguments": "{}"},
    }
    assert sent[2] == {"role": "tool", "tool_call_id": "call_0", "name": "ping", "content": "pong"}


async def test_calls_run_at_the_same_time_and_are_answered_in_order() -> None:
    words = ["one", "two", "three"]
    script = calls(*(("meet", {"place": "x", "party": 3, "say": word}) for word in words))
    async with scripted(script, server=desk_server()) as (client, _):
        assert answers(await turn(client, question())) == [("meet", word) for word in words]


async def test_a_result_is_yielded_while_later_calls_still_run() -> None:
    script = calls(("echo", {"text": "quick"}), ("wait", {"place": "x"}))
    async with scripted(script, server=desk_server()) as (client, _):
        messages = question()
        async with aclosing(client.process_single_turn_with_tools(messages)) as items:
            async for item in items:
                if isinstance(item, ChatCompletionInputMessage):
                    assert item.content == "quick"
                    break
        assert_valid(messages)
        assert messages[-1]["content"].startswith("Error: this call was interrupted")
        assert (await client.call_tool("was_cancelled", {"place": "x"})).text == "yes"


async def test_what_the_caller_makes_of_a_result_stays() -> None:
    async with scripted(calls(("ping", {}), ("ping", {}))) as (client, _):
        messages = question()
        async for item in client.process_single_turn_with_tools(messages):
            if isinstance(item, ChatCompletionInputMessage):
                item.content = "shortened"
    assert [message["content"] for message in messages if message["role"] == "tool"] == ["shortened"] * 2


async def test_a_passing_failure_of_the_model_is_not_seen() -> None:
    async with scripted(status(429, retry_after="0"), text("Hi")) as (client, model):
        assert shown(await turn(client, question())) == "Hi"
        assert len(model.requests) == 2


async def test_messages_may_be_dictionaries_or_records_and_ids_stay_unique() -> None:
    earlier: list[Message] = [
        {"role": "user", "content": "?"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "call_0", "type": "function", "function": {"name": "ping", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "pong"},
    ]
    async with scripted(calls(("ping", {}), ("ping", {}))) as (client, _):
        items = await turn(client, earlier)
    assert answers(items) == [("ping", "pong")] * 2
    assert [message["tool_call_id"] for message in earlier if message["role"] == "tool"] == [
        "call_0",
        "call_0_2",
        "call_1",
    ]


# ---------------------------------------------------------------- what the model gets wrong


@pytest.mark.parametrize(
    ("call", "answer", "kept"),
    [
        (("ping", ""), "pong", ("ping", "{}")),
        (("ping", '"{}"'), "pong", ("ping", "{}")),
        (("ping", '{"a": '), "Error: the arguments of 'ping' are not valid JSON", ("ping", "{}")),
        (("ping", "[1]"), "Error: the arguments of 'ping' must be a JSON object, not '[1]'.", ("ping", "{}")),
        (("pong", "{}"), "Error: there is no tool 'pong'. Did you mean 'ping'?", ("pong", "{}")),
        (("weather!", "{}"), "Error: there is no tool 'weather!'. The tools are: ping, leave.", ("weather_", "{}")),
        (("", "{}"), "Error: this tool call has no function name.", ("unnamed_tool", "{}")),
        (("leave", "{}"), "Error: MCP server 's' exited with status 5 during the call of 'leave'.", ("leave", "{}")),
    ],
)
async def test_a_bad_call_is_answered_and_the_good_one_beside_it_run(
    call: tuple[str, str], answer: str, kept: tuple[str, str]
) -> None:
    async with scripted(calls(("ping", "{}"), call) if call[0] != "leave" else calls(call)) as (client, _):
        messages = question()
        items = await turn(client, messages)
    told = answers(items)
    assert told[-1][1].startswith(answer)
    assert all(content == "pong" for _, content in told[:-1])
    function = messages[1]["tool_calls"][-1]["function"]
    assert (function["name"], function["arguments"]) == kept


async def test_failing_and_slow_tools_are_told_to_the_model() -> None:
    script = calls(("fail", {"reason": "no paper"}), ("wait", {}), ("add", {"a": "x"}))
    async with scripted(script, server=desk_server(name="s"), tool_timeout=1) as (client, _):
        failed, slow, wrong = answers(await turn(client, question()))
    assert failed[1].startswith("Error")
    assert "no paper" in failed[1]
    assert slow[1].startswith("Error: MCP server 's': the tool 'wait' did not finish within 1 s")
    assert wrong[1].startswith("Error")


async def test_a_call_that_was_cut_off_is_not_run() -> None:
    cut = calls(("ping", {}), ("leave", '{"why": "becau'))
    cut.events = [*cut.events[:-1], delta("length")]
    async with scripted(cut) as (client, _):
        good, half = answers(await turn(client, question()))
        assert good == ("ping", "pong")
        assert "cut off (finish_reason 'length') inside the arguments of 'leave'" in half[1]
        assert client.connections["s"].state == "ready"


async def test_a_tool_that_was_taken_out_is_refused() -> None:
    async with scripted(calls(("leave", {}))) as (client, _):
        client.available_tools = client.available_tools[:1]
        assert answers(await turn(client, question())) == [
            ("leave", "Error: there is no tool 'leave'. The tools are: ping.")
        ]


# ---------------------------------------------------------------- tools that end the loop


async def test_an_exit_tool_is_answered_last_and_everything_else_too() -> None:
    script = calls(("ping", {}), ("task_complete", "not json"), ("ping", {}))
    async with scripted(script) as (client, model):
        messages = question()
        items = await turn(client, messages, exit_loop_tools=[EXIT])
    assert answers(items) == [("ping", "pong"), ("ping", "pong"), ("task_complete", "")]
    assert messages[-1]["name"] == "task_complete"
    assert [tool["function"]["name"] for tool in model.chats[0]["tools"]] == ["task_complete", "ping", "leave"]


async def test_an_exit_tool_goes_before_a_servers_tool_of_the_same_name() -> None:
    mine = ChatCompletionInputTool.parse_obj_as_instance({"function": {"name": "ping"}})
    async with scripted(calls(("ping", {}))) as (client, model):
        assert answers(await turn(client, question(), exit_loop_tools=[mine])) == [("ping", "")]
    assert [tool["function"]["name"] for tool in model.chats[0]["tools"]] == ["ping", "leave"]


# ---------------------------------------------------------------- exit_if_first_chunk_no_tool


async def test_a_probe_without_a_tool_call_leaves_no_trace() -> None:
    for answer in (text("I", " am", " done"), raw(delta("stop", content="x")), raw()):
        async with scripted(answer) as (client, _):
            messages = question()
            assert await turn(client, messages, exit_if_first_chunk_no_tool=True) == []
            assert len(messages) == 1


async def test_a_probe_with_a_tool_call_is_a_whole_turn() -> None:
    async with scripted(calls(("ping", {}))) as (client, _):
        items = await turn(client, question(), exit_if_first_chunk_no_tool=True)
    assert answers(items) == [("ping", "pong")]
    assert len(items) == 6


# ---------------------------------------------------------------- what breaks


@pytest.mark.parametrize("then", ["end", "reset"])
async def test_an_answer_that_breaks_off_keeps_its_text_and_loses_its_calls(then: str) -> None:
    whole = calls(("ping", {}), content="I will")
    broken = raw(*whole.events[:-1], done=False, then=then)
    async with scripted(broken) as (client, _):
        messages = question()
        with pytest.raises(IncompleteStreamError):
            await turn(client, messages)
    assert_valid(messages)
    assert [(message["role"], message["content"]) for message in messages] == [("user", "?"), ("assistant", "I will")]


async def test_an_answer_that_never_began_adds_nothing() -> None:
    async with scripted(status(400)) as (client, _):
        messages = question()
        with pytest.raises(InferenceError):
            await turn(client, messages)
    assert messages == [{"role": "user", "content": "?"}]


SCRIPTS: dict[str, Callable[[], Turn]] = {
    "text": lambda: text("a", "b", "c"),
    "calls": lambda: calls(("meet", {"place": "x", "party": 2, "say": "1"}), ("echo", {"text": "2"}), content="now"),
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_leaving_after_any_item_leaves_a_valid_history(script: str) -> None:
    """Also before the generator is closed: nobody is made to close it."""
    with OpenAIServer(lambda request: SCRIPTS[script]()) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
            await client.add_mcp_server(**desk_server())
            for count in range(1, 9):
                messages = question()
                items = client.process_single_turn_with_tools(messages)
                meeting = asyncio.create_task(client.call_tool("meet", {"place": "x", "party": 2, "say": "me"}))
                taken = 0
                async for _ in items:
                    taken += 1
                    assert_valid(messages)
                    if taken == count:
                        break
                assert_valid(messages)
                messages.append({"role": "user", "content": "next"})
                await items.aclose()
                assert_valid(messages)
                assert messages[-1] == {"role": "user", "content": "next"}
                meeting.cancel()
                await asyncio.wait({meeting})


@pytest.mark.parametrize("script", ["text", "calls"])
async def test_a_turn_can_be_cancelled_wherever_it_waits(script: str) -> None:
    turns = {"text": text("a", "b", "c"), "calls": calls(("ping", {}), ("ping", {}), content="now")}
    with OpenAIServer([turns[script]]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
            await client.add_mcp_server(**bad_server("well_behaved", name="s"))
            finished = 0
            for waits in range(60):
                messages = question()
                running = asyncio.create_task(cancelled_at(waits, turn(client, messages)))
                await asyncio.wait({running})
                assert_valid(messages)
                finished += not running.cancelled()
                if finished == 3:
                    break
            assert finished == 3
            assert client.connections["s"].state == "ready"
            assert (await client.call_tool("ping")).text == "pong"


async def test_cancelling_while_tools_run_cancels_them_at_the_server() -> None:
    script = calls(("echo", {"text": "quick"}), ("wait", {"place": "x"}), content="now")
    async with scripted(script, server=desk_server()) as (client, _):
        messages = question()
        running = asyncio.create_task(turn(client, messages))
        await client.call_tool("is_waiting", {"place": "x"})
        while messages[2]["content"] != "quick":
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert_valid(messages)
        assert messages[2]["content"] == "quick"
        assert messages[3]["content"].startswith("Error: this call was interrupted")
        assert (await client.call_tool("was_cancelled", {"place": "x"})).text == "yes"


async def test_results_that_were_there_already_are_kept_when_a_turn_is_left() -> None:
    script = calls(("wait", {"place": "x"}), ("echo", {"text": "quick"}))
    async with scripted(script, server=desk_server()) as (client, _):
        messages = question()
        running = asyncio.create_task(turn(client, messages))
        await client.call_tool("is_waiting", {"place": "x"})
        for _ in range(5):  # one after the other, and all after the turn's own
            await client.call_tool("echo", {"text": "x"})
        running.cancel()
        await asyncio.wait({running})
        assert_valid(messages)
        assert messages[2]["content"].startswith("Error: this call was interrupted")
        assert messages[3]["content"] == "quick"


# ---------------------------------------------------------------- clients


async def test_nothing_that_says_which_model_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"model=, base_url=, provider='local' or client="):
        MCPClient()
    with pytest.raises(UsageError, match="tool_timeout must be more than 0 seconds"):
        MCPClient(model="m", tool_timeout=0)


async def test_an_inference_client_of_the_callers_own_is_used_and_left_open() -> None:
    with OpenAIServer([text("Hi")]) as model:
        async with asyncio.timeout(30), AsyncInferenceClient(base_url=model.url) as own:
            async with MCPClient(client=own, model="mine") as client:
                assert shown(await turn(client, question())) == "Hi"
            answer = await own.chat_completion([{"role": "user", "content": "still there?"}], model="mine")
            assert answer.choices[0].message.content == "Hi"
    assert [chat["model"] for chat in model.chats] == ["mine", "mine"]


async def test_a_client_that_was_closed_asks_no_model() -> None:
    with OpenAIServer([text("Hi!")]) as model:
        client = MCPClient(base_url=model.url, model="m")
        messages: list[Message] = [{"role": "user", "content": "Hi"}]
        begun = client.process_single_turn_with_tools(messages)
        await client.cleanup()
        for turn in (begun, client.process_single_turn_with_tools(messages)):
            with pytest.raises(UsageError, match="this MCPClient has been closed .* make a new one"):
                await anext(turn)
        with pytest.raises(UsageError, match="has been closed"):
            client.add_tool(print, name="say", description="Says it.")
        assert messages == [{"role": "user", "content": "Hi"}]
        assert model.requests == []
