"""What an agent is made of, as its file says it: `agent.yaml` read strictly, `agent.json` as leniently as ever.

Nothing is filled in here: `${...}` stays as written (see inputs.py), prompt files stay unread (see loading.py), and what
the file leaves out is None, so that defaults live where they are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tiny_agents.agent.definition.document import Value, did_you_mean, read_json, read_yaml
from tiny_agents.agent.definition.types import AgentDefinition, InputDefinition, ServerDefinition
from tiny_agents.errors import ConfigError, redact
from tiny_agents.mcp_client.servers import PROTOCOLS, HttpServer, ServerType, StdioServer, server_name


def parse_definition(
    text: str, *, path: str | Path | None = None, format: Literal["yaml", "json"] = "yaml"
) -> AgentDefinition:
    """The agent that `text` describes.

    Args:
        text: Content of the file; a byte order mark at its start is skipped.
        path: Where the text came from: named in errors, and the source of the default name (its folder's).
        format: "yaml" is read strictly; "json" as leniently as the runtimes that agent.json was made for.
    Raises:
        ConfigError: With path, key, line and column of what can't be used. Nothing else is ever raised.
    """
    text = text.removeprefix("\ufeff")
    shown = str(path) if path is not None else None
    read, build = (read_yaml, _from_yaml) if format == "yaml" else (read_json, _from_json)
    root = read(text, shown)
    if not isinstance(root.data, dict):
        raise root.error(f"a definition is a mapping of keys such as model and servers; this is {root.kind}")
    fields = build(root)
    fields.setdefault("name", _default_name(path))
    places = {value.key: (value.line, value.column) for value in root.walk()}
    return AgentDefinition(**fields, path=Path(path) if path is not None else None, places=places)


def _default_name(path: str | Path | None) -> str:
    """The folder's name for agent.yaml and the like, else the file's own."""
    if path is None:
        return "agent"
    path = Path(path)
    if path.stem == "agent":
        return path.absolute().parent.name or "agent"
    return path.stem


# ---- readings that both formats share


NO_ADDRESS = "must be an address such as https://host/path"
NO_HEADER = "the value of a header can't contain a line break"


def _url(value: Value) -> str:
    text = value.text().strip()
    if "${" not in text and not is_address(text):
        raise value.error(f"{NO_ADDRESS}, but is {redact(text)!r}")
    return text


def is_address(text: str) -> bool:
    """Whether `text` is a whole http or https URL."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and not re.search(r"\s", text)
        )
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _env(value: Value) -> dict[str, str]:
    for name, entry in value.mapping().items():
        if not name or "=" in name or "\0" in name:
            raise entry.error(f"{name!r} can't be the name of an environment variable")
    return value.text_map()


def _headers(value: Value) -> dict[str, str]:
    headers = value.text_map()
    for name, text in headers.items():
        entry = value.mapping()[name]
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise entry.error(f"{name!r} can't be the name of a header")
        if has_line_break(text):
            raise entry.error(NO_HEADER)
    return headers


def has_line_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def _args(value: Value) -> tuple[str, ...]:
    if isinstance(value.data, str):
        raise value.error('must be a list such as ["-y", "some-package"], but is text')
    return value.texts()


Keys = Mapping[str, Callable[[Value], Any]]


def _protocol(value: Value) -> str:
    if value.data not in PROTOCOLS:
        raise value.error(f"must be one of {', '.join(PROTOCOLS)}, but is {value.written or value.kind}")
    return value.text()


def _tools(value: Value) -> dict[str, list[str]]:
    keys: Keys = {"allow": Value.texts, "deny": Value.texts}
    return {key: list(patterns) for key, patterns in _read_keys(value, keys, {}, "`tools`").items()}


_REMOTE_KEYS: Keys = {
    "url": _url,
    "headers": _headers,
    "timeout": Value.seconds,
    "sse_read_timeout": Value.seconds,
}
_SERVER_KEYS: Mapping[ServerType, Keys] = {
    "stdio": {"command": Value.text, "args": _args, "env": _env, "cwd": Value.text},
    "http": {**_REMOTE_KEYS, "terminate_on_close": Value.flag},
    "sse": _REMOTE_KEYS,
}
_SERVER_OPTIONS: Keys = {
    "tools": _tools,
    "startup_timeout": Value.seconds,
    "tool_timeout": Value.seconds,
    "protocol": _protocol,
}
_REQUIRED: Mapping[ServerType, str] = {"stdio": "command", "http": "url", "sse": "url"}


def _server_type(entries: Mapping[str, Value], server: Value) -> ServerType:
    """The stated type, or the one that `command` or the end of `url` implies."""
    stated = entries.get("type")
    if stated is not None:
        for known in _SERVER_KEYS:
            if stated.data == known:
                return known
        raise stated.error(f"must be stdio, http or sse, but is {stated.written or stated.kind}")
    if "command" in entries and "url" in entries:
        raise server.error("has both `command` (a program to start) and `url` (a remote server); keep one")
    if "command" in entries:
        return "stdio"
    if "url" in entries:
        return "sse" if re.search(r"/sse/?(?:[?#]|$)", entries["url"].written) else "http"
    for name, entry in entries.items():
        if hint := did_you_mean(name, ("command", "url")):
            raise entry.error(f"unknown key{hint}")
    raise server.error("needs `command` (a program to start) or `url` (a remote server)")


def _required_param(type: ServerType, entries: Mapping[str, Value], server: Value) -> None:
    needed = _REQUIRED[type]
    if needed not in entries:
        raise server.missing(needed, f"{'a' if type == 'stdio' else 'an'} {type} server needs one")


# ---- agent.yaml: what isn't known is an error

_NOT_YET = "is not supported yet"
_LATER_AGENT_KEYS: Mapping[str, str] = {
    "params": f"{_NOT_YET}: the model's own defaults apply",
    "import": f"{_NOT_YET}: write the servers into `servers`",
    "tools": f"{_NOT_YET}: tools come from `servers`; `tools` of a server chooses among them",
    "permissions": f"{_NOT_YET}: leave tools out with `tools` of their server",
    "limits": f"{_NOT_YET}: use max_turns, timeout, startup_timeout and tool_timeout",
    "context": _NOT_YET,
    "output": _NOT_YET,
    "skills": _NOT_YET,
    "tests": _NOT_YET,
    "<<": "is YAML's merge key, which is not supported: repeat the keys, or a whole value with an alias",
}
_LATER_SERVER_KEYS: Mapping[str, str] = {
    "startup": f"{_NOT_YET}: use startup_timeout",
    "envFile": f"{_NOT_YET}: write the variables into env",
    **dict.fromkeys(("roots", "prefix", "required", "restart", "approval", "defer"), _NOT_YET),
    "<<": _LATER_AGENT_KEYS["<<"],
}
_LATER_INPUT_KEYS: Mapping[str, str] = {
    "options": _NOT_YET,
    "required": f"{_NOT_YET}: an input without a default must have a value",
    "store": _NOT_YET,
    "<<": _LATER_AGENT_KEYS["<<"],
}


def _read_keys(mapping: Value, keys: Keys, later: Mapping[str, str], what: str) -> dict[str, Any]:
    """Every key of `mapping` through its reader; `x-...` is the author's own, anything else is an error."""
    found: dict[str, Any] = {}
    for name, value in mapping.mapping().items():
        if name.startswith("x-"):
            continue
        if name in keys:
            if value.data is None:
                raise value.error("is empty; give it a value or remove the key")
            found[name] = keys[name](value)
        elif name in later:
            raise value.error(later[name])
        else:
            hint = did_you_mean(name, keys) or f"; {what} has {', '.join(keys)}"
            raise value.error(f"unknown key{hint}")
    return found


def _model(value: Value) -> str:
    if isinstance(value.data, list):
        raise value.error(f"a list of models {_NOT_YET}: name one")
    return value.text().strip()


def _provider(value: Value) -> str:
    from tiny_agents.inference.providers import NAMES  # the list costs some 40 ms that most definitions can do without

    name = value.text().strip()
    if name not in NAMES and "${" not in name:
        raise value.error(f"there is no provider {name!r}{did_you_mean(name, NAMES) or '; known: ' + ', '.join(NAMES)}")
    return name


def _requires(value: Value) -> tuple[str, ...]:
    return value.texts() if isinstance(value.data, list) else (value.text(),)


def _input_type(value: Value) -> str:
    if value.data in ("pickString", "command"):
        raise value.error(f"{value.data} {_NOT_YET}: use promptString")
    if value.data != "promptString":
        raise value.error(f"must be promptString, but is {value.written or value.kind}")
    return "promptString"


def _input_id(value: Value) -> str:
    text = value.text()
    if not re.fullmatch(r"[\w.-]+", text):
        raise value.error(f"must consist of letters, digits, '-', '_' and '.', but is {text!r}")
    return text


def _input_default(value: Value) -> str:
    text = value.text_as_written()
    if "${" in text:
        raise value.error("placeholders are not filled in here; write ${env:NAME:-DEFAULT} where the text is used")
    return text


def _variable(value: Value) -> str:
    text = value.text()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise value.error(f"{text!r} can't be the name of an environment variable")
    return text


_INPUT_KEYS: Keys = {
    "id": _input_id,
    "description": Value.text,
    "type": _input_type,
    "password": Value.flag,
    "default": _input_default,
    "env": _variable,
}


def _yaml_inputs(value: Value) -> tuple[InputDefinition, ...]:
    inputs: dict[str, InputDefinition] = {}
    for item in value.items():
        fields = _read_keys(item, _INPUT_KEYS, _LATER_INPUT_KEYS, "an input")
        if "id" not in fields:
            raise item.missing("id", "it is the name in ${input:...}")
        if fields["id"] in inputs:
            raise item.error(f"the id {fields['id']!r} is used twice")
        inputs[fields["id"]] = InputDefinition(**fields, key=item.key)
    return tuple(inputs.values())


def _derived_name(type: ServerType, params: Mapping[str, Any], taken: Iterable[str]) -> str:
    """The name of a server that was given none."""
    if type == "stdio":
        return server_name(StdioServer(params["command"], params.get("args", ())), list(taken))
    url = params["url"] if is_address(params["url"]) else "http://server"  # its host is a placeholder
    return server_name(HttpServer(url), list(taken))


def _yaml_servers(value: Value) -> tuple[ServerDefinition, ...]:
    """A list of servers, or a mapping from names to servers."""
    given: list[tuple[Value, str | None]]
    if isinstance(value.data, dict):
        given = [(server, name) for name, server in value.data.items() if not name.startswith("x-")]
    elif isinstance(value.data, list):
        given = [(server, _given_name(server)) for server in value.data]
    else:
        raise value.error(f"must be a list of servers, or a mapping of names to servers, but is {value.kind}")
    taken: list[str] = []
    for server, name in given:
        if name in taken:
            raise server.error(f"the name {name!r} is already that of another server")
        taken += [name] if name is not None else []
    servers: list[ServerDefinition] = []
    for server, name in given:
        servers.append(_yaml_server(server, name, taken, named_by_key=isinstance(value.data, dict)))
        taken.append(servers[-1].name)
    return tuple(servers)


def _given_name(server: Value) -> str | None:
    entry = server.mapping().get("name")
    return entry.text() if entry is not None else None


def _yaml_server(server: Value, name: str | None, taken: Iterable[str], *, named_by_key: bool) -> ServerDefinition:
    """`name` is the server's own; one without gets a name that isn't among those `taken`."""
    entries = server.mapping()
    if named_by_key and "name" in entries:
        raise entries["name"].error(f"the server already has a name, its key {name!r}")
    if name is not None and not re.fullmatch(r"[\w.-]{1,64}", name, flags=re.ASCII):
        problem = f"a server's name consists of 1 to 64 ASCII letters, digits, '-', '_' and '.'; this one is {name!r}"
        raise entries.get("name", server).error(problem)
    type = _server_type(entries, server)
    _required_param(type, entries, server)
    for key, entry in entries.items():
        belongs = [other for other, theirs in _SERVER_KEYS.items() if key in theirs]
        if belongs and type not in belongs:
            raise entry.error(f"is for {' and '.join(belongs)} servers; this one is {type}")
    keys = {
        **_SERVER_KEYS[type],
        "type": Value.text,
        "name": Value.text,
        "allowed_tools": Value.texts,
        **_SERVER_OPTIONS,
    }
    fields = _read_keys(server, keys, _LATER_SERVER_KEYS, f"a server of type {type}")
    params = {key: fields[key] for key in _SERVER_KEYS[type] if key in fields}
    options = {key: fields[key] for key in _SERVER_OPTIONS if key in fields}
    if "allowed_tools" in fields and "allow" in options.get("tools", {}):
        raise entries["tools"].error("`allow` and `allowed_tools` say the same thing; keep one")
    name = name if name is not None else _derived_name(type, params, taken)
    return ServerDefinition(name, type, params, fields.get("allowed_tools"), server.key, options=options)


def _prompt(value: Value) -> tuple[str, str]:
    """("prompt_file", a path) for one that looks like a path, else ("prompt", the text)."""
    text = value.text()
    one_line = text.strip()
    is_path = "\n" not in one_line and (
        one_line.startswith(("./", ".\\", "../", "..\\")) or re.fullmatch(r"(?i)\S+\.md", one_line)
    )
    return ("prompt_file", one_line) if is_path else ("prompt", text)


_AGENT_KEYS: Keys = {
    "name": Value.text,
    "description": Value.text,
    "model": _model,
    "provider": _provider,
    "endpointUrl": _url,
    "apiKey": Value.text,
    "prompt": _prompt,
    "inputs": _yaml_inputs,
    "servers": _yaml_servers,
    "timeout": Value.seconds,
    "startup_timeout": Value.seconds,
    "tool_timeout": Value.seconds,
    "max_turns": Value.count,
    "tool_emulation": Value.flag,
    "requires": _requires,
}
_ATTRIBUTES = {"endpointUrl": "endpoint_url", "apiKey": "api_key"}


def _from_yaml(root: Value) -> dict[str, Any]:
    found = _read_keys(root, _AGENT_KEYS, _LATER_AGENT_KEYS, "a definition")
    if "prompt" in found:
        attribute, text = found.pop("prompt")
        found[attribute] = text
    return {_ATTRIBUTES.get(name, name): value for name, value in found.items()} | {"strict": True}


# ---- agent.json: what isn't known is ignored, what is empty counts as absent


def _present(mapping: Value) -> dict[str, Value]:
    """The entries that say something: those that are null or blank don't."""
    return {
        name: value
        for name, value in mapping.mapping().items()
        if value.data is not None and not (isinstance(value.data, str) and not value.data.strip())
    }


def _from_json(root: Value) -> dict[str, Any]:
    entries = _present(root)
    keys: Keys = {
        "model": Value.text,
        "provider": Value.text,
        "endpointUrl": _url,
        "apiKey": Value.text,
        "inputs": _json_inputs,
        "servers": _json_servers,
    }
    found = {_ATTRIBUTES.get(name, name): read(entries[name]) for name, read in keys.items() if name in entries}
    # Unknown to the runtimes that agent.json was made for, so they can't be wrong there: used where they make sense.
    newer: Keys = {
        "name": Value.text,
        "description": Value.text,
        "timeout": Value.seconds,
        "startup_timeout": Value.seconds,
        "tool_timeout": Value.seconds,
        "max_turns": Value.count,
    }
    for name, read in newer.items():
        if name in entries:
            try:
                found[name] = read(entries[name])
            except ConfigError:
                continue  # ignored, like every key that agent.json doesn't have
    return found | {"strict": False}


def _json_inputs(value: Value) -> tuple[InputDefinition, ...]:
    inputs: dict[str, InputDefinition] = {}
    for item in value.items():
        entries = _present(item)
        if "id" not in entries:
            raise item.missing("id", "it is the name in ${input:...}")
        id = entries["id"].text()
        description = entries["description"].text_as_written() if "description" in entries else ""
        password = bool(entries["password"].data) if "password" in entries else False
        inputs.setdefault(id, InputDefinition(id, description, password=password, key=item.key))
    return tuple(inputs.values())


def _json_servers(value: Value) -> tuple[ServerDefinition, ...]:
    servers: list[ServerDefinition] = []
    for item in value.items():
        servers.append(_json_server(item, [server.name for server in servers]))
    return tuple(servers)


def _json_server(server: Value, taken: Iterable[str]) -> ServerDefinition:
    entries = _present(server)
    legacy = "config" in entries
    if legacy:
        entries = {**entries, **_flattened(entries["config"])}
    type = _server_type(entries, server)
    _required_param(type, entries, server)
    params = {key: read(entries[key]) for key, read in _SERVER_KEYS[type].items() if key in entries}
    allowed = entries["allowed_tools"].texts() if "allowed_tools" in entries else None
    return ServerDefinition(_derived_name(type, params, taken), type, params, allowed, server.key, legacy)


def _flattened(config: Value) -> dict[str, Value]:
    """The nested form's settings under today's names: headers stood in `options.requestInit.headers`."""
    entries = _present(config)
    nested: Value | None = config
    for name in ("options", "requestInit", "headers"):
        nested = nested.data.get(name) if nested is not None and isinstance(nested.data, dict) else None
    if nested is not None and nested.data is not None:
        entries["headers"] = nested
    return entries
