"""A stdio MCP server without the SDK that behaves as badly as it is told: `python bad_server.py BEHAVIOUR [ARGUMENT]`.

It speaks the protocol of 2025-06-18 (the handshake), one JSON object per line, and offers the tools `ping` and `leave`.
Behaviours are functions below, by name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

ARGUMENT = sys.argv[2] if len(sys.argv) > 2 else ""
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("ping", "leave")]


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(request: dict[str, Any], result: dict[str, Any]) -> None:
    say({"id": request["id"], "result": result})


def text(content: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": content}]}


def page(request: dict[str, Any]) -> dict[str, Any]:
    return {"tools": TOOLS}


def call(request: dict[str, Any]) -> dict[str, Any] | None:
    if request["params"]["name"] == "leave":
        os._exit(5)
    return text("pong")


def requests() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            yield message


def serve(
    *,
    before: Callable[[dict[str, Any]], None] = lambda request: None,
    page: Callable[[dict[str, Any]], dict[str, Any]] = page,
    call: Callable[[dict[str, Any]], dict[str, Any] | None] = call,
    more: Mapping[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = MappingProxyType({}),
    capabilities: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Answer until standard input ends. `before` runs before each answer; `call` may answer by itself and return None.

    `more` answers other methods, in the same way.
    """
    for request in requests():
        before(request)
        match request["method"]:
            case "initialize":
                info = {"name": "bad", "version": "1"}
                offered = {"tools": {}, **capabilities}
                result = {"protocolVersion": "2025-06-18", "capabilities": offered, "serverInfo": info}
                answer(request, result)
            case other if other in more:
                if (result_of_more := more[other](request)) is not None:
                    answer(request, result_of_more)
            case "tools/list":
                answer(request, page(request))
            case "tools/call":
                if (result_of_call := call(request)) is not None:
                    answer(request, result_of_call)
            case other:
                say({"id": request["id"], "error": {"code": -32601, "message": f"no method {other}"}})


# ---------------------------------------------------------------- behaviours


def subscribes_once() -> None:
    """In its second life (there is a file ARGUMENT) it refuses to subscribe to `b:`."""
    second = os.path.exists(ARGUMENT)
    with open(ARGUMENT, "a", encoding="utf-8"):
        pass

    def subscribe(request: dict[str, Any]) -> dict[str, Any] | None:
        if not second or request["params"]["uri"] != "b:":
            return {}
        say({"id": request["id"], "error": {"code": -32602, "message": "not any more"}})
        return None

    more = {"resources/subscribe": subscribe, "resources/unsubscribe": lambda _: {}}
    serve(more=more, capabilities={"resources": {"subscribe": True}})


def offers_bad_resources() -> None:
    """Reading `nonsense:`, `base64:`, `huge:`, `never:` or `die:` does what that says; other lists are wrong or endless."""

    def read(request: dict[str, Any]) -> dict[str, Any] | None:
        uri = request["params"]["uri"]
        if uri == "die:":
            os._exit(6)
        if uri == "never:":
            return None
        parts: dict[str, Any] = {
            "nonsense:": 3,
            "base64:": [{"uri": uri, "blob": "?"}],
            "huge:": [{"uri": uri, "text": "x" * 20_000_000}],
            "fine:": [{"uri": uri, "text": "fine"}],
        }
        return {"contents": parts[uri]}

    def resources(request: dict[str, Any]) -> dict[str, Any]:
        cursor = (request.get("params") or {}).get("cursor", "0")
        following = str(int(cursor) + 1)
        return {"resources": [{"uri": f"x://{cursor}", "name": "x"}] * 100, "nextCursor": following}

    more = {
        "resources/list": resources,
        "resources/read": read,
        "resources/templates/list": lambda _: {"resourceTemplates": [{"name": "no uri"}]},
        "prompts/list": lambda _: {"prompts": [{"name": "p"}]},
        "prompts/get": lambda _: {"messages": [{"role": "user", "content": {"type": "unheard-of"}}]},
    }
    serve(more=more, capabilities={"resources": {}, "prompts": {}})


def well_behaved() -> None:
    serve()


def insists_on_the_handshake() -> None:
    """As servers of before 2026-07-28 do: nothing is answered before `initialize`."""
    shaken = False

    def before(request: dict[str, Any]) -> None:
        nonlocal shaken
        shaken = shaken or request["method"] == "initialize"

    def tools(request: dict[str, Any]) -> dict[str, Any] | None:
        if shaken:
            return page(request)
        say({"id": request["id"], "error": {"code": -32600, "message": "not initialized"}})
        return None

    serve(before=before, more={"tools/list": tools})


def exits_at_start() -> None:
    sys.stderr.write("reading the configuration\nfatal: \x1b[31mno such key sk-abcdefghijklmnop\x1b[0m in settings\n")
    sys.exit(3)


def never_answers() -> None:
    for _ in sys.stdin:
        pass


def is_no_server() -> None:
    print("Welcome to the shell! Type help.", flush=True)
    for _ in sys.stdin:
        pass


def never_lists() -> None:
    def page(request: dict[str, Any]) -> dict[str, Any]:
        time.sleep(600)
        return {}

    serve(page=page)


def refuses_to_list() -> None:
    for request in requests():
        if request["method"] == "initialize":
            info = {"name": "bad", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            answer(request, result)
        else:
            say({"id": request["id"], "error": {"code": -32603, "message": "the database is \x1b[31mlocked"}})


def lists_nonsense() -> None:
    serve(page=lambda request: {"tool": TOOLS})


def is_stubborn() -> None:
    """Stays when its input ends and when it is asked to leave, and so does a child of it; with "silent" it never answers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    if ARGUMENT != "silent":
        serve()
    while True:
        time.sleep(600)


def leaves_a_child() -> None:
    """Ends in good order when its input does, but not so a process that it started."""
    subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    serve()


def dies_with_its_output_held() -> None:
    """A child of it keeps standard output open after the server itself has gone."""
    subprocess.Popen(["sleep", "600"])
    serve()


def writes_garbage() -> None:
    garbage = [
        b"Starting up...\n",
        b"\n",
        b"\xff\xfe not text\n",
        b'{"half": \n',
        b"[1, 2]\n",
        b'{"jsonrpc": "2.0"}\n',
        b"null\n",
    ]

    def before(request: dict[str, Any]) -> None:
        for line in garbage:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.write(b"[" * 100_000 + b"\n")
        sys.stdout.buffer.flush()

    serve(before=before)


def tells_its_key() -> None:
    print(f"my key is {os.environ['KEY']}", flush=True)
    serve()


def writes_bad_text() -> None:
    """Bytes that are no UTF-8, and half of a surrogate pair, inside an answer."""

    def call(request: dict[str, Any]) -> None:
        body = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"caf\xe9 \\ud83d \\ud83d\\ude00"}]}}\n'
        sys.stdout.buffer.write(body % request["id"])
        sys.stdout.buffer.flush()

    serve(call=call)


def floods_stderr() -> None:
    """10 MB of standard error before it answers the first message, and as much during a call."""

    def flood() -> None:
        for _ in range(160):
            sys.stderr.write("noise " * 10_923 + "\n")
        sys.stderr.write("the last line\n")
        sys.stderr.flush()

    def call(request: dict[str, Any]) -> dict[str, Any]:
        flood()
        return text("pong")

    flood()
    serve(call=call)


def answers_too_much() -> None:
    """A line of more bytes than ARGUMENT, with the id in front or, for `leave`, behind."""

    def call(request: dict[str, Any]) -> dict[str, Any] | None:
        huge = "x" * int(ARGUMENT)
        if request["params"]["name"] == "ping":
            return text(huge)
        result = json.dumps({"result": text(huge), "jsonrpc": "2.0", "id": request["id"]})
        sys.stdout.write(result + "\n")
        sys.stdout.flush()
        return None

    serve(call=call)


def stops_reading() -> None:
    """Answers the handshake and the list, then never reads again, and stays."""
    for request in requests():
        if request["method"] == "initialize":
            info = {"name": "bad", "version": "1"}
            result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            answer(request, result)
        elif request["method"] == "tools/list":
            answer(request, page(request))
            time.sleep(600)
        else:
            say({"id": request["id"], "error": {"code": -32601, "message": "no"}})


def has_pages() -> None:
    """ARGUMENT pages of one tool each."""

    def page(request: dict[str, Any]) -> dict[str, Any]:
        number = int((request.get("params") or {}).get("cursor") or 0)
        result: dict[str, Any] = {"tools": [{"name": f"tool_{number}", "inputSchema": {"type": "object"}}]}
        if number + 1 < int(ARGUMENT):
            result["nextCursor"] = str(number + 1)
        return result

    serve(page=page)


def repeats_a_cursor() -> None:
    serve(page=lambda request: {"tools": TOOLS, "nextCursor": "again"})


def has_odd_tools() -> None:
    names = ["files.read", "files_read", "поиск", "x" * 100, "task_complete", "ping", "ping"]
    tools: list[dict[str, Any]] = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    tools[0]["description"] = "Reads.\U000e0049\U000e0047 \u202ehidden\x1b[2J"
    serve(page=lambda request: {"tools": tools}, call=lambda request: text(request["params"]["name"]))


def has_many_tools() -> None:
    """ARGUMENT tools on one page, each with a description of a few sentences and a schema."""
    schema = {"type": "object", "properties": {"path": {"type": "string", "description": "Where. " * 20}}}
    tools = [
        {"name": f"tool_{number}", "description": "Does something. " * 30, "inputSchema": schema}
        for number in range(int(ARGUMENT))
    ]
    serve(page=lambda request: {"tools": tools})


SCHEMAS: dict[str, Any] = {
    "refers": {
        "type": "object",
        "$defs": {"city": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "properties": {"city": {"$ref": "#/$defs/city"}},
    },
    "cycles": {
        "type": "object",
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "self": {"$ref": "#"}}}},
        "properties": {"node": {"$ref": "#/$defs/node"}},
    },
    "points_nowhere": {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
    "points_abroad": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}},
    "points_at_itself": {"$ref": "#"},
    "chooses": {"anyOf": [{"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}]},
    "has_no_type": {"properties": {"a": {}}},
    "is_empty": {},
    "takes_for_ever": {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}},
    "is_no_schema": {"type": "objekt", "properties": {"a": {"type": 7, "pattern": "("}}, "required": "a"},
    "is_deep": {},
}
for _ in range(40):
    SCHEMAS["is_deep"] = {"type": "object", "properties": {"a": SCHEMAS["is_deep"]}}


def has_odd_schemas() -> None:
    """A tool per schema, for its arguments and for its result; it answers with data."""
    tools = [{"name": name, "inputSchema": schema} for name, schema in SCHEMAS.items()]
    tools += [
        {"name": f"{name}_result", "inputSchema": {"type": "object"}, "outputSchema": schema}
        for name, schema in SCHEMAS.items()
    ]
    answered = {
        **text("done"),
        "structuredContent": {"node": {"next": {}}, "city": {"name": "x"}, "a": "x", "text": "a" * 50 + "!"},
    }
    serve(page=lambda request: {"tools": tools}, call=lambda request: answered)


def floods_notifications() -> None:
    """ARGUMENT notices of each kind before the answer to a call: known, unknown, of no use, and of nobody's call."""

    def call(request: dict[str, Any]) -> dict[str, Any]:
        token = (request["params"].get("_meta") or {}).get("progressToken")
        for number in range(int(ARGUMENT)):
            log = {"level": "info", "data": "noise " * 20}
            say({"method": "notifications/message", "params": log})
            say({"method": "notifications/progress", "params": {"progressToken": token, "progress": number}})
            say({"method": "notifications/progress", "params": {"progressToken": "nobody", "progress": 1}})
            say({"method": "notifications/tools/list_changed"})
            say({"method": "notifications/resources/updated", "params": {"uri": f"memo://{number}"}})
            say({"method": "notifications/nonsense", "params": {"number": number}})
            say({"method": "notifications/message", "params": {"level": "shouting"}})
        return text("pong")

    serve(call=call)


def reports_progress_and_never_ends() -> None:
    def call(request: dict[str, Any]) -> None:
        token = request["params"]["_meta"]["progressToken"]
        say({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1, "total": 2}})

    serve(call=call)


def reports_impossible_progress() -> None:
    """Progress in numbers that no float holds, between reports of use, the last of which is 2 of an impossible total."""

    def call(request: dict[str, Any]) -> dict[str, Any]:
        token = (request["params"].get("_meta") or {}).get("progressToken")
        for said in (
            {"progress": 1, "total": 2},
            {"progress": 10**400},
            {"progress": -(10**400), "total": 10**400},
            {"progress": float("nan")},
            {"progress": float("-inf")},
            {"progress": "much"},
            {"progress": 2, "total": 10**400},
        ):
            say({"method": "notifications/progress", "params": {"progressToken": token, **said}})
        return text("pong")

    serve(call=call)


def answers_nobody() -> None:
    """ARGUMENT answers to what was never asked before the one that was."""

    def call(request: dict[str, Any]) -> dict[str, Any]:
        for number in range(int(ARGUMENT)):
            say({"id": 1_000_000 + number, "result": text("x" * 1_000)})
            say({"id": f"strange {number}", "error": {"code": 1, "message": "x" * 1_000}})
        return text("pong")

    serve(call=call)


def asks_without_end() -> None:
    """Asks ARGUMENT things of us before it answers a call, most of which nobody serves."""

    def call(request: dict[str, Any]) -> dict[str, Any]:
        for number in range(int(ARGUMENT)):
            say({"id": f"ping {number}", "method": "ping"})
            say({"id": f"roots {number}", "method": "roots/list"})
            say({"id": f"strange {number}", "method": "client/shutdown", "params": {}})
        return text("pong")

    serve(call=call)


def has_nameless_tools() -> None:
    names = ["", " ", "\n", "a" * 100_000, "\x1b[31mred", "ok"]
    serve(page=lambda request: {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]})


def describes_a_megabyte() -> None:
    tools = [{**tool, "description": "very " * 200_000} for tool in TOOLS]
    serve(page=lambda request: {"tools": tools})


def uses_our_numbers() -> None:
    """Errors of its own under the numbers with which an SDK reports a lost connection or a timeout."""

    def call(request: dict[str, Any]) -> None:
        code = -32000 if request["params"]["name"] == "ping" else -32001
        say({"id": request["id"], "error": {"code": code, "message": "no such record"}})

    serve(call=call)


def answers_nonsense() -> None:
    serve(call=lambda request: {"content": "not a list"})


def answers_null() -> None:
    serve(call=lambda request: say({"id": request["id"], "result": None}))


def answers_with_a_fraction() -> None:
    serve(call=lambda request: say({"id": float(request["id"]), "result": text("pong")}))


def changes_its_tools() -> None:
    """Offers another tool each time it is started; ARGUMENT is a file that counts."""
    with open(ARGUMENT, "a+", encoding="utf-8") as counter:
        counter.write("x")
        counter.seek(0)
        lives = len(counter.read())
    serve(page=lambda request: {"tools": [*TOOLS, {"name": f"life_{lives}", "inputSchema": {"type": "object"}}]})


def learns() -> None:
    """Each `ping` brings a tool more, of which it gives notice, ARGUMENT times over (once if empty)."""
    tools = list(TOOLS)

    def call(request: dict[str, Any]) -> dict[str, Any]:
        tools.append({"name": f"learned_{len(tools) - 1}", "inputSchema": {"type": "object"}})
        for _ in range(int(ARGUMENT or 1)):
            say({"method": "notifications/tools/list_changed"})
        return text("learned")

    serve(page=lambda request: {"tools": tools}, call=call)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
