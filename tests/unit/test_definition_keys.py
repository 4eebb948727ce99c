"""The readings of keys that are mappings."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents.agent.definition.document import read_yaml
from tiny_agents.agent.definition.keys import CHAT_PARAMS, CONTEXT, LIMITS, MODELS, OUTPUT, PERMISSIONS, TOOLS
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.table import Shape, Table
from tiny_agents.agent.definition.test_keys import ANSWER, CASE
from tiny_agents.agent.definition.types import FileDefinition, SubagentDefinition, TaskDefinition
from tiny_agents.agent.permissions.rules import Rule
from tiny_agents.errors import ConfigError


def read(shape: Shape | Table, text: str) -> Any:
    return shape.read(read_yaml(text, "agent.yaml"))


GOOD: list[tuple[Shape | Table, str, Any]] = [
    (MODELS, "a/b", {"model": "a/b"}),
    (MODELS, "[a, b, c]", {"model": "a", "fallback_models": ("b", "c")}),
    (
        CHAT_PARAMS,
        "{temperature: 0.2, max_tokens: 2048, seed: -1, stop: END, extra_body: {top_k: 5, deep: [{a: null}]}}",
        {
            "temperature": 0.2,
            "max_tokens": 2048,
            "seed": -1,
            "stop": ("END",),
            "extra_body": {"top_k": 5, "deep": [{"a": None}]},
        },
    ),
    (
        LIMITS,
        "{model_calls: 20, tool_calls: 0, tokens: 1, cost_usd: 1.5, seconds: 600, repeat: 3, x-why: a}",
        {"model_calls": 20, "tool_calls": 0, "tokens": 1, "cost_usd": 1.5, "seconds": 600.0, "repeat": 3},
    ),
    (
        PERMISSIONS,
        "{default: ask, allow: ['files.read_*'], deny: ['*.rm_*']}",
        {"default": "ask", "allow": (Rule("files.read_*"),), "deny": (Rule("*.rm_*"),)},
    ),
    (
        CONTEXT,
        "{max_tokens: auto, compact: false, result_max_chars: 40000}",
        {"max_tokens": "auto", "compact": False, "result_max_chars": 40000},
    ),
    (CONTEXT, "{max_tokens: 8192, compact: auto}", {"max_tokens": 8192, "compact": "auto"}),
    (CONTEXT, "{compact: 'off', at: 0.5, keep: 2}", {"compact": "off", "at": 0.5, "keep": 2}),
    (OUTPUT, "{schema: ./answer.schema.json}", {"schema": "./answer.schema.json"}),
    (OUTPUT, "{schema: {type: object}}", {"schema": {"type": "object"}}),
    (TOOLS, "{python: [./t.py]}", {"python": (FileDefinition("./t.py", "python[0]"),)}),
    (TOOLS, "{agents: [../s]}", {"agents": (SubagentDefinition("../s", key="agents[0]"),)}),
    (
        TOOLS,
        "{tasks: [text_to_image, {task: translation, model: m, provider: hf-inference}], folders: [a]}",
        {
            "tasks": (
                TaskDefinition("text_to_image", key="tasks[0]"),
                TaskDefinition("translation", "m", "hf-inference", "tasks[1]"),
            ),
            "folders": ("a",),
        },
    ),
]


@pytest.mark.parametrize(("shape", "text", "meaning"), GOOD, ids=[text[:40] for _, text, _ in GOOD])
def test_what_is_right_is_read(shape: Shape | Table, text: str, meaning: Any) -> None:
    found = read(shape, text)

    assert found == meaning


BAD: list[tuple[Shape | Table, str, str]] = [
    (MODELS, "[]", "agent.yaml:1:1: is an empty list; name a model"),
    (MODELS, "[a, b, a]", "[2]: 'a' is named twice"),
    (MODELS, "[a, 3]", "[1]: must be text, but is a number"),
    (MODELS, "{a: b}", "must be text, but is a mapping"),
    (CHAT_PARAMS, "{temprature: 1}", "temprature: unknown key (did you mean 'temperature'?)"),
    (CHAT_PARAMS, "{temperature: hot}", "temperature: must be a number, but is 'hot'"),
    (CHAT_PARAMS, "{temperature: -1}", "temperature: must be at least 0, but is -1"),
    (CHAT_PARAMS, "{temperature: 1e999}", "temperature: must be a number, but is 1e999"),
    (CHAT_PARAMS, "{top_p: 2}", "top_p: must be at most 1, but is 2"),
    (CHAT_PARAMS, "{max_tokens: 0}", "max_tokens: must be at least 1, but is 0"),
    (CHAT_PARAMS, "{model: a}", "model: is decided elsewhere and can't be a parameter"),
    (CHAT_PARAMS, "{stream: true}", "stream: is decided elsewhere and can't be a parameter"),
    (CHAT_PARAMS, "{top_k: 5}", "top_k: is no parameter of the OpenAI API; write it under `extra_body`"),
    (CHAT_PARAMS, "{extra_body: [a]}", "extra_body: must be a mapping of keys to values, but is a list"),
    (CHAT_PARAMS, "[a]", "must be a mapping of keys to values, but is a list"),
    (LIMITS, "{model_calls: -1}", "model_calls: must be at least 1, but is -1"),
    (LIMITS, "{tool_calls: -1}", "tool_calls: must be at least 0, but is -1"),
    (LIMITS, "{tokens: 1.5}", "tokens: must be a whole number, but is 1.5"),
    (LIMITS, "{cost_usd: -0.5}", "cost_usd: must be at least 0, but is -0.5"),
    (LIMITS, "{cost_usd: $1}", "cost_usd: must be a number, but is '$1'"),
    (LIMITS, "{seconds: 0}", "seconds: must be a number of seconds above 0, but is 0"),
    (LIMITS, "{seconds: .nan}", "seconds: must be a number of seconds, but is '.nan'"),
    (LIMITS, "{repeat: 1}", "repeat: must be at least 2, but is 1"),
    (LIMITS, "{max_turns: 5}", "max_turns: stands at the top of the file; here it is called model_calls"),
    (LIMITS, "{model_call: 5}", "model_call: unknown key (did you mean 'model_calls'?)"),
    (
        PERMISSIONS,
        "{default: alow}",
        "default: must be one of allow, ask, deny, destructive, but is 'alow' (did you mean 'allow'?)",
    ),
    (PERMISSIONS, "{allow: a.b}", "allow: must be a list, but is text"),
    (CONTEXT, "{max_tokens: lots}", "max_tokens: must be a whole number or auto, but is 'lots'"),
    (CONTEXT, "{max_tokens: 10}", "max_tokens: must be at least 500, but is 10"),
    (CONTEXT, "{compact: never}", "compact: must be true or false, or one of auto, off, but is 'never'"),
    (CONTEXT, "{at: 80}", "at: must be at most 0.95, but is 80"),
    (CONTEXT, "{keep: 0}", "keep: must be at least 1, but is 0"),
    (CONTEXT, "{result_max_chars: 0}", "result_max_chars: must be at least 500, but is 0"),
    (CONTEXT, "{max_token: 8192}", "max_token: unknown key (did you mean 'max_tokens'?)"),
    (OUTPUT, "{}", "schema: missing; it is what the answer has to fit"),
    (OUTPUT, "{schema: [a]}", "schema: must be text, but is a list"),
    (CASE, "{prompt: []}", "prompt: is an empty list; give it a prompt"),
    (CASE, "{prompt: [a, 3]}", "prompt[1]: must be text, but is a number"),
    (CASE, "{prompt: a, permission: ask}", "permission: must be one of allow, deny, but is 'ask'"),
    (CASE, "{prompt: a, answers: text}", "answers: must be a list, but is text"),
    (CASE, "{prompt: a, expect: {contain: b}}", "expect.contain: unknown key (did you mean 'contains'?)"),
    (CASE, "{prompt: a, expect: {limits: {}}}", "expect.limits: is called at_most here"),
    (CASE, "{prompt: a, expect: {matches: '('}}", "expect.matches: is no regular expression: missing )"),
    (CASE, "{prompt: a, expect: {calls: read}}", "expect.calls: must be a list, but is text"),
    (CASE, "{prompt: a, expect: {calls: [{arguments: {}}]}}", "calls[0].tool: missing; it is what has to be called"),
    (CASE, "{prompt: a, expect: {calls: [read a note]}}", "calls[0]: must be a tool, such as read_note, notes.read_*"),
    (CASE, "{prompt: a, expect: {calls: [{tool: a, times: -1}]}}", "calls[0].times: must be at least 0, but is -1"),
    (CASE, "{prompt: a, expect: {calls: [{tool: a, outcome: good}]}}", "outcome: must be one of ok, error, failed"),
    (CASE, "{prompt: a, expect: {stop_reason: finished}}", "stop_reason: must be one of done, exit_tool, empty"),
    (CASE, "{prompt: a, expect: {at_most: {calls: 3}}}", "at_most.calls: unknown key (did you mean"),
    (CASE, "{prompt: a, expect: {at_most: {tool_calls: -1}}}", "at_most.tool_calls: must be at least 0, but is -1"),
    (CASE, "{prompt: a, expect: {schema: 3}}", "expect.schema: must be text, but is a number"),
    (CASE, "{prompt: a, results: [{tool: a}]}", "results[0].text: missing; it is what the tool says"),
    (CASE, "{prompt: a, results: [{tool: a b, text: c}]}", "results[0].tool: must be a tool, such as read_note"),
    (CASE, "{prompt: a, results: [{tool: a, text: c, error: 1}]}", "results[0].error: must be true or false, but is 1"),
    (ANSWER, "{tex: a}", "tex: unknown key (did you mean 'text'?)"),
    (ANSWER, "{calls: [{arguments: {}}]}", "calls[0].tool: missing; it is what is called"),
    (ANSWER, "{calls: [{tool: a, arguments: [1]}]}", "calls[0].arguments: must be a mapping of keys to values, but is"),
]


@pytest.mark.parametrize(("shape", "text", "message"), BAD, ids=[text for _, text, _ in BAD])
def test_what_is_wrong_is_said(shape: Shape | Table, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(shape, text)

    assert message in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_definition(
            "modle: x\n"
            "timeout: -1\n"
            "inputs: [{id: a b}, {id: c, secret: 1}]\n"
            "servers:\n"
            "  one: {comand: x}\n"
            "  two: {command: [x], args: y, tools: {alow: []}}\n"
            "  three: {url: 'http://x'}\n",
            path="agent.yaml",
        )

    first = caught.value
    assert [(error.line, error.key) for error in (first, *first.others)] == [
        (1, "modle"),
        (2, "timeout"),
        (3, "inputs[0].id"),
        (3, "inputs[1].secret"),
        (5, "servers.one.comand"),
        (6, "servers.two.command"),
        (6, "servers.two.args"),
        (6, "servers.two.tools.alow"),
    ]
    assert all(not error.others for error in first.others)
