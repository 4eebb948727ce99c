"""What a run yields and what happens at the servers -> the records of `--output jsonl`. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import singledispatch
from typing import Any

import msgspec

from tiny_agents.agent.loop.result import AgentResult
from tiny_agents.agent.loop.usage import usage_of_call
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.machine import records
from tiny_agents.cli.screen.events import EventReader, Text, Thought, ToolCall, ToolResult
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.inference.types.record import Record
from tiny_agents.mcp_client.events import (
    ContextCompacted,
    InnerEvent,
    ListChanged,
    ModelChanged,
    ResourceUpdated,
    ServerAsked,
    ServerLog,
    ServerLost,
    ServerReturned,
    ToolAnswered,
    ToolChanged,
    ToolProgress,
)
from tiny_agents.mcp_client.host.host import (
    AuthorizationRequest,
    FormRequest,
    RootsRequest,
    SamplingRequest,
    UrlRequest,
)
from tiny_agents.records import shown_names

WhereIs = Callable[[str], tuple[str, str] | None]
"""A tool's name, as the model knows it -> its server, and what that calls it."""

STATUSES: Mapping[int, records.Status] = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "usage",
    ExitCode.LIMIT: "limit",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated",
    ExitCode.HANGUP: "hangup",
}
DEPTH = 50
"""How deeply nested data of a server's is shown."""


class RecordReader:
    """Turns what one `Agent.run(..., events=True)` yields into records.

    Args:
        where_is: Finds the server of a tool.
        hidden_tools: Tools of the agent loop itself.
    """

    def __init__(self, where_is: WhereIs, hidden_tools: Collection[str] = ()) -> None:
        self._where_is = where_is
        self._hidden = frozenset(hidden_tools)
        self._reader = EventReader()
        self._readers: dict[tuple[str, str | None], RecordReader] = {}

    def read(self, item: Any) -> Iterator[records.Record]:
        """The records for one item or event, in order."""
        if isinstance(item, ToolAnswered):
            return  # the tool message with the same says it
        if isinstance(item, InnerEvent):
            yield from self._inside(item)
            return
        if not isinstance(item, (ChatCompletionStreamOutput, ChatCompletionInputMessage)):
            yield event_record(item)
            return
        if isinstance(item, ChatCompletionStreamOutput) and item.usage is not None:
            used = usage_of_call(item.usage, (), (), None, None)
            yield records.Usage(
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                cached_tokens=used.cached_tokens,
                reasoning_tokens=used.reasoning_tokens,
            )
        for event in self._reader.read(item):
            match event:
                case Text(text):
                    yield records.Text(text=text)
                case Thought(text):
                    yield records.Reasoning(text=text)
                case ToolCall(id, name, arguments) if name not in self._hidden:
                    server, tool = self._where_is(name) or (None, None)
                    given = as_object(arguments)
                    yield records.ToolCall(id=id, name=name, server=server, tool=tool, arguments=given)
                case ToolResult(name=name, text=text) if name not in self._hidden:
                    server, tool = self._where_is(name) or (None, None)
                    failed = text[:5].lower() == "error"
                    id = getattr(item, "tool_call_id", None) or ""
                    yield records.ToolResult(id=id, name=name, server=server, tool=tool, text=text, failed=failed)

    def _inside(self, item: InnerEvent) -> Iterator[records.Record]:
        """The records of an agent that is a tool, each in one that says whose it is."""
        reader = self._readers.setdefault((item.tool, item.call), RecordReader(lambda _: None, self._hidden))
        for record in reader.read(item.event):
            yield records.Inner(tool=item.tool, call=item.call, record=msgspec.to_builtins(record))


def as_object(arguments: str) -> Any:
    """Arguments as an object; where they are none, the text itself."""
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


# ---------------------------------------------------------------- what happens at servers


@singledispatch
def event_record(event: Any) -> records.Record:
    """The record of an event; one without a record of its own becomes an `Event`."""
    return records.Event(name=type(event).__name__, data=plain(event) if shown_names(event) else {})


@event_record.register
def _(event: ToolProgress) -> records.Record:
    return records.Progress(
        server=event.server, tool=event.tool, done=event.done, total=event.total, message=event.message
    )


@event_record.register
def _(event: ServerLog) -> records.Record:
    return records.Log(server=event.server, level=event.level, data=plain(event.data), logger=event.logger)


@event_record.register
def _(event: ServerLost) -> records.Record:
    return records.Server(name=event.server, state="lost", message=event.how)


@event_record.register
def _(event: ServerReturned) -> records.Record:
    return records.Server(name=event.server, state="returned")


@event_record.register
def _(event: ServerAsked) -> records.Record:
    return asked_record(event.request)


@event_record.register
def _(event: ListChanged) -> records.Record:
    return records.ListChanged(server=event.server, of=event.of, added=list(event.added), removed=list(event.removed))


@event_record.register
def _(event: ResourceUpdated) -> records.Record:
    return records.ResourceUpdated(server=event.server, uri=event.uri)


@event_record.register
def _(event: ToolChanged) -> records.Record:
    return records.ToolChanged(server=event.server, tool=event.tool, parts=list(event.parts), refused=event.refused)


@event_record.register
def _(event: ModelChanged) -> records.Record:
    return records.ModelChanged(before=event.before, after=event.after, why=event.why)


@event_record.register
def _(event: ContextCompacted) -> records.Record:
    return records.Compaction(
        before=event.before,
        after=event.after,
        max_tokens=event.max_tokens,
        by=event.by,
        left_out=event.left_out,
    )


@singledispatch
def asked_record(request: Any) -> records.Record:
    """The record of what a server asks."""
    return records.Event(name=type(request).__name__, data=plain(request) if shown_names(request) else {})


@asked_record.register
def _(request: FormRequest) -> records.Record:
    return records.Ask(server=request.server, kind="form", message=request.message, detail=plain(request.schema))


@asked_record.register
def _(request: UrlRequest) -> records.Record:
    return records.Ask(server=request.server, kind="page", message=request.message, detail=request.url)


@asked_record.register
def _(request: AuthorizationRequest) -> records.Record:
    # not the page: whoever opens it logs in for this run
    return records.Ask(server=request.server, kind="login", message=request.problem, detail=request.host)


@asked_record.register
def _(request: SamplingRequest) -> records.Record:
    detail = {"messages": plain(list(request.messages)), "max_tokens": request.max_tokens}
    return records.Ask(server=request.server, kind="sampling", detail=detail)


@asked_record.register
def _(request: RootsRequest) -> records.Record:
    return records.Ask(server=request.server, kind="roots")


# ---------------------------------------------------------------- the end


def end_record(
    code: int, result: AgentResult | None, *, session: str | None, error: records.Error | None
) -> records.End:
    """The last record of a run; `result` is None where it never began."""
    status = STATUSES.get(code, "failed")
    if result is None:
        return records.End(version=records.VERSION, status=status, exit_code=int(code), session=session, error=error)
    usage = result.usage
    return records.End(
        version=records.VERSION,
        status=status,
        exit_code=int(code),
        text=result.text,
        output=plain(result.output),
        has_answer=result.has_answer and not result.problem,
        stop_reason=result.stop_reason,
        problem=result.problem,
        limit=str(result.limit) if result.limit is not None else None,
        finish_reason=result.finish_reason,
        model=result.model,
        session=session,
        usage=records.Total(
            model_calls=usage.model_calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cost_usd=usage.cost_usd,
            estimated=usage.estimated,
        ),
        tool_calls=result.tool_calls,
        duration_s=round(result.duration_s, 3),
        error=error,
    )


def plain(value: Any, depth: int = DEPTH) -> Any:
    """`value` as data that JSON can hold: what it can't is named by its type, and numbers that are none are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Record):
        value = value.to_dict()
    if names := shown_names(value):
        return {name: plain(getattr(value, name), depth - 1) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth - 1) for item in value]
    return type(value).__name__


def as_line(record: records.Record) -> str:
    """A record as one line of JSON, in ASCII: no terminal, reader of lines or encoding can misread it."""
    import msgspec

    return json.dumps(msgspec.to_builtins(record), ensure_ascii=True, allow_nan=False) + "\n"
