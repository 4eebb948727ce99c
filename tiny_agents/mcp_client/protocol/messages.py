"""JSON-RPC messages as plain dicts: what is one, how it is written down, and the numbers and names of the protocol. Pure."""

from __future__ import annotations

import json
from typing import Any, Final, TypeGuard

import msgspec

from tiny_agents.mcp_client.text import encodable_json

Message = dict[str, Any]
"""A request (`method` and `id`), a notice (`method`), or an answer (`id` and either `result` or `error`)."""

Id = int | str

HANDSHAKES: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Versions that begin with `initialize`, oldest first."""

MODERN: Final = ("2026-07-28",)
"""Versions whose every request says what it needs, oldest first."""

PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"

CONNECTION_CLOSED: Final = -32000
REQUEST_TIMEOUT: Final = -32001
HEADER_MISMATCH: Final = -32020
UNSUPPORTED_VERSION: Final = -32022
URL_ELICITATION_REQUIRED: Final = -32042
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603


class RpcError(Exception):
    """An error in place of an answer, from either side.

    Attributes:
        code, message, data: As JSON-RPC has them.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(message)


class Closed(RpcError):
    """No answer will come: the way to the server has ended. Never what a server says, whatever number it takes."""

    def __init__(self) -> None:
        super().__init__(CONNECTION_CLOSED, "Connection closed")


class NotValid(ValueError):
    """What came isn't what the protocol says; the text names the place, and not the value, which may be anything."""


def request(id: Id, method: str, params: dict[str, Any] | None = None) -> Message:
    message: Message = {"jsonrpc": "2.0", "id": id, "method": method}
    if params:
        message["params"] = params
    return message


def notice(method: str, params: dict[str, Any] | None = None) -> Message:
    message: Message = {"jsonrpc": "2.0", "method": method}
    if params:
        message["params"] = params
    return message


def result(id: Id, value: dict[str, Any]) -> Message:
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(id: Id | None, code: int, message: str, data: Any = None) -> Message:
    said: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        said["data"] = data
    return {"jsonrpc": "2.0", "id": id, "error": said}


def encode(message: Message) -> bytes:
    """A message as JSON on one line; half a character becomes one that can be written.

    Raises:
        TypeError, RecursionError: It holds what no JSON can, or goes too deep.
    """
    try:
        return _ENCODER.encode(message)
    except UnicodeEncodeError:
        return json.dumps(encodable_json(message), ensure_ascii=False, separators=(",", ":")).encode()


_ENCODER = msgspec.json.Encoder()


def as_message(value: Any) -> Message | None:
    """A message with those keys only that make it what it is; None where it is none."""
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        return None
    if len(value) == 3 and type(value.get("id")) is int and type(value.get("result")) is dict:
        return value  # nearly all are such
    named = is_id(id := value.get("id"))
    if isinstance(value.get("method"), str):
        if not isinstance(value.get("params"), (dict, type(None))):
            return None
        if not named:
            value.pop("id", None)
        return value
    value.pop("method", None)
    said = value.get("error")
    if isinstance(said, dict) and isinstance(said.get("message"), str) and is_whole(said.get("code")):
        return value if named or (id is None and "id" in value) else None
    value.pop("error", None)
    return value if named and isinstance(value.get("result"), dict) else None


def is_id(value: Any) -> TypeGuard[Id]:
    return isinstance(value, str) or is_whole(value)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def known_id(id: Id) -> Id:
    """An id as it was given: some servers write a number back as text."""
    if isinstance(id, str) and id.isdecimal() and id.isascii():
        return int(id) if len(id) < 20 else id
    return id
