"""The log of runs: a file with one JSON object a line, written as things happen.

Each record has `time` (UTC) and `event`; those of runs and calls `id` of what it is about, and `parent`, the id of what that
is a part of:

    run.start      agent, definition, model, provider, session
    model.start    model, provider, server, params, messages, tools (how many); for, if an MCP server asks for it
    model.end      duration_s, first_chunk_s, model, response, finish_reason, tokens; error, message
    tool.start     name, server, tool, call, arguments_bytes
    tool.end       name, duration_s, waited_s (of these: for permission, its turn), outcome, result_chars; error, message
    server.lost, server.returned    server, message
    tool.changed   server, name, parts, refused (see `mcp_client.tools.pinning`)
    run.end        duration_s, stop_reason, has_answer, limit, tokens, model_calls, tool_calls, cost_usd, estimated;
                   error, message

What there is nothing to say of is left out; of `cost_usd`, null means that it isn't known. What is said is recorded only on
request, in `content`. Known secrets are replaced by `***`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tiny_agents.errors import UsageError
from tiny_agents.inference.types.record import to_builtins
from tiny_agents.mcp_client.events import ServerEvent, ServerLost, ServerReturned, ToolChanged
from tiny_agents.mcp_client.observing.observing import AgentRun, ModelCall, Observer, Operation, ToolCall
from tiny_agents.mcp_client.text import encodable_json, shortened_json

logger = logging.getLogger("tiny_agents.agent")

VERSION = 1
"""Of the records' form, in each `run.start`."""

MAX_TEXT_CHARS = 8_000
"""Of each text of `content`."""

MAX_LINE_BYTES = 64_000
"""Of each record; one that would be longer has no `content`."""

WAITED_S = 0.1
"""Less than this is not worth a word: nobody was asked."""

_PARAMS = (
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "frequency_penalty", "presence_penalty",
    "reasoning_effort", "tool_choice",
)  # fmt: skip

Record = dict[str, Any]


class RunLog(Observer):
    """Writes what happens to a file, which only its owner may read. Records are added to those that are there.

    A file that can't be written to any more (a full disk) is told once, as a warning in the log of the program, and doesn't
    stop anything; records that don't get written are lost.

    Args:
        path: The file; made if there is none.
        content: Whether what is said is recorded, too: requests, messages, arguments, results.

    Raises:
        UsageError: The file can't be opened for writing.
    """

    def __init__(self, path: str | Path, *, content: bool = False) -> None:
        self.path = Path(path).expanduser()
        self._content = content
        self._failed = self._half = False
        try:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        except OSError as error:
            raise UsageError(f"the log {self.path} can't be written: {error.strerror}") from error

    def close(self) -> None:
        """Nothing more is written."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def started(self, operation: Operation) -> None:
        self._tell(operation, _STARTS)

    def ended(self, operation: Operation) -> None:
        self._tell(operation, _ENDS)

    def _tell(self, operation: Operation, events: Mapping[type[Operation], Event]) -> None:
        if (event := events.get(type(operation))) is None:
            return
        name, facts, said = event
        record: Record = {
            "time": _now(),
            "event": name,
            "id": operation.id,
            "parent": operation.parent.id if operation.parent is not None else None,
            "duration_s": None if operation.duration_s is None else round(operation.duration_s, 3),
            **facts(operation),
            "error": operation.error,
            "message": operation.message,
        }
        record = {key: value for key, value in record.items() if value not in (None, "", {}, ()) or key in _NULLABLE}
        if operation.capture_content if operation.capture_content is not None else self._content:
            record["content"] = said(operation)
        record = operation.cleaned(record)
        if "content" in record:
            record["content"] = shortened_json(record["content"], MAX_TEXT_CHARS)
        self._write(_line(record))

    def happened(self, event: ServerEvent) -> None:
        """Something happens at a server."""
        if (known := _AT_SERVERS.get(type(event))) is not None:
            name, facts = known
            self._write(_line({"time": _now(), "event": name, **facts(event)}))

    def _write(self, line: bytes) -> None:
        if self._file < 0:
            return
        data = b"\n" + line if self._half else line
        try:
            written = os.write(self._file, data)
        except OSError as error:
            self._say(error.strerror or str(error))
            return
        self._half = written < len(data)
        if self._half:
            self._say("there was no room for a whole record")

    def _say(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            logger.warning("the log %s lacks records from now on, as long as it can't be written: %s", self.path, why)


_NULLABLE = frozenset({"cost_usd"})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(record: Record) -> bytes:
    """A record as a line of bounded length."""
    line = json.dumps(encodable_json(record), ensure_ascii=False, default=str).encode() + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    facts = {key: value for key, value in record.items() if key != "content"}
    kept = {**shortened_json(encodable_json(facts), 1_000), "content_cut": True}
    return json.dumps(kept, ensure_ascii=False, default=str).encode() + b"\n"


# ---- what records say


def _run_start(run: AgentRun) -> Record:
    known = {"agent": run.agent, "definition": run.definition, "model": run.model, "provider": run.provider}
    return {"version": VERSION, **known, "session": run.session}


def _run_end(run: AgentRun) -> Record:
    return {"stop_reason": run.stop_reason, "has_answer": run.has_answer, "limit": run.limit, **run.usage}


def _model_start(call: ModelCall) -> Record:
    return {
        "model": call.model,
        "provider": call.provider,
        "server": _address((call.host, call.port)),
        "for": call.server,
        "params": {name: call.params[name] for name in _PARAMS if isinstance(call.params.get(name), (str, int, float))},
        "messages": len(call.messages),
        "tools": len(call.tools),
    }


def _model_end(call: ModelCall) -> Record:
    return {
        "first_chunk_s": None if call.first_chunk_s is None else round(call.first_chunk_s, 3),
        "model": call.fold.model or call.model,
        "server": _address((call.host, call.port)),
        "response": call.fold.id,
        "finish_reason": call.fold.finish_reason,
        **call.usage,
    }


def _tool_start(call: ToolCall) -> Record:
    return {
        "name": call.name[:200],
        "server": call.server,
        "tool": call.tool if call.tool != call.name else "",
        "call": call.call_id[:200],
        "arguments_bytes": len(json.dumps(call.arguments, ensure_ascii=False, default=str).encode("utf-8", "replace")),
    }


def _tool_end(call: ToolCall) -> Record:
    waited_s = round(call.waited_s, 3)
    return {
        "name": call.name[:200],
        "waited_s": waited_s if waited_s >= WAITED_S else None,
        "outcome": call.outcome,
        "result_chars": len(call.text),
    }


def _address(place: tuple[str, int]) -> str:
    host, port = place
    return f"{host}:{port}" if host else ""


def _last_messages(call: ModelCall) -> Record:
    """What the model hadn't been sent before: the messages since its last answer."""
    new: list[Any] = []
    for message in reversed(call.messages):
        if message.get("role") == "assistant":
            break
        new.insert(0, _plain(message))
    return {"messages": new}


def _answer(call: ModelCall) -> Record:
    answer = call.answer
    return {"answer": _plain(answer)} if answer is not None else {}


def _plain(message: Any) -> Any:
    """A message as data, images and sounds left out."""
    plain = {key: value for key, value in to_builtins(message).items() if value is not None}
    if isinstance(plain.get("content"), list):
        plain["content"] = [
            part if part.get("type") == "text" else {"type": part.get("type")} for part in plain["content"]
        ]
    return plain


Event = tuple[str, Callable[[Any], Record], Callable[[Any], Record]]

_STARTS: Mapping[type[Operation], Event] = {
    AgentRun: ("run.start", _run_start, lambda run: {"request": run.request}),
    ModelCall: ("model.start", _model_start, _last_messages),
    ToolCall: ("tool.start", _tool_start, lambda call: {"arguments": dict(call.arguments)}),
}
_ENDS: Mapping[type[Operation], Event] = {
    AgentRun: ("run.end", _run_end, lambda run: {"text": run.text}),
    ModelCall: ("model.end", _model_end, _answer),
    ToolCall: ("tool.end", _tool_end, lambda call: {"result": call.text}),
}
"""For each kind of operation the name of the record, its facts, and its content."""

_AT_SERVERS: Mapping[type, tuple[str, Callable[[Any], Record]]] = {
    ServerLost: ("server.lost", lambda lost: {"server": lost.server, "message": f"{lost.server} {lost.how}"}),
    ServerReturned: ("server.returned", lambda back: {"server": back.server}),
    ToolChanged: (
        "tool.changed",
        lambda tool: {"server": tool.server, "name": tool.tool, "parts": tool.parts, "refused": tool.refused},
    ),
}
