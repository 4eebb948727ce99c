"""Provider + model + credential -> where a call goes, and with which key."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tiny_agents.errors import MissingCredentialsError, UnsupportedTaskError, UsageError
from tiny_agents.inference.call import Ask, Call, Request, Response
from tiny_agents.inference.providers import NAMES, get_provider, openai_compatible
from tiny_agents.inference.providers.chat import chat_adapter, chat_url
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.provider import Provider
from tiny_agents.inference.routing import Destination, Surroundings, destination
from tiny_agents.inference.settings import client_settings
from tiny_agents.inference.tasks.chat import chat_completion

HF = "hf_token0123456789"
OWN = "pk-own-key"


def settings(**arguments: Any) -> Any:
    defaults: dict[str, Any] = dict.fromkeys(
        ("provider", "token", "api_key", "base_url", "timeout", "headers", "cookies", "bill_to")
    )
    defaults |= {"max_retries": 2, "trust_env": True, "tool_emulation": False}
    model = arguments.pop("model", None)
    return client_settings(model, **(defaults | arguments))


def located(
    call_model: str | None = None,
    *,
    found: str | None = None,
    env: dict[str, str] | None = None,
    served_as: str = "served/name",
    **client: Any,
) -> tuple[list[Request], Request]:
    """The look-ups on the Hub, and the request that goes out in the end."""
    call = chat_completion([{"role": "user", "content": "hi"}], model=call_model)
    step = destination(call, settings(**client), Surroundings("https://huggingface.co", lambda: found, env or {}))
    look_ups = []
    while isinstance(step, Ask):
        look_ups.append(step.request)
        provider = client.get("provider")
        info = {
            "pipeline_tag": "text-generation",
            "inferenceProviderMapping": [
                {"provider": provider, "providerId": served_as, "status": "live", "task": "conversational"}
            ],
        }
        step = step.then(Response(200, {}, msgspec.json.encode(info), step.request.url))
    assert isinstance(step, Destination)
    return look_ups, step.adapter.prepare(call, step.route)


def goes_to(request: Request) -> tuple[str, str, str | None]:
    return request.url, request.json["model"], request.key


CASES: dict[str, tuple[dict[str, Any], tuple[str, str, str | None]]] = {
    "a token alone: the router picks": (
        {"model": "a/b", "token": HF},
        ("https://router.huggingface.co/v1/chat/completions", "a/b", HF),
    ),
    "a found token: the same": (
        {"model": "a/b", "found": HF},
        ("https://router.huggingface.co/v1/chat/completions", "a/b", HF),
    ),
    "auto is the same as none": (
        {"model": "a/b:fastest", "provider": "auto", "token": HF},
        ("https://router.huggingface.co/v1/chat/completions", "a/b:fastest", HF),
    ),
    "a provider through the router": (
        {"model": "a/b", "provider": "groq", "token": HF},
        ("https://router.huggingface.co/groq/openai/v1/chat/completions", "served/name", HF),
    ),
    "a provider with its own key": (
        {"model": "a/b", "provider": "groq", "api_key": OWN, "found": HF},
        ("https://api.groq.com/openai/v1/chat/completions", "served/name", OWN),
    ),
    "a provider with a key from the environment": (
        {"model": "a/b", "provider": "groq", "env": {"GROQ_API_KEY": OWN}},
        ("https://api.groq.com/openai/v1/chat/completions", "served/name", OWN),
    ),
    "a given key beats what is found": (
        {"model": "a/b", "provider": "groq", "token": HF + "X", "found": HF, "env": {"GROQ_API_KEY": OWN}},
        ("https://router.huggingface.co/groq/openai/v1/chat/completions", "served/name", HF + "X"),
    ),
    "openai knows its own names": (
        {"model": "gpt-x", "provider": "openai", "api_key": OWN, "found": HF},
        ("https://api.openai.com/v1/chat/completions", "gpt-x", OWN),
    ),
    "openai never gets a found Hugging Face token": (
        {"model": "gpt-x", "provider": "openai", "found": HF, "env": {"OPENAI_API_KEY": OWN}},
        ("https://api.openai.com/v1/chat/completions", "gpt-x", OWN),
    ),
    "hf-inference names the model in the address": (
        {"model": "a/b", "provider": "hf-inference"},
        ("https://router.huggingface.co/hf-inference/models/a/b/v1/chat/completions", "a/b", None),
    ),
    "the call's model wins": (
        {"model": "a/b", "call_model": "c/d", "token": HF},
        ("https://router.huggingface.co/v1/chat/completions", "c/d", HF),
    ),
    "an endpoint gets no found token": (
        {"base_url": "http://localhost:1234/v1", "found": HF},
        ("http://localhost:1234/v1/chat/completions", "dummy", None),
    ),
    "nor does a host that looks like Hugging Face": (
        {"model": "https://huggingface.co.evil.example/v1", "found": HF},
        ("https://huggingface.co.evil.example/v1/chat/completions", "dummy", None),
    ),
    "nor one that is asked without TLS": (
        {"base_url": "http://abc.endpoints.huggingface.cloud", "found": HF},
        ("http://abc.endpoints.huggingface.cloud/v1/chat/completions", "dummy", None),
    ),
    "nor a Space": (
        {"base_url": "https://someone-app.hf.space/v1", "found": HF},
        ("https://someone-app.hf.space/v1/chat/completions", "dummy", None),
    ),
    "an inference endpoint of Hugging Face does": (
        {"base_url": "https://abc.us-east-1.aws.endpoints.huggingface.cloud", "found": HF},
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud/v1/chat/completions", "dummy", HF),
    ),
    "a token given for an endpoint goes there": (
        {"base_url": "https://gw.example/v1", "token": HF},
        ("https://gw.example/v1/chat/completions", "dummy", HF),
    ),
    "an endpoint is told the call's model": (
        {"base_url": "http://localhost:1/v1", "call_model": "mine"},
        ("http://localhost:1/v1/chat/completions", "mine", None),
    ),
    "a URL in the call": (
        {"call_model": "http://localhost:1/v1", "api_key": OWN},
        ("http://localhost:1/v1/chat/completions", "dummy", OWN),
    ),
    "no credential on request": (
        {"model": "a/b", "provider": "hf-inference", "token": False, "found": HF},
        ("https://router.huggingface.co/hf-inference/models/a/b/v1/chat/completions", "a/b", None),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_where_a_call_goes_and_with_which_key(case: str) -> None:
    arguments, expected = CASES[case]
    _, request = located(**arguments)
    assert goes_to(request) == expected


def test_a_look_up_never_carries_a_providers_key() -> None:
    look_ups, _ = located(model="a/b c", provider="groq", api_key=OWN, found=HF)
    assert [(ask.method, ask.url, ask.key) for ask in look_ups] == [
        ("GET", "https://huggingface.co/api/models/a/b%20c?expand=inferenceProviderMapping", HF)
    ]
    look_ups, _ = located(model="a/b", provider="groq", api_key=OWN)
    assert look_ups[0].key is None


def test_headers_of_the_user_go_to_the_model_and_not_to_the_hub() -> None:
    look_ups, request = located(
        model="a/b", provider="groq", token=HF, headers={"X-Mine": "1"}, cookies={"s": "2"}, bill_to="org"
    )
    assert look_ups[0].headers == {}
    assert request.headers == {"x-mine": "1", "cookie": "s=2", "x-hf-bill-to": "org"}


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"model": "a/b"}, MissingCredentialsError, "HF_TOKEN"),
        ({"token": HF}, UsageError, "which model"),
        ({"model": "a/b", "api_key": OWN}, MissingCredentialsError, "Name the provider"),
        ({"model": "a/b", "provider": "groq"}, MissingCredentialsError, "GROQ_API_KEY"),
        (
            {"model": "a/b", "provider": "groq", "token": False, "found": HF},
            MissingCredentialsError,
            "groq needs a key",
        ),
        ({"model": "gpt", "provider": "openai", "token": HF}, MissingCredentialsError, "its own key"),
        ({"provider": "groq", "token": HF}, UsageError, "groq: say which model"),
        (
            {"provider": "groq", "api_key": OWN, "call_model": "http://localhost:1/v1"},
            UsageError,
            "contradict each other",
        ),
        ({"model": "http://[::1"}, UsageError, "no address that can be asked"),
        ({"call_model": "http://"}, UsageError, "no address that can be asked"),
        ({"base_url": "http://127.0.0.1:port/v1"}, UsageError, "no address that can be asked"),
        ({"base_url": "http://localhost:99999/v1"}, UsageError, "no address that can be asked"),
    ],
)
def test_what_can_not_work_is_said_before_anything_is_sent(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        located(**arguments)
    assert OWN not in str(caught.value)
    assert HF not in str(caught.value)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ([], "No provider does"),
        ([{"provider": "novita", "task": "conversational"}], "These do: novita"),
        ({"groq": {"providerId": "x", "task": "text-to-image"}}, "serves a/b for text-to-image"),
        ("nonsense", "No provider does"),
    ],
)
def test_a_model_that_a_provider_does_not_serve_is_named(mapping: Any, says: str) -> None:
    call: Call[Any] = chat_completion([{"role": "user", "content": "hi"}])
    step = destination(
        call, settings(model="a/b", provider="groq", token=HF), Surroundings("https://hub", lambda: None, {})
    )
    assert isinstance(step, Ask)
    with pytest.raises(UnsupportedTaskError, match=says):
        step.then(Response(200, {}, msgspec.json.encode({"inferenceProviderMapping": mapping}), "https://hub"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": "a", "base_url": "http://x"}, "not both"),
        ({"token": "a", "api_key": "b"}, "not both"),
        ({"provider": "grok"}, "Did you mean 'groq'"),
        ({"model": "http://x", "provider": "groq"}, "contradict"),
        ({"base_url": "localhost:8080"}, "must start with http"),
        ({"timeout": 0}, "above 0"),
        ({"max_retries": -1}, "negative"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        settings(**arguments)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://h", "http://h/v1/chat/completions"),
        ("http://h/", "http://h/v1/chat/completions"),
        ("http://h/v1", "http://h/v1/chat/completions"),
        ("http://h/v1/", "http://h/v1/chat/completions"),
        ("http://h/v1/chat/completions", "http://h/v1/chat/completions"),
        ("http://h/v1/chat/completions/", "http://h/v1/chat/completions"),
        ("http://h/api?key=1", "http://h/api/v1/chat/completions?key=1"),
        ("http://h/v1?key=1", "http://h/v1/chat/completions?key=1"),
    ],
)
def test_an_endpoint_may_be_named_in_any_of_the_usual_ways(given: str, asked: str) -> None:
    assert chat_url(given) == asked


def test_every_provider_that_is_offered_can_be_had() -> None:
    for name in NAMES:
        if name not in ("auto", "local"):
            assert get_provider(name).name == name


def test_an_openai_compatible_provider_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Provider(
        "acme", "https://api.acme.example", {"conversational": chat_adapter("/v9/chat/completions")}, mapped_model
    )
    monkeypatch.setitem(openai_compatible.PROVIDERS, "acme", row)
    monkeypatch.setattr("tiny_agents.inference.providers.NAMES", (*NAMES, "acme"))
    _, request = located(model="a/b", provider="acme", api_key=OWN)
    assert goes_to(request) == ("https://api.acme.example/v9/chat/completions", "served/name", OWN)
    _, request = located(model="a/b", provider="acme", token=HF)
    assert goes_to(request)[0] == "https://router.huggingface.co/acme/v9/chat/completions"


SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("provider", "sent"),
    [
        ("groq", SCHEMA),
        ("together", {"type": "json_object", "schema": {"name": "n", "schema": {"type": "object"}}["schema"]}),
        ("hf-inference", {"type": "json_object", "value": {"type": "object"}}),
        ("sambanova", {"type": "json_schema", "json_schema": {**SCHEMA["json_schema"], "strict": False}}),  # type: ignore[dict-item]
    ],
)
def test_structured_output_is_asked_for_in_each_providers_way(provider: str, sent: Any) -> None:
    call = chat_completion([{"role": "user", "content": "hi"}], response_format=SCHEMA)
    adapter = get_provider(provider).tasks["conversational"]
    from tiny_agents.inference.call import Route

    request = adapter.prepare(call, Route(provider, "https://p", "m", None))
    assert request.json["response_format"] == sent


@pytest.mark.parametrize(("task", "asked"), [("summarization", "http://call"), ("conversational", "http://client")])
def test_a_url_in_the_call_wins_but_for_chat_where_it_is_a_name(task: str, asked: str) -> None:
    call: Call[Any] = Call(task, "x", Any, model="http://call")
    found = destination(call, settings(model="http://client"), Surroundings("https://huggingface.co", lambda: None, {}))
    assert isinstance(found, Destination)
    assert found.route.url == asked


def test_what_stands_in_the_way_of_a_chat_can_be_asked_for_beforehand() -> None:
    from tiny_agents import AsyncInferenceClient, InferenceClient
    from tiny_agents.inference.base import check

    for client in (InferenceClient("gpt-x", provider="openai"), AsyncInferenceClient("gpt-x", provider="openai")):
        with pytest.raises(MissingCredentialsError, match="OPENAI_API_KEY"):
            check(client)
    for ready in (
        InferenceClient("gpt-x", provider="openai", api_key=OWN),
        InferenceClient("a/b", provider="groq", api_key=OWN),
        InferenceClient(provider="local"),
    ):
        check(ready)  # raises nothing, and asks nobody
