"""What a test of an agent is: plain values. `definition/test_keys.py` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tiny_agents.inference.script import ScriptedAnswer

Amount = Literal["model_calls", "tool_calls", "tokens", "cost_usd", "seconds"]
AMOUNTS: tuple[Amount, ...] = ("model_calls", "tool_calls", "tokens", "cost_usd", "seconds")
"""What a case may use at most: the names of `limits`."""

OUTCOMES = ("ok", "error", "failed", "denied", "not_run", "any")
"""How a call may have come out: `mcp_client.observing.observing.ToolCall.outcome`, or `any` of these."""

STOP_REASONS = (
    "done", "exit_tool", "empty", "turn_limit", "tool_limit", "token_limit", "cost_limit", "repeat_limit", "time_limit",
    "bad_output",
)  # fmt: skip
"""How a run may end by itself; see `agent.loop.rules`."""

COMPLETE = ("done", "exit_tool")
"""How a run ends that came to its end."""

NOTHING: Any = object()
"""In place of an `output` where none is expected; None is one."""


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A tool that has to be called.

    Attributes:
        pattern: Its name, or `server.tool`, or `agent/server.tool`; with `*`, `?` and `[...]`.
        arguments: What its arguments have to look like: patterns, by name.
        times: How often; None is at least once.
        outcome: How the call has to come out.
    """

    pattern: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    outcome: str = "ok"

    def __str__(self) -> str:
        said = ", ".join(f"{name}={pattern}" for name, pattern in self.arguments.items())
        return f"{self.pattern} ({said})" if said else self.pattern


@dataclass(frozen=True, slots=True)
class StandIn:
    """What calls of tools come to, in place of being made.

    Attributes:
        pattern, arguments: Which calls, as of `ExpectedCall`.
        text: What the tool says.
        error: The tool says that it failed.
    """

    pattern: str
    text: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    error: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to be true once the agent has answered; by default, that it has.

    Attributes:
        contains, excludes: Texts that the answer has, and hasn't.
        matches: Regular expressions, each of which fits somewhere in the answer.
        equals: The answer itself, but for white space around it.
        output: What the answer is as JSON; of mappings, what is named.
        schema: A JSON Schema that the answer fits as JSON; a path until the case is loaded.
        no_calls: Patterns of tools that aren't called, in whatever way it would have come out.
        stop_reason: How the run may end.
        at_most: What may be used.
    """

    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    equals: str | None = None
    output: Any = NOTHING
    schema: Mapping[str, Any] | str | None = None
    calls: tuple[ExpectedCall, ...] = ()
    no_calls: tuple[str, ...] = ()
    stop_reason: tuple[str, ...] = COMPLETE
    at_most: Mapping[Amount, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One test: what the agent is asked, and what is expected.

    Attributes:
        prompts: Asked one after the other, in one conversation.
        answers: What the model says, in place of a model; None asks one.
        results: What calls of tools come to, in place of being made; of several that fit a call, the first.
        permission: What becomes of calls that would be asked about; None leaves it to the definition.
        path, line: Where it stands.
        key: Where it stands in that file.
    """

    name: str
    prompts: tuple[str, ...]
    expected: Expected = field(default_factory=Expected)
    answers: tuple[ScriptedAnswer, ...] | None = None
    results: tuple[StandIn, ...] = ()
    permission: Literal["allow", "deny"] | None = None
    path: Path | None = None
    line: int | None = None
    key: str = ""
