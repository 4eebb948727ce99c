"""hf-inference: Hugging Face's own servers. Models keep their Hub ids, and the address names the model.

Source: Hugging Face "Inference Providers" documentation, provider page "HF Inference", read 2026-11.
"""

from __future__ import annotations

from typing import Any

from tiny_agents.errors import UnsupportedTaskError, UsageError
from tiny_agents.inference.call import Ask, Call, Request, Response, Route, Step
from tiny_agents.inference.providers.chat import chat_request, chat_url, parse_chat, schema_in_value
from tiny_agents.inference.providers.hub_lookup import model_info, read_info
from tiny_agents.inference.providers.provider import Adapter, LookUp, Provider

_CHAT_PIPELINES = frozenset({"text-generation", "image-text-to-text"})


def _checked_model(provider: Provider, look_up: LookUp) -> Step[str | None]:
    """The model's own id, once the Hub has said that it is made for the task."""
    if look_up.model is None:
        raise UsageError("hf-inference: say which model to use, by its id on the Hub: model='owner/name'.")
    return Ask(model_info(look_up), lambda response: _checked(look_up, response), keep=True)


def _checked(look_up: LookUp, response: Response) -> str | None:
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
    return look_up.model


def _prepare_chat(call: Call[Any], route: Route) -> Request:
    return chat_request(chat_url(f"{route.url}/models/{route.model}"), call, route, schema_in_value)


PROVIDER = Provider(
    "hf-inference",
    "https://router.huggingface.co/hf-inference",
    {"conversational": Adapter(_prepare_chat, parse_chat)},
    _checked_model,
    needs_key=False,
)
