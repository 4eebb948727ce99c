"""Any MCP tool gets a name that models accept; it is unique, stays, and leads back to the tool."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tiny_agents.inference.types.chat import ChatCompletionInputTool
from tiny_agents.mcp_client.tools.pinning import ToolPrint
from tiny_agents.mcp_client.tools.table import (
    MAX_DESCRIPTION_CHARS,
    OWN_TOOLS,
    RESERVED_NAMES,
    ServerTool,
    ToolFilter,
    ToolTable,
    legal_name,
    object_schema,
    read_tool,
    refreshed,
    select,
)

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")

TOOL_NAMES = st.one_of(
    st.sampled_from(
        ["search", "files.read", "files_read", "a__b", "b", "task_complete", "x" * 64, "x" * 65, "", "ü", "й"]
    ),
    st.text(max_size=80),
)
SERVER_NAMES = st.one_of(
    st.sampled_from(["a", "a__b", "host.example:80", "ü", "x" * 80]), st.text(min_size=1, max_size=80)
)
SERVERS = st.lists(st.tuples(SERVER_NAMES, st.lists(TOOL_NAMES, max_size=8)), max_size=5)


def tools(*names: str) -> list[ServerTool]:
    return [ServerTool(name) for name in names]


def names(table: ToolTable) -> list[str]:
    return [offer.name for offer in table.offers()]


def test_names_of_tools_that_are_gone_are_kept_but_not_without_end() -> None:
    table = ToolTable()
    for number in range(30):
        table.put("busy", tools(*(f"tool_{number}_{each}" for each in range(1_000))))
    assert table.was("tool_28_999") == ("busy", "tool_28_999")
    assert table.was("tool_1_0") is None
    assert len(table.offers()) == 1_000


@pytest.mark.parametrize("name", sorted(OWN_TOOLS))
def test_no_server_gets_the_name_of_a_tool_of_ours(name: str) -> None:
    table = ToolTable()
    table.put("sly", tools(name))
    table.put("function", tools(name), entitled=OWN_TOOLS)
    assert names(table) == [f"sly__{name}", name]
    offer = table.find(name)
    assert offer is not None
    assert offer.server == "function"


@given(SERVERS)
def test_names_are_legal_unique_and_lead_back(servers: list[tuple[str, list[str]]]) -> None:
    table = ToolTable()
    for server, offered in servers:
        table.put(server, tools(*offered))
    given_names = names(table)
    assert len(set(given_names)) == len(given_names)
    assert not RESERVED_NAMES.intersection(given_names)
    last = dict(servers)
    expected = {(server, tool) for server, offered in last.items() for tool in offered}
    assert {(offer.server, offer.tool.name) for offer in table.offers()} == expected
    for name in given_names:
        assert LEGAL.fullmatch(name)
        found = table.find(name)
        assert found is not None
        assert found.name == name


@given(SERVERS, SERVERS)
def test_a_name_that_was_given_never_changes(
    before: list[tuple[str, list[str]]], after: list[tuple[str, list[str]]]
) -> None:
    table = ToolTable()
    for server, offered in before:
        table.put(server, tools(*offered))
    first = {(offer.server, offer.tool.name): offer.name for offer in table.offers()}
    for server, offered in after:
        table.put(server, tools(*offered))
    for offer in table.offers():
        assert first.get((offer.server, offer.tool.name), offer.name) == offer.name


@given(SERVERS)
def test_names_depend_on_nothing_but_the_order_of_the_servers(servers: list[tuple[str, list[str]]]) -> None:
    one, other = ToolTable(), ToolTable()
    for server, offered in servers:
        one.put(server, tools(*offered))
        other.put(server, tools(*offered))
    assert names(one) == names(other)


def test_a_legal_name_is_kept_and_only_the_later_of_two_is_qualified() -> None:
    table = ToolTable()
    table.put("docs", tools("search", "open"))
    table.put("web", tools("search", "fetch"))
    table.put("more-web", tools("search"))
    assert names(table) == ["search", "open", "web__search", "fetch", "more-web__search"]


def test_a_prefix_begins_all_names_of_a_server_also_where_they_are_free() -> None:
    table = ToolTable()
    table.put("github.com", tools("search", "task_complete"), prefix="gh")
    table.put("web", tools("search"))
    table.put("other.server", tools("search"), prefix="other.server")
    table.put("again", tools("search"), prefix="gh")

    assert names(table) == ["gh__search", "gh__task_complete", "search", "other_server__search", "gh__search_2"]
    found = table.find("gh__search")
    assert found is not None
    assert found.server == "github.com"


def test_illegal_characters_are_replaced_and_a_legal_name_goes_before() -> None:
    table = ToolTable()
    table.put("disk", tools("files.read", "files_read", "files/read"))
    assert names(table) == ["disk__files_read", "files_read", "disk__files_read_2"]
    found = table.find("disk__files_read")
    assert found is not None
    assert found.tool.name == "files.read"


def test_names_of_the_agents_own_tools_are_left_free() -> None:
    table = ToolTable()
    table.put("todo", tools("task_complete", "ask_question", "add"))
    assert names(table) == ["todo__task_complete", "todo__ask_question", "add"]


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("read", "read"),
        ("x" * 64, "x" * 64),
        ("a b/c.d", "a_b_c_d"),
        ("naïve", "na_ve"),
    ],
)
def test_legal_names(name: str, legal: str) -> None:
    assert legal_name(name) == legal


@pytest.mark.parametrize("name", ["x" * 65, "x" * 128, "поиск", "", "..."])
def test_a_name_that_is_cut_or_unreadable_ends_in_a_hash(name: str) -> None:
    assert LEGAL.fullmatch(legal_name(name))
    assert re.search(r"_[0-9a-f]{8}$", legal_name(name))
    assert legal_name(name) != legal_name(name + "y")


def test_a_tool_is_found_by_its_servers_name_if_only_one_has_it() -> None:
    table = ToolTable()
    table.put("a", tools("files.read", "x.y"))
    table.put("b", tools("x.y"))
    found = table.find("files.read")
    assert found is not None
    assert found.name == "files_read"
    assert table.find("x.y") is None
    assert table.find("nothing") is None


def test_a_removed_server_frees_its_names() -> None:
    table = ToolTable()
    table.put("a", tools("search"))
    table.put("b", tools("search"))
    table.remove("a")
    table.put("c", tools("search"))
    assert names(table) == ["b__search", "search"]


def test_ten_thousand_tools_are_named_at_once() -> None:
    table = ToolTable()
    table.put("big", tools(*(f"tool.{number}" for number in range(10_000))))
    table.put("same", tools(*(f"tool.{number}" for number in range(10_000))))
    assert len(set(names(table))) == 20_000


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"type": None, "properties": []}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}, "required": ["a"]}, {"type": "object", "properties": {"a": {}}, "required": ["a"]}),
        ({"anyOf": [{}]}, {"anyOf": [{}], "type": "object", "properties": {}}),
    ],
)
def test_every_schema_is_an_object_with_properties(schema: object, expected: object) -> None:
    assert object_schema(schema) == expected


def test_a_listed_tool_is_read_with_its_hints() -> None:
    tool = read_tool(
        {
            "name": "get",
            "description": "Gets.\U000e0041 \x1b[31mNow\x1b[0m",
            "inputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": True, "idempotentHint": None},
        }
    )
    expected = ServerTool("get", "Gets. Now", {"type": "object", "properties": {}}, read_only=True)
    assert replace(tool, print=ToolPrint()) == expected
    assert (tool.destructive, tool.open_world) == (None, None)
    assert tool.repeatable
    assert not ServerTool("set").repeatable
    assert read_tool({"name": "x", "title": "A title", "annotations": None}).description == "A title"
    assert read_tool({"name": "x", "annotations": {"readOnlyHint": "yes"}}).read_only is False


def test_a_description_is_bounded() -> None:
    description = read_tool({"name": "x", "description": "d" * 1_000_000}).description
    assert description is not None
    assert len(description) < MAX_DESCRIPTION_CHARS + 100
    assert "of 1,000,000 characters" in description


@pytest.mark.parametrize(
    ("chosen", "kept", "idle"),
    [
        (ToolFilter(), ["a", "b_x", "c_x"], []),
        (ToolFilter(names=("c_x", "x", "a")), ["a", "c_x"], ["'x' (allowed_tools)"]),
        (ToolFilter(names=()), [], []),
        (ToolFilter(names=("*_x",)), [], ["'*_x' (allowed_tools)"]),
        (ToolFilter(allow=("*_x",)), ["b_x", "c_x"], []),
        (ToolFilter(allow=("[ab]*", "z?")), ["a", "b_x"], ["'z?' (tools.allow)"]),
        (ToolFilter(allow=()), [], []),
        (ToolFilter(allow=("*_X",)), [], ["'*_X' (tools.allow)"]),
        (ToolFilter(deny=("b*", "rm_*")), ["a", "c_x"], ["'rm_*' (tools.deny)"]),
        (ToolFilter(names=("a", "b_x"), deny=("*_x",)), ["a"], []),
        (ToolFilter(allow=("*_x",), deny=("c_*",)), ["b_x"], []),
    ],
)
def test_names_and_patterns_choose_tools_and_what_fits_none_is_named(
    chosen: ToolFilter, kept: list[str], idle: list[str]
) -> None:
    selected, unused = select(tools("a", "b_x", "c_x"), chosen)
    assert [tool.name for tool in selected] == kept
    assert unused == idle


def test_a_refreshed_list_keeps_what_its_owner_did() -> None:
    def definition(name: str, description: str = "") -> ChatCompletionInputTool:
        function = {"name": name, "description": description}
        return ChatCompletionInputTool.parse_obj_as_instance({"function": function})

    mine = definition("mine")
    current = [mine, definition("stays"), definition("goes")]  # the owner took "unwanted" out
    now = [definition("stays", "new"), definition("unwanted"), definition("comes")]
    result = refreshed(current, {"stays", "goes", "unwanted"}, now)
    assert [(tool.function.name, tool.function.description) for tool in result] == [
        ("mine", ""),
        ("stays", "new"),
        ("comes", ""),
    ]


def test_texts_in_a_schema_hide_nothing_and_are_bounded_while_names_and_values_stay() -> None:
    hidden = "Where.\U000e0049\x1b[2J\u202e"
    schema = {
        "type": "object",
        "description": hidden,
        "properties": {
            "enum": {"type": "string", "description": hidden, "enum": [hidden], "default": hidden},
            "a\u202e": {"anyOf": [{"title": hidden}, {"description": "x" * 100_000}]},
            "description": {"type": "string"},
        },
        "required": ["a\u202e"],
    }
    read = read_tool({"name": "t", "inputSchema": schema}).parameters
    assert read["description"] == "Where."
    assert read["properties"]["enum"] == {**schema["properties"]["enum"], "description": "Where."}
    first, second = read["properties"]["a\u202e"]["anyOf"]
    assert first == {"title": "Where."}
    assert len(second["description"]) < 9_000
    assert read["properties"]["description"] == {"type": "string"}
    assert read["required"] == ["a\u202e"]
