"""Whatever a server sends, mending it raises nothing, and what comes out can be read by the SDK's own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.mcp_client.connection.watch import Watch
from tiny_agents.mcp_client.transports.bounds import READ_DEPTH, too_deep
from tiny_agents.mcp_client.transports.framing import read_message
from tiny_agents.mcp_client.transports.mended import MAX_ASKED, Traffic

METHODS = ["initialize", "server/discover", "tools/list", "tools/call", "prompts/list", "resources/read", "ping"]
NAMES = [
    "tools",
    "name",
    "inputSchema",
    "outputSchema",
    "type",
    "object",
    "properties",
    "required",
    "title",
    "description",
    "annotations",
    "_meta",
    "icons",
    "nextCursor",
    "content",
    "text",
    "structuredContent",
    "isError",
    "toolResult",
    "image",
    "data",
    "mimeType",
    "resource",
    "uri",
    "blob",
    "resource_link",
    "protocolVersion",
    "capabilities",
    "serverInfo",
    "version",
    "instructions",
    "listChanged",
    "experimental",
    "ttlMs",
    "cacheScope",
    "resultType",
    "supportedVersions",
    "audience",
    "priority",
    "progressToken",
    "progress",
    "total",
    "message",
    "requestId",
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([*NAMES, "complete", "user", "text"])
    | st.text(max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def sent(message: Any) -> Any:
    return read_message(json.dumps(message).encode(), Watch(on_lost=lambda: None))


@pytest.mark.hypothesis
@given(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(NAMES), values, max_size=6))
def test_any_result_of_any_request_is_mended_or_left_alone(method: str, result: dict[str, Any]) -> None:
    from mcp_types import CallToolResult, InitializeResult, ListToolsResult

    traffic = Traffic("s")
    traffic.sent(sent({"jsonrpc": "2.0", "id": 1, "method": method}))
    answer = sent({"jsonrpc": "2.0", "id": 1, "result": result})
    assert answer is not None
    assert traffic.arrived(answer)
    if method == "initialize" and "protocolVersion" in result:
        InitializeResult.model_validate(answer["result"], by_name=False)
    if method == "tools/list" and isinstance(result.get("tools"), list):
        ListToolsResult.model_validate(answer["result"], by_name=False)
    if (
        method == "tools/call"
        and isinstance(result.get("content"), list)
        and answer["result"]["resultType"] == "complete"
    ):
        CallToolResult.model_validate(answer["result"], by_name=False)


@pytest.mark.hypothesis
@given(st.dictionaries(st.sampled_from(["id", "method", "params", "result", "error", "jsonrpc"]), values, max_size=5))
def test_any_message_is_read_or_is_noise(message: dict[str, Any]) -> None:
    traffic = Traffic("s")
    if (read := sent({"jsonrpc": "2.0", **message})) is not None:
        traffic.arrived(read)
    sent(message)


@pytest.mark.hypothesis
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_are_noise(data: bytes) -> None:
    watch = Watch(on_lost=lambda: None)
    read_message(data, watch)
    read_message(b'{"id": 1, "result": ' + data, watch)


def test_requests_are_dropped_while_nobody_takes_answers_and_heard_again_afterwards() -> None:
    traffic = Traffic("s")
    asked = [sent({"jsonrpc": "2.0", "id": number, "method": "ping"}) for number in range(MAX_ASKED + 1)]
    assert all(traffic.arrived(request) for request in asked[:-1])
    assert not traffic.arrived(asked[-1])
    traffic.sent(sent({"jsonrpc": "2.0", "id": 0, "result": {}}))
    assert traffic.arrived(asked[-1])
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert traffic.arrived(sent(cancelled))
    assert traffic.arrived(sent({"jsonrpc": "2.0", "id": "new", "method": "ping"}))


OPTIONAL = ["title", "description", "outputSchema", "annotations", "icons", "execution", "_meta", "size", "mimeType"]
HINTS = st.dictionaries(st.sampled_from(["title", "readOnlyHint", "src", "sizes", "taskSupport", "priority"]), scalars)
odd = values | HINTS | st.lists(HINTS, max_size=2)


@pytest.mark.hypothesis
@given(st.dictionaries(st.sampled_from(OPTIONAL), odd, max_size=4))
def test_no_option_of_a_tool_costs_the_list(options: dict[str, Any]) -> None:
    from mcp_types import ListToolsResult

    traffic = Traffic("s")
    traffic.sent(sent({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))
    tools = [{**options, "name": "a", "inputSchema": {"type": "object"}}, {"name": "b", "inputSchema": {}}]
    answer = sent({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}})
    assert traffic.arrived(answer)
    listed = ListToolsResult.model_validate(answer["result"], by_name=False)
    assert [tool.name for tool in listed.tools] == ["a", "b"]


PARTS = [
    {"type": "text", "text": "x"},
    {"type": "image", "data": "aGk=", "mimeType": "image/png"},
    {"type": "resource_link", "uri": "x:", "name": "x"},
    {"type": "resource", "resource": {"uri": "x:", "text": "x"}},
]


@pytest.mark.hypothesis
@given(st.sampled_from(PARTS), st.dictionaries(st.sampled_from(OPTIONAL), odd, max_size=4))
def test_no_option_of_a_part_costs_the_answer(part: dict[str, Any], options: dict[str, Any]) -> None:
    from mcp_types import CallToolResult

    traffic = Traffic("s")
    traffic.sent(sent({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}))
    answer = sent({"jsonrpc": "2.0", "id": 1, "result": {"content": [{**options, **part}, PARTS[0]]}})
    assert traffic.arrived(answer)
    assert len(CallToolResult.model_validate(answer["result"], by_name=False).content) == 2


@pytest.mark.parametrize("depth", [150, 300, 900, 100_000])
def test_what_is_nested_without_end_is_read_as_far_as_it_is_of_use(depth: int) -> None:
    data = b"[" * depth + b"]" * depth
    watch = Watch(on_lost=lambda: None)
    for said in (
        b'"id":1,"error":{"code":1,"message":"m","data":%s}',
        b'"method":"notifications/message","params":{"data":%s}',
    ):
        message = read_message(b'{"jsonrpc":"2.0",' + said % data + b"}", watch)
        assert message is not None
        assert not too_deep(message, READ_DEPTH + 1)
        assert Traffic("s", ["secret"]).arrived(message)
