"""An MCP server for recordings, without the SDK: a weather forecast that says how far it is, and hotels that can be booked.

Where there is a folder `gate` beside this file, the forecast goes on only as files appear in it: `1`, `2`, ...
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

GATE = Path(__file__).parent / "gate"
STATIONS = ("Gruyères", "Bulle", "Moléson")

TOOLS = [
    {
        "name": "forecast",
        "description": "The weather of the next days at a place.",
        "inputSchema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "book",
        "description": "Books a room, for good.",
        "inputSchema": {
            "type": "object",
            "properties": {"hotel": {"type": "string"}, "nights": {"type": "integer"}},
            "required": ["hotel", "nights"],
        },
        "annotations": {"readOnlyHint": False, "destructiveHint": True},
    },
]


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def wait_for(name: str) -> None:
    while GATE.is_dir() and not (GATE / name).exists():
        time.sleep(0.01)


def forecast(params: dict[str, Any]) -> str:
    token = (params.get("_meta") or {}).get("progressToken")
    for number, station in enumerate(STATIONS, start=1):
        if token is not None:
            progress = {"progressToken": token, "progress": number, "total": len(STATIONS), "message": station}
            say({"method": "notifications/progress", "params": progress})
        wait_for(str(number))
    days = [("Friday", "rain", 11), ("Saturday", "sun", 17), ("Sunday", "sun, later clouds", 19)]
    return "\n".join(f"{day}: {sky}, {degrees} °C" for day, sky, degrees in days)


def book(params: dict[str, Any]) -> str:
    wanted = params["arguments"]
    return f"Booked: {wanted['hotel']}, {wanted['nights']} nights. Number 4711."


CALLS = {"forecast": forecast, "book": book}


def result(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if method == "initialize":
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "trips", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": CALLS[params["name"]](params)}]}
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked and "method" in asked:
            found = result(asked["method"], asked.get("params") or {})
            error = {"error": {"code": -32601, "message": "no such method"}}
            say({"id": asked["id"], **({"result": found} if found is not None else error)})
