"""What both clients have in common: their settings, and the decisions that need no waiting."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from tiny_agents.inference.call import Ask, Call, Response, Step
from tiny_agents.inference.http import HTTPSettings, OwnClient
from tiny_agents.inference.routing import Destination, destination, surroundings
from tiny_agents.inference.settings import DEFAULT_MAX_RETRIES, client_settings
from tiny_agents.inference.wire import encoded

T = TypeVar("T")


class BaseClient(ABC):
    """Settings of an inference client.

    Args:
        model: Id on the Hub, or URL of an endpoint. Each call can name another.
        provider: Who runs the model: a provider's name, "auto" (the default: Hugging Face's router picks), or "local" for
            the embedded model (extra `local`; `model` is then a path to a GGUF, "owner/repo:file.gguf", or None).
        token: A Hugging Face token or a provider's own key. By default the saved Hugging Face token, which is sent to
            Hugging Face's hosts only. False sends none.
        timeout: Seconds without data from the model before `InferenceTimeoutError` (default 300).
        headers: Added to the requests to the model.
        cookies: The same.
        bill_to: Organisation on the Hub that pays.
        base_url: URL of an OpenAI-compatible endpoint; the same as a URL for `model`.
        api_key: Another name for `token`.
        max_retries: Further tries after a failure in passing: no connection, or status 408, 409, 429, 5xx. Never after the
            first bytes of an answer. Default 2; 0 turns it off.
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
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        bill_to: str | None = None,
        base_url: str | None = None,
        api_key: str | Literal[False] | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
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
            headers=headers,
            cookies=cookies,
            bill_to=bill_to,
            max_retries=max_retries,
            trust_env=trust_env,
            tool_emulation=tool_emulation,
        )
        self._own_http = http_client
        self._kept: dict[str, Response] = {}  # answers of the Hub, by URL
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
        return f"{type(self).__name__}(model={self.model!r}{where})"

    def _http_settings(self) -> HTTPSettings:
        settings = self.settings
        return HTTPSettings(settings.timeout_s, settings.max_retries, settings.trust_env)

    def _destination(self, call: Call[Any]) -> Step[Destination]:
        return destination(call, self.settings, surroundings(os.environ))

    def _embedded_model(self, call: Call[Any]) -> str | None:
        return call.model or self.settings.model


def answer_encoded(destination: Destination, call: Call[T]) -> Step[T]:
    """`destination.answer` with the request encoded, for calls that hold files: neither may keep an event loop waiting."""
    step = destination.answer(call)
    return replace(step, request=encoded(step.request)) if isinstance(step, Ask) else step


def is_whole(headers: Mapping[str, str]) -> bool:
    """Whether a server answered a request for a stream with one JSON document: an error, or it can't stream."""
    return headers.get("content-type", "").startswith("application/json")
