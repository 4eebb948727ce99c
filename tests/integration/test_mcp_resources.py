"""Resources and prompts of real servers, over every transport and in both protocols."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.server.caching import CacheHint
from mcp.server.mcpserver import MCPServer

from tests.support.busy_server import asking
from tests.support.library_server import PIXEL, build
from tests.support.mcp_servers import bad_server, library_server, no_model, remote_server
from tests.support.openai_server import OpenAIServer, text
from tiny_agents.errors import ServerConnectionError, ServerRefusedError, ServerTimeoutError, UsageError
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.connection.listing import MAX_ITEMS
from tiny_agents.mcp_client.events import EventStream, ListChanged, ResourceUpdated, ServerLost, ServerReturned
from tiny_agents.mcp_client.host.host import FormRequest
from tiny_agents.mcp_client.host.hosts import ScriptedHost
from tiny_agents.mcp_client.resources.prompts import Completion
from tiny_agents.mcp_client.resources.resources import ResourceContent

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture(scope="module")
def remote() -> Iterator[dict[str, dict[str, Any]]]:
    with remote_server("http", script="library_server") as http, remote_server("sse", script="library_server") as sse:
        yield {server.kind: server.parameters(name="library") for server in (http, sse)}


@pytest.fixture(params=["stdio-legacy", "stdio-auto", "http-legacy", "http-auto", "sse-legacy", "inprocess-auto"])
def server(request: pytest.FixtureRequest, remote: dict[str, dict[str, Any]]) -> dict[str, Any]:
    kind, _, protocol = request.param.partition("-")
    kinds = {
        **remote,
        "stdio": library_server(),
        "inprocess": {"type": "inprocess", "server": build(), "name": "library"},
    }
    return {**kinds[kind], "protocol": protocol}


@pytest.fixture(params=["legacy", "auto"])
def local(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"type": "inprocess", "server": build(), "name": "library", "protocol": request.param}


@asynccontextmanager
async def connected(*servers: dict[str, Any], **options: Any) -> AsyncIterator[MCPClient]:
    async with asyncio.timeout(60), no_model(**options) as client:
        for server in servers:
            await client.add_mcp_server(**server)
        yield client


async def event(events: EventStream, kind: type) -> Any:
    async for found in events:
        if isinstance(found, kind):
            return found
    raise AssertionError("no more events")


# ---------------------------------------------------------------- resources


async def test_resources_are_listed_read_and_followed_everywhere(server: dict[str, Any]) -> None:
    async with connected(server) as client:
        resources = await client.list_resources()
        assert [resource.uri for resource in resources] == ["book://moby-dick", "picture://pixel", "long://text"]
        moby = resources[0]
        assert (moby.server, moby.name, moby.mime_type) == ("library", "moby", "text/plain")
        assert (moby.title, moby.description) == ("Moby Dick", "A whale of a book.")
        (template,) = await client.list_resource_templates()
        assert (template.uri_template, template.variables) == ("shelf://{room}/{number}", ("room", "number"))

        assert await client.read_resource("book://moby-dick") == (
            ResourceContent("book://moby-dick", "text/plain", text="Call me Ishmael."),
        )
        (pixel,) = await client.read_resource("picture://pixel", "library")
        assert (pixel.mime_type, pixel.data) == ("image/png", base64.b64decode(PIXEL))
        (shelf,) = await client.read_resource("shelf://attic/3")
        assert shelf.text == "shelf 3 in attic"

        with client.events() as events:
            await client.subscribe_resource("book://moby-dick")
            await client.call_tool("rewrite", {"uri": "book://moby-dick"})
            assert await event(events, ResourceUpdated) == ResourceUpdated("library", "book://moby-dick")
            await client.call_tool("rearrange", {"what": "prompts"})
            assert await event(events, ListChanged) == ListChanged("library", "prompts")


async def test_what_is_no_longer_subscribed_to_is_not_told(local: dict[str, Any]) -> None:
    async with connected(local) as client:
        with client.events() as events:
            await client.subscribe_resource("book://moby-dick")
            await client.subscribe_resource("book://emma")
            await client.subscribe_resource("book://emma")
            await client.unsubscribe_resource("book://moby-dick")
            await client.unsubscribe_resource("book://never")
            await client.call_tool("rewrite", {"uri": "book://moby-dick"})
            await client.call_tool("rewrite", {"uri": "book://emma"})
            assert await event(events, ResourceUpdated) == ResourceUpdated("library", "book://emma")
            assert client.connections["library"].subscriptions == {"book://emma"}
            await client.unsubscribe_resource("book://emma")
            await client.call_tool("rewrite", {"uri": "book://emma"})
            await client.call_tool("rearrange", {"what": "resources"})
            assert await event(events, ListChanged | ResourceUpdated) == ListChanged("library", "resources")  # type: ignore[arg-type]


async def test_a_flood_of_changes_is_told_once_in_a_while(local: dict[str, Any]) -> None:
    async with connected(local) as client:
        with client.events() as events:
            for _ in range(200):
                await client.call_tool("rearrange", {"what": "resources"})
            await event(events, ListChanged)
            await client.cleanup()
            assert len([found async for found in events if isinstance(found, ListChanged)]) < 20


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
async def test_a_server_that_comes_back_is_subscribed_to_again(protocol: str) -> None:
    async with connected(library_server(protocol=protocol)) as client:
        await client.subscribe_resource("book://moby-dick")
        with pytest.raises(Exception, match="exited with status 3"):
            await client.call_tool("die")
        with client.events() as events:
            await client.call_tool("recall")
            missed = await event(events, ResourceUpdated)
            assert missed == ResourceUpdated("library", "book://moby-dick")
            await client.call_tool("rewrite", {"uri": "book://moby-dick"})
            assert await event(events, ResourceUpdated) == missed


async def test_a_server_that_comes_back_without_a_resource_is_subscribed_to_for_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = bad_server("subscribes_once", str(tmp_path / "mark"), name="bad")
    async with connected(server) as client:
        for uri in ("a:", "b:", "c:"):
            await client.subscribe_resource(uri)
        with pytest.raises(ServerConnectionError):
            await client.call_tool("leave")
        with client.events() as events:
            await client.call_tool("ping")
            assert {await event(events, ResourceUpdated), await event(events, ResourceUpdated)} == {
                ResourceUpdated("bad", "a:"),
                ResourceUpdated("bad", "c:"),
            }
        assert client.connections["bad"].subscriptions == {"a:", "c:"}
    assert "MCP server 'bad' no longer tells when b: changes: not any more" in caplog.text


async def test_reading_starts_a_server_that_was_lost() -> None:
    async with connected(library_server()) as client:
        with pytest.raises(Exception, match="exited with status 3"):
            await client.call_tool("die")
        (moby,) = await client.read_resource("book://moby-dick")
        assert moby.text == "Call me Ishmael."


async def test_what_a_server_refuses_is_an_error_that_names_it(local: dict[str, Any]) -> None:
    async with connected(local) as client:
        with pytest.raises(ServerRefusedError, match=r"MCP server 'library' refused to read 'book://none'") as caught:
            await client.read_resource("book://none")
        assert (caught.value.server, caught.value.code) == ("library", -32602)
        with pytest.raises(UsageError, match="there is no MCP server 'libary'; there are: library"):
            await client.read_resource("book://none", "libary")


async def test_a_subscription_that_is_refused_leaves_the_others() -> None:
    old = {"type": "inprocess", "server": build(), "name": "library", "protocol": "legacy"}
    async with connected(old) as client:
        await client.subscribe_resource("book://moby-dick")
        with pytest.raises(ServerRefusedError, match="refused to tell when picture://pixel changes"):
            await client.subscribe_resource("picture://pixel")
        assert client.connections["library"].subscriptions == {"book://moby-dick"}


async def test_a_list_without_an_end_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    async with connected({"type": "inprocess", "server": build(endless=True), "name": "library"}) as client:
        assert 1 <= len(await client.list_resources()) <= 2
    assert "MCP server 'library': its list of resources does not end" in caplog.text


async def test_a_list_is_kept_as_long_as_its_server_says() -> None:
    async with connected({"type": "inprocess", "server": build(ttl=True), "name": "library"}) as client:

        async def listings(of: str) -> int:
            return int(json.loads((await client.call_tool("recall")).text)[of])

        assert [prompt.name for prompt in await client.list_prompts()] == ["review", "hello"]
        await client.list_prompts("library")
        assert await listings("prompt listings") == 1
        with client.events() as events:
            await client.call_tool("rearrange", {"what": "prompts"})
            await event(events, ListChanged)
        await client.list_prompts()
        assert await listings("prompt listings") == 2
        await client.list_resources()
        await client.list_resources()
        assert await listings("listings") == 2 * 3, "a list that may not be kept is asked for anew, all its pages"


async def test_of_several_servers_the_one_that_lists_a_resource_is_asked() -> None:
    one = {"type": "inprocess", "server": build(), "name": "one"}
    other = build()
    other.resource("book://emma", name="emma")(lambda: "Emma Woodhouse")
    async with connected(one, {"type": "inprocess", "server": other, "name": "other"}) as client:
        (emma,) = await client.read_resource("book://emma")
        assert emma.text == "Emma Woodhouse"
        with pytest.raises(UsageError, match="several MCP servers list 'book://moby-dick'; .* one of: one, other"):
            await client.read_resource("book://moby-dick")
        with pytest.raises(UsageError, match="several MCP servers list 'shelf://a/b'"):
            await client.read_resource("shelf://a/b")
        with pytest.raises(UsageError, match="no MCP server lists 'x://y'; .* one of: one, other"):
            await client.subscribe_resource("x://y")
        assert len(await client.list_resources()) == 3 + 4


# ---------------------------------------------------------------- prompts


async def test_a_prompt_is_filled_in_and_ready_to_be_sent(server: dict[str, Any]) -> None:
    async with connected(server) as client:
        review, hello = await client.list_prompts()
        assert (review.title, review.description) == ("Review a book", "Ask for a review.")
        assert [(a.name, a.required) for a in review.arguments] == [("book", True), ("tone", False)]
        assert hello.arguments == ()
        filled = await client.get_prompt("review", {"book": "emma"})
        assert [(message.role, message.content) for message in filled.messages] == [
            ("user", "Review emma, and be kind."),
            ("user", "[Resource book://emma]\nCall me..."),
            ("user", [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}]),
            ("assistant", "Let me read."),
        ]
        assert await client.complete(review, "book", "m") == Completion(("moby-dick", "middlemarch"))
        (template,) = await client.list_resource_templates()
        assert await client.complete(template, "number", known={"room": "attic"}) == Completion(("attic-1",), 7, True)


async def test_a_model_without_eyes_reads_what_an_image_is(local: dict[str, Any]) -> None:
    async with connected(local, images=False) as client:
        filled = await client.get_prompt("review", {"book": "emma"})
    assert filled.messages[2].content == "[Binary Content: Image image/png, 70 bytes]"


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("review", {}, "the prompt 'review' of the MCP server 'library' needs 'book'"),
        ("review", {"bok": "x"}, "has no argument 'bok'; did you mean 'book'?"),
        ("hello", {"x": "y"}, "has no argument 'x'; it takes none"),
        ("review", {"book": 3}, "the argument 'book' of .* must be text, not int"),
        ("reviews", {}, "no MCP server offers the prompt 'reviews'; did you mean 'review'?"),
        ("xyz", {}, "no MCP server offers the prompt 'xyz'; there are: review, hello"),
    ],
)
async def test_a_prompt_that_is_asked_for_wrongly_is_told_so(name: str, arguments: Any, problem: str) -> None:
    async with connected({"type": "inprocess", "server": build(), "name": "library"}) as client:
        with pytest.raises(UsageError, match=problem):
            await client.get_prompt(name, arguments)
        review = (await client.list_prompts())[0]
        with pytest.raises(UsageError, match="the prompt 'review' has no argument 'title'; it has: book, tone"):
            await client.complete(review, "title")


async def test_without_completions_there_are_none() -> None:
    from tests.support.busy_server import server as busy

    busy.prompt(name="plain")(lambda subject: f"About {subject}")
    async with connected({"type": "inprocess", "server": busy, "name": "busy"}) as client:
        (plain,) = await client.list_prompts()
        assert await client.complete(plain, plain.arguments[0].name, "a") == Completion(())
        assert await client.list_resources() == []


@pytest.mark.parametrize("holds", [True, False])
async def test_tools_are_listed_again_when_their_time_is_over_and_nobody_would_say(
    holds: bool, serve: Callable[..., OpenAIServer]
) -> None:
    hints: Any = {"tools/list": CacheHint(ttl_ms=20)} if holds else None
    silent: MCPServer[Any] = MCPServer("silent", log_level="ERROR", cache_hints=hints, subscriptions=False)
    silent.add_tool(lambda: "a", name="first", description="A.")
    model = serve(text("Hi."))
    async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
        await client.add_mcp_server("inprocess", server=silent, name="silent")
        silent.add_tool(lambda: "b", name="second", description="B.")
        for _ in range(200 if holds else 5):
            async for _chunk in client.process_single_turn_with_tools([{"role": "user", "content": "Hi"}]):
                pass
            if len(client.available_tools) > 1:
                break
        assert [tool.function.name for tool in client.available_tools] == ["first", "second"][: 1 + holds]


# ---------------------------------------------------------------- bad servers


async def test_what_a_bad_server_answers_is_an_error_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    async with connected(bad_server("offers_bad_resources", name="bad", tool_timeout=60)) as client:
        for uri, problem in [
            ("nonsense:", "is not valid MCP: contents"),
            ("base64:", "its data is not valid base64"),
        ]:
            with pytest.raises(ServerRefusedError, match=f"MCP server 'bad' refused to read '{uri}': .*{problem}"):
                await client.read_resource(uri)
        with pytest.raises(ServerRefusedError, match="refused to list its resource templates: .* is not valid MCP"):
            await client.list_resource_templates("bad")
        assert await client.list_resource_templates() == [], "of all servers, one that fails is left out"
        assert "refused to list its resource templates" in caplog.text
        assert len(await client.list_resources()) == MAX_ITEMS
        assert "its list of resources does not end" in caplog.text
        with pytest.raises(ServerRefusedError, match="refused to fill in the prompt 'p'"):
            await client.get_prompt("p")
        (huge,) = await client.read_resource("huge:")
        assert len(huge.text or "") == 20_000_000
        assert client.connections["bad"].state == "ready"


async def test_a_server_that_never_answers_is_given_up_and_stays_usable() -> None:
    async with connected(bad_server("offers_bad_resources", name="bad", tool_timeout=1)) as client:
        with pytest.raises(ServerTimeoutError, match=r"'bad': no answer within 1 s .*; it was asked to read 'never:'"):
            await client.read_resource("never:")
        assert (await client.read_resource("fine:"))[0].text == "fine"


async def test_a_server_that_dies_of_reading_is_asked_twice_and_told() -> None:
    async with connected(bad_server("offers_bad_resources", name="bad")) as client:
        with client.events() as events:
            with pytest.raises(ServerConnectionError, match="exited with status 6 when it was asked to read 'die:'"):
                await client.read_resource("die:")
            assert (await client.read_resource("fine:"))[0].text == "fine"
            await client.cleanup()
            assert [type(e) for e in [e async for e in events]] == [ServerLost, ServerReturned] * 2


async def test_a_prompt_may_be_filled_in_in_several_rounds() -> None:
    host = ScriptedHost([{"color": "red"}])
    async with connected({"type": "inprocess", "server": asking, "name": "asking"}, host=host) as client:
        assert (await client.get_prompt("paint")).messages[0].content == "Paint it red."
        with pytest.raises(ServerRefusedError, match="MCP server 'asking' refused to fill in the prompt 'paint'"):
            await client.get_prompt("paint")
    assert [request.message for request in host.asked if isinstance(request, FormRequest)] == ["Which color?"] * 2
