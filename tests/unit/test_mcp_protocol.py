"""What is said to a server and what becomes of what it says, over a link that is two lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tiny_agents.mcp_client.protocol import rounds, shapes
from tiny_agents.mcp_client.protocol.agreement import Agreement, Disagreement, Ourselves, agree, read_discovered
from tiny_agents.mcp_client.protocol.conversation import Conversation
from tiny_agents.mcp_client.protocol.headers import annotated, header_value, param_headers, request_headers
from tiny_agents.mcp_client.protocol.messages import (
    MODERN,
    UNSUPPORTED_VERSION,
    Closed,
    Message,
    NotValid,
    RpcError,
    as_message,
    encode,
)
from tiny_agents.mcp_client.protocol.peer import Peer
from tiny_agents.mcp_client.protocol.streams import StreamLost
from tiny_agents.mcp_client.transports.mended import Traffic

pytestmark = pytest.mark.anyio

OURSELVES = Ourselves({"name": "us", "version": "1"}, {"roots": {}}, "info")


class Lists:
    """A link whose other end is the test."""

    def __init__(self, *, takes_headers: bool = False) -> None:
        self.takes_headers = takes_headers
        self.sent: list[Message] = []
        self.headers: list[Mapping[str, str] | None] = []
        self.some = asyncio.Event()

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self.receive, self.ended = receive, ended

    async def send(self, message: Message, headers: Mapping[str, str] | None = None) -> None:
        encode(message)
        self.sent.append(message)
        self.headers.append(headers)
        self.some.set()

    async def tell(self, message: Message) -> None:
        await self.send(message)

    async def next(self) -> Message:
        """The oldest message that wasn't taken yet."""
        while not self.sent:
            self.some.clear()
            await self.some.wait()
        self.headers.pop(0)
        return self.sent.pop(0)


async def nobody(method: str, params: dict[str, Any]) -> dict[str, Any]:
    raise RpcError(-32601, "Method not found", method)


def conversation_on(link: Lists, *, version: str = "2025-11-25", **handlers: Any) -> tuple[Conversation, Peer]:
    peer = Peer(link, Traffic("s"), handlers.get("answer", nobody), handlers.get("notice", lambda method, params: None))
    peer.start()
    conversation = Conversation(peer, OURSELVES)
    modern = version in MODERN
    conversation.agreement = Agreement(version, meta=OURSELVES.meta(version) if modern else {})
    return conversation, peer


# ---------------------------------------------------------------- requests of ours


async def test_answers_find_their_requests_in_any_order_and_also_by_an_id_that_became_text() -> None:
    link = Lists()
    conversation, _ = conversation_on(link)
    asked = [asyncio.create_task(conversation.ask("tools/call", {"name": name})) for name in "ab"]
    first, second = await link.next(), await link.next()
    assert (first["params"], second["params"]) == ({"name": "a"}, {"name": "b"})
    link.receive({"jsonrpc": "2.0", "id": str(second["id"]), "result": {"content": []}})
    link.receive({"jsonrpc": "2.0", "id": first["id"], "error": {"code": 7, "message": "no"}})
    link.receive({"jsonrpc": "2.0", "id": first["id"], "result": {}})  # too late
    link.receive({"jsonrpc": "2.0", "id": "listen-9", "result": {}})  # nobody's
    assert (await asked[1])["content"] == []
    with pytest.raises(RpcError, match="no") as refused:
        await asked[0]
    assert refused.value.code == 7


async def test_who_is_cancelled_tells_the_server_once_and_the_first_words_are_never_taken_back() -> None:
    link = Lists()
    conversation, _ = conversation_on(link)
    call = asyncio.create_task(conversation.ask("tools/call", {"name": "a"}))
    request = await link.next()
    call.cancel()
    await asyncio.wait({call})
    taken_back = await link.next()
    assert taken_back["method"] == "notifications/cancelled"
    assert taken_back["params"]["requestId"] == request["id"]
    for greeting in (conversation.initialize("2025-11-25"), conversation.discover("2026-07-28")):
        begun = asyncio.create_task(greeting)
        await link.next()
        begun.cancel()
        await asyncio.wait({begun})
    assert link.sent == []


async def test_nobody_waits_for_an_answer_that_cannot_come() -> None:
    link = Lists()
    conversation, _ = conversation_on(link)
    call = asyncio.create_task(conversation.ask("tools/list", {}))
    await link.next()
    link.ended()
    with pytest.raises(Closed):
        await call
    with pytest.raises(Closed):
        await conversation.ask("tools/list", {})
    assert link.sent == []


async def test_reports_of_progress_reach_the_call_they_are_about_and_a_failing_one_costs_nothing() -> None:
    link = Lists()
    conversation, _ = conversation_on(link)
    seen: list[Any] = []

    def report(done: float, total: float | None, said: str | None) -> None:
        seen.append((done, total, said))
        if said == "stumble":
            raise ValueError("a reader that fails")

    call = asyncio.create_task(conversation.ask("tools/call", {"name": "a"}, on_progress=report))
    token = (await link.next())["params"]["_meta"]["progressToken"]
    for params in (
        {"progressToken": token, "progress": 1, "total": 4, "message": "stumble"},
        {"progressToken": str(token), "progress": 2.5},
        {"progressToken": True, "progress": 3},
        {"progressToken": token + 1, "progress": 3},
        {"progressToken": [token], "progress": 3},
    ):
        link.receive({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    link.receive({"jsonrpc": "2.0", "id": token, "result": {"content": []}})
    await call
    assert seen == [(1.0, 4.0, "stumble"), (2.5, None, None)]


async def test_a_request_of_the_newer_protocol_says_who_asks_and_over_http_what_it_is_about() -> None:
    link = Lists(takes_headers=True)
    conversation, _ = conversation_on(link, version="2026-07-28")
    call = asyncio.create_task(conversation.ask("tools/call", {"name": "grüße"}, headers={"Mcp-Param-X": "1"}))
    await asyncio.sleep(0)
    assert link.headers[0] == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "=?base64?Z3LDvMOfZQ==?=",
        "Mcp-Param-X": "1",
    }
    assert (await link.next())["params"]["_meta"] == OURSELVES.meta("2026-07-28")
    call.cancel()
    await asyncio.wait({call})


# ---------------------------------------------------------------- what a server asks


async def test_servers_are_answered_side_by_side_and_what_they_take_back_is_not_answered() -> None:
    link = Lists()
    may_end = asyncio.Event()
    left: list[str] = []

    async def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "slow":
                try:
                    await may_end.wait()
                finally:
                    left.append(str(params["n"]))
                return {"n": params["n"]}
            case "odd":
                raise NotValid("message: is missing")
            case "unwritable":
                return {"of": object()}
            case "broken":
                raise ZeroDivisionError
            case _:
                return await nobody(method, params)

    _, peer = conversation_on(link, answer=answer)
    for id, method, params in ((1, "slow", {"n": 1}), ("x", "slow", {"n": 2}), (2, "odd", {}), (3, "broken", {})):
        link.receive({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    link.receive({"jsonrpc": "2.0", "id": 4, "method": "unknown"})
    link.receive({"jsonrpc": "2.0", "id": 5, "method": "unwritable"})
    codes = {(message := await link.next())["id"]: message["error"]["code"] for _ in range(4)}
    assert codes == {2: -32602, 3: -32603, 4: -32601, 5: -32603}
    link.receive({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "1"}})
    while left != ["1"]:
        await asyncio.sleep(0)
    may_end.set()
    assert await link.next() == {"jsonrpc": "2.0", "id": "x", "result": {"n": 2}}
    assert link.sent == []
    await peer.close()


async def test_who_leaves_says_so_to_whom_an_answer_is_owed() -> None:
    link = Lists()

    async def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    _, peer = conversation_on(link, answer=answer)
    link.receive({"jsonrpc": "2.0", "id": "5", "method": "roots/list"})
    await asyncio.sleep(0)
    await peer.close()
    assert [(message["id"], message["error"]["message"]) for message in link.sent] == [("5", "the client is leaving")]


async def test_a_notice_that_cannot_be_read_does_not_cost_the_next_one() -> None:
    link = Lists()
    heard: list[str] = []

    def notice(method: str, params: dict[str, Any]) -> None:
        heard.append(method)
        if method == "first":
            raise RecursionError

    conversation_on(link, notice=notice)
    for method in ("first", "second"):
        link.receive({"jsonrpc": "2.0", "method": method, "params": None})
    assert heard == ["first", "second"]


# ---------------------------------------------------------------- streams of changes


def stamped(id: str, method: str, **params: Any) -> Message:
    meta = {"io.modelcontextprotocol/subscriptionId": id}
    return {"jsonrpc": "2.0", "method": method, "params": {"_meta": meta, **params}}


async def test_a_stream_opens_by_consent_and_ends_in_good_order_or_breaks_off() -> None:
    for ending in ("result", "error", "cancelled", "closed"):
        link = Lists()
        conversation, _ = conversation_on(link, version="2026-07-28")
        async with conversation.stream({"toolsListChanged": True}) as stream:
            request = await link.next()
            id = request["id"]
            assert request["params"]["notifications"] == {"toolsListChanged": True}
            granted = {"toolsListChanged": True}
            link.receive(stamped("listen-0", "notifications/subscriptions/acknowledged", notifications={}))
            link.receive(stamped(id, "notifications/subscriptions/acknowledged", notifications=granted))
            assert await stream.opened() == granted
            match ending:
                case "result":
                    link.receive({"jsonrpc": "2.0", "id": id, "result": {}})
                    await stream.ended()
                    continue
                case "error":
                    link.receive({"jsonrpc": "2.0", "id": id, "error": {"code": 1, "message": "full"}})
                case "cancelled":
                    params = {"requestId": id}
                    link.receive({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
                case "closed":
                    link.ended()
            with pytest.raises(StreamLost):
                await stream.ended()


async def test_a_stream_that_is_refused_says_why_and_one_that_is_left_is_taken_back() -> None:
    link = Lists()
    conversation, peer = conversation_on(link, version="2026-07-28")
    async with conversation.stream({}) as stream:
        id = (await link.next())["id"]
        link.receive({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no streams"}})
        with pytest.raises(RpcError, match="no streams"):
            await stream.opened()
    async with conversation.stream({}):
        id = (await link.next())["id"]
    assert (await link.next())["params"]["requestId"] == id
    assert peer.streams == {}


# ---------------------------------------------------------------- agreeing on a version


class Scripted:
    """A server that answers `server/discover` and `initialize` with what is given, in this order."""

    def __init__(self, discovers: list[Any], initializes: list[Any]) -> None:
        self.answers = {"discover": discovers, "initialize": initializes}
        self.said: list[str] = []

    def _next(self, what: str, version: str) -> dict[str, Any]:
        self.said.append(f"{what} {version}")
        given = self.answers[what].pop(0)
        if isinstance(given, Exception):
            raise given
        found: dict[str, Any] = given
        return found

    async def discover(self, version: str) -> dict[str, Any]:
        return self._next("discover", version)

    async def initialize(self, version: str) -> dict[str, Any]:
        return self._next("initialize", version)

    async def initialized(self, version: str) -> None:
        self.said.append(f"initialized {version}")


OLD = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}, "x": {}},
    "serverInfo": {"name": "s", "version": "1"},
}
NEW = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}}
UNKNOWN = RpcError(-32601, "no such method")
SHAKEN = ["discover 2026-07-28", "initialize 2025-11-25", "initialized 2025-06-18"]


def unsupported(*versions: str) -> RpcError:
    return RpcError(UNSUPPORTED_VERSION, "unsupported", {"supported": list(versions), "requested": "x"})


@pytest.mark.parametrize(
    ("discovers", "initializes", "version", "said"),
    [
        ([NEW], [], "2026-07-28", ["discover 2026-07-28"]),
        ([UNKNOWN], [OLD], "2025-06-18", SHAKEN),
        ([RpcError(-32001, "timed out")], [OLD], "2025-06-18", SHAKEN),
        ([{"nonsense": 1}], [OLD], "2025-06-18", SHAKEN),
        ([{**NEW, "supportedVersions": ["2025-06-18"]}], [OLD], "2025-06-18", SHAKEN),
        ([unsupported("2025-06-18")], [OLD], "2025-06-18", SHAKEN),
        ([unsupported("2026-07-28"), NEW], [], "2026-07-28", ["discover 2026-07-28"] * 2),
        (
            [RpcError(-32001, "timed out"), NEW],
            [unsupported("2026-07-28")],
            "2026-07-28",
            ["discover 2026-07-28", "initialize 2025-11-25", "discover 2026-07-28"],
        ),
    ],
)
async def test_a_version_is_found_that_both_speak(
    discovers: list[Any], initializes: list[Any], version: str, said: list[str]
) -> None:
    server = Scripted(list(discovers), list(initializes))
    agreement = await agree(server, OURSELVES, "auto")
    assert (agreement.version, server.said) == (version, said)
    assert agreement.capabilities["tools"] in ({}, {"listChanged": True})
    assert "x" not in agreement.capabilities


async def test_what_cannot_be_agreed_on_is_said() -> None:
    with pytest.raises(RpcError, match="unsupported"):
        await agree(Scripted([unsupported("2099-01-01")], []), OURSELVES, "auto")
    with pytest.raises(Disagreement, match="Unsupported protocol version from the server: 1999"):
        await agree(Scripted([], [{**OLD, "protocolVersion": "1999"}]), OURSELVES, "legacy")
    with pytest.raises(NotValid, match="protocolVersion: is missing"):
        await agree(Scripted([], [{}]), OURSELVES, "legacy")
    with pytest.raises(Disagreement, match="no version"):
        await agree(Scripted([], []), OURSELVES, "2026-07-28", {"supportedVersions": ["2099-01-01"]})


async def test_a_version_can_be_spoken_unasked_also_with_what_was_found_out_before() -> None:
    server = Scripted([], [])
    assert (await agree(server, OURSELVES, "2026-07-28")).capabilities == {}
    kept = {**NEW, "capabilities": {"tools": {"listChanged": None}, "logging": None}, "_meta": None}
    agreement = await agree(server, OURSELVES, "2026-07-28", kept)
    assert (agreement.capabilities, agreement.server, server.said) == ({"tools": {}}, {}, [])
    assert agreement.meta["io.modelcontextprotocol/logLevel"] == "info"


@pytest.mark.parametrize(("info", "named"), [({"name": "s", "version": "2"}, True), ({"name": 5}, False), ("s", False)])
def test_a_server_s_name_is_taken_only_where_it_is_one(info: Any, named: bool) -> None:
    agreement = read_discovered({**NEW, "_meta": {"io.modelcontextprotocol/serverInfo": info}}, OURSELVES)
    assert agreement is not None
    assert agreement.server == (info if named else {})


# ---------------------------------------------------------------- rounds


QUESTION = {"method": "elicitation/create", "params": {"message": "who?", "requestedSchema": {}}}


def asks(state: str | None = None, **requests: Any) -> dict[str, Any]:
    return {"resultType": "input_required", "inputRequests": requests, "requestState": state}


async def test_questions_are_answered_and_the_request_made_again_with_its_state() -> None:
    results = [asks("s1", a=QUESTION, b={"method": "roots/list"}), asks("s2"), {"content": []}]
    sent: list[dict[str, Any]] = []

    async def send(more: dict[str, Any]) -> dict[str, Any]:
        sent.append(more)
        return results.pop(0)

    async def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
        return {"to": method}

    assert await rounds.finished(send, answer) == {"content": []}
    answers = {"a": {"to": "elicitation/create"}, "b": {"to": "roots/list"}}
    assert sent == [{}, {"inputResponses": answers, "requestState": "s1"}, {"requestState": "s2"}]


async def test_a_question_that_nobody_answers_ends_the_request_and_the_others() -> None:
    async def send(more: dict[str, Any]) -> dict[str, Any]:
        return asks(a=QUESTION, b={"method": "roots/list"})

    async def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "roots/list":
            raise RpcError(-1, "no folders")
        return await asyncio.Future()

    with pytest.raises(RpcError, match="no folders"):
        await rounds.finished(send, answer)


async def test_a_server_that_asks_without_end_is_left() -> None:
    times = 0

    async def send(more: dict[str, Any]) -> dict[str, Any]:
        nonlocal times
        times += 1
        return asks("again", a=QUESTION)

    async def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
        return {}

    with pytest.raises(rounds.TooManyRounds):
        await rounds.finished(send, answer)
    assert times == rounds.MAX_ROUNDS + 1


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (asks(), "inputRequests: is missing"),
        (asks("s", a="x"), "inputRequests.a: must be an object"),
        (asks("s", a={"method": "tools/call"}), "inputRequests.a: method"),
        (asks("s", a={"method": "elicitation/create", "params": {}}), "inputRequests.a: message: is missing"),
        ({"resultType": "input_required", "requestState": 5}, "requestState"),
    ],
)
def test_questions_that_make_no_sense_are_no_answer(result: dict[str, Any], problem: str) -> None:
    with pytest.raises(NotValid, match=problem):
        rounds.questions_in(result)


# ---------------------------------------------------------------- shapes, headers, messages


@pytest.mark.parametrize(
    ("value", "shape", "problem"),
    [
        ({}, shapes.Prompts, "prompts: is missing"),
        ({"prompts": [{}]}, shapes.Prompts, "prompts[0].name: is missing"),
        ({"resources": [{"name": "a", "uri": 5}]}, shapes.Resources, "resources[0].uri: expected `str`, got `int`"),
        ({"contents": [{"uri": "x"}]}, shapes.Contents, "contents[0]: has neither text nor blob"),
        ({"message": "x", "mode": "url"}, shapes.Form, "url is missing"),
        ({"messages": [], "maxTokens": "many"}, shapes.Sampling, "maxTokens: expected `int`, got `str`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: Any, shape: Any, problem: str) -> None:
    with pytest.raises(NotValid) as caught:
        shapes.read(value, shape)
    assert str(caught.value) == problem


def test_what_is_declared_is_kept_and_what_was_not_said_stays_unsaid() -> None:
    said = {"resources": [{"uri": "u", "name": "n", "size": "12", "title": None, "odd": 1, "_meta": {"a": None}}]}
    assert shapes.plain(shapes.read(said, shapes.Resources)) == {
        "resources": [{"uri": "u", "name": "n", "size": 12, "_meta": {"a": None}}]
    }


def test_arguments_go_into_headers_as_their_schema_says() -> None:
    schema = {
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"properties": {"n": {"type": "integer", "x-mcp-header": "N"}}, "default": {"x-mcp-header": 5}},
            "flag": {"type": "boolean", "x-mcp-header": "Flag"},
        }
    }
    names = annotated(schema)
    assert names == {("region",): "Region", ("deep", "n"): "N", ("flag",): "Flag"}
    given = {"region": " eu", "deep": {"n": 7}, "flag": True}
    assert param_headers(names, given) == {
        "Mcp-Param-Region": "=?base64?IGV1?=",
        "Mcp-Param-N": "7",
        "Mcp-Param-Flag": "true",
    }
    assert param_headers(names, {"region": None, "deep": "x", "flag": {}}) == {}
    assert request_headers("v", "resources/read", {"uri": "a:b"})["mcp-name"] == "a:b"
    assert header_value("=?base64?x?=") != "=?base64?x?="


@pytest.mark.parametrize(
    "schema",
    [
        {"x-mcp-header": "A"},
        {"items": {"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "not a token"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": 5}}},
        {"properties": {name: {"type": "string", "x-mcp-header": name} for name in ("a", "A")}},
    ],
)
def test_a_tool_whose_headers_cannot_be_said_is_not_used(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="x-mcp-header"):
        annotated(schema)


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "m", "params": None}, {"jsonrpc", "id", "method", "params"}),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "m"}, {"jsonrpc", "method"}),
        ({"jsonrpc": "2.0", "id": True, "result": {}}, None),
        (
            {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "x"}},
            {"jsonrpc", "id", "result", "error"},
        ),
        ({"jsonrpc": "2.0", "id": 1, "result": {}, "error": "x", "method": 5}, {"jsonrpc", "id", "result"}),
        ({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}}, {"jsonrpc", "id", "error"}),
        ({"jsonrpc": "2.0", "error": {"code": 1, "message": "x"}}, None),
        ({"jsonrpc": "2.0", "id": 1, "result": []}, None),
        ({"jsonrpc": "2.0", "id": 1, "method": "m", "params": []}, None),
        ({"id": 1, "result": {}}, None),
        ([], None),
    ],
)
def test_a_message_is_told_from_what_is_none(value: Any, keys: set[str] | None) -> None:
    message = as_message(value)
    assert (None if message is None else set(message)) == keys


def test_half_a_character_does_not_keep_a_message_from_being_written() -> None:
    assert encode({"a": "\ud83d", "b": 2**70}) == b'{"a":"\xef\xbf\xbd","b":1180591620717411303424}'
