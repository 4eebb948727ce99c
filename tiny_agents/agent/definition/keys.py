"""Every key of a definition, one row each: where agent.yaml, its JSON Schema and docs/definitions.md come from.

A key whose `later` is set can be read but does nothing yet, so using it is an error; taking `later` away serves it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiny_agents.agent.definition.document import Value, did_you_mean
from tiny_agents.agent.definition.readings import (
    ARGS,
    COUNT,
    ENV,
    FLAG,
    HEADERS,
    PLAIN_MAP,
    SCALAR,
    SECONDS,
    TEXT,
    TEXT_OR_TEXTS,
    TEXTS,
    URL,
    VARIABLE,
    WHOLE,
    choice,
    either,
    number,
    read_each,
)
from tiny_agents.agent.definition.table import Key, Shape, Table
from tiny_agents.agent.definition.types import ImportDefinition, InputOption
from tiny_agents.mcp_client.oauth.options import AUTH_TYPES, AUTH_WORDS, REDIRECT_URI, BadOption, read_auth
from tiny_agents.mcp_client.pinning import PINNING
from tiny_agents.mcp_client.servers import LOG_LEVELS, PREFIX, PROTOCOLS, ServerType

NOT_YET = "is not supported yet"
MERGE_KEY = {"<<": "is YAML's merge key, which is not supported: repeat the keys, or a whole value with an alias"}


# ---- inputs


def _input_id(value: Value) -> str:
    text = value.text()
    if not re.fullmatch(r"[\w.-]+", text):
        raise value.error(f"must consist of letters, digits, '-', '_' and '.', but is {text!r}")
    return text


def _input_type(value: Value) -> str:
    if value.data == "command":
        raise value.error(
            "command asks VS Code to run something, which only VS Code can: use promptString or pickString"
        )
    return str(INPUT_TYPES.read(value))


INPUT_TYPES = choice("promptString", "pickString")


def _option(value: Value) -> InputOption:
    """One option: its value, or VS Code's `{label: ..., value: ...}`."""
    fields = OPTION.read(value) if isinstance(value.data, dict) else {"value": value.text_as_written()}
    return InputOption(**fields)


def _input_options(value: Value) -> tuple[InputOption, ...]:
    options = tuple(read_each(value.items(), _option))
    if not options:
        raise value.error("is an empty list; name what can be picked")
    for n, option in enumerate(options):
        if option.value in [other.value for other in options[:n]]:
            raise value.items()[n].error(f"{option.value!r} is listed twice")
        if "${" in option.value:
            raise value.items()[n].error("placeholders are not filled in here")
    return options


_TEXT_AS_WRITTEN = Shape(Value.text_as_written, SCALAR)
OPTION = Table(
    "an option",
    (Key("value", _TEXT_AS_WRITTEN, "what `${input:ID}` becomes"), Key("label", TEXT, "what is shown instead of it")),
    needed={"value": "it is what ${input:...} becomes"},
)


def _input_default(value: Value) -> str:
    text = value.text_as_written()
    if "${" in text:
        raise value.error("placeholders are not filled in here; write ${env:NAME:-DEFAULT} where the text is used")
    return text


INPUT = Table(
    "an input",
    (
        Key("id", Shape(_input_id, {"type": "string", "pattern": r"^[\w.-]+$"}), "the name in `${input:ID}`"),
        Key("description", TEXT, "what is asked for"),
        Key(
            "type",
            Shape(_input_type, INPUT_TYPES.schema),
            "`promptString` for any text, which is the default, or `pickString` for one of `options`",
        ),
        Key(
            "options",
            Shape(
                _input_options,
                {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "items": {"anyOf": [SCALAR, OPTION.schema()]},
                },
            ),
            "for `pickString`: the values that can be picked, each a text or `{label: ..., value: ...}`",
        ),
        Key("password", FLAG, "`true`: never echoed, and masked wherever it might show up"),
        Key(
            "env",
            VARIABLE,
            "the variable that is looked at; by default the id in capitals with `_` for `-` (`hf-token`: `HF_TOKEN`)",
        ),
        Key(
            "default",
            Shape(_input_default, SCALAR),
            'used where nobody gives a value; `""` makes the input optional',
        ),
        Key("required", FLAG, "`false`: without a value it is an empty text"),
        Key(
            "store",
            choice("keyring"),
            "`keyring`: what is typed or given with `--input` is kept in the operating system's keyring for the next time",
        ),
    ),
    hints=MERGE_KEY,
    needed={"id": "it is the name in ${input:...}"},
)


# ---- servers

SERVER_TOOLS = Table(
    "`tools`",
    (
        Key("allow", TEXTS, "the tools that may be used: names with `*`, `?` and `[...]`; all if left out"),
        Key("deny", TEXTS, "those that may not, whatever `allow` says"),
    ),
)


def _instructions(value: Value) -> bool:
    if isinstance(value.data, str):
        raise value.error("is true or false; what the model should know is written into `prompt`")
    return value.flag()


def _prefix(value: Value) -> str:
    text = value.text()
    if not PREFIX.fullmatch(text):
        raise value.error(f"must be auto, always, or 1 to 32 letters, digits, '_' and '-', but is {text!r}")
    return text


_TYPE = Key("type", TEXT, "`stdio`, `http` (streamable HTTP) or `sse`, if you'd rather say it")
_OPTIONS = (
    Key(
        "tools",
        SERVER_TOOLS.shape,
        'the same with patterns: `{allow: ["read_*"], deny: ["*_secret"]}`; what fits `deny` is never seen',
    ),
    Key("startup_timeout", SECONDS, "as at the top of the file, for this server"),
    Key("tool_timeout", SECONDS, "as at the top of the file, for this server"),
    Key(
        "protocol",
        choice(*PROTOCOLS),
        "`auto`; `legacy` for the handshake of before 2026-07-28, which spares an old server a question; `2026-07-28` for "
        "that version unasked",
    ),
    Key("max_parallel_calls", COUNT, "most calls it gets at the same time; the others wait"),
    Key("required", FLAG, "`true`: where this server can't be started, the agent isn't; else it goes on without"),
    Key(
        "restart",
        WHOLE,
        "how often a lost server is started again in a row, without a successful call in between, before it is left alone "
        "for a minute (default 3); `0`: never",
    ),
    Key(
        "prefix",
        Shape(_prefix, {"type": "string", "pattern": f"^{PREFIX.pattern}$"}),
        "`auto` (the default) changes the name of a tool only where another server has it; `always` begins all with the "
        "server's name and `__`, any other text with that",
    ),
    Key(
        "roots",
        TEXTS,
        'folders that the server is told it may work in, relative to the definition: `[., "${workspaceFolder}"]`; `[]` for '
        "none",
    ),
    Key(
        "instructions",
        Shape(_instructions, FLAG.schema),
        "`false`: what the server says about its use isn't told to the model (default: that of the file)",
    ),
    Key(
        "log_level",
        choice(*LOG_LEVELS),
        "the least serious report that the server should send: `debug`, `info`, `notice`, `warning`, `error`, ...",
    ),
    Key("approval", choice("never", "destructive", "always"), "which calls are asked for first", NOT_YET),
    Key("defer", either(FLAG, bool, otherwise=choice("auto")), "whether its tools are found by searching", NOT_YET),
)
_COMMON = (
    _TYPE,
    Key("name", TEXT, "what it is called, in a list of servers; in a mapping, the key is its name"),
    Key("allowed_tools", TEXTS, "the tools the model may see, by their exact names; all if left out"),
    *_OPTIONS,
)
AUTH_WORD = choice(*AUTH_WORDS)
AUTH = Table(
    "`auth`",
    (
        Key("type", choice(*AUTH_TYPES), "`oauth`: a person logs in; `client_credentials`: the program does by itself"),
        Key("client_id", TEXT, "of a client that was registered by hand"),
        Key("client_secret", TEXT, "its secret, best as `${input:ID}` of an input with `password: true`"),
        Key(
            "private_key", TEXT, "for `client_credentials`, in place of a secret: PEM text that signs (private_key_jwt)"
        ),
        Key("signing_algorithm", TEXT, "of `private_key`; `RS256` if left out"),
        Key("client_metadata_url", URL, "https address of a document that describes the client, used as its id"),
        Key("scopes", TEXT_OR_TEXTS, "what to ask for; what the server names if left out"),
        Key("issuer", URL, "the only authorization server that may be used"),
        Key("account", TEXT, "any name: tells several logins at one server apart, such as `work` and `home`"),
        Key("redirect_uri", URL, "where the browser comes back to on this machine: `http://127.0.0.1:8765/callback`"),
        Key("login_timeout", SECONDS, "how long a person may take; 300 if left out"),
    ),
    needed={"type": "it says who logs in: oauth (a person) or client_credentials (the program)"},
)
_FILLED_IN_LATER = {
    "issuer": "https://host",
    "client_metadata_url": "https://host/path",
    "redirect_uri": REDIRECT_URI,
}


def _auth(value: Value) -> dict[str, Any] | str:
    """A word, or a mapping that makes sense as a whole."""
    if not isinstance(value.data, dict):
        return str(AUTH_WORD.read(value))
    found = AUTH.read(value)
    known = {key: _FILLED_IN_LATER.get(key, item) if "${" in str(item) else item for key, item in found.items()}
    try:
        read_auth(known)
    except BadOption as bad:
        raise (
            value.mapping().get(bad.key, value).error(bad.problem if bad.key in found else f"`{bad.key}` {bad.problem}")
        ) from None
    return found | ({"scopes": " ".join(found["scopes"])} if "scopes" in found else {})


_STDIO = (
    Key("command", TEXT, "the program"),
    Key("args", ARGS, "its arguments, each an item of the list"),
    Key(
        "env",
        ENV,
        "variables added to a few harmless ones (PATH, HOME and the like); nothing else of your environment is passed on",
    ),
    Key("cwd", TEXT, "the folder it is started in; yours if left out"),
    Key(
        "envFile", TEXT, "a file with lines `NAME=value`, added to `env`, which wins; its path counts from your folder"
    ),
)
_REMOTE = (
    Key("url", URL, "the address"),
    Key("headers", HEADERS, "headers for every request"),
    Key("timeout", SECONDS, "seconds to connect and send"),
    Key("sse_read_timeout", SECONDS, "seconds without data while an answer is open"),
    Key(
        "auth",
        Shape(_auth, {"anyOf": [AUTH_WORD.schema, AUTH.schema()]}),
        "how to log in: `auto`, which is the default, uses OAuth where the server asks for it and `headers` has no "
        "Authorization; `none`; `oauth`; or `{type: ..., ...}` ([more](mcp/login.md))",
    ),
)
_HTTP = (*_REMOTE, Key("terminate_on_close", FLAG, "`false` leaves the session open on the server"))

PARAMS: Mapping[ServerType, tuple[Key, ...]] = {"stdio": _STDIO, "http": _HTTP, "sse": _REMOTE}
"""What tells how to reach a server of each type."""

OPTIONS = tuple(key.name for key in _OPTIONS)
"""Keys that hold for servers of any type and become arguments of `add_mcp_server`."""

_SERVER_HINTS = {
    "startup": "is called startup_timeout here",
    "disabled": "is no key here: leave the server out, or put `x-` before its name",
    **MERGE_KEY,
}

SERVERS: Mapping[ServerType, Table] = {
    "stdio": Table(
        "a server of type stdio", (*_STDIO, *_COMMON), _SERVER_HINTS, {"command": "a stdio server needs one"}
    ),
    "http": Table("a server of type http", (*_HTTP, *_COMMON), _SERVER_HINTS, {"url": "an http server needs one"}),
    "sse": Table("a server of type sse", (*_REMOTE, *_COMMON), _SERVER_HINTS, {"url": "an sse server needs one"}),
}


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
            "most money per prompt, in US dollars; the price of the model has to be known",
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

PERMISSIONS = Table(
    "`permissions`",
    (
        Key("default", choice("allow", "ask", "deny"), "for calls that fit none of the patterns"),
        Key("allow", TEXTS, "calls that need no question: patterns over `server.tool`"),
        Key("ask", TEXTS, "calls that are asked for"),
        Key("deny", TEXTS, "calls that are refused, whatever else fits"),
    ),
)

_AUTO = choice("auto")
CONTEXT = Table(
    "`context`",
    (
        Key("max_tokens", either(COUNT, int, otherwise=_AUTO), "the model's window; `auto` finds out"),
        Key("compact", either(FLAG, bool, otherwise=_AUTO), "whether a long conversation is summed up"),
        Key("result_max_chars", COUNT, "longest tool result that the model gets at once"),
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

TOOLS = Table(
    "`tools`",
    (
        Key("tasks", TEXTS, "inference tasks that become tools, such as `text_to_image`"),
        Key("python", TEXTS, "files whose functions become tools"),
        Key("agents", TEXTS, "agents that become tools"),
    ),
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


def agent_table(inputs: Shape, servers: Shape) -> Table:
    """The table of the whole definition, with the shapes of its two parts that are more than tables."""
    return Table(
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
            Key("inputs", inputs, 'values that whoever runs the agent brings along; see "Inputs"'),
            Key("servers", servers, 'MCP servers, by name or as a list; see "Servers"'),
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
            Key(
                "max_parallel_calls", COUNT, "most tool calls of one answer that run at the same time; all if left out"
            ),
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
                Shape(_instructions, FLAG.schema),
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
                TOOLS.shape,
                "tools that need no server",
                f"{NOT_YET}: tools come from `servers`; `tools` of a server chooses among them",
            ),
            Key(
                "permissions",
                PERMISSIONS.shape,
                "which calls are allowed",
                f"{NOT_YET}: leave tools out with `tools` of their server",
            ),
            Key(
                "limits",
                LIMITS.shape,
                "what a prompt may use up",
            ),
            Key("context", CONTEXT.shape, "how much of the conversation the model gets", NOT_YET),
            Key("output", OUTPUT.shape, "what the final answer has to be"),
            Key("skills", TEXTS, "folders of skills", NOT_YET),
            Key("tests", TEXTS, "recorded conversations", NOT_YET),
        ),
        hints=MERGE_KEY,
    )


FIELDS = {"endpointUrl": "endpoint_url", "apiKey": "api_key", "import": "imports", "limits": "limit_values"}
"""Attributes of `AgentDefinition` that aren't called like their key."""

SPREAD = ("model", "prompt")
"""Keys whose reading is a mapping of attributes."""
