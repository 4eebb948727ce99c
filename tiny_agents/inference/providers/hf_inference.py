"""hf-inference: Hugging Face's own servers. Models keep their Hub ids, and the address names the model.

Source: Hugging Face "Inference Providers" documentation, provider page "HF Inference", read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from tiny_agents.errors import InvalidResponseError, UnsupportedTaskError
from tiny_agents.inference.call import Ask, Call, Request, Response, Route, Step, and_then
from tiny_agents.inference.providers.chat import (
    chat_request,
    chat_url,
    error_in_answer,
    parse_chat,
    schema_in_value,
)
from tiny_agents.inference.providers.hub_lookup import model_info, read_info, recommended_model
from tiny_agents.inference.providers.provider import Adapter, LookUp, Provider, Served
from tiny_agents.inference.types.record import parse
from tiny_agents.inference.wire import public_url

_CHAT_PIPELINES = frozenset({"text-generation", "image-text-to-text"})


def _checked_model(provider: Provider, look_up: LookUp) -> Step[Served]:
    """The model's own id, once the Hub has said that it is made for the task. Without one, what the Hub recommends."""
    if look_up.model is None:
        return and_then(
            recommended_model(look_up), lambda model: _checked_model(provider, replace(look_up, model=model))
        )
    return Ask(model_info(look_up), lambda response: _checked(look_up, response), keep=True)


def _checked(look_up: LookUp, response: Response) -> Served:
    info = read_info(look_up, response)
    pipeline = info.get("pipeline_tag")
    fits = pipeline in _CHAT_PIPELINES if look_up.task == "conversational" else pipeline == look_up.task
    if not fits:
        raise UnsupportedTaskError(
            f"{look_up.model} is made for {pipeline}, not for {look_up.task}.",
            task=look_up.task,
            available=[str(pipeline)] if pipeline else [],
            provider="hf-inference",
            model=look_up.model,
        )
    return Served(look_up.model)


def _prepare_chat(call: Call[Any], route: Route) -> Request:
    return chat_request(chat_url(f"{route.url}/models/{route.model}"), call, route, schema_in_value)


def _prepare_json(call: Call[Any], route: Route) -> Request:
    """`{"inputs": ..., "parameters": ...}`, as the Inference API and Inference Endpoints take it."""
    url = route.url if route.is_endpoint else f"{route.url}/models/{route.model}"
    body = {"inputs": call.inputs, "parameters": _without_none(call.parameters), **call.extra}
    return Request("POST", url, json=body, headers=route.headers, key=route.key)


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


def _parse_one(call: Call[Any], route: Route, response: Response) -> Any:
    """One record; servers send it bare or as a list of one."""
    try:
        found = msgspec.json.decode(response.body)
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict) and "error" in found:
            raise error_in_answer(response.body, response.url, route, status=response.status)
        return parse(call.output, found)
    except msgspec.DecodeError as error:
        text = response.body.decode("utf-8", "replace")
        raise InvalidResponseError(
            f"{public_url(response.url)} answered with something that is no result of {call.task}: {text[:200]!r}",
            body=text,
            provider=route.provider,
            model=route.model,
        ) from error


TEXT_TASKS = {"summarization": Adapter(_prepare_json, _parse_one)}
"""Tasks that an Inference Endpoint answers at its own address in the same way."""

PROVIDER = Provider(
    "hf-inference",
    "https://router.huggingface.co/hf-inference",
    {"conversational": Adapter(_prepare_chat, parse_chat), **TEXT_TASKS},
    _checked_model,
    needs_key=False,
)
