"""A well-behaved stdio MCP server without the SDK, so that it starts at once: calls at the same time, either protocol.

Tools: `add`; `echo`; `fail`; `pid`; `die`; `die_once`, which ends the process unless the file `mark` is there, and the same
as a tool that only reads and as an idempotent one; `wait`, never answered; `is_waiting` and `was_cancelled`, answered once
`wait` at the same place is; `meet`, answered once `party` calls are at the same place.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_server import answer, say, text  # beside this file

Arguments = dict[str, Any]
Result = dict[str, Any]

begun: set[str] = set()
cancelled: set[str] = set()
present: dict[str, set[int]] = defaultdict(set)


def wait(arguments: Arguments, call: int) -> Result | None:
    begun.add(arguments.get("place", ""))
    return None


def meet(arguments: Arguments, call: int) -> Result | None:
    present[arguments["place"]].add(call)
    return text(arguments["say"]) if len(present[arguments["place"]]) >= arguments["party"] else None


def die(arguments: Arguments, call: int) -> Result:
    sys.stderr.write("dying as told\n")
    sys.stderr.flush()
    os._exit(7)


def die_once(arguments: Arguments, call: int) -> Result:
    if Path(arguments["mark"]).exists():
        return text("second life")
    Path(arguments["mark"]).touch()
    os._exit(9)


def fail(arguments: Arguments, call: int) -> Result:
    raise ValueError(arguments.get("reason", "boom"))


WAITS = {"place": {"type": "string"}}
MARKED = {"mark": {"type": "string"}}
TOOLS: dict[str, tuple[Callable[[Arguments, int], Result | None], Arguments, Arguments]] = {
    "add": (
        lambda given, _: text(str(int(given["a"]) + int(given["b"]))),
        {"a": {"type": "integer"}, "b": {"type": "integer"}},
        {},
    ),
    "echo": (lambda given, _: text(given["text"]), {"text": {"type": "string"}}, {}),
    "fail": (fail, {"reason": {"type": "string"}}, {}),
    "pid": (lambda given, _: text(str(os.getpid())), {}, {}),
    "die": (die, {}, {}),
    "die_once": (die_once, MARKED, {}),
    "die_once_read_only": (die_once, MARKED, {"readOnlyHint": True}),
    "die_once_idempotent": (die_once, MARKED, {"idempotentHint": True}),
    "wait": (wait, WAITS, {}),
    "is_waiting": (lambda given, _: text("yes") if given.get("place", "") in begun else None, WAITS, {}),
    "was_cancelled": (lambda given, _: text("yes") if given.get("place", "") in cancelled else None, WAITS, {}),
    "meet": (meet, {**WAITS, "party": {"type": "integer"}, "say": {"type": "string"}}, {}),
}
"""Name -> what it does (None: not yet), properties of its arguments, annotations."""

LISTED = [
    {"name": name, "inputSchema": {"type": "object", "properties": properties}, "annotations": annotations}
    for name, (_, properties, annotations) in TOOLS.items()
]
ABOUT = {"capabilities": {"tools": {}}, "serverInfo": {"name": "desk", "version": "1"}}
MODERN = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}


def called(request: dict[str, Any]) -> Result | None:
    name, arguments = request["params"]["name"], request["params"].get("arguments") or {}
    try:
        return TOOLS[name][0](arguments, request["id"])
    except (KeyError, TypeError, ValueError) as error:
        return {**text(f"{name} failed: {error}"), "isError": True}


def main() -> None:
    head: dict[str, Any] = {}
    waiting: list[dict[str, Any]] = []
    for line in sys.stdin:
        message = json.loads(line)
        match message.get("method"):
            case "server/discover":
                head = MODERN
                answer(message, {**head, **ABOUT, "supportedVersions": ["2026-07-28"]})
            case "initialize":
                answer(message, {**ABOUT, "protocolVersion": "2025-06-18"})
            case "tools/list":
                answer(message, {**head, "tools": LISTED})
            case "tools/call":
                waiting.append(message)
            case "notifications/cancelled":
                for call in [call for call in waiting if call["id"] == message["params"]["requestId"]]:
                    waiting.remove(call)
                    cancelled.add((call["params"].get("arguments") or {}).get("place", ""))
            case other if "id" in message and other:
                say({"id": message["id"], "error": {"code": -32601, "message": f"no method {other}"}})
        for call in [*waiting, *waiting]:  # what one of them has done may make another one possible
            if call not in waiting:
                continue
            if (result := called(call)) is not None:
                waiting.remove(call)
                answer(call, {**head, **result})


if __name__ == "__main__":
    main()
