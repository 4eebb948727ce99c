"""What a server sends -> a message, or an error in place of one that is too long. Used by stdio and HTTP+SSE."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any

import msgspec

from tiny_agents.errors import redact
from tiny_agents.mcp_client.protocol.messages import INTERNAL_ERROR, Message, as_message, error
from tiny_agents.mcp_client.text import encodable_json, readable
from tiny_agents.mcp_client.tools.mending import answered_id, mended_id, said_of
from tiny_agents.mcp_client.transports.bounds import (
    MAX_VALUES,
    READ_DEPTH,
    flattened,
    too_deep,
    too_many_values,
    whole_number,
)
from tiny_agents.mcp_client.transports.process import CUT_BYTES, MAX_LINE_BYTES, CutLine

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.watch import Watch

logger = logging.getLogger("tiny_agents.mcp_client")

WAITING_MESSAGES = 1_000
MAX_NOISE_BYTES = 2 * MAX_LINE_BYTES
"""How much a server may write from one message to the next."""

NOISE_CHARS = 200


def read_message(line: bytes | CutLine, watch: Watch) -> Message | None:
    """The message on a line of standard output; None for an empty line, and for one that holds no message."""
    if isinstance(line, CutLine):
        return _too_long(line)
    if _OBJECT.match(line) is None:  # nearly all noise; a server may write megabytes of it
        _note_noise(line, watch)
        return None
    if too_many_values(line):
        return _unread(line[:CUT_BYTES], line[-CUT_BYTES:], f"holds more than {MAX_VALUES:,} values")
    deep = False
    try:
        value = _DECODER.decode(line)
        deep = line.count(b"{") + line.count(b"[") > READ_DEPTH and too_deep(value, READ_DEPTH)
        if not deep and (message := as_message(value)) is not None:
            return message
    except (ValueError, RecursionError):
        pass
    try:
        # Bytes that are no UTF-8 and lone surrogates cost those characters, not the answer that contains them.
        text = line.decode("utf-8-sig", "replace")
        try:
            value = _loaded(flattened(text) if deep else text)
        except RecursionError:
            value = _loaded(flattened(text))
    except (ValueError, RecursionError):
        if (unread := _unread(line[:CUT_BYTES], line[-CUT_BYTES:], "can't be read")) is not None:
            return unread
        _note_noise(line, watch)
        return None
    id, said = answered_id(value), said_of(value)
    if (message := as_message(value)) is not None:
        return message
    if id is not None:
        return _error(id, said or "the server's answer is not valid MCP: its result must be an object")
    _note_noise(line, watch)
    return None


_DECODER = msgspec.json.Decoder()


def _loaded(json_text: str) -> Any:
    value = mended_id(encodable_json(json.loads(json_text, parse_int=whole_number)))
    return {"jsonrpc": "2.0", **value} if answered_id(value) is not None else value  # some leave that out


_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")


def _note_noise(line: bytes, watch: Watch) -> None:
    if not line.strip():
        return
    if watch.noise and not logger.isEnabledFor(logging.DEBUG):
        return
    shown = readable(line[: 4 * NOISE_CHARS].decode("utf-8", "replace")).strip()[:NOISE_CHARS]
    watch.noise = watch.noise or shown
    logger.debug("a server wrote to its standard output what is no MCP message: %s", redact(shown, watch.secrets))


# Where in an answer its id stands, if it is at one of the ends: servers write it before the result or after it.
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,')
_ID_LAST = re.compile(rb'"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d+)\s*\}\s*$')


def _too_long(line: CutLine) -> Message | None:
    """An error in place of an answer that was too long to keep, so that its call doesn't wait for it."""
    problem = f"is too long: {line.size:,} bytes, and at most {MAX_LINE_BYTES:,} are read"
    error = _unread(line.head, line.tail, problem)
    if error is None:
        logger.warning("a message of a server was dropped; it %s", problem)
    return error


def _unread(head: bytes, tail: bytes, problem: str) -> Message | None:
    """An error in place of an answer whose JSON isn't read; None where it can't be told what it answers."""
    found = None if b'"method"' in head else _ID_FIRST.match(head) or _ID_LAST.search(tail)
    return None if found is None else _error(int(found[1]), f"the answer {problem}")


def _error(id: int | str, problem: str) -> Message:
    return error(id, INTERNAL_ERROR, problem)
