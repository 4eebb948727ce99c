"""Every key of a definition, one row each: where agent.yaml, its JSON Schema and docs/definitions.md come from."""

from __future__ import annotations

import re
from typing import Any

from tiny_agents.agent.context.settings import AT, LEAST_MAX_TOKENS
from tiny_agents.agent.definition.document import Value, did_you_mean
from tiny_agents.agent.definition.part_keys import read_instructions
from tiny_agents.agent.definition.readings import (
    COUNT,
    FLAG,
    PLAIN_MAP,
    SCALAR,
    SECONDS,
    TEXT,
    TEXT_OR_TEXTS,
    TEXTS,
    URL,
    WHOLE,
    choice,
    each,
    number,
    or_word,
    read_each,
)
from tiny_agents.agent.definition.table import Key, Shape, Table
from tiny_agents.agent.definition.task_names import TASKS
from tiny_agents.agent.definition.test_keys import TESTS
from tiny_agents.agent.definition.types import (
    FileDefinition,
    ImportDefinition,
    SubagentDefinition,
    TaskDefinition,
    ToolsDefinition,
)
from tiny_agents.agent.definition.yaml_parts import INPUTS, SERVER_LIST
from tiny_agents.agent.permissions.rules import DEFAULTS, Rule, rule_of
from tiny_agents.mcp_client.bounds import LEAST_RESULT_CHARS, PINNING

# ---- the definition


def _models(value: Value) -> dict[str, Any]:
    """One model, or several in the order in which they are asked."""
    if not isinstance(value.data, list):
        return {"model": value.text().strip()}
    names = [item.text().strip() for item in value.data]
    if not names:
        raise value.error("is an empty list; name a model")
    for n, name in enumerate(names):
        if name in names[:n]:
            raise value.data[n].error(f"{name!r} is named twice")
    return {"model": names[0], "fallback_models": tuple(names[1:])}


_SEVERAL = {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT.schema}
MODELS = Shape(_models, {"anyOf": [TEXT.schema, _SEVERAL]})


def _provider(value: Value) -> str:
    from tiny_agents.inference.providers import NAMES  # the list costs some 40 ms that most definitions can do without

    name = value.text().strip()
    if name not in NAMES and "${" not in name:
        raise value.error(f"there is no provider {name!r}{did_you_mean(name, NAMES) or '; known: ' + ', '.join(NAMES)}")
    return name


def _prompt(value: Value) -> dict[str, str]:
    """A path where it looks like one, else the text."""
    text = value.text()
    one_line = text.strip()
    is_path = "\n" not in one_line and (
        one_line.startswith(("./", ".\\", "../", "..\\")) or re.fullmatch(r"(?i)\S+\.md", one_line)
    )
    return {"prompt_file": one_line} if is_path else {"prompt": text}


CHAT_PARAMS = Table(
    "`params`",
    (
        Key("temperature", number(0), "how freely it chooses among likely words; 0 takes the likeliest"),
        Key("top_p", number(0, 1), "of the likely words, only those that make up this share"),
        Key("max_tokens", COUNT, "the longest answer, in tokens"),
        Key("max_completion_tokens", COUNT, "the same under its newer name, reasoning included"),
        Key("seed", Shape(lambda value: value.whole(-(2**63)), {"type": "integer"}), "the same for the same answers"),
        Key("stop", TEXT_OR_TEXTS, "texts that end an answer"),
        Key("frequency_penalty", number(-2, 2), "above 0, words are repeated less the more often they came"),
        Key("presence_penalty", number(-2, 2), "above 0, words that came already are avoided"),
        Key("reasoning_effort", TEXT, "how long it thinks first: `low`, `medium`, `high`, or what the model knows"),
        Key("verbosity", TEXT, "how long answers are: `low`, `medium`, `high`"),
        Key("parallel_tool_calls", FLAG, "whether it may call several tools at once"),
        Key("service_tier", TEXT, "the provider's class of service"),
        Key("user", TEXT, "who asks, for the provider's statistics"),
        Key("extra_body", PLAIN_MAP, "anything else that the endpoint knows, sent as it stands"),
    ),
    hints={
        **dict.fromkeys(
            ("model", "messages", "tools", "stream", "response_format", "tool_choice"),
            "is decided elsewhere and can't be a parameter",
        ),
        **dict.fromkeys(
            ("top_k", "min_p", "repetition_penalty", "chat_template_kwargs", "thinking", "reasoning"),
            "is no parameter of the OpenAI API; write it under `extra_body` for an endpoint that knows it",
        ),
    },
)


def _above_zero(value: Value) -> float:
    found = value.number(0)
    if not found > 0:
        raise value.error(f"must be above 0, but is {value.written}")
    return found


LIMITS = Table(
    "`limits`",
    (
        Key("model_calls", COUNT, "most calls of the model per prompt"),
        Key("tool_calls", WHOLE, "most calls of tools per prompt; more are refused, and the model is told"),
        Key("tokens", COUNT, "most tokens per prompt, those of the input and of the answers together"),
        Key(
            "cost_usd",
            Shape(_above_zero, {"type": "number", "exclusiveMinimum": 0}),
            "most money per prompt, in US dollars; the price of the model has to be known, see [agent.md](agent.md#prices)",
        ),
        Key("seconds", SECONDS, "longest time per prompt; an answer or a tool call that is under way is stopped"),
        Key(
            "repeat",
            Shape(lambda value: value.whole(2), {"type": "integer", "minimum": 2}),
            "how often the same call may be made in a row with the same arguments and the same result",
        ),
        Key(
            "last_answer",
            FLAG,
            "`false`: at a limit the run just ends; by default the model is told, and asked for a last answer without tools",
        ),
    ),
    hints={"max_turns": "stands at the top of the file; here it is called model_calls", "cost": "is called cost_usd"},
)

CALL = Table(
    "a pattern",
    (
        Key("tool", TEXT, "which tools: `server.tool`, with `*`, `?` and `[...]` in either"),
        Key(
            "arguments",
            Shape(Value.text_map, {"type": "object", "additionalProperties": SCALAR}),
            "what arguments have to look like, by name: patterns; an argument that isn't there fits none",
        ),
    ),
    needed={"tool": "it says which tools are meant"},
)


def _rule(value: Value) -> Rule:
    fields: dict[str, Any] = CALL.read(value) if isinstance(value.data, dict) else {"tool": value.text()}
    try:
        return rule_of(fields["tool"].strip(), fields.get("arguments"))
    except ValueError as problem:
        raise value.error(str(problem)) from None


def _rules(value: Value) -> tuple[Rule, ...]:
    if not isinstance(value.data, list):
        raise value.error(f"must be a list, but is {value.kind}")
    return tuple(read_each(value.data, _rule))


RULES = Shape(_rules, {"type": "array", "items": {"anyOf": [TEXT.schema, CALL.schema()]}})

PERMISSIONS = Table(
    "`permissions`",
    (
        Key(
            "default",
            choice(*DEFAULTS),
            "for calls that fit none of the patterns: `allow`, `ask`, `deny`, or `destructive`, to ask about those that may "
            "destroy something",
        ),
        Key("allow", RULES, "calls that are made without a question: patterns over `server.tool`"),
        Key("ask", RULES, "calls that are asked about"),
        Key("deny", RULES, "calls that are refused, whatever else fits"),
        Key(
            "unattended",
            choice("allow", "deny"),
            "what becomes of calls that are to be asked about where nobody can be asked (default: `deny`)",
        ),
    ),
)


def _at_least(least: int) -> Shape:
    return Shape(lambda value: value.whole(least), {"type": "integer", "minimum": least})


CONTEXT = Table(
    "`context`",
    (
        Key(
            "max_tokens",
            or_word(_at_least(LEAST_MAX_TOKENS), int, "a whole number or auto", "auto"),
            "the model's window in tokens, question and answer together; `auto` (the default) finds out",
        ),
        Key(
            "compact",
            or_word(FLAG, bool, "true or false, or one of auto, off", "auto", "off"),
            "`auto` (the default): before a conversation fills the window, its older part is summed up for the model; "
            "`off`: never",
        ),
        Key("at", number(*AT), f"how full the window is when that is done, from {AT[0]} to {AT[1]} (default 0.8)"),
        Key("keep", COUNT, "how many of the last requests stay word for word, if they fit (default 3)"),
        Key(
            "result_max_chars",
            _at_least(LEAST_RESULT_CHARS),
            "longest tool result that the model gets at once, in characters (default 40000); it reads on with a tool",
        ),
        Key(
            "max_tools",
            COUNT,
            "with more tools than this, those of servers are found by a search instead of all being sent (default 60)",
        ),
    ),
)


def _schema(value: Value) -> str | dict[str, Any]:
    """A path to a schema, or the schema itself."""
    if isinstance(value.data, dict):
        return dict(value.plain())
    return value.text()


OUTPUT = Table(
    "`output`",
    (
        Key(
            "schema",
            Shape(_schema, {"anyOf": [TEXT.schema, {"type": "object"}]}),
            "JSON Schema of the final answer: a file beside the definition, or the schema itself",
        ),
        Key("retries", WHOLE, "how often the model is asked again for an answer that fits (default 2)"),
    ),
    needed={"schema": "it is what the answer has to fit"},
)


def _file(value: Value) -> FileDefinition:
    name = value.text().strip()
    if "${" in name:
        raise value.error("placeholders are not filled in here: the path counts from the definition")
    return FileDefinition(name, value.key)


def _python_file(value: Value) -> FileDefinition:
    file = _file(value)
    if not file.name.lower().endswith(".py"):
        raise value.error(f"must be a Python file, such as ./tools.py, but is {file.name!r}")
    return file


FILES = each(Shape(_file, TEXT.schema))
PYTHON_FILES = each(Shape(_python_file, {"type": "string", "pattern": r"\.[pP][yY]\s*$"}))


def _task_name(value: Value) -> str:
    name = value.text().strip()
    if name not in TASKS:
        near = did_you_mean(name, TASKS) or f"; there are {', '.join(TASKS)}"
        raise value.error(f"there is no task {name!r} that can be a tool{near}")
    return name


TASK_NAME = Shape(_task_name, {"enum": list(TASKS)})
TASK = Table(
    "a task",
    (
        Key("task", TASK_NAME, "which task"),
        Key("model", TEXT, "a model's id, or the URL of an endpoint; by default the one that Hugging Face recommends"),
        Key(
            "provider",
            Shape(_provider, TEXT.schema),
            "an inference provider; by default the agent's own if it has one, else `auto`",
        ),
    ),
    needed={"task": "it says what the tool does"},
)


def _task(value: Value) -> TaskDefinition:
    fields: dict[str, Any] = TASK.read(value) if isinstance(value.data, dict) else {"task": _task_name(value)}
    return TaskDefinition(**fields, key=value.key)


def _tasks(value: Value) -> tuple[TaskDefinition, ...]:
    tasks = tuple(read_each(value.items(), _task))
    for n, task in enumerate(tasks):
        if task.task in [other.task for other in tasks[:n]]:
            raise value.items()[n].error(f"{task.task!r} is named twice")
    return tasks


def _tool_name(value: Value) -> str:
    text = value.text().strip()
    if not re.fullmatch(_TOOL_NAME, text):
        raise value.error(f"must consist of letters, digits, '-' and '_', at most 64, but is {text!r}")
    return text


_TOOL_NAME = r"[A-Za-z0-9_-]{1,64}"
SUBAGENT = Table(
    "an agent as a tool",
    (
        Key("agent", TEXT, "a path beside the definition, a bundled name, or an agent on the Hub"),
        Key(
            "name",
            Shape(_tool_name, {"type": "string", "pattern": f"^{_TOOL_NAME}$"}),
            "what the tool is called; by default like the agent",
        ),
        Key("description", TEXT, "what the model is told of it; by default the agent's `description`"),
    ),
    needed={"agent": "it says which agent is meant"},
)


def _subagent(value: Value) -> SubagentDefinition:
    fields: dict[str, Any] = SUBAGENT.read(value) if isinstance(value.data, dict) else {"agent": value.text()}
    ref = fields.pop("agent").strip()
    if "${" in ref:
        raise value.error("placeholders are not filled in here: a path counts from the definition")
    return SubagentDefinition(ref, **fields, key=value.key)


TOOLS = Table(
    "`tools`",
    (
        Key("python", PYTHON_FILES, "Python files beside the definition, whose public functions become tools"),
        Key(
            "agents",
            each(Shape(_subagent, {"anyOf": [TEXT.schema, SUBAGENT.schema()]})),
            "other agents that become tools: each a text, or a mapping of `agent`, `name` and `description`",
        ),
        Key(
            "tasks",
            Shape(_tasks, {"type": "array", "items": {"anyOf": [TASK_NAME.schema, TASK.schema()]}}),
            "inference tasks that become tools, such as `text_to_image`: each a text, or a mapping of `task`, `model` and "
            "`provider`",
        ),
        Key(
            "folders",
            TEXTS,
            "folders whose files tasks may read and send to their model, such as `${workspaceFolder}`; by default only what "
            "tasks have made",
        ),
    ),
    hints=dict.fromkeys(("allow", "deny"), "chooses among the tools of a server: write `tools` there"),
)


IMPORT = Table(
    "an import",
    (
        Key("file", TEXT, "the file, as seen from the definition"),
        Key("servers", TEXTS, "the servers that are wanted, by name, with `*`, `?` and `[...]`; all if left out"),
    ),
    needed={"file": "it is what is imported"},
)


def _import(value: Value) -> ImportDefinition:
    fields = IMPORT.read(value) if isinstance(value.data, dict) else {"file": value.text()}
    if "${" in fields["file"]:
        raise value.error("placeholders are not filled in here: the path counts from the definition")
    return ImportDefinition(**fields)


def _imports(value: Value) -> tuple[ImportDefinition, ...]:
    return tuple(read_each(value.items() if isinstance(value.data, list) else [value], _import))


_ONE_IMPORT = {"anyOf": [TEXT.schema, IMPORT.schema()]}
IMPORTS = Shape(_imports, {"anyOf": [TEXT.schema, IMPORT.schema(), {"type": "array", "items": _ONE_IMPORT}]})


AGENT = Table(
    "a definition",
    (
        Key("name", TEXT, "what it is called; by default its folder's name"),
        Key("description", TEXT, "what it is for, in a line for people"),
        Key(
            "model",
            MODELS,
            "a model's id, the URL of an endpoint, or a `.gguf` file for the embedded model; or a list, of which each "
            'next one is asked where the one before can\'t be had; see "Which model runs"',
        ),
        Key(
            "provider",
            Shape(_provider, TEXT.schema),
            "an inference provider; `auto` is Hugging Face's choice, `local` the embedded model",
        ),
        Key("endpointUrl", URL, "an OpenAI-compatible endpoint; wins over `provider`"),
        Key(
            "apiKey",
            TEXT,
            "its key, as a rule `${input:...}` or `${env:...}`; sent to that provider or endpoint only",
        ),
        Key(
            "prompt",
            Shape(_prompt, TEXT.schema),
            'the system prompt, or the file that holds it; see "Prompts"',
        ),
        Key("inputs", INPUTS, 'values that whoever runs the agent brings along; see "Inputs"'),
        Key("servers", SERVER_LIST, 'MCP servers, by name or as a list; see "Servers"'),
        Key(
            "timeout",
            SECONDS,
            "seconds without data from the model; comments and keep-alives are no data (default 300)",
        ),
        Key("startup_timeout", SECONDS, "seconds that a server may take to start and list its tools (default 60)"),
        Key(
            "tool_timeout",
            SECONDS,
            "seconds that a tool call may take (default 120); counted anew when its server reports progress, up to an "
            "hour",
        ),
        Key("max_turns", COUNT, "most model calls per prompt (default 20)"),
        Key("max_parallel_calls", COUNT, "most tool calls of one answer that run at the same time; all if left out"),
        Key(
            "pinning",
            choice(*PINNING),
            "what becomes of a tool that changes after it was first used: `warn` (the default), `strict` or `off`; see "
            "[security.md](security.md)",
        ),
        Key(
            "tool_emulation",
            FLAG,
            "`true` where the model or endpoint has no tool API: tools are then chosen by constrained decoding",
        ),
        Key(
            "instructions",
            Shape(read_instructions, FLAG.schema),
            "`false`: what servers say about their use isn't told to the model (default `true`)",
        ),
        Key(
            "sessions",
            FLAG,
            "`false`: the command line doesn't save conversations with this agent; see [sessions.md](sessions.md)",
        ),
        Key("requires", TEXT_OR_TEXTS, "a text, or a list of texts, that says what must be installed"),
        Key("params", CHAT_PARAMS.shape, "passed on with every call of the model"),
        Key(
            "import",
            IMPORTS,
            'files of other programs whose servers are taken over, such as `.mcp.json`; see "Servers of other programs"',
        ),
        Key(
            "tools",
            Shape(lambda value: ToolsDefinition(**TOOLS.read(value)), TOOLS.schema()),
            "tools that need no server: Python functions, agents, inference tasks; see [composition.md](composition.md)",
        ),
        Key(
            "permissions",
            PERMISSIONS.shape,
            'which calls of tools are made, asked about or refused; see "Permissions"',
        ),
        Key(
            "limits",
            LIMITS.shape,
            "what a prompt may use up",
        ),
        Key("context", CONTEXT.shape, "how much of the conversation the model gets; see [context.md](context.md)"),
        Key("output", OUTPUT.shape, "what the final answer has to be"),
        Key(
            "skills",
            FILES,
            "folders with skills (`SKILL.md`), of which the model reads what it needs; see [composition.md](composition.md)",
        ),
        Key(
            "tests",
            TESTS,
            "tests of the agent for `tiny-agents test`: files, or the tests themselves; see [testing.md](testing.md)",
        ),
    ),
)
"""The whole definition."""

FIELDS = {"endpointUrl": "endpoint_url", "apiKey": "api_key", "import": "imports", "limits": "limit_values"}
"""Attributes of `AgentDefinition` that aren't called like their key."""

SPREAD = ("model", "prompt")
"""Keys whose reading is a mapping of attributes."""
