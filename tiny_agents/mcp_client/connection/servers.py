"""What the user says about a server -> one frozen description of it. Pure.

The parameters are those of huggingface_hub's `add_mcp_server`; a value that is None counts as not given.
"""

# No `from __future__ import annotations` here: as texts, the fields of a TypedDict don't tell which of them are required.
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any, Literal, NotRequired, TypedDict
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.oauth.options import AUTO, NO_AUTH, Auth, AuthParameters, BadOption, read_auth
from tiny_agents.mcp_client.tools.table import ALL_TOOLS, ToolFilter
from tiny_agents.records import Discreet

ServerType = Literal["stdio", "http", "sse", "inprocess"]

Protocol = Literal["auto", "legacy", "2026-07-28"]
"""Which protocol is spoken: found out, that of before 2026-07-28 with its handshake, or that version unasked."""

LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
"""How serious a report of a server is, as in syslog."""

Defer = Literal["auto", "always", "never"]
"""Whether a server's tools are found by a search: where there are many, always, never."""

DEFER: tuple[Defer, ...] = ("auto", "always", "never")

LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

PROTOCOLS: tuple[Protocol, ...] = ("auto", "legacy", "2026-07-28")

HTTP_TIMEOUT_S = 30.0
SSE_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 300.0

RESTARTS = 3
"""How often a lost server is started again without a successful call in between."""

PREFIX = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""What the names of tools may begin with."""


class ToolPatterns(TypedDict):
    """Which tools may be used: names of the server's own, with `*`, `?` and `[...]` as in file names."""

    allow: NotRequired[Sequence[str] | None]
    """Those that fit one of these; all if left out."""
    deny: NotRequired[Sequence[str] | None]
    """But not those that fit one of these."""


class CommonParameters(TypedDict):
    """What can be said of any server. Times are seconds or a timedelta."""

    name: NotRequired[str | None]
    """What to call it in errors and tool names; by default its package, script or host."""
    allowed_tools: NotRequired[Collection[str] | None]
    """Names of the tools to offer, exactly as the server spells them; all if left out."""
    tools: NotRequired[ToolPatterns | None]
    """The same with patterns: `{"allow": ["read_*"], "deny": ["*_secret"]}`."""
    startup_timeout: NotRequired[float | timedelta | None]
    """To start and list its tools; the client's if left out."""
    tool_timeout: NotRequired[float | timedelta | None]
    """For a tool call; the client's if left out."""
    protocol: NotRequired[Protocol | None]
    """"auto" if left out; "legacy" spares an old server the question whether it is a new one."""
    secrets: NotRequired[Sequence[str] | None]
    """Texts that must not appear in messages and results, beside its headers and what its environment may hide."""
    roots: NotRequired[Sequence[str | Path] | None]
    """Folders that the server is told it may work in; those of the client's host if left out."""
    instructions: NotRequired[bool | None]
    """False: the model isn't told what the server says about its use."""
    log_level: NotRequired[LogLevel | None]
    """The least serious report that the server should send; "info" if left out, older servers then decide themselves."""
    max_parallel_calls: NotRequired[int | None]
    """Most calls that the server gets at the same time; further ones wait. No limit if left out."""
    prefix: NotRequired[str | None]
    """"auto" if left out: a tool's name is changed only where another server has it; "always" begins all with the server's
    name and two underscores, and any other text with that text and two underscores."""
    defer: NotRequired[Defer | None]
    """"always": its tools are found by a search instead of all being sent; "never": they are all sent; "auto" if left out:
    as `max_tools` of the client says."""
    restart: NotRequired[int | None]
    """How often it is started again in a row, without a successful call in between; 3 if left out, 0 for never."""


class StdioServerParameters(CommonParameters):
    """A server that is started as a process and spoken to over its standard input and output."""

    command: str
    """Name or path of the program."""
    args: NotRequired[Sequence[str] | None]
    env: NotRequired[Mapping[str, str] | None]
    """Added to a few harmless variables (PATH, HOME and the like); the rest of our environment isn't handed on."""
    cwd: NotRequired[str | Path | None]
    """Working directory; ours if left out."""


class HttpServerParameters(CommonParameters):
    """A server reached over streamable HTTP. Times are seconds or a timedelta."""

    url: str
    headers: NotRequired[Mapping[str, str] | None]
    timeout: NotRequired[float | timedelta | None]
    """To connect and to send; 30 s if left out."""
    sse_read_timeout: NotRequired[float | timedelta | None]
    """Without any data while an answer is open; 300 s, or the time a tool may take if that is longer."""
    terminate_on_close: NotRequired[bool | None]
    """Whether to end the session on the server when leaving; True if left out."""
    auth: NotRequired[AuthParameters | Literal["auto", "none", "oauth"] | None]
    """How to log in; "auto" if left out: with OAuth where the server asks for it and no Authorization header is given."""


class SseServerParameters(CommonParameters):
    """A server reached over the older HTTP+SSE transport. Times are seconds or a timedelta."""

    url: str
    headers: NotRequired[Mapping[str, str] | None]
    timeout: NotRequired[float | timedelta | None]
    sse_read_timeout: NotRequired[float | timedelta | None]
    auth: NotRequired[AuthParameters | Literal["auto", "none", "oauth"] | None]


class InProcessServerParameters(CommonParameters):
    """A server that is an object in this process: no other process, no wire."""

    server: Any
    """An `MCPServer` or `Server` of the package mcp."""


class StdioServer(Discreet, msgspec.Struct, frozen=True):
    not_shown = frozenset({"args", "env"})

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    cwd: str | None = None


class HttpServer(Discreet, msgspec.Struct, frozen=True):
    """`read_timeout_s` is None where the user left it open."""

    not_shown = frozenset({"url", "headers"})

    url: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    timeout_s: float = HTTP_TIMEOUT_S
    read_timeout_s: float | None = None
    terminate_on_close: bool = True
    auth: Auth = AUTO


class SseServer(Discreet, msgspec.Struct, frozen=True):
    not_shown = frozenset({"url", "headers"})

    url: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    timeout_s: float = SSE_TIMEOUT_S
    read_timeout_s: float | None = None
    auth: Auth = AUTO


class InProcessServer(Discreet, msgspec.Struct, frozen=True):
    not_shown = frozenset({"server"})

    server: Any

    @property
    def name(self) -> str:
        return str(getattr(self.server, "name", None) or "server")


Server = StdioServer | HttpServer | SseServer | InProcessServer


class ServerOptions(Discreet, msgspec.Struct, frozen=True):
    """What was said of a server besides how to reach it; None is what wasn't said."""

    not_shown = frozenset({"secrets"})

    name: str | None = None
    tools: ToolFilter = ALL_TOOLS
    startup_timeout_s: float | None = None
    tool_timeout_s: float | None = None
    protocol: Protocol = "auto"
    secrets: tuple[str, ...] = ()
    roots: tuple[Path, ...] | None = None
    instructions: bool | None = None
    log_level: LogLevel | None = None
    max_parallel_calls: int | None = None
    prefix: str | None = None
    restarts: int = RESTARTS
    defer: Defer = "auto"


def describe_server(kind: str, parameters: Mapping[str, Any]) -> Server:
    """The server that `add_mcp_server(kind, **parameters)` means.

    Raises:
        UsageError: Unknown type or parameter (the nearest name is offered), a missing one, or a value of the wrong type.
    """
    if kind not in _KINDS:
        raise UsageError(
            f"unknown server type {kind!r}: use 'stdio', 'http', 'sse' or 'inprocess'{_meant(str(kind), _KINDS)}"
        )
    build, shape = _KINDS[kind]
    where = f"add_mcp_server('{kind}')"
    known = (*shape.__required_keys__, *shape.__optional_keys__)
    for key in parameters:
        if key not in known:
            raise UsageError(f"{where}: unknown parameter '{key}'{_meant(key, known)}")
    given = {key: value for key, value in parameters.items() if value is not None}
    for key in sorted(shape.__required_keys__):
        if key not in given:
            raise UsageError(f"{where}: '{key}' is missing")
    return build(_Reader(where, given))


def describe_options(kind: str, parameters: Mapping[str, Any]) -> ServerOptions:
    """What the parameters that all servers share say.

    Raises:
        UsageError: A value of the wrong type, or two that contradict each other.
    """
    read = _Reader(f"add_mcp_server('{kind}')", {key: item for key, item in parameters.items() if item is not None})
    return ServerOptions(
        name=read.text("name") if read.has("name") else None,
        tools=read.tools(),
        startup_timeout_s=read.seconds("startup_timeout"),
        tool_timeout_s=read.seconds("tool_timeout"),
        protocol=read.protocol(),
        secrets=read.texts("secrets"),
        roots=read.paths("roots") if read.has("roots") else None,
        instructions=read.flag("instructions", True) if read.has("instructions") else None,
        log_level=read.log_level(),
        max_parallel_calls=read.count("max_parallel_calls"),
        prefix=read.prefix(),
        restarts=read.whole("restart", RESTARTS),
        defer=read.defer(),
    )


def patient(server: Server, tool_timeout_s: float) -> Server:
    """`server` with a limit on silence that doesn't end a tool call before its own time limit does."""
    if isinstance(server, (StdioServer, InProcessServer)) or server.read_timeout_s is not None:
        return server
    return replace(server, read_timeout_s=max(READ_TIMEOUT_S, tool_timeout_s + 10))


def older_transport(server: Server, status: int | None) -> SseServer | None:
    """The same address over HTTP+SSE, if the HTTP status of a failed start says that it may be served there."""
    if not isinstance(server, HttpServer) or status not in (404, 405):
        return None
    return SseServer(server.url, server.headers, server.timeout_s, server.read_timeout_s, server.auth)


def address(server: Server) -> str:
    """The server as a message may name it: its command, or its URL without credentials and query."""
    if isinstance(server, InProcessServer):
        return server.name
    if isinstance(server, StdioServer):
        return server.command
    split = urlsplit(server.url)
    return f"{split.scheme}://{_host(split)}{split.path}"


# ---------------------------------------------------------------- names


def server_name(server: Server, taken: Collection[str]) -> str:
    """A short name for a server that was given none: its package, script or host; numbered if taken already."""
    if isinstance(server, StdioServer):
        base = _package(server)
    else:
        base = server.name if isinstance(server, InProcessServer) else _host(urlsplit(server.url))
    name = base or "server"
    number = 2
    while name in taken:
        name = f"{base}-{number}"
        number += 1
    return name


_RUNNERS = frozenset(
    {"npx", "npm", "pnpm", "pnpx", "yarn", "bunx", "bun", "uvx", "uv", "pipx", "docker", "podman", "deno"}
)
_INTERPRETERS = re.compile(r"(?:python|pypy)[\d.]*w?|node|ruby|bash|sh|pwsh|powershell")
_SUBCOMMANDS = frozenset({"run", "exec", "dlx", "x", "tool", "--"})


def _package(server: StdioServer) -> str:
    command = _stem(server.command)
    args = [arg for arg in server.args if arg]
    if _INTERPRETERS.fullmatch(command):
        if "-m" in args[:-1]:
            return _plain(args[args.index("-m") + 1])
        script = next((arg for arg in args if not arg.startswith("-")), None)
        return _plain(_stem(script)) if script is not None and len(script) < 200 else command
    if command in _RUNNERS:
        words = [arg for arg in args if not arg.startswith("-") and arg not in _SUBCOMMANDS]
        if words:
            # docker's image comes last of its words (options with values come before it), a package comes first
            return _plain(words[-1] if command in {"docker", "podman"} else words[0])
    return _plain(command)


def _plain(package: str) -> str:
    """`@scope/server-files@1.2` -> `files`; a name that says nothing alone (`@scope/mcp`) becomes the scope's."""
    scope, _, last = package.rpartition("/")
    last = re.split(r"[@:=<>\[]", last, maxsplit=1)[0]
    words = [word for word in re.split(r"[-_.]", last) if word.lower() not in {"mcp", "server", ""}]
    if not words and scope:
        return scope.rpartition("/")[2].lstrip("@")
    return "-".join(words) or last


def _stem(command: str) -> str:
    name = re.split(r"[\\/]", command)[-1]
    return PurePath(name).stem if name.lower().endswith((".exe", ".cmd", ".bat", ".py", ".js", ".mjs", ".sh")) else name


def _host(split: SplitResult) -> str:
    return f"{split.hostname}:{split.port}" if split.port else str(split.hostname)


# ---------------------------------------------------------------- reading the parameters


class _Reader:
    """Takes typed values out of the parameters; what doesn't fit is a UsageError that names the parameter."""

    def __init__(self, where: str, given: Mapping[str, Any]) -> None:
        self._where = where
        self._given = given

    def has(self, key: str) -> bool:
        return key in self._given

    def refuse(self, key: str, expected: str) -> UsageError:
        return UsageError(f"{self._where}: '{key}' must be {expected}, not {type(self._given.get(key)).__name__}")

    def object(self, key: str) -> Any:
        return self._given[key]

    def text(self, key: str) -> str:
        value = self._given[key]
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise (
                self.refuse(key, "a text that isn't empty")
                if not isinstance(value, str)
                else UsageError(f"{self._where}: '{key}' must not be empty or contain NUL")
            )
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._given.get(key, ())
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(_sendable(item) for item in value):
            raise self.refuse(key, "a list of texts")
        return tuple(value)

    def tools(self) -> ToolFilter:
        names = self._given.get("allowed_tools")
        if isinstance(names, str) or not all(isinstance(name, str) for name in names or ()):
            raise UsageError(f"{self._where}: 'allowed_tools' must be a list of names")
        given = self._given.get("tools", {})
        if not isinstance(given, Mapping):
            raise self.refuse("tools", "a mapping with 'allow' and 'deny'")
        for key in given:
            if key not in ("allow", "deny"):
                raise UsageError(f"{self._where}: unknown key '{key}' in 'tools'{_meant(str(key), ('allow', 'deny'))}")
        patterns = _Reader(f"{self._where}: in 'tools'", {key: item for key, item in given.items() if item is not None})
        if names is not None and patterns.has("allow"):
            raise UsageError(f"{self._where}: 'allowed_tools' and 'allow' in 'tools' say the same thing: give one")
        return ToolFilter(
            names=None if names is None else tuple(names),
            allow=patterns.texts("allow") if patterns.has("allow") else None,
            deny=patterns.texts("deny"),
        )

    def protocol(self) -> Protocol:
        value = self._given.get("protocol", "auto")
        for known in PROTOCOLS:
            if value == known:
                return known
        raise UsageError(f"{self._where}: 'protocol' must be 'auto', 'legacy' or '2026-07-28', not {value!r}")

    def defer(self) -> Defer:
        value = self._given.get("defer", "auto")
        for known in DEFER:
            if value == known:
                return known
        raise UsageError(f"{self._where}: 'defer' must be 'auto', 'always' or 'never', not {value!r}")

    def log_level(self) -> LogLevel | None:
        value = self._given.get("log_level")
        for known in LOG_LEVELS:
            if value == known:
                return known
        if value is None:
            return None
        raise UsageError(f"{self._where}: 'log_level' must be one of {', '.join(LOG_LEVELS)}, not {value!r}")

    def paths(self, key: str) -> tuple[Path, ...]:
        value = self._given[key]
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.refuse(key, "a list of paths")
        for item in value:
            if not isinstance(item, (str, Path)) or not str(item).strip() or "\0" in str(item):
                raise UsageError(f"{self._where}: '{key}' must be a list of paths, and one is {item!r}")
        return tuple(Path(item).expanduser().absolute() for item in value)

    def prefix(self) -> str | None:
        """None for "auto"; "" for the server's own name."""
        value = self._given.get("prefix", "auto")
        if not isinstance(value, str) or not PREFIX.fullmatch(value):
            raise UsageError(
                f"{self._where}: 'prefix' must be 'auto', 'always', or 1 to 32 letters, digits, '_' and '-', not {value!r}"
            )
        return None if value == "auto" else "" if value == "always" else value

    def whole(self, key: str, default: int) -> int:
        """A whole number from 0."""
        value = self._given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refuse(key, "a whole number")
        if value < 0:
            raise UsageError(f"{self._where}: '{key}' must be at least 0, not {value}")
        return value

    def mapping(self, key: str) -> dict[str, str]:
        value = self._given.get(key, {})
        if not isinstance(value, Mapping):
            raise self.refuse(key, "a mapping from names to texts")
        for name, item in value.items():
            if not _sendable(name) or not _sendable(item):
                raise UsageError(f"{self._where}: '{key}.{name}' must be text, not {type(item).__name__}")
        return dict(value)

    def seconds(self, key: str) -> float | None:
        value = self._given.get(key)
        if value is None:
            return None
        if isinstance(value, timedelta):
            value = value.total_seconds()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refuse(key, "a number of seconds or a timedelta")
        if not (value > 0 and math.isfinite(value)):
            raise UsageError(f"{self._where}: '{key}' must be more than 0 seconds and finite, not {value}")
        return float(value)

    def count(self, key: str) -> int | None:
        value = self._given.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.refuse(key, "a whole number")
        if value is not None and value < 1:
            raise UsageError(f"{self._where}: '{key}' must be at least 1, not {value}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._given.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, "True or False")
        return value

    def auth(self, url: str, headers: Mapping[str, str]) -> Auth:
        """How to log in: not at all where the headers or the URL hold credentials already."""
        header = next((name for name in headers if name.lower() == "authorization"), None)
        if not self.has("auth"):
            return NO_AUTH if header or urlsplit(url).username else AUTO
        try:
            auth = read_auth(self._given["auth"])
        except BadOption as bad:
            key = f"auth.{bad.key}" if bad.key else "auth"
            raise UsageError(f"{self._where}: '{key}' {bad.problem}") from None
        if header and auth.type not in ("auto", "none"):
            raise UsageError(f"{self._where}: 'auth' and the header {header} both say how to get in: give one of them")
        return NO_AUTH if header else auth

    def url(self, key: str) -> str:
        url = self.text(key).strip()
        try:
            split = urlsplit(url)
            usable = split.scheme in ("http", "https") and bool(split.hostname) and (split.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f"{self._where}: '{key}' must be a whole URL such as https://host/mcp")
        return url

    def cwd(self) -> str | None:
        value = self._given.get("cwd")
        if value is None:
            return None
        if not isinstance(value, (str, Path)):
            raise self.refuse("cwd", "a path")
        return str(value)


def _stdio(read: _Reader) -> StdioServer:
    return StdioServer(read.text("command"), read.texts("args"), read.mapping("env"), read.cwd())


def _http(read: _Reader) -> HttpServer:
    return HttpServer(
        read.url("url"),
        read.mapping("headers"),
        read.seconds("timeout") or HTTP_TIMEOUT_S,
        read.seconds("sse_read_timeout"),
        read.flag("terminate_on_close", True),
        read.auth(read.url("url"), read.mapping("headers")),
    )


def _sse(read: _Reader) -> SseServer:
    return SseServer(
        read.url("url"),
        read.mapping("headers"),
        read.seconds("timeout") or SSE_TIMEOUT_S,
        read.seconds("sse_read_timeout"),
        read.auth(read.url("url"), read.mapping("headers")),
    )


def _in_process(read: _Reader) -> InProcessServer:
    server = read.object("server")
    # By name, because importing the package to ask it takes 0.7 s.
    if not any(base.__module__.startswith("mcp.server") for base in type(server).__mro__):
        raise read.refuse("server", "an MCPServer or Server of the package mcp")
    return InProcessServer(server)


_KINDS: dict[str, tuple[Callable[[_Reader], Server], Any]] = {
    "stdio": (_stdio, StdioServerParameters),
    "http": (_http, HttpServerParameters),
    "sse": (_sse, SseServerParameters),
    "inprocess": (_in_process, InProcessServerParameters),
}


def _sendable(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""
