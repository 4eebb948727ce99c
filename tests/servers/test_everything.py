"""The reference server with everything of the protocol in it, over its three transports, through our public API only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.servers.installed import needs_node
from tests.support.hosts import RecordingHost
from tests.support.mcp_servers import no_model
from tests.support.openai_server import calls, text
from tiny_agents import (
    FormRequest,
    ListChanged,
    MCPClient,
    ResourceUpdated,
    SamplingRequest,
    ServerLog,
    ToolProgress,
    UrlRequest,
    UsageError,
)
from tiny_agents.mcp_client.transports import pages

pytestmark = [pytest.mark.anyio, pytest.mark.integration, needs_node]

PLAIN = {
    "echo",
    "get-annotated-message",
    "get-env",
    "get-resource-links",
    "get-resource-reference",
    "get-structured-content",
    "get-sum",
    "get-tiny-image",
    "gzip-file-as-resource",
    "toggle-simulated-logging",
    "toggle-subscriber-updates",
    "trigger-long-running-operation",
}
ASKING = {
    "get-roots-list": "roots",
    "trigger-sampling-request": "sampling",
    "trigger-elicitation-request": "elicitation",
    "trigger-url-elicitation": "elicitation",
}


def names(client: MCPClient) -> set[str]:
    return {tool.function.name for tool in client.available_tools}


async def until_offered(client: MCPClient, wanted: set[str]) -> None:
    """The server adds tools after it has seen what we serve, and says so."""
    while not wanted <= names(client):
        await asyncio.sleep(0.01)


async def test_every_kind_of_result(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        assert names(client) >= PLAIN
        assert (await client.call_tool("echo", {"message": "grüße 😀"})).text == "Echo: grüße 😀"
        assert (await client.call_tool("get-sum", {"a": 1, "b": 2})).text == "The sum of 1 and 2 is 3."
        wrong = await client.call_tool("get-sum", {"a": "one"})
        assert wrong.is_error
        assert "expected number" in wrong.text

        structured = await client.call_tool("get-structured-content", {"location": "New York"})
        assert structured.structured_content == {"temperature": 33, "conditions": "Cloudy", "humidity": 82}
        assert structured.text == '{"temperature":33,"conditions":"Cloudy","humidity":82}'

        image = await client.call_tool("get-tiny-image")
        assert [block["type"] for block in image.content] == ["text", "image", "text"]
        assert "[Binary Content: Image image/png, 4033 bytes]" in image.text
        annotated = await client.call_tool("get-annotated-message", {"messageType": "error", "includeImage": True})
        assert annotated.content[0]["annotations"] == {"priority": 1, "audience": ["user", "assistant"]}

        links = await client.call_tool("get-resource-links", {"count": 2})
        assert "[Resource link 'Text Resource 2' (demo://resource/dynamic/text/2, text/plain)" in links.text
        embedded = await client.call_tool("get-resource-reference", {"resourceType": "Text", "resourceId": 7})
        assert "Resource 7: This is a plaintext resource" in embedded.text
        data = {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}
        zipped = await client.call_tool("gzip-file-as-resource", data)
        assert zipped.text.startswith("[Binary Content (demo://resource/session/a.gz): application/gzip, ")


async def test_an_image_reaches_the_model(everything_server: dict[str, Any], serve: Any) -> None:
    model = serve(calls(("get-tiny-image", {})), text("a logo"))
    async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
        await client.add_mcp_server(**everything_server)
        messages: list[Any] = [{"role": "user", "content": "Show me."}]
        for _ in range(2):
            async for _item in client.process_single_turn_with_tools(messages):
                pass
    shown = [part for part in model.chats[1]["messages"][-1]["content"] if part["type"] == "image_url"]
    assert len(shown) == 1
    assert shown[0]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


async def test_progress_and_logs_are_seen(everything_server: dict[str, Any], serve: Any) -> None:
    long, loud = "trigger-long-running-operation", "toggle-simulated-logging"
    first = iter([calls((long, {"duration": 0.3, "steps": 3}), (loud, {}))])
    model = serve(lambda request: next(first, None) or calls((long, {"duration": 6, "steps": 1})))
    async with asyncio.timeout(90), MCPClient(base_url=model.url, model="m") as client:
        await client.add_mcp_server(**everything_server)
        messages: list[Any] = [{"role": "user", "content": "Work."}]
        seen = [item async for item in client.process_single_turn_with_tools(messages, events=True)]
        progress = [(item.tool, item.done, item.total) for item in seen if isinstance(item, ToolProgress)]
        assert progress == [(long, 1, 3), (long, 2, 3), (long, 3, 3)]
        while not any(isinstance(item, ServerLog) and "level message" in str(item.data) for item in seen):
            # The first log may come after the result of the call that asked for logs; then there is one every 5 s.
            seen += [item async for item in client.process_single_turn_with_tools(messages, events=True)]
        await client.call_tool(loud, {})  # stops the logging again


async def test_what_it_asks_is_answered(everything_server: dict[str, Any], serve: Any, tmp_path: Path) -> None:
    model = serve(text("a poem"))
    host = RecordingHost(content={"name": "Ada", "check": True}, folders=[tmp_path])
    async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", host=host) as client:
        await client.add_mcp_server(**everything_server)
        await until_offered(client, set(ASKING))

        roots = await client.call_tool("get-roots-list")
        assert tmp_path.as_uri() in roots.text

        sampled = await client.call_tool("trigger-sampling-request", {"prompt": "Rhyme", "maxTokens": 20})
        assert '"text": "a poem"' in sampled.text
        assert model.chats[0]["max_tokens"] == 20
        assert "Rhyme" in model.chats[0]["messages"][-1]["content"]

        form = await client.call_tool("trigger-elicitation-request")
        assert "- Name: Ada" in form.text
        assert "- Favorite Integer: 42" in form.text  # a default of the form
        page = {"url": "https://example.com/x", "elicitationId": "e", "message": "Log in"}
        assert '"action": "accept"' in (await client.call_tool("trigger-url-elicitation", page)).text
    kinds = [type(request) for request in host.asked if request != "roots"]
    assert kinds == [SamplingRequest, FormRequest, UrlRequest]


async def test_a_page_that_it_needs_first_is_asked_for_and_the_call_made_again(
    everything_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_DONE_S", 0.2)  # this server doesn't say when a page is done
    host = RecordingHost()
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**everything_server)
        await until_offered(client, {"trigger-url-elicitation"})
        page = {"url": "https://example.com/x", "elicitationId": "first", "message": "Log in", "errorPath": True}
        assert not (await client.call_tool("trigger-url-elicitation", page)).is_error
    assert [request.url for request in host.asked if isinstance(request, UrlRequest)] == [
        "https://modelcontextprotocol.io",
        "https://example.com/x",
    ]


async def test_resources_are_listed_read_and_followed(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        documents = [resource.uri for resource in await client.list_resources()]
        assert "demo://resource/static/document/features.md" in documents
        (document,) = await client.read_resource("demo://resource/static/document/features.md")
        assert "# Everything Server - Features" in (document.text or "")
        templates = {template.uri_template for template in await client.list_resource_templates()}
        assert "demo://resource/dynamic/text/{resourceId}" in templates
        (text_part,) = await client.read_resource("demo://resource/dynamic/text/3")
        assert "Resource 3: This is a plaintext resource" in (text_part.text or "")
        (blob_part,) = await client.read_resource("demo://resource/dynamic/blob/3")
        assert blob_part.data is not None

        with client.events() as events:
            await client.subscribe_resource("demo://resource/dynamic/text/3")
            await client.call_tool("toggle-subscriber-updates")
            async for event in events:
                if isinstance(event, ResourceUpdated):
                    break
            assert event.uri == "demo://resource/dynamic/text/3"
            await client.call_tool("toggle-subscriber-updates")


async def test_a_resource_that_a_call_makes_is_listed(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        with client.events() as events:
            await client.call_tool("gzip-file-as-resource", {"name": "new.gz", "data": "data:text/plain,hello"})
            async for event in events:
                if isinstance(event, ListChanged) and event.of == "resources":
                    break
        assert "demo://resource/session/new.gz" in [resource.uri for resource in await client.list_resources()]


async def test_prompts_are_filled_in_and_completed(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        prompts = {prompt.name: prompt for prompt in await client.list_prompts()}
        assert set(prompts) >= {"simple-prompt", "args-prompt", "completable-prompt", "resource-prompt"}
        filled = await client.get_prompt("args-prompt", {"city": "Tōkyō"})
        assert "Tōkyō" in str(filled.messages[0].content)
        embedded = await client.get_prompt("resource-prompt", {"resourceType": "Text", "resourceId": "1"})
        assert "This is a plaintext resource" in str([message.content for message in embedded.messages])
        completed = await client.complete(prompts["completable-prompt"], "department", "E")
        assert completed.values == ("Engineering",)
        with pytest.raises(UsageError, match="city"):
            await client.get_prompt("args-prompt")


async def test_a_refusal_is_told_and_nothing_waits(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model(host=RecordingHost(allow=False)) as client:
        await client.add_mcp_server(**everything_server)
        await until_offered(client, set(ASKING))
        assert "User declined" in (await client.call_tool("trigger-elicitation-request")).text
        sampled = await client.call_tool("trigger-sampling-request", {"prompt": "Rhyme"})
        assert sampled.is_error
        assert "the user refused the sampling request" in sampled.text


async def test_it_is_told_only_of_what_is_served(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        assert (await client.call_tool("echo", {"message": "settled"})).text == "Echo: settled"
        assert not names(client) & set(ASKING)


async def test_a_cancelled_call_leaves_it_usable(everything_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        long = asyncio.create_task(client.call_tool("trigger-long-running-operation", {"duration": 30, "steps": 300}))
        await asyncio.sleep(0)
        assert (await client.call_tool("echo", {"message": "meanwhile"})).text == "Echo: meanwhile"
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        assert (await client.call_tool("echo", {"message": "after"})).text == "Echo: after"


async def test_resources_and_prompts(everything_server: dict[str, Any]) -> None:
    two = "demo://resource/dynamic/text/2"
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**everything_server)
        server = everything_server["name"]
        assert "demo://resource/static/document/features.md" in {one.uri for one in await client.list_resources()}
        template = next(one for one in await client.list_resource_templates() if one.fits(two))
        assert template.variables == ("resourceId",)
        assert (await client.complete(template, "resourceId", "7")).values == ("7",)
        (read,) = await client.read_resource(two)
        assert read.text is not None
        assert read.text.startswith("Resource 2: This is a plaintext resource")
        (blob,) = await client.read_resource("demo://resource/dynamic/blob/2")
        assert blob.data is not None
        assert blob.data.startswith(b"Resource 2: This is a base64 blob")
        with client.events() as events:
            await client.subscribe_resource(two)
            await client.call_tool("toggle-subscriber-updates")
            async for event in events:
                if isinstance(event, ResourceUpdated):
                    break
            assert event == ResourceUpdated(server, two)
            await client.unsubscribe_resource(two)

        prompts = {prompt.name: prompt for prompt in await client.list_prompts()}
        assert [(a.name, a.required) for a in prompts["args-prompt"].arguments] == [("city", True), ("state", False)]
        department = await client.complete(prompts["completable-prompt"], "department", "E")
        assert department.values == ("Engineering",)
        head = await client.complete(prompts["completable-prompt"], "name", known={"department": "Engineering"})
        assert "Alice" in head.values
        with pytest.raises(UsageError, match="needs 'city'"):
            await client.get_prompt("args-prompt")
        filled = await client.get_prompt("resource-prompt", {"resourceType": "Text", "resourceId": "2"})
        assert [message.role for message in filled.messages] == ["user", "user"]
        assert str(filled.messages[1].content).startswith(f"[Resource {two}]\nResource 2: ")
        assert "Everything Server" in (client.connections[server].instructions or "")
