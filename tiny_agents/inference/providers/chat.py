"""Chat completions as OpenAI defined them: one adapter, with the small ways in which providers differ as arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import InvalidResponseError, ProviderError, public_url, redact
from tiny_agents.inference.call import Call, Request, Response, Route
from tiny_agents.inference.encoding import Remembered, without_nulls
from tiny_agents.inference.providers.provider import Adapter
from tiny_agents.inference.types.chat import ChatCompletionOutput, decode_output
from tiny_agents.inference.types.record import Record, decode_json, to_builtins
from tiny_agents.inference.wire import error_text, secrets_of

Reshape = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Changes the parameters of a chat call into what a provider understands in their place."""

NO_MODEL = "dummy"
"""What an endpoint that serves one model is told; some refuse a request without any name."""


def chat_adapter(path: str, *, reshape: Reshape | None = None, headers: Mapping[str, str] | None = None) -> Adapter:
    """Chat completions at `path` below the provider's base URL, with `headers` beside the user's own (which win)."""

    def prepare(call: Call[Any], route: Route) -> Request:
        url = chat_url(route.url) if route.is_endpoint else route.url + path
        request = chat_request(url, call, route, reshape)
        return replace(request, headers={**headers, **request.headers}) if headers else request

    return Adapter(prepare, parse_chat)


def chat_request(url: str, call: Call[Any], route: Route, reshape: Reshape | None = None) -> Request:
    parameters = reshape(call.parameters) if reshape else call.parameters
    # The model comes first, so that a router can read it before the messages, which may be megabytes.
    messages = call.inputs
    body = {
        "model": route.model or NO_MODEL,
        "messages": messages if isinstance(messages, Remembered) else [without_nulls(message) for message in messages],
        **parameters,
        **without_nulls(call.extra),
    }
    return Request(
        "POST", url, json={k: v for k, v in body.items() if v is not None}, headers=route.headers, key=route.key
    )


def parse_chat(call: Call[Any], route: Route, response: Response) -> ChatCompletionOutput:
    """The answer; an error object sent with status 200 is an error all the same."""
    try:
        output = decode_output(response.body)
    except msgspec.DecodeError as error:
        raise _no_completion(route, response) from error
    choices: object = output.choices  # records keep what isn't of the declared type
    if output.get("error") or (isinstance(choices, list) and choices and _is_failure(choices[0])):
        raise error_in_answer(response.body, response.url, route, status=response.status)
    if not isinstance(choices, list) or (not choices and "choices" not in decode_json(response.body)):
        raise _no_completion(route, response)
    return output


def _is_failure(choice: object) -> bool:
    """Providers that pass on others' answers say of one that broke off that it ended with an error."""
    return isinstance(choice, Record) and choice.get("finish_reason") == "error"


def _no_completion(route: Route, response: Response) -> InvalidResponseError:
    text = without_keys(response.body, response.url, route)
    return InvalidResponseError(
        f"{public_url(response.url)} answered with something that is no chat completion: {text[:200]!r}",
        body=text,
        provider=route.provider,
        model=route.model,
    )


def without_keys(body: bytes, url: str, route: Route) -> str:
    """What a server sent as text, with our keys masked."""
    return redact(body.decode("utf-8", "replace"), secrets_of(_asked(url, route)))


def _asked(url: str, route: Route) -> Request:
    return Request("POST", url, headers=route.headers, key=route.key)


def error_in_answer(body: bytes, url: str, route: Route, *, status: int = 200) -> ProviderError:
    """The error for an error object that came in place of an answer (or of the rest of one)."""
    text = without_keys(body, url, route)
    said = error_text(body, fallback=text[:500], secrets=secrets_of(_asked(url, route)))
    return ProviderError(
        f"{public_url(url)} reported an error: {' '.join(said.split())[:500]}",
        status=status,
        body=said,
        url=public_url(url),
        provider=route.provider,
        model=route.model,
    )


@lru_cache(maxsize=128)
def chat_url(url: str) -> str:
    """The address for chat completions of an endpoint that the user named in any of the usual ways.

    `http://host`, `http://host/v1`, `http://host/v1/chat/completions`, each with or without a slash at the end; a query is
    kept. Other paths get `/v1/chat/completions` added, as huggingface_hub does.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path += "/chat/completions" if path.endswith("/v1") else "/v1/chat/completions"
    return urlunsplit(parts._replace(path=path))


# ---------------------------------------------------------------- structured output, where it differs


def json_schema_of(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `json_schema` object of a call that asks for one."""
    wanted = parameters.get("response_format")
    if isinstance(wanted, Record):
        wanted = to_builtins(wanted)
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    schema = wanted.get("json_schema")
    return schema if isinstance(schema, dict) else None


def schema_in_json_object(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{"type": "json_object", "schema": ...}`: Cohere, Fireworks, Together."""
    schema = json_schema_of(parameters)
    if schema is None:
        return parameters
    return {**parameters, "response_format": {"type": "json_object", "schema": schema.get("schema")}}


def schema_in_value(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{"type": "json_object", "value": ...}`: text-generation-inference behind hf-inference."""
    schema = json_schema_of(parameters)
    if schema is None:
        return parameters
    return {**parameters, "response_format": {"type": "json_object", "value": schema.get("schema")}}


def schema_guided(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema a second time as `guided_json`: Nebius."""
    schema = json_schema_of(parameters)
    return parameters if schema is None else {**parameters, "guided_json": schema.get("schema")}


def schema_never_strict(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """`strict` said, and false unless the caller wants it: SambaNova."""
    schema = json_schema_of(parameters)
    if schema is None:
        return parameters
    said = {**schema, "strict": schema.get("strict") or False}
    return {**parameters, "response_format": {"type": "json_schema", "json_schema": said}}
