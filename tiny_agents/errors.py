"""Every error that tiny-agents raises on purpose.

TinyAgentsError
 |- UsageError                    also a ValueError: the arguments contradict each other or make no sense
 |   |- NotOfferedError           also a NotImplementedError: not to be had in this way
 |   `- UnreadableInputError      also an OSError: a file that was given as input can't be read
 |       `- InputNotFoundError    also a FileNotFoundError
 |- MissingDependencyError        .package .extra, also an ImportError
 |- ConfigError                   .path .key .line .column .others: a definition or an input that can't be used
 |- InferenceError                .provider .model
 |   |- MissingCredentialsError   also a ValueError: no key or token for the place that was asked
 |   |- UnsupportedTaskError      .task .available
 |   |- InferenceTimeoutError     .timeout_s, also a TimeoutError
 |   |- InferenceConnectionError  .url, also a ConnectionError: nothing (more) could be read from the server
 |   |   `- IncompleteStreamError  the answer broke off: what had arrived was handed out, it isn't whole
 |   |- ProviderError             .status .body .url .request_id: the server answered with an error
 |   |   `- JobFailedError         also a ValueError and a RuntimeError: a job that was waited for ended in failure
 |   |- InvalidResponseError      .body, also a ValueError: the server's answer isn't what it should be
 |   |   `- OutputError            .text .result: the final answer isn't what `Agent(output=...)` asked for
 |   `- LocalModelError           the embedded model could not be fetched or started
 |- ServerError                   .server: an MCP server
 |   |- ServerConnectionError     .stderr_tail: could not start, did not answer, went away
 |   |   `- ServerLoginError      it wants a login, and there is none or it failed
 |   |- ServerRefusedError        .code: answered a request, other than a tool call, with an error
 |   |- ToolRefusedError          .tool: held back, because it changed after it was first used
 |   `- ServerTimeoutError        .timeout_s, also a TimeoutError
 `- SessionError                  .session: a saved conversation
     |- SessionNotFoundError      also a LookupError: there is none of that id
     |- SessionInUseError         it is open elsewhere, or was changed there
     `- SessionStoreError         .path: the place where conversations are saved can't be read or written

A message says what happened, to what, and what to do about it. Keys never appear in one: `redact` is applied where text
from outside (a server's answer, the standard error of a process) becomes part of a message.
What a tool or the model got wrong is a message for the model, not an exception.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BODY_LIMIT = 2048
"""Characters of a server's answer that an error keeps."""

_AFTER_BEARER = r"(?i)(?<=bearer )[^\s\"',}]{6,}"
_AFTER_A_BREAK = {
    **dict.fromkeys(("hf_", "api_org_", "gsk_", "r8_"), "[A-Za-z0-9]{8,}"),
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "fw_"), "[A-Za-z0-9]{20,}"),
    **dict.fromkeys(("xai-", "nvapi-", "pplx-", "glpat-"), "[A-Za-z0-9_-]{16,}"),
    **dict.fromkeys(("AKIA", "ASIA"), r"[A-Z0-9]{16}\b"),
    "sk-": "[A-Za-z0-9_-]{8,}",
    "github_pat_": "[A-Za-z0-9_]{20,}",
    "xox": "[abeprs]-[A-Za-z0-9-]{10,}",
    "AIza": "[A-Za-z0-9_-]{35}",
}
"""How keys of Hugging Face, of well-known providers and hosts begin, and how they go on."""

_KEY_SHAPES = {
    **{start: f"{start}{rest}" for start, rest in _AFTER_A_BREAK.items()},
    "eyJ": r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",  # a JSON web token; tried once in each word
    "earer ": _AFTER_BEARER,
    "EARER ": _AFTER_BEARER,
}
"""By what is in each of them: most texts have none of it, and a pattern that begins with letters is looked for fast."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with the given secrets, and everything shaped like an API key, replaced by `***`."""
    text = without(text, secrets)
    for mark, shape in _KEY_SHAPES.items():
        if mark in text:
            text = re.sub(shape, _masked, text)
    return text


def _masked(found: re.Match[str]) -> str:
    """`***`, or what was found where it is the end of a longer word: `task-force-one` is no key."""
    before = found.string[found.start() - 1 : found.start()]
    return found[0] if before.isalnum() or before == "_" else "***"


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with the given secrets replaced by `***`, also where they are quoted as JSON, Python or an address quotes.

    Those of less than four characters stay: too much else looks like them.
    """
    for secret in secrets:
        if len(secret) >= 4:
            for spelling in _spellings(secret):
                text = text.replace(spelling, "***")
    return text


@functools.lru_cache(maxsize=256)
def _spellings(secret: str) -> tuple[str, ...]:
    """`secret` as it may stand in a text, the longest first: one may be a part of another."""
    if secret.isascii() and secret.isalnum():
        return (secret,)
    import json  # takes longer than the rest of this module
    from urllib.parse import quote

    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    # A lone surrogate can't be in an address.
    forms |= {quote(secret, safe=safe, errors="replace") for safe in ("", "/")}
    return tuple(sorted(forms, key=len, reverse=True))


_IN_ADDRESSES = (
    r"(?i)(://)(?!\$\{)[^/\s@\"'<>?#]{1,4000}(?=@)"
    r"|([?&](?:[\w.-]{0,40}(?:key|token|secret|password|passwd|signature|credential|assertion)[\w-]{0,40}"
    r"|sig|auth|code|jwt|pwd|pass)=)(?!\$\{)[^&\s#\"'<>]+"
)


def secrets_in_address(url: str) -> list[str]:
    """The user and password of an address, and the values in its query that are keys by their names."""
    if "?" not in url and "@" not in url:
        return []
    from urllib.parse import unquote

    found = [match[0].partition("://")[2] or match[0].partition("=")[2] for match in re.finditer(_IN_ADDRESSES, url)]
    parts = [part for each in found for part in (each, each.partition(":")[2]) if part]
    return [spelling for part in parts for spelling in dict.fromkeys((part, unquote(part)))]


def redact_addresses(text: str) -> str:
    """`text` without the user and password of addresses, and the values in their queries that are keys by their names.

    For log lines of libraries. Not for what tools and models say: a link without its signature leads nowhere.
    """
    return re.sub(_IN_ADDRESSES, lambda found: f"{found[1] or found[2]}***", text)


def shown_address(text: str) -> str:
    """What can be shown of a text that should have been an address and is none: no user, password, query or odd port."""
    before, at, rest = text.rpartition("@")
    if at:
        scheme, slashes, _ = before.partition("://")
        text = f"{scheme if slashes else ''}{slashes}***@{rest}"
    text, query, _ = text.partition("?")
    text = re.sub(r"(://[^/:\[]*):(?!\d{1,5}(?:/|$))[^/]*", r"\1:***", text)
    return redact(f"{text}?***" if query else text)


def public_url(url: str) -> str:
    """`url` without what may be secret in it: user, password, query and fragment."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()


class TinyAgentsError(Exception):
    """Base of all errors of this package. They can be pickled and copied, so that they pass between processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, dict(vars(self)))


def _again(cls: type[TinyAgentsError], args: tuple[Any, ...], attributes: dict[str, Any]) -> TinyAgentsError:
    """An error as it was; its own `__init__` would want what the message was made of."""
    error: TinyAgentsError = (OSError if issubclass(cls, OSError) else Exception).__new__(cls, *args)
    error.args = args
    vars(error).update(attributes)
    return error


class UsageError(TinyAgentsError, ValueError):
    """Arguments that contradict each other or that mean nothing."""


class NotOfferedError(UsageError, NotImplementedError):
    """Something that is not to be had in this way: the message names another."""


class UnreadableInputError(UsageError, OSError):
    """A file that was given as input can't be read."""


class InputNotFoundError(UnreadableInputError, FileNotFoundError):
    """There is no such file."""


class MissingDependencyError(TinyAgentsError, ImportError):
    """An optional package isn't installed; `extra` is the extra of tiny-agents that brings it."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{purpose} needs the package '{package}': pip install 'tiny-agents[{extra}]'")


class ConfigError(TinyAgentsError):
    """A definition, or a value it needs, that can't be used.

    `line` and `column` count from 1; they and `key` (a path such as `servers[1].url`) are None where unknown. `others` are
    the errors of what else is wrong in the same file, as far as that could be found.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        key: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.problem = problem
        self.path = str(path) if path is not None else None
        self.key = key
        self.line = line
        self.column = column
        self.others: tuple[ConfigError, ...] = ()
        place = self.path or ""
        if line is not None:
            place += f":{line}" if place else f"line {line}"
            place += f":{column}" if column is not None else ""
        super().__init__(": ".join(part for part in (place, key, problem) if part))


class InferenceError(TinyAgentsError):
    """Something went wrong between this client and a model."""

    def __init__(self, message: str, *, provider: str | None = None, model: str | None = None) -> None:
        self.provider = provider
        self.model = model
        super().__init__(message)


class MissingCredentialsError(InferenceError, ValueError):
    """No key or token is known for the provider or host that was asked."""


class UnsupportedTaskError(InferenceError, ValueError):
    """The provider (or the model on it) does not do this task; `available` lists what it does."""

    def __init__(
        self,
        message: str,
        *,
        task: str,
        available: Iterable[str] = (),
        provider: str | None = None,
        model: str | None = None,
    ) -> None:
        self.task = task
        self.available = tuple(available)
        super().__init__(message, provider=provider, model=model)


class InferenceTimeoutError(InferenceError, TimeoutError):
    """Nothing arrived from the model for `timeout_s` seconds (comments and keep-alives don't count)."""

    def __init__(
        self, message: str, *, timeout_s: float | None = None, provider: str | None = None, model: str | None = None
    ) -> None:
        self.timeout_s = timeout_s
        super().__init__(message, provider=provider, model=model)


class InferenceConnectionError(InferenceError, ConnectionError):
    """The server could not be reached, or the connection to it broke."""

    def __init__(
        self, message: str, *, url: str | None = None, provider: str | None = None, model: str | None = None
    ) -> None:
        self.url = url
        super().__init__(message, provider=provider, model=model)


class IncompleteStreamError(InferenceConnectionError):
    """The stream ended before the model said it was finished."""


class ProviderError(InferenceError):
    """The server answered with an HTTP error, or with an error object in place of an answer.

    Attributes:
        status: HTTP status; 200 where the error came as the body or an event of a successful response.
        body: Start of the server's own text, keys removed.
        url: Where the request went, without its query.
        request_id: The server's id for the request, where it sent one: quote it to the provider's support.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        body: str = "",
        url: str | None = None,
        request_id: str | None = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> None:
        self.status = status
        self.body = body[:BODY_LIMIT]
        self.url = url
        self.request_id = request_id
        super().__init__(message, provider=provider, model=model)


class JobFailedError(ProviderError, ValueError, RuntimeError):
    """The provider took the job, and reports that it failed. Other clients raise one or the other built-in error here."""


class InvalidResponseError(InferenceError, ValueError):
    """The server's answer is not what the protocol says: not JSON, the wrong shape, or empty."""

    def __init__(self, message: str, *, body: str = "", provider: str | None = None, model: str | None = None) -> None:
        self.body = body[:BODY_LIMIT]
        super().__init__(message, provider=provider, model=model)


class OutputError(InvalidResponseError):
    """The final answer of a run isn't what was asked for, and asking again did not help, or could not be done any more.

    Attributes:
        text: What the model wrote last, in full.
        result: What came of the run otherwise, an `AgentResult`.
    """

    def __init__(self, message: str, *, text: str, result: Any = None, model: str | None = None) -> None:
        self.text = text
        self.result = result
        super().__init__(message, body=text, model=model)


class LocalModelError(InferenceError):
    """The embedded model's weights could not be fetched, or its engine could not start."""


class ServerError(TinyAgentsError):
    """Something went wrong between this client and an MCP server; `server` is the name it was added under."""

    def __init__(self, message: str, *, server: str) -> None:
        self.server = server
        super().__init__(message)


class ServerConnectionError(ServerError):
    """The server could not be started or reached, did not answer in time, or went away.

    `stderr_tail` holds the last lines a stdio server wrote to its standard error, keys removed.
    """

    def __init__(self, message: str, *, server: str, stderr_tail: str = "") -> None:
        self.stderr_tail = stderr_tail
        super().__init__(message, server=server)


class ServerRefusedError(ServerError):
    """The server answered with an error, or with what is no valid answer: there is no such resource, for example.

    `code` is the number of its JSON-RPC error, None where there is none. A tool that fails is no exception but a result.
    """

    def __init__(self, message: str, *, server: str, code: int | None = None) -> None:
        self.code = code
        super().__init__(message, server=server)


class ServerLoginError(ServerConnectionError):
    """The server wants a login (OAuth), and there is none: nobody could be asked, or it failed."""


class ToolRefusedError(ServerError):
    """A tool is held back: it changed after it was first used, and the user hasn't accepted that (`pinning="strict"`)."""

    def __init__(self, message: str, *, server: str, tool: str) -> None:
        self.tool = tool
        super().__init__(message, server=server)


class ServerTimeoutError(ServerError, TimeoutError):
    """A call to the server did not finish within `timeout_s` seconds; the connection stays usable."""

    def __init__(self, message: str, *, server: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        super().__init__(message, server=server)


class SessionError(TinyAgentsError):
    """Something is wrong with a saved conversation; `session` is its id, where one was meant."""

    def __init__(self, message: str, *, session: str | None = None) -> None:
        self.session = session
        super().__init__(message)


class SessionNotFoundError(SessionError, LookupError):
    """There is no saved conversation of that id, or more than one whose id starts like that."""


class SessionInUseError(SessionError):
    """Somebody else writes this conversation: another process or agent has it open, or changed it."""


class SessionStoreError(SessionError):
    """Conversations can't be read or saved: the disk is full, the file is damaged, or from a newer tiny-agents.

    `path` is the file, where it is one.
    """

    def __init__(self, message: str, *, session: str | None = None, path: str | Path | None = None) -> None:
        self.path = str(path) if path is not None else None
        super().__init__(message, session=session)
