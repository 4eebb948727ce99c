"""Where a call goes: provider + model + credential -> Route. Pure; a look-up on the Hub is expressed as `Ask`.

Source: Hugging Face "Inference Providers" documentation: a Hugging Face token goes through the router, which bills it;
a provider's own key goes to the provider. Without a provider, the router picks one for the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec

from tiny_agents.errors import MissingCredentialsError, UnsupportedTaskError, UsageError
from tiny_agents.inference import legacy
from tiny_agents.inference.call import Ask, Call, Route, Step, and_then
from tiny_agents.inference.credentials import find_token, is_hugging_face, is_hugging_face_token
from tiny_agents.inference.providers import AUTO, LOCAL, NAMES, get_provider, hf_inference
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import offers, recommended_model
from tiny_agents.inference.providers.provider import Adapter, LookUp, Provider, Served
from tiny_agents.inference.settings import ClientSettings, Emulation, is_url
from tiny_agents.records import Discreet

T = TypeVar("T")

ROUTER = "https://router.huggingface.co"
HUB = "https://huggingface.co"

CHAT = "conversational"
_OPENAI_CHAT = chat_adapter("/v1/chat/completions")
_ENDPOINT_TASKS: dict[str, Adapter] = {CHAT: _OPENAI_CHAT, **hf_inference.TASKS}
_AUTO_TASKS: dict[str, Adapter] = {CHAT: _OPENAI_CHAT}


class Surroundings(Discreet, msgspec.Struct, frozen=True):
    """What was found rather than given: the Hub's address, the user's token, keys of providers.

    Attributes:
        find: Looks for the user's Hugging Face token, maybe in a file; asked only where a token could be sent.
    """

    not_shown = frozenset({"find", "env"})

    hub: str
    find: Callable[[], str | None]
    env: Mapping[str, str]

    @property
    def found_token(self) -> str | None:
        """A Hugging Face token; it goes to Hugging Face's hosts only."""
        return self.find()


def surroundings(env: Mapping[str, str]) -> Surroundings:
    return Surroundings((env.get("HF_ENDPOINT") or HUB).rstrip("/"), lambda: find_token(env), env)


class Engine(Protocol):
    """What routing has to know of a running embedded model."""

    @property
    def url(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def emulation(self) -> Emulation | None: ...
    def close(self) -> None: ...


class Destination(msgspec.Struct, frozen=True):
    """A route, and how the task is done there.

    `emulation` names how tools are offered where there is no tool API: "small" or "constrained" (see
    `inference.emulation`); None where there is one.
    """

    route: Route
    adapter: Adapter
    emulation: Emulation | None = None

    def emulates(self, call: Call[Any]) -> bool:
        """Whether the tools of `call` (or the traces of earlier ones) have to be put into words."""
        if self.emulation is None or call.task != CHAT:
            return False
        return bool(call.parameters.get("tools")) or any(message.get("role") == "tool" for message in call.inputs)

    def answer(self, call: Call[T]) -> Step[T]:
        """The result of `call`, by whatever has to be asked for it."""
        if self.emulation is not None and self.emulates(call):
            from tiny_agents.inference.emulation import emulate  # few calls need it

            # What is emulated is chat, so T is its output.
            step = emulate(cast("Call[Any]", call), self.route, strategy=self.emulation, adapter=self.adapter)
            return cast("Step[T]", step)
        request, refused = self.adapter.prepare(call, self.route), self.adapter.refused
        return Ask(
            request,
            lambda response: self.adapter.parse(call, self.route, response),
            refused=None if refused is None else lambda error: refused(call, self.route, error),
        )


def destination(call: Call[Any], settings: ClientSettings, around: Surroundings) -> Step[Destination]:
    """Where `call` goes and how it is asked there.

    Raises:
        UsageError, UnsupportedTaskError, MissingCredentialsError: Before anything is sent.
    """
    if call.task in legacy.ADAPTERS:
        return older(call, settings, around)
    url = _address(call, settings)
    if url is not None:
        return _endpoint(url, call, settings, around)
    model = call.model or settings.model
    if settings.provider in (None, AUTO):
        return _auto(model, call, settings, around)
    return _provider(get_provider(str(settings.provider)), model, call, settings, around)


def _address(call: Call[Any], settings: ClientSettings) -> str | None:
    """The endpoint that was named by its URL, if one was: in the call, or else for the client.

    A client's URL stays the one that is asked for chat, where `model` is also the name that is sent.
    """
    named = (settings.model, call.model) if call.task == CHAT else (call.model, settings.model)
    url = next((model for model in named if is_url(model)), None)
    if url is None:
        return None
    if settings.provider not in (None, AUTO):  # its key is for the provider, not for whoever answers there
        raise UsageError(f"A URL and provider={settings.provider!r} contradict each other: a URL is asked directly.")
    if not _has_host(url):
        raise UsageError(f"{url.partition('?')[0].rpartition('@')[2]!r} is no address that can be asked.")
    return url


@lru_cache(maxsize=128)
def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _endpoint(url: str, call: Call[Any], settings: ClientSettings, around: Surroundings) -> Destination:
    """The user's own endpoint: a key only if it was given, or found and the host is Hugging Face's."""
    found = around.found_token if is_hugging_face(url, endpoint=around.hub) else None
    key = None if settings.anonymous else settings.key or found
    model = call.model if not is_url(call.model) else None
    adapter = _adapter(_ENDPOINT_TASKS, call, "an endpoint named by its URL")
    route = Route("endpoint", url, model, key, is_endpoint=True, headers=settings.headers)
    return Destination(route, adapter, _emulation(settings))


def is_fixed(found: Destination, call: Call[Any], settings: ClientSettings, around: Surroundings) -> bool:
    """Whether the same call always goes there, as long as the settings are the same: to an endpoint, without a key that was
    found."""
    if not found.route.is_endpoint or call.task != CHAT:
        return False
    return bool(settings.key or settings.anonymous) or not is_hugging_face(found.route.url, endpoint=around.hub)


def older(call: Call[Any], settings: ClientSettings, around: Surroundings) -> Step[Destination]:
    """The calls of `legacy`: to Hugging Face's own servers, or to an endpoint, as they always did."""
    if settings.provider not in (None, AUTO, hf_inference.PROVIDER.name):
        raise UsageError(f"{call.task} asks Hugging Face's own servers; it is not for provider={settings.provider!r}.")
    adapter = legacy.ADAPTERS[call.task]
    model = call.model or settings.model
    key = None if settings.anonymous else settings.key or around.found_token
    if call.task in legacy.ON_HUB:
        return Destination(Route("hub", around.hub, model, key), adapter)
    if model is not None and is_url(model):
        if not settings.key and not is_hugging_face(model, endpoint=around.hub):
            key = None  # one that was merely found
        return Destination(Route("endpoint", model, None, key, is_endpoint=True, headers=settings.headers), adapter)

    def arrive(model: str | None) -> Destination:
        return Destination(Route(hf_inference.PROVIDER.name, legacy.API, model, key, headers=settings.headers), adapter)

    if model is None and call.task == legacy.POST and (task := call.parameters.get("task")):
        return and_then(recommended_model(LookUp(task, None, around.hub, key)), arrive)
    return arrive(model)


def embedded(call: Call[Any], engine: Engine) -> Destination:
    """The embedded model, once its engine runs."""
    adapter = _adapter(_AUTO_TASKS, call, "the embedded model")
    route = Route(LOCAL, engine.url, engine.model, engine.key, is_endpoint=True)
    return Destination(route, adapter, engine.emulation)


def _emulation(settings: ClientSettings) -> Emulation | None:
    return "constrained" if settings.tool_emulation else None


def _auto(model: str | None, call: Call[Any], settings: ClientSettings, around: Surroundings) -> Step[Destination]:
    """No provider named: the router picks one for chat; for another task the first that serves the model for it.

    A key that is no Hugging Face token is for one provider, and only the user knows for which: it is sent to none.
    """
    key = None if settings.anonymous else settings.key or around.found_token
    if key is not None and not is_hugging_face_token(key):
        raise MissingCredentialsError(
            "Without provider= the call goes through Hugging Face, which takes Hugging Face tokens (hf_...) only. "
            "Name the provider that your key is for: provider='...'.",
            provider=AUTO,
            model=model,
        )
    if model is None:  # the model that the Hub recommends runs there
        return _provider(hf_inference.PROVIDER, None, call, settings, around)
    if call.task != CHAT:
        offered = offers(LookUp(call.task, model, around.hub, key))
        return and_then(
            offered, lambda found: _provider(_first_that_does(call, model, found), model, call, settings, around)
        )
    if key is None:
        raise MissingCredentialsError(
            "No Hugging Face token was found: set HF_TOKEN, log in with `hf auth login`, or pass api_key=. "
            "For a server of your own pass base_url=.",
            provider=AUTO,
            model=model,
        )
    route = Route(AUTO, ROUTER, model, key, headers=settings.headers, routed=True)
    return Destination(route, _AUTO_TASKS[CHAT], _emulation(settings))


def _first_that_does(call: Call[Any], model: str, offered: list[tuple[str, str]]) -> Provider:
    """The first provider of those on offer that serves the model for the task, and that is known here."""
    for name, task in offered:
        if task == call.task and name in NAMES and call.task in get_provider(name).tasks:
            return get_provider(name)
    others = sorted({f"{name} for {task}" for name, task in offered})
    raise UnsupportedTaskError(
        f"No provider known here serves {model} for {call.task}. "
        + (f"On offer: {', '.join(others)}." if others else "No provider serves it at all."),
        task=call.task,
        available=sorted({task for _, task in offered}),
        provider=AUTO,
        model=model,
    )


def _provider(
    provider: Provider, model: str | None, call: Call[Any], settings: ClientSettings, around: Surroundings
) -> Step[Destination]:
    adapter = _adapter(provider.tasks, call, provider.name)
    key = _provider_key(provider, settings, around)
    routed = provider.routed and key is not None and is_hugging_face_token(key)
    base_url = f"{ROUTER}/{provider.name}" if routed else provider.base_url
    hub_token = key if key is not None and is_hugging_face_token(key) else around.found_token
    look_up = LookUp(call.task, model, around.hub, None if settings.anonymous else hub_token)

    def arrive(served: Served) -> Destination:
        route = Route(
            provider.name,
            base_url,
            served.model,
            key,
            headers=settings.headers,
            routed=routed,
            lora=served.lora,
        )
        return Destination(route, adapter, _emulation(settings))

    return and_then(provider.locate(provider, look_up), arrive)


def _provider_key(provider: Provider, settings: ClientSettings, around: Surroundings) -> str | None:
    """Given, else the found Hugging Face token where it is routed, else the provider's variable in the environment."""
    key = settings.key
    if key is None and not settings.anonymous:
        key = (around.found_token if provider.routed else None) or around.env.get(provider.key_env or "") or None
    if key is not None and is_hugging_face_token(key) and not provider.routed:
        raise MissingCredentialsError(
            f"{provider.name} is not reached through Hugging Face: pass its own key as api_key=.",
            provider=provider.name,
        )
    if key is None and provider.needs_key:
        variable = f", or set {provider.key_env}" if provider.key_env else ""
        token = ", a Hugging Face token (HF_TOKEN or `hf auth login`)" if provider.routed else ""
        raise MissingCredentialsError(
            f"{provider.name} needs a key: pass api_key={token}{variable}.", provider=provider.name
        )
    return key


def _adapter(tasks: Mapping[str, Adapter], call: Call[Any], where: str) -> Adapter:
    if call.task not in tasks:
        raise UnsupportedTaskError(
            f"{where} does not do {call.task}. It does: {', '.join(sorted(tasks))}.",
            task=call.task,
            available=sorted(tasks),
            provider=where,
            model=call.model,
        )
    return tasks[call.task]
