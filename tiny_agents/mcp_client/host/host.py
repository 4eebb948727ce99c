"""What servers may ask of us, and who answers: `Host`.

A server can ask the person for something (elicitation), our model for a text (sampling), and us for the folders that it may
work in (roots). It is told about those that the host serves, and about no others; what it asks nevertheless is refused.
"""

from __future__ import annotations

import json
import logging
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from tiny_agents.mcp_client.connection.servers import LOG_LEVELS, LogLevel
from tiny_agents.mcp_client.host.forms import form_fields, form_problems
from tiny_agents.records import Discreet

logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T")

Service = Literal["elicitation", "sampling", "roots"]
Action = Literal["accept", "decline", "cancel"]


class FormRequest(msgspec.Struct, frozen=True):
    """A server asks the person to fill in a form: `schema` is a JSON Schema of an object with plain properties."""

    server: str
    message: str
    schema: Mapping[str, Any]


class UrlRequest(msgspec.Struct, frozen=True):
    """A server asks the person to open a page, for what must not pass through us, such as a password."""

    server: str
    message: str
    url: str


class Reply(msgspec.Struct, frozen=True):
    """What the person made of it: `decline` is a no, `cancel` is no answer. `content` holds what a form asked for.

    `reason` says why there is no answer, where that isn't the person's own decision: it is told to the server and the model.
    """

    action: Action
    content: Mapping[str, Any] | None = None
    reason: str | None = None


class AuthorizationRequest(Discreet, msgspec.Struct, frozen=True):
    """A server wants the person to log in, at a page in their browser.

    Attributes:
        url: The page. It is good for this login only.
        host: Whose page that is: where the person will type a password, perhaps.
        scopes: The rights that are asked for; empty where the page alone says.
        redirect_uri: Where the browser ends: on this machine, where we wait for it.
        problem: Why what was pasted last is no answer; empty at first.
    """

    not_shown = frozenset({"url"})

    server: str
    url: str
    host: str
    scopes: Sequence[str]
    redirect_uri: str
    problem: str = ""


class AuthorizationReply(Discreet, msgspec.Struct, frozen=True):
    """What the person made of it: `accept` if the page is open, or if they followed it already.

    Attributes:
        redirected: The address that the browser ended at, where the person had to copy it, because the browser runs on
            another machine; None to wait for the browser.
    """

    not_shown = frozenset({"redirected"})

    action: Action
    redirected: str | None = None


class SamplingRequest(msgspec.Struct, frozen=True):
    """A server asks our model for a text.

    Attributes:
        messages: As a chat API takes them, a system prompt of the server's first.
        max_tokens: What the server wants, at most what we allow.
        hints: Names of models it would like, or parts of them, best first.
        model: The one of our models that its hints name; None for the client's own, which answers otherwise.
        tools: Tools of the server's that the model may call, as a chat API has them. The server runs them, not we.
        tool_choice: "auto", "required" or "none", where the server says so.
        cost_priority, speed_priority, intelligence_priority: How much each matters to the server, from 0 to 1.
    """

    server: str
    messages: Sequence[dict[str, Any]]
    max_tokens: int
    temperature: float | None = None
    stop: Sequence[str] | None = None
    hints: Sequence[str] = ()
    model: str | None = None
    tools: Sequence[dict[str, Any]] = ()
    tool_choice: str | None = None
    cost_priority: float | None = None
    speed_priority: float | None = None
    intelligence_priority: float | None = None


class RootsRequest(msgspec.Struct, frozen=True):
    """A server asks for the folders that it may work in."""

    server: str


class SampledCall(msgspec.Struct, frozen=True):
    """The model wants the server that asked to run one of the tools it offered."""

    id: str
    name: str
    arguments: Mapping[str, Any]


class SamplingReply(msgspec.Struct, frozen=True):
    text: str
    model: str
    cut: bool = False
    tool_calls: Sequence[SampledCall] = ()


class Refusal(Exception):
    """A server's request is refused; the message is for the server."""


MAX_SAMPLING_TOKENS = 4_000
MAX_SAMPLINGS = 50
MAX_SAMPLING_CHARS = 400_000
MAX_ELICITATIONS = 500
MAX_ELICITATIONS_PER_CALL = 20
MAX_NOTES = 20
NOTED_CHARS = 200


class Host:
    """Serves nothing: a server that asks is refused at once. Override what you serve; that is what servers are told of.

    The methods run in the event loop, several at a time. While one is waited for, no tool call runs out of time. One that
    raises counts as a refusal.

    Attributes:
        sampling_models: Models besides the client's own that a server gets if its hints name them; the client must serve
            them too.
        max_sampling_tokens: Most tokens of one text that a server asks the model for.
        max_samplings: Most texts that one server gets in the life of a connection.
        max_sampling_chars: How much one such request may hold: its messages and tools as JSON, images included.
        max_elicitations: Most questions to the person that one server gets answered in the life of a connection; those that
            follow are declined, with a reason.
        max_elicitations_per_call: The same during one tool call; calls that run at the same time share what they may ask.
    """

    sampling_models: Sequence[str] = ()
    max_sampling_tokens: int = MAX_SAMPLING_TOKENS
    max_samplings: int = MAX_SAMPLINGS
    max_sampling_chars: int = MAX_SAMPLING_CHARS
    max_elicitations: int = MAX_ELICITATIONS
    max_elicitations_per_call: int = MAX_ELICITATIONS_PER_CALL

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        """Ask the person. The answer to a URL says whether they agree to open it; opening it is up to you."""
        return Reply("decline")

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        """Whether the client's own model may be asked this, at the user's cost."""
        return False

    async def roots(self) -> Sequence[Path]:
        """The folders that servers may work in."""
        return ()

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        """Have the person log in at a remote server: open the page if they agree. Cancelled once the browser is back."""
        return AuthorizationReply("decline")

    @property
    def can_authorize(self) -> bool:
        """Whether anybody can be asked to log in."""
        return type(self).authorize is not Host.authorize

    @property
    def serves(self) -> frozenset[Service]:
        """What servers are told of."""
        mine = type(self)
        overridden: dict[Service, bool] = {
            "elicitation": mine.elicit is not Host.elicit,
            "sampling": mine.allow_sampling is not Host.allow_sampling,
            "roots": mine.roots is not Host.roots,
        }
        return frozenset(service for service, served in overridden.items() if served)


Asked = FormRequest | UrlRequest | SamplingRequest | RootsRequest | AuthorizationRequest
"""What a server may ask."""

Sample = Callable[[SamplingRequest], Awaitable[SamplingReply]]
"""Asks our model."""


def held_weakly(method: Sample) -> Sample:
    """`method` without keeping its object alive: a desk lives as long as a connection, a dropped client must not."""
    held = weakref.WeakMethod(method)

    async def sample(request: SamplingRequest) -> SamplingReply:
        if (method := held()) is None:
            raise Refusal("the client is gone")
        return await method(request)

    return sample


class Desk(msgspec.Struct):
    """Where the requests of one server arrive: checked, counted, and passed to the host.

    Attributes:
        models: What the client's own model is called, and the others that the server may have.
        unanswered: How often the server got no answer for a reason; `notes` says of the last ones which.
        asked: Told of each request that the host is about to answer.
        logged: Told what the server logs: level, name of the logger, data.
        folders: Those that this server may work in, in place of the host's; None for the host's.
        log_level: The least serious report that is wanted; None for whatever the server sends.
    """

    server: str
    host: Host
    sample: Sample
    asked: Callable[[Asked], None] = lambda _: None
    logged: Callable[[str, str | None, Any], None] = lambda level, name, data: None
    folders: Sequence[Path] | None = None
    log_level: LogLevel | None = None
    serves: frozenset[Service] = frozenset()  # what the host serves for this server
    models: Sequence[str] = ()
    samplings: int = 0
    elicitations: int = 0
    unanswered: int = 0
    notes: deque[str] = msgspec.field(default_factory=lambda: deque(maxlen=MAX_NOTES))
    _calls: int = 0  # that run now
    _left: int = 0  # questions that these may still ask
    _refused: bool = False  # whether somebody was told that these ask too much

    def __post_init__(self) -> None:
        told: frozenset[Service] = frozenset({"roots"} if self.folders else ())
        self.serves = (self.host.serves - (frozenset() if self.folders is None else {"roots"})) | told

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        if isinstance(request, UrlRequest) and not is_web_page(request.url):
            return Reply("decline")
        if (problem := self._count_question()) is not None:
            if not self._refused:  # once: there may be thousands
                self._refused = True
                self._note(request, problem)
                logger.warning("MCP server '%s' asks too many questions: %s", self.server, problem)
            return Reply("decline", reason=problem)
        self.asked(request)
        reply = await self._of_host(self.host.elicit(request))
        if reply.action != "accept":
            if reply.reason:
                self._note(request, reply.reason)
            return Reply(reply.action, reason=reply.reason)
        if isinstance(request, UrlRequest):
            return Reply("accept")
        content = with_defaults(request.schema, reply.content or {})
        if problems := form_problems(request.schema, content):
            logger.warning("the host's answer to the MCP server '%s' doesn't fit: %s", self.server, "; ".join(problems))
            raise Refusal(f"the form was not filled in as it asks: {'; '.join(problems)}")
        return Reply("accept", content)

    def call(self) -> DeskCall:
        """While a tool call runs: what it may ask of the person. Servers of before 2026-07-28 don't say which call asks."""
        return DeskCall(self)

    def _count_question(self) -> str | None:
        """Why the person isn't asked any more; None, and one question fewer to ask, where they are."""
        if self.elicitations >= self.host.max_elicitations:
            return f"no more than {self.host.max_elicitations} questions of one server are passed on"
        if self._calls and self._left <= 0:
            return f"no more than {self.host.max_elicitations_per_call} questions are passed on during one call"
        self.elicitations += 1
        self._left -= 1 if self._calls else 0
        return None

    def _note(self, request: FormRequest | UrlRequest, reason: str) -> None:
        self.unanswered += 1
        question = " ".join(request.message.split())[:NOTED_CHARS]
        self.notes.append(f"[MCP server '{self.server}' asked: {question!r}. Not answered: {reason}.]")

    def notes_since(self, unanswered: int) -> list[str]:
        """For the model: what got no answer since `unanswered` was that, and why."""
        count = min(self.unanswered - unanswered, len(self.notes))
        return list(self.notes)[len(self.notes) - count :]

    async def answer(self, request: SamplingRequest) -> SamplingReply:
        """Raises Refusal where the person, or a limit, is against it."""
        if self.samplings >= self.host.max_samplings:
            raise Refusal(f"no more than {self.host.max_samplings} texts are sampled for one server")
        size = len(json.dumps([*request.messages, *request.tools], ensure_ascii=False))
        if size > self.host.max_sampling_chars:
            raise Refusal(
                f"a sampling request of {size:,} characters: at most {self.host.max_sampling_chars:,} are taken"
            )
        self.samplings += 1
        request = replace(request, model=named_model(request.hints, self.models))
        self.asked(request)
        if not await self._of_host(self.host.allow_sampling(request)):
            raise Refusal("the user refused the sampling request")
        return await self.sample(request)

    async def roots(self) -> Sequence[Path]:
        self.asked(RootsRequest(self.server))
        return self.folders if self.folders is not None else await self._of_host(self.host.roots())

    def log(self, level: str, name: str | None, data: Any) -> None:
        """Pass on what the server reports, unless it is less serious than what was asked for."""
        wanted, known = self.log_level, LOG_LEVELS
        if wanted is None or level not in known or known.index(level) >= known.index(wanted):
            self.logged(level, name, data)

    @property
    def can_authorize(self) -> bool:
        return self.host.can_authorize

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        """A host that fails counts as a person who doesn't log in."""
        self.asked(request)
        try:
            return await self._of_host(self.host.authorize(request))
        except Refusal:
            return AuthorizationReply("cancel")

    async def _of_host(self, asked: Awaitable[T]) -> T:
        try:
            return await asked
        except Refusal:
            raise
        except Exception as error:
            logger.exception("the host failed to answer the MCP server '%s'", self.server)
            raise Refusal("the client failed to answer") from error


def named_model(hints: Sequence[str], models: Sequence[str]) -> str | None:
    """The first of our models that a hint is a part of, for the first hint that is; None where none is."""
    for hint in hints:
        for model in models:
            if hint and hint.casefold() in model.casefold():
                return model
    return None


class DeskCall(msgspec.Struct, frozen=True, gc=False):
    """`with`: a tool call runs."""

    _desk: Desk

    def __enter__(self) -> None:
        desk = self._desk
        if not desk._calls:
            desk._left, desk._refused = 0, False
        desk._calls += 1
        desk._left += desk.host.max_elicitations_per_call

    def __exit__(self, *_: object) -> None:
        desk = self._desk
        desk._calls -= 1
        desk._left = min(desk._left, desk._calls * desk.host.max_elicitations_per_call)


def is_web_page(url: str) -> bool:
    """Whether `url` is what it looks like: an address of the web without a user's name, spaces or other odd characters."""
    try:
        split = urlsplit(url)
        plain = url.isprintable() and not set(url) & {" ", "\\", "<", ">", '"'}
        return plain and split.scheme in ("http", "https") and bool(split.hostname) and split.username is None
    except ValueError:
        return False


def with_defaults(schema: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """What was filled in, and the form's own defaults where nothing was."""
    fields = form_fields(schema)
    defaults = {name: f["default"] for name, f in fields.items() if f.get("default") is not None}
    return {**defaults, **{name: value for name, value in content.items() if value is not None}}
