"""Tools on offer: what was found for one turn holds for the next, until somebody may have changed it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tiny_agents import ChatCompletionInputTool
from tiny_agents.inference.encoding import Remembered, Settled, Written, encode_json
from tiny_agents.inference.types.chat import ChatCompletionInputFunctionDefinition
from tiny_agents.mcp_client.tools.functions import Functions
from tiny_agents.mcp_client.tools.shelf import Shelf
from tiny_agents.mcp_client.tools.table import ServerTool


def listed(*names: str) -> tuple[ServerTool, ...]:
    return tuple(ServerTool(name, f"Does {name}.", {"type": "object", "properties": {}}) for name in names)


def a_tool(name: str) -> ChatCompletionInputTool:
    return ChatCompletionInputTool(function=ChatCompletionInputFunctionDefinition(name=name))


@pytest.fixture
def server() -> Any:
    return SimpleNamespace(tools=listed("look", "take"))


@pytest.fixture
def shelf(server: Any) -> Shelf:
    return Shelf({"s": server}, Functions(tool_timeout_s=1))


EXITS = [a_tool("task_complete")]


def names(shelf: Shelf, exits: list[Any] = EXITS) -> list[str]:
    return [tool.function.name for tool in shelf.hand(exits).tools]


def test_the_same_tools_are_the_same_object_until_the_server_has_others(shelf: Shelf, server: Any) -> None:
    hand = shelf.hand(EXITS)
    assert hand is shelf.hand(list(EXITS))
    assert hand.settled
    server.tools = listed("look", "give")
    assert names(shelf) == ["task_complete", "look", "give"]
    assert hand.find("take") is not None, "a turn that has begun keeps its tools"
    assert shelf.hand(EXITS).find("take") is None


def rename(tools: list[Any]) -> None:
    tools[0].function.name = "glance"


def put_another_in_its_place(tools: list[Any]) -> None:
    tools[0] = a_tool("glance")


@pytest.mark.parametrize("change", [rename, put_another_in_its_place])
def test_what_the_user_does_to_the_list_holds_from_the_next_turn_on(shelf: Shelf, change: Any) -> None:
    before = shelf.hand(EXITS)
    tools = shelf.tools
    assert not shelf.hand(EXITS).settled, "from now on they can change"
    change(tools)
    assert names(shelf) == ["task_complete", "glance", "take"]
    assert shelf.hand(EXITS).offers["glance"] is None
    tools.clear()
    assert names(shelf) == ["task_complete"]
    assert before.settled


def test_a_tool_that_ends_the_turn_may_be_changed_at_any_time(shelf: Shelf) -> None:
    exits = [a_tool("done")]
    assert shelf.hand(exits) is shelf.hand(exits)
    exits[0].function.name = "look"
    assert names(shelf, exits) == ["look", "take"]
    exits[0].function.description = "Ends it."
    assert shelf.hand(exits).tools[0].function.description == "Ends it."
    strange: list[Any] = [{"type": "function", "function": {"name": "end", "parameters": object()}}]
    assert not shelf.hand(strange).settled, "whether it changes can't be told"


def test_another_list_is_for_one_conversation_and_follows_the_servers_by_itself(shelf: Shelf, server: Any) -> None:
    other = shelf.with_tools([tool for tool in shelf.tools if tool.function.name != "take"])
    assert (names(shelf), names(other)) == (["task_complete", "look", "take"], ["task_complete", "look"])
    server.tools = listed("look", "take", "give")
    assert names(other) == ["task_complete", "look", "give"], "what was left out stays out"
    assert names(shelf) == ["task_complete", "look", "take", "give"]


def test_what_nobody_can_change_is_written_once_and_anything_else_each_time() -> None:
    written, tools = Written(), [a_tool("look")]
    settled = Settled(tools)

    def sent(items: list[Any]) -> bytes:
        return encode_json({"tools": Remembered(items, written)})

    first = sent(settled)
    assert first == encode_json({"tools": tools})
    tools[0].function.name = "glance"  # which nobody is to do
    assert sent(settled) == first
    assert sent(tools) == sent(Settled(tools)) == encode_json({"tools": tools}) != first
    settled = Settled(tools)
    one = sent(settled)
    assert sent([*tools, a_tool("take")]) == encode_json({"tools": [*tools, a_tool("take")]})
    assert sent(settled) == one, "what came after it was no part of it"
