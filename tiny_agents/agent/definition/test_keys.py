"""The keys of a test, one row each: for `tests` in a definition, and for the files that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_agents.agent.definition.document import Value
from tiny_agents.agent.definition.readings import (
    FLAG,
    SCALAR,
    TEXT,
    TEXT_OR_TEXTS,
    WHOLE,
    choice,
    each,
    number,
    read_each,
)
from tiny_agents.agent.definition.table import Key, Shape, Table
from tiny_agents.agent.definition.types import FileDefinition
from tiny_agents.agent.testing.case import (
    AMOUNTS,
    COMPLETE,
    OUTCOMES,
    STOP_REASONS,
    Case,
    Expected,
    ExpectedCall,
    StandIn,
)
from tiny_agents.inference.script import ScriptedAnswer, ScriptedCall

# ---- what a model answers


def _arguments(value: Value) -> Mapping[str, Any] | str:
    """A mapping, or any text."""
    if isinstance(value.data, str):
        return value.text(blank=True)
    return (value.mapping(), dict(value.plain()))[1]


CALL = Table(
    "a call",
    (
        Key("tool", TEXT, "the tool, as the model knows it"),
        Key(
            "arguments",
            Shape(_arguments, {"type": ["object", "string"]}),
            "its arguments; a text goes out as it stands, to see what becomes of arguments that are no JSON",
        ),
    ),
    needed={"tool": "it is what is called"},
)


def _call(value: Value) -> ScriptedCall:
    if isinstance(value.data, str):
        return ScriptedCall(value.text().strip())
    return ScriptedCall(**CALL.read(value))


_TEXT = Shape(lambda value: value.text(blank=True), {"type": "string"})
ANSWER = Table(
    "an answer",
    (
        Key("text", _TEXT, "what the model says"),
        Key(
            "calls",
            each(Shape(_call, {"anyOf": [TEXT.schema, CALL.schema()]})),
            "tools that it calls: each a name, or a mapping of `tool` and `arguments`",
        ),
        Key("reasoning", TEXT, "what it thinks first"),
        Key(
            "finish_reason",
            TEXT,
            "why it stops, such as `length` or `content_filter`; by default `tool_calls` with calls, else `stop`",
        ),
        Key(
            "to",
            TEXT,
            "a text that the last message must hold for this answer to be given: tells apart what several agents are asked",
        ),
    ),
)


def _answer(value: Value) -> ScriptedAnswer:
    if not isinstance(value.data, dict):
        return ScriptedAnswer(value.text(blank=True))
    return ScriptedAnswer(**ANSWER.read(value))


ANSWERS = each(Shape(_answer, {"anyOf": [{"type": "string"}, ANSWER.schema()]}))


# ---- what tools come to


def _tool_pattern(value: Value) -> str:
    text = value.text().strip()
    if re.search(r"\s", text):
        raise value.error(f"must be a tool, such as read_note, notes.read_* or *.delete_*, but is {text!r}")
    return text


PATTERN = Shape(_tool_pattern, {"type": "string", "pattern": r"^\s*\S+\s*$"})
ARGUMENTS = Shape(Value.text_map, {"type": "object", "additionalProperties": SCALAR})
STAND_IN = Table(
    "a result",
    (
        Key("tool", PATTERN, "of which tools: a pattern, as in `expect.calls`"),
        Key("arguments", ARGUMENTS, "only where the arguments look like this: patterns, by name"),
        Key("text", _TEXT, "what the tool says"),
        Key("error", FLAG, "`true`: the tool says that it failed"),
    ),
    needed={"tool": "it says which calls aren't made", "text": "it is what the tool says"},
)


def _stand_in(value: Value) -> StandIn:
    fields = STAND_IN.read(value)
    return StandIn(fields.pop("tool"), fields.pop("text"), **fields)


STAND_INS = each(Shape(_stand_in, STAND_IN.schema()))


# ---- what is expected


EXPECTED_CALL = Table(
    "an expected call",
    (
        Key("tool", PATTERN, "which tool"),
        Key(
            "arguments",
            ARGUMENTS,
            "what its arguments have to look like, by name: patterns over the text, or over JSON for anything else",
        ),
        Key("times", WHOLE, "how often; at least once if left out"),
        Key(
            "outcome",
            choice(*OUTCOMES),
            "how the call comes out: `ok` (the default), `error` (the tool says so), `failed` (its server does), `denied` "
            "(the rules do), `not_run` (no such tool, or no such arguments), or `any`",
        ),
    ),
    needed={"tool": "it is what has to be called"},
)


def _expected_call(value: Value) -> ExpectedCall:
    if not isinstance(value.data, dict):
        return ExpectedCall(_tool_pattern(value))
    fields = EXPECTED_CALL.read(value)
    return ExpectedCall(fields.pop("tool"), **fields)


def _patterns(value: Value) -> tuple[str, ...]:
    """Regular expressions, one or several."""
    values = value.items() if isinstance(value.data, list) else [value]

    def read(item: Value) -> str:
        text = item.text()
        try:
            re.compile(text)
        except re.error as error:
            raise item.error(f"is no regular expression: {error}") from error
        return text

    return tuple(read_each(values, read))


def _schema(value: Value) -> dict[str, Any] | str:
    return dict(value.plain()) if isinstance(value.data, dict) else value.text().strip()


def _stop_reasons(value: Value) -> tuple[str, ...]:
    values = value.items() if isinstance(value.data, list) else [value]
    if not values:
        raise value.error("is an empty list; name one")
    return tuple(read_each(values, STOP_REASON.read))


STOP_REASON = choice(*STOP_REASONS)
AT_MOST = Table("`at_most`", tuple(Key(name, number(0), "as in `limits`") for name in AMOUNTS))
EXPECTED = Table(
    "`expect`",
    (
        Key("contains", TEXT_OR_TEXTS, "text that the answer has: one, or a list"),
        Key("excludes", TEXT_OR_TEXTS, "text that it hasn't"),
        Key(
            "matches",
            Shape(_patterns, TEXT_OR_TEXTS.schema),
            "regular expressions of Python that fit somewhere in it; `(?i)` at their start for any case",
        ),
        Key("equals", _TEXT, "the whole answer, but for white space around it"),
        Key("output", Shape(Value.plain, {}), "the answer as JSON; of a mapping, only what is named here counts"),
        Key(
            "schema",
            Shape(_schema, {"anyOf": [TEXT.schema, {"type": "object"}]}),
            "JSON Schema that the answer fits as JSON: a file beside this one, or the schema itself",
        ),
        Key(
            "calls",
            each(Shape(_expected_call, {"anyOf": [PATTERN.schema, EXPECTED_CALL.schema()]})),
            "tools that are called: each a pattern such as `read_note` or `notes.read_*`, or a mapping of `tool`, "
            "`arguments`, `times` and `outcome`",
        ),
        Key(
            "no_calls",
            each(Shape(_tool_pattern, PATTERN.schema)),
            'tools that aren\'t called, not even in vain: patterns; `["*"]` is none at all',
        ),
        Key(
            "stop_reason",
            Shape(
                _stop_reasons,
                {"anyOf": [STOP_REASON.schema, {"type": "array", "minItems": 1, "items": STOP_REASON.schema}]},
            ),
            f"how the run ends: one, or a list (default: {', '.join(f'`{reason}`' for reason in COMPLETE)})",
        ),
        Key("at_most", AT_MOST.shape, "what may be used, by the names of `limits`: `{tool_calls: 2, seconds: 10}`"),
    ),
    hints={
        "max": "is called at_most",
        "limits": "is called at_most here: it stops nothing, it is looked at afterwards",
        "not_contains": "is called excludes",
        "not_calls": "is called no_calls",
    },
)


# ---- cases


def _prompts(value: Value) -> tuple[str, ...]:
    if not isinstance(value.data, list):
        return (value.text(),)
    if not value.data:
        raise value.error("is an empty list; give it a prompt")
    return tuple(read_each(value.data, Value.text))


_PROMPTS = {"anyOf": [TEXT.schema, {"type": "array", "minItems": 1, "items": TEXT.schema}]}
CASE = Table(
    "a test",
    (
        Key("name", TEXT, "what it is called; by default the start of its prompt"),
        Key("prompt", Shape(_prompts, _PROMPTS), "what the agent is asked; or several, one after the other"),
        Key("expect", EXPECTED.shape, "what has to be true then; by default, that there is an answer"),
        Key("answers", ANSWERS, "what the model answers, in place of a model: texts, or mappings"),
        Key("results", STAND_INS, "what calls of tools come to, in place of being made"),
        Key(
            "permission",
            choice("allow", "deny"),
            "what becomes of calls that would be asked about; by default as where nobody can be asked",
        ),
    ),
    needed={"prompt": "it is what the agent is asked"},
)

_NAME_CHARS = 60


def read_case(value: Value) -> Case:
    """One test. Raises ConfigError."""
    fields = CASE.read(value)
    prompts = fields.pop("prompt")
    name = fields.pop("name", "").strip() or _shortened(prompts[0])
    expected = Expected(**fields.pop("expect", {}))
    path = Path(value.path) if value.path is not None else None
    return Case(name, prompts, expected, **fields, path=path, line=value.line, key=value.key)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _NAME_CHARS else f"{line[: _NAME_CHARS - 1].rstrip()}…"


def _test(value: Value) -> FileDefinition | Case:
    if isinstance(value.data, dict):
        return read_case(value)
    name = value.text().strip()
    if "${" in name:
        raise value.error("placeholders are not filled in here: the path counts from the definition")
    return FileDefinition(name, value.key)


TESTS = each(Shape(_test, {"anyOf": [TEXT.schema, CASE.schema()]}))
"""`tests` of a definition."""
