"""The lines of `--output jsonl`: what they may hold, as types. Their JSON Schema and docs/cli-events.md are made of them.

Every record is an object with a `type`. New types, and new keys of known ones, may be added at any time: a reader skips what
it doesn't know. Anything else that changes raises `VERSION`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

VERSION = 1

Status = Literal["done", "failed", "usage", "limit", "interrupted", "terminated", "hangup"]


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all records are."""


class Start(Record, frozen=True, kw_only=True, tag="start"):
    """The definition and the flags make sense; servers are started next.

    Attributes:
        version: Of these records.
        program: Version of tiny-agents.
        agent: The agent's name.
        model: As it will be asked for; null where only the place decides.
        provider: Who serves it; null for an endpoint, or where Hugging Face chooses.
        endpoint: Its address, without secrets.
        session: Id under which the conversation is saved; null if it isn't.
    """

    version: int
    program: str
    agent: str
    model: str | None = None
    provider: str | None = None
    endpoint: str | None = None
    session: str | None = None


class Server(Record, frozen=True, kw_only=True, tag="server"):
    """A server started, or what became of it.

    Attributes:
        tools: Names of its tools, as it spells them, once it is ready.
        message: What is wrong, where something is.
    """

    name: str
    state: Literal["ready", "failed", "lost", "returned"]
    tools: list[str] = []
    message: str = ""


class Text(Record, frozen=True, kw_only=True, tag="text"):
    """A piece of what the model says. What comes before a tool call isn't the answer yet: `end` has that whole."""

    text: str


class Reasoning(Record, frozen=True, kw_only=True, tag="reasoning"):
    """A piece of what the model thinks before it answers."""

    text: str


class ToolCall(Record, frozen=True, kw_only=True, tag="tool_call"):
    """The model wants to call a tool.

    Attributes:
        name: As the model knows the tool.
        server: Whose it is; null where there is no such tool.
        tool: What its server calls it.
        arguments: An object; the text that the model wrote, where that is none.
    """

    id: str
    name: str
    server: str | None = None
    tool: str | None = None
    arguments: Any = None


class ToolResult(Record, frozen=True, kw_only=True, tag="tool_result"):
    """What the model is told about a call. Results come in the order of the calls.

    Attributes:
        failed: The tool failed, or was not called (not allowed, unknown, a limit, arguments that are no JSON).
    """

    id: str
    name: str
    server: str | None = None
    tool: str | None = None
    text: str = ""
    failed: bool = False


class Progress(Record, frozen=True, kw_only=True, tag="progress"):
    """A running call is at `done` of `total` (null: nobody knows), in the server's own measure."""

    server: str
    tool: str
    done: float
    total: float | None = None
    message: str | None = None


class Log(Record, frozen=True, kw_only=True, tag="log"):
    """A server reports something: `level` as in syslog, `data` is text or any JSON."""

    server: str
    level: str
    data: Any = None
    logger: str | None = None


class Ask(Record, frozen=True, kw_only=True, tag="ask"):
    """Something has to be decided by a person.

    Without a terminal what servers ask is answered with a no, and the run goes on; a call that needs permission is refused
    without this record, and its `tool_result` says why.

    Attributes:
        kind: A form or a page of a server's, a login, a text of our model's, a folder; or whether a tool may be called.
        message: The question.
        detail: What the answer depends on: the form's JSON Schema, the page, the call's arguments.
    """

    server: str
    kind: Literal["form", "page", "login", "sampling", "roots", "permission"]
    message: str = ""
    detail: Any = None


class Answered(Record, frozen=True, kw_only=True, tag="answered"):
    """What a person answered to whether a tool may be called.

    Attributes:
        answer: "once", "session", "always" or "no".
    """

    server: str
    tool: str
    answer: str
    reason: str = ""


class ListChanged(Record, frozen=True, kw_only=True, tag="list_changed"):
    """A server offers other tools, prompts or resources (`of`) than before."""

    server: str
    of: str
    added: list[str] = []
    removed: list[str] = []


class ResourceUpdated(Record, frozen=True, kw_only=True, tag="resource_updated"):
    """A resource that was subscribed to has changed."""

    server: str
    uri: str


class ToolChanged(Record, frozen=True, kw_only=True, tag="tool_changed"):
    """A tool isn't any more what it was when it was first used.

    Attributes:
        parts: What differs.
        refused: It can't be used until it is accepted.
    """

    server: str
    tool: str
    parts: list[str]
    refused: bool


class ModelChanged(Record, frozen=True, kw_only=True, tag="model_changed"):
    """The model `before` can't be had, so `after` is asked; `why` is the error."""

    before: str
    after: str
    why: str


class Compaction(Record, frozen=True, kw_only=True, tag="compaction"):
    """The conversation had become too long for its model, so less of it is sent; the conversation itself stays whole.

    Attributes:
        before: About how many tokens would have been sent, tools included.
        after: About how many are.
        max_tokens: What the model takes; null where nobody knows.
        by: What was left out: older messages with a summary in their place ("summary") or without one ("cut"), "images",
            or the ends of long "results".
        left_out: Messages that the summary stands for, beside those of an earlier one.
    """

    before: int
    after: int
    max_tokens: int | None = None
    by: str
    left_out: int = 0


class Inner(Record, frozen=True, kw_only=True, tag="inner"):
    """Something happens inside a tool that is an agent itself.

    Attributes:
        tool: The tool, as the model knows it.
        call: The `id` of the call that it happens in; null where it belongs to no single one.
        record: What happens: a record of this list, perhaps another `inner`.
    """

    tool: str
    call: str | None = None
    record: dict[str, Any]


class Event(Record, frozen=True, kw_only=True, tag="event"):
    """Something else happened, of a kind that has no record of its own.

    Attributes:
        name: The class of the event in Python.
        data: Its fields.
    """

    name: str
    data: dict[str, Any]


class Usage(Record, frozen=True, kw_only=True, tag="usage"):
    """One answer of the model is whole: the tokens of that call, as its server counted them. Missing where it doesn't."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Notice(Record, frozen=True, kw_only=True, tag="notice"):
    """Something that is good to know."""

    message: str


class Warning(Record, frozen=True, kw_only=True, tag="warning"):
    """Something is odd, but not wrong enough to stop."""

    message: str


class Error(Record, frozen=True, kw_only=True, tag="error"):
    """Something went wrong; `end` follows.

    Attributes:
        kind: The class of the error in Python, such as "ProviderError".
        message: What happened, to what, and what to do. Also on standard error.
    """

    kind: str
    message: str


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole request used.

    Attributes:
        cost_usd: US dollars; null where a price is not known.
        estimated: Tokens of a part were estimated, because a server didn't count them.
    """

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False


class End(Record, frozen=True, kw_only=True, tag="end"):
    """The last line, whatever happened; with `--output json` the only one.

    Attributes:
        version: Of these records.
        status: In a word.
        exit_code: The exit status of the program.
        text: The answer, or as much of it as came.
        output: The answer as data, with `--output-schema` or `output` in the definition.
        has_answer: `text` is the model's whole answer, perhaps its last one at a limit.
        stop_reason: Why the run ended, in more detail; null if it never began.
        problem: Why `text` is not what the schema asks for.
        limit: The limit that it came to, in a sentence.
        finish_reason: Why the model stopped writing, as its server says.
        model: Who answered last.
        session: Id for `tiny-agents run --resume`; null if the conversation isn't saved.
        usage: Tokens and cost.
        tool_calls: How many were carried out.
        duration_s: Seconds from the prompt to the end.
        error: The last one; null where all went well.
    """

    version: int
    status: Status
    exit_code: int
    text: str = ""
    output: Any = None
    has_answer: bool = False
    stop_reason: str | None = None
    problem: str = ""
    limit: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    session: str | None = None
    usage: Total = Total()
    tool_calls: int = 0
    duration_s: float = 0.0
    error: Error | None = None


RECORDS: tuple[type[Record], ...] = (
    Start,
    Server,
    Text,
    Reasoning,
    ToolCall,
    ToolResult,
    Progress,
    Log,
    Ask,
    Answered,
    ListChanged,
    ResourceUpdated,
    ToolChanged,
    ModelChanged,
    Compaction,
    Inner,
    Event,
    Usage,
    Notice,
    Warning,
    Error,
    End,
)
"""All of them, in the order of the documentation."""
