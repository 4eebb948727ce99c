"""What those who observe a client are told: the runs of its agent, the calls of models, the calls of tools.

An operation is one object from its begin to its end; an observer is told of both, and reads there what is known by then.
OpenTelemetry's spans (`telemetry.py`) and the log of a run (`agent/run_log.py`) are two observers; `Agent(observers=...)`
takes more. Inside a tool call, the operation that is going on is known by its context: what an agent does that is used as
a tool is part of that call, and told to the same observers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec

from tiny_agents.errors import ProviderError, redact
from tiny_agents.inference.fold import ChatFold
from tiny_agents.inference.types.record import to_builtins
from tiny_agents.mcp_client.text import without_secrets
from tiny_agents.records import Discreet

if TYPE_CHECKING:
    from types import TracebackType

    from tiny_agents.inference.types.chat import ChatCompletionOutput

logger = logging.getLogger("tiny_agents.mcp_client")

Outcome = Literal["ok", "error", "failed", "denied", "not_run", "cancelled"]

CANCELLED = "cancelled"
TOOL_ERROR = "tool_error"

_MESSAGE_CHARS = 2_000


class Observer:
    """Told of operations. Its methods are called in the event loop, so they must not wait; what they raise is logged."""

    def started(self, operation: Operation) -> None:
        """An operation begins."""

    def ended(self, operation: Operation) -> None:
        """It is over, in whatever way. Called once for each that began."""

    def within(self, operation: Operation) -> AbstractContextManager[object]:
        """What is done inside, in the same task, is done for the operation. Never held across a `yield`."""
        return nullcontext()


class Operation(Discreet, msgspec.Struct, kw_only=True, eq=False):
    """Something that takes time.

    Attributes:
        parent: The operation that it is a part of.
        id: 16 hexadecimal digits, others each time that it begins.
        duration_s: Seconds from its begin to its end; None until then.
        error: What kind of error ended it, one of few words: the class of an exception, the status of an HTTP answer,
            "cancelled", "tool_error". Empty if none did.
        message: The error in words, without secrets.
        kept: For observers: what each keeps for this operation.
    """

    not_shown = frozenset({"_kept", "_observing", "_observers"})

    parent: Operation | None = None
    duration_s: float | None = None
    error: str = ""
    message: str = ""
    _kept: dict[object, Any] | None = None
    _observing: Observing
    _observers: Sequence[Observer] = ()
    _began: float = 0.0
    _id: str = ""

    @property
    def kept(self) -> dict[object, Any]:
        if self._kept is None:
            self._kept = {}
        return self._kept

    @property
    def id(self) -> str:
        if not self._id:
            self._id = token_hex(8)
        return self._id

    @property
    def capture_content(self) -> bool | None:
        """What is said about recording what is said, by the user of the client or of one around it; None for nothing."""
        own = self._observing.capture_content
        return own if own is not None or self.parent is None else self.parent.capture_content

    @property
    def secrets(self) -> list[str]:
        """What must not be shown: what this client knows, and those around it."""
        outer = self.parent.secrets if self.parent is not None else []
        return list(dict.fromkeys([*self._observing.secrets, *outer]))

    def cleaned(self, data: Any) -> Any:
        """Text or JSON data without secrets."""
        known = self.secrets
        quoted = (json.dumps(secret)[1:-1] for secret in known)
        return without_secrets(data, list(dict.fromkeys([*known, *quoted])))

    def begin(self) -> None:
        self._id = ""
        self.duration_s, self.error, self.message = None, "", ""
        self._kept = None
        self._observers = self._observing.observers_of(self)
        self._began = time.monotonic()
        _tell(self._observers, "started", self)

    def end(self, error: BaseException | None = None) -> None:
        """It is over; a second end is none."""
        if self.duration_s is not None:
            return
        if error is not None:
            self.fail(error)
        self.duration_s = time.monotonic() - self._began
        _tell(self._observers, "ended", self)

    def fail(self, error: BaseException) -> None:
        """An error ends it."""
        self.error = error_type(error)
        if self.error != CANCELLED:
            self.message = redact(str(error), self.secrets)[:_MESSAGE_CHARS]

    def beginning(self) -> Stretch:
        """From its begin on, in one task; an error ends it."""
        return Stretch(self, False)

    def going_on(self) -> Stretch:
        """From its begin to its end, in one task."""
        return Stretch(self, True)


class Stretch(msgspec.Struct, gc=False):
    """`with`: what is done inside, in the same task, is done for an operation, which begins there. Never held across a
    `yield`. An error ends the operation.
    """

    _operation: Operation
    _ends: bool  # whether the end of the `with` is its end, too
    _observed: ExitStack | None = None
    _token: Any = None

    def __enter__(self) -> None:
        operation = self._operation
        operation.begin()
        self._token = _current.set(operation)
        if operation._observers:
            try:
                self._observed = _observed(operation)
            except BaseException as error:
                _current.reset(self._token)
                operation.end(error)
                raise

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        operation = self._operation
        try:
            if self._observed is not None:
                self._observed.__exit__(exc_type, exc, traceback)
        except BaseException as error:
            exc = error
            raise
        finally:
            _current.reset(self._token)
            if exc is not None or self._ends:
                operation.end(exc)


def _observed(operation: Operation) -> ExitStack:
    """What the observers want to have open for an operation."""
    with ExitStack() as stack:
        for observer in operation._observers:
            stack.enter_context(observer.within(operation))
        return stack.pop_all()


_current: ContextVar[Operation | None] = ContextVar("tiny_agents_operation", default=None)


class AgentRun(Operation, kw_only=True, eq=False):
    """An agent works on a request.

    Attributes:
        agent: The agent's name; empty where it has none.
        definition: A checksum of its definition; empty where there is none.
        session: Id of the saved conversation.
        request: What the user said.
        stop_reason: Why it ended, as in `agent.loop.rules`; "" until then.
        limit: The limit that was reached, in words.
        text: The answer.
        has_answer: Whether `text` is the model's whole answer.
        usage: What it used, at its end: `input_tokens`, `output_tokens`, `cached_tokens`, `reasoning_tokens`,
            `model_calls`, `tool_calls`, `cost_usd` (None: not known), `estimated`.
    """

    not_shown = frozenset({"request", "text"})

    agent: str = ""
    definition: str = ""
    model: str = ""
    provider: str = ""
    session: str = ""
    request: str = ""
    stop_reason: str = ""
    limit: str = ""
    text: str = ""
    has_answer: bool = False
    usage: Mapping[str, Any] = msgspec.field(default_factory=dict)


class ModelCall(Operation, kw_only=True, eq=False):
    """A model is asked. Where another one is asked in its place, that is another operation: the same object, begun again.

    Attributes:
        model, provider: As it is asked for.
        host, port: Where it is; empty and 0 where that isn't known (yet).
        params: Arguments of the call, such as `temperature`.
        messages, tools: What it is sent.
        first_chunk_s: Seconds until the first piece of its answer; None if there was none.
        fold: Its answer, as far as it came.
        server: The MCP server that wants to know it; empty where the agent itself does.
    """

    not_shown = frozenset({"params", "messages", "tools", "fold", "_whole", "_counted"})

    model: str = ""
    provider: str = ""
    host: str = ""
    port: int = 0
    params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    messages: Sequence[Any] = ()
    tools: Sequence[Any] = ()
    first_chunk_s: float | None = None
    fold: ChatFold = msgspec.field(default_factory=ChatFold)
    server: str = ""
    _whole: Any = None
    _counted: Any = None

    def asking(self, model: str, provider: str, place: tuple[str, int]) -> Stretch:
        """Until the answer begins; an error ends the operation."""
        self.model, self.provider, (self.host, self.port) = model, provider, place
        self.first_chunk_s = None
        return self.beginning()

    def heard(self) -> None:
        """A piece of the answer is there."""
        if self.first_chunk_s is None:
            self.first_chunk_s = time.monotonic() - self._began

    def answered(self, whole: ChatCompletionOutput) -> None:
        """The answer is there, in one piece."""
        choice, fold = whole.choices[0], self.fold
        fold.model, fold.id, fold.finish_reason = whole.model, whole.id, choice.finish_reason
        self._counted, self._whole = whole.usage, choice.message

    @property
    def answer(self) -> Any:
        """The assistant message, as far as it came; None if nothing did."""
        return self._whole if self._whole is not None else self.fold.message()

    @property
    def usage(self) -> Mapping[str, int]:
        """Tokens as the server counted them: `input_tokens`, `output_tokens`, `cached_tokens`, `reasoning_tokens`."""
        told = self._counted or self.fold.usage
        counted = to_builtins(told) if told is not None else {}
        found = {name: _number(counted, path) for name, path in _COUNTED.items()}
        return {name: number for name, number in found.items() if number is not None}


_COUNTED = {
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "cached_tokens": ("prompt_tokens_details", "cached_tokens"),
    "reasoning_tokens": ("completion_tokens_details", "reasoning_tokens"),
}


def _number(counted: Any, path: Iterable[str]) -> int | None:
    for key in path:
        counted = counted.get(key) if isinstance(counted, Mapping) else None
    return counted if isinstance(counted, int) and not isinstance(counted, bool) else None


class ToolCall(Operation, kw_only=True, eq=False):
    """A call that a model made, carried out or not.

    Attributes:
        name: The tool, as the model calls it.
        call_id: As in the model's answer.
        arguments: As the model gave them.
        server: The MCP server's name, "function" for a Python function; empty where there is no such tool.
        tool: As the server spells it.
        address: Host and port of a remote server; empty and 0 for others.
        waited_s: Those of `duration_s` before it was carried out: until it was allowed, and its turn came.
        outcome: "ok"; "error": the tool says that it failed; "failed": the call did, or its server is gone; "denied" by
            the gate; "not_run": no such tool, arguments that can't be used, a limit; "cancelled".
        text: What the model is told.
    """

    not_shown = frozenset({"arguments", "text"})

    name: str = ""
    call_id: str = ""
    arguments: Mapping[str, Any] = msgspec.field(default_factory=dict)
    server: str = ""
    tool: str = ""
    address: tuple[str, int] = ("", 0)
    waited_s: float = 0.0
    outcome: Outcome = "ok"
    text: str = ""

    def waited(self) -> None:
        """It has been waiting until now."""
        self.waited_s = time.monotonic() - self._began

    def came_to(self, outcome: Outcome, error: BaseException | str = "") -> None:
        """How it went, where it didn't go well."""
        self.outcome = outcome
        if isinstance(error, BaseException):
            self.fail(error)
        else:
            self.error = error or outcome

    def fail(self, error: BaseException) -> None:
        Operation.fail(self, error)
        if self.error == CANCELLED:
            self.outcome = "cancelled"
        elif self.outcome == "ok":
            self.outcome = "failed"


class Observing(Discreet, msgspec.Struct):
    """The observers of a client.

    Attributes:
        observers: Those that it was given.
        always: Gives one more, if there is one at the moment.
        capture_content: Whether what is said is recorded, too; None leaves it to each observer.
        secrets: What observers must not be shown.
    """

    not_shown = frozenset({"secrets"})

    observers: tuple[Observer, ...] = ()
    always: Callable[[], Observer | None] = lambda: None
    capture_content: bool | None = None
    secrets: list[str] = msgspec.field(default_factory=list)

    def observers_of(self, operation: Operation) -> Sequence[Observer]:
        """All that are told of an operation: ours, and those of the operation that it is a part of."""
        outer = operation.parent
        if outer is not None and outer._observing is self:
            return outer._observers
        more = self.always()
        found = self.observers if more is None else (*self.observers, more)
        if outer is not None:
            found += tuple(observer for observer in outer._observers if observer not in found)
        return found

    def is_watched(self, parent: Operation | None) -> bool:
        """Whether anybody but ourselves is told of a model call within `parent`."""
        outer = parent or _current.get()
        return bool(self.observers or (outer is not None and outer._observers))

    def agent_run(self, **known: Any) -> AgentRun:
        return AgentRun(parent=_current.get(), _observing=self, **known)

    def model_call(self, parent: Operation | None, **known: Any) -> ModelCall:
        return ModelCall(parent=parent or _current.get(), _observing=self, **known)

    def tool_call(self, parent: Operation | None, **known: Any) -> ToolCall:
        return ToolCall(parent=parent or _current.get(), _observing=self, **known)


@lru_cache(maxsize=128)
def host_and_port(url: str) -> tuple[str, int]:
    """Of a URL that was found to be one; the port that its scheme means, where it names none."""
    split = urlsplit(url)
    return split.hostname or "", split.port or (80 if split.scheme == "http" else 443)


def error_type(error: BaseException) -> str:
    """An error as one of few words."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return CANCELLED
    if isinstance(error, ProviderError) and error.status >= 400:
        return str(error.status)
    return type(error).__name__


def _tell(observers: Iterable[Observer], what: Literal["started", "ended"], operation: Operation) -> None:
    for observer in observers:
        tell: Callable[[Operation], None] = getattr(observer, what)
        try:
            tell(operation)
        except Exception:
            logger.exception("an observer failed")
