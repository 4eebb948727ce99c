"""The keys of inputs and servers, one row each; `keys.py` has those of the whole definition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tiny_agents.agent.definition.document import Value
from tiny_agents.agent.definition.readings import (
    ARGS,
    COUNT,
    ENV,
    FLAG,
    HEADERS,
    SCALAR,
    SECONDS,
    TEXT,
    TEXT_OR_TEXTS,
    TEXTS,
    URL,
    VARIABLE,
    WHOLE,
    choice,
    read_each,
)
from tiny_agents.agent.definition.table import Key, Shape, Table
from tiny_agents.agent.definition.types import InputOption
from tiny_agents.agent.permissions.rules import APPROVALS
from tiny_agents.mcp_client.connection.servers import DEFER, LOG_LEVELS, PREFIX, PROTOCOLS, ServerType
from tiny_agents.mcp_client.oauth.options import AUTH_TYPES, AUTH_WORDS, REDIRECT_URI, BadOption, read_auth

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


def read_instructions(value: Value) -> bool:
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
        "server's name and `__`, any other text with that text and `__`",
    ),
    Key(
        "roots",
        TEXTS,
        'folders that the server is told it may work in, relative to the definition: `[., "${workspaceFolder}"]`; `[]` for '
        "none",
    ),
    Key(
        "instructions",
        Shape(read_instructions, FLAG.schema),
        "`false`: what the server says about its use isn't told to the model (default: that of the file)",
    ),
    Key(
        "log_level",
        choice(*LOG_LEVELS),
        "the least serious report that the server should send: `debug`, `info`, `notice`, `warning`, `error`, ...",
    ),
    Key(
        "defer",
        choice(*DEFER),
        "`always`: its tools are found by a search instead of all being sent; `never`: they are all sent; `auto` (the "
        "default): as `context.max_tools` says",
    ),
)
_APPROVAL = Key(
    "approval",
    choice(*APPROVALS),
    "which of its calls are asked about: `never` one, those that are `destructive` by its own account, `always`; see "
    '"Permissions"',
)
_COMMON = (
    _TYPE,
    _APPROVAL,
    Key("name", TEXT, "what it is called, in a list of servers; in a mapping, the key is its name"),
    Key("allowed_tools", TEXTS, "the tools the model may see, by their exact names; all if left out"),
    *_OPTIONS,
)
AUTH_WORD = choice(*AUTH_WORDS)
AUTH = Table(
    "`auth`",
    (
        Key(
            "type",
            choice(*AUTH_TYPES),
            "`oauth`: a person logs in; `client_credentials`, `jwt_bearer`: the program does",
        ),
        Key("client_id", TEXT, "of a client that was registered by hand"),
        Key("client_secret", TEXT, "its secret, best as `${input:ID}` of an input with `password: true`"),
        Key(
            "private_key", TEXT, "for `client_credentials`, in place of a secret: PEM text that signs (private_key_jwt)"
        ),
        Key("assertion", TEXT, "for `jwt_bearer`: a JWT that others made for the program"),
        Key("assertion_file", TEXT, "the same from a file, read at each login, as workloads of a cloud have it"),
        Key("signing_algorithm", TEXT, "of `private_key`; `RS256` if left out"),
        Key("client_metadata_url", URL, "https address of a document that describes the client, used as its id"),
        Key("scopes", TEXT_OR_TEXTS, "what to ask for; what the server names if left out"),
        Key("issuer", URL, "the only authorization server that may be used"),
        Key("account", TEXT, "any name: tells several logins at one server apart, such as `work` and `home`"),
        Key("redirect_uri", URL, "where the browser comes back to on this machine: `http://127.0.0.1:8765/callback`"),
        Key("login_timeout", SECONDS, "how long a person may take; 300 if left out"),
    ),
    needed={"type": "it says who logs in: oauth (a person), client_credentials or jwt_bearer (the program)"},
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
}

SERVERS: Mapping[ServerType, Table] = {
    "stdio": Table(
        "a server of type stdio", (*_STDIO, *_COMMON), _SERVER_HINTS, {"command": "a stdio server needs one"}
    ),
    "http": Table("a server of type http", (*_HTTP, *_COMMON), _SERVER_HINTS, {"url": "an http server needs one"}),
    "sse": Table("a server of type sse", (*_REMOTE, *_COMMON), _SERVER_HINTS, {"url": "an sse server needs one"}),
}
