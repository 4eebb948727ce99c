"""What both clients have in common: their settings, and the decisions that need no waiting."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import InferenceError, InferenceTimeoutError, public_url
from tiny_agents.inference.call import Ask, Call, Response, Route, Step
from tiny_agents.inference.deadline import Deadline
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.routing import Destination, destination, is_fixed, surroundings
from tiny_agents.inference.settings import DEFAULT_MAX_RETRIES, Proxies, client_settings, is_url
from tiny_agents.inference.tasks.chat import chat_completion
from tiny_agents.inference.wire import encoded

if TYPE_CHECKING:
    from types import TracebackType

    from tiny_agents.inference.http.clients import OwnClient
    from tiny_agents.inference.settings import ClientSettings

T = TypeVar("T")

MAX_ROUNDS = 10_000
"""Requests of one call, polls included. Providers give up on their jobs long before."""


class BaseClient(ABC):
    """Settings of an inference client.

    Args:
        model: Id on the Hub, or URL of an endpoint. Each call can name another.
        provider: Who runs the model: a provider's name, "auto" (the default: Hugging Face's router picks), or "local" for
            the embedded model (extra `local`; `model` is then a path to a GGUF, "owner/repo:file.gguf", or None).
        token: A Hugging Face token or a provider's own key. By default the saved Hugging Face token, which is sent to
            Hugging Face's hosts only. False sends none.
        timeout: Seconds without data from the model before `InferenceTimeoutError` (default 300).
        total_timeout: Seconds that a whole call may take: look-ups, retries, queues, polls, downloads and the last piece
            of a streamed answer included. Looked at before every wait and whenever data arrives; default None, any time.
        headers: Added to the requests to the model.
        cookies: The same.
        bill_to: Organisation on the Hub that pays.
        base_url: URL of an OpenAI-compatible endpoint; the same as a URL for `model`.
        api_key: Another name for `token`.
        max_retries: Further tries after a failure in passing: no connection, or status 408, 409, 429, 5xx. Never after the
            first bytes of an answer. Default 2; 0 turns it off. A model that is being loaded (status 503) is waited for,
            as long as `total_timeout`, or else `timeout`, allows.
        proxies: Address of a proxy, or a mapping from scheme ("http", "https", "all") or pattern ("https://host") to one;
            None in its place is a direct connection. They take the place of those of the environment.
        trust_env: Whether proxies are taken from the environment (default). Loopback addresses never go through one.
        http_client: Your own `httpx2.Client` (`httpx2.AsyncClient` for the asynchronous client), with the proxies,
            certificates, transport and limits that you gave it. It is used for everything and never closed.
        tool_emulation: Put tools into the prompt and read calls out of constrained JSON, for endpoints that have no tool
            API.

    Raises:
        UsageError: Arguments that contradict each other.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        provider: str | None = None,
        token: str | Literal[False] | None = None,
        timeout: float | None = None,
        total_timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        bill_to: str | None = None,
        base_url: str | None = None,
        api_key: str | Literal[False] | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        proxies: Proxies | None = None,
        trust_env: bool = True,
        http_client: OwnClient | None = None,
        tool_emulation: bool = False,
    ) -> None:
        self.settings = client_settings(
            model,
            provider=provider,
            token=token,
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            total_timeout=total_timeout,
            headers=headers,
            cookies=cookies,
            bill_to=bill_to,
            max_retries=max_retries,
            trust_env=trust_env,
            tool_emulation=tool_emulation,
            proxies=proxies,
            has_http_client=http_client is not None,
        )
        self._own_http = http_client
        self._kept: dict[str, Response] = {}  # answers of the Hub, by URL
        self._kept_destination: tuple[ClientSettings, str, str | None, str, Destination] | None = None
        self._set_up()

    def __getstate__(self) -> dict[str, Any]:
        """The settings: a copy, or a client that was pickled for another process, makes connections of its own."""
        return {"settings": self.settings, "_own_http": self._own_http}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._kept = {}
        self._kept_destination = None
        self._set_up()

    @abstractmethod
    def _set_up(self) -> None:
        """Make what a client needs beside its settings."""

    @property
    def model(self) -> str | None:
        return self.settings.model

    @property
    def provider(self) -> str | None:
        return self.settings.provider

    @property
    def timeout(self) -> float:
        return self.settings.timeout_s

    def __repr__(self) -> str:
        where = f", provider={self.provider!r}" if self.provider else ""
        model = public_url(self.model) if is_url(self.model) and self.model else self.model
        return f"{type(self).__name__}(model={model!r}{where})"

    def _http_settings(self) -> HTTPSettings:
        settings = self.settings
        return HTTPSettings(settings.timeout_s, settings.max_retries, settings.trust_env, proxies=settings.proxies)

    def _deadline(self) -> Deadline:
        """The end of a call that begins now."""
        return Deadline.after(self.settings.total_timeout_s)

    def _destination(self, call: Call[Any]) -> Step[Destination]:
        settings, around = self.settings, surroundings(os.environ)
        kept = self._kept_destination
        if kept is not None and kept[0] is settings and kept[1:4] == (call.task, call.model, around.hub):
            return kept[4]
        found = destination(call, settings, around)
        if isinstance(found, Destination) and is_fixed(found, call, settings, around):
            self._kept_destination = settings, call.task, call.model, around.hub, found
        return found

    def _embedded_model(self, call: Call[Any]) -> str | None:
        return call.model or self.settings.model


def check(client: BaseClient) -> None:
    """Raise what a chat would raise before anything is sent: no key, no model, a provider that does no chat.

    Raises:
        MissingCredentialsError, UnsupportedTaskError, UsageError: What stands in the way.
    """
    if not client.settings.embedded:
        call = chat_completion([{"role": "user", "content": "?"}])
        destination(call, client.settings, surroundings(os.environ))


class Rounds:
    """Counts the round trips of one step, so that a server which never finishes does not keep a call for ever."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._taken = 0

    def pause_s(self, ask: Ask[Any]) -> float:
        """Seconds to wait before `ask` is sent. Raises InferenceTimeoutError after `MAX_ROUNDS`."""
        self._taken += 1
        if self._taken > MAX_ROUNDS:
            raise InferenceTimeoutError(
                f"{public_url(ask.request.url)}: still not finished after {MAX_ROUNDS} requests; given up."
            )
        return max(0.0, min(ask.delay_s, self._deadline.left_s))


class errors_name(msgspec.Struct, frozen=True, gc=False):
    """`with`: errors that pass say which provider and model they are about."""

    _route: Route

    def __enter__(self) -> None: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, InferenceError):
            error.provider = error.provider or self._route.provider
            error.model = error.model or self._route.model


def answer_encoded(destination: Destination, call: Call[T]) -> Step[T]:
    """`destination.answer` with the request encoded, for calls that hold files: neither may keep an event loop waiting."""
    step = destination.answer(call)
    return replace(step, request=encoded(step.request)) if isinstance(step, Ask) else step


def is_whole(headers: Mapping[str, str]) -> bool:
    """Whether a server answered a request for a stream with one document: an error, a web page, or it can't stream."""
    return headers.get("content-type", "").startswith(("application/json", "text/html"))
