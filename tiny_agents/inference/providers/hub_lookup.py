"""Look-ups on the Hub: what a model is called on a provider, and what it is for.

Source: Hub API reference, "Models" (`GET /api/models/{id}`), `expand=inferenceProviderMapping`.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import msgspec

from tiny_agents.errors import InvalidResponseError, UnsupportedTaskError, UsageError
from tiny_agents.inference.call import Ask, Request, Response, Step
from tiny_agents.inference.providers.provider import LookUp, Provider

logger = logging.getLogger("tiny_agents.inference")


def mapped_model(provider: Provider, look_up: LookUp) -> Step[str | None]:
    """The name under which the provider serves a Hub model."""
    if look_up.model is None:
        raise UsageError(f"{provider.name}: say which model to use, by its id on the Hub: model='owner/name'.")
    request = model_info(look_up, expand="inferenceProviderMapping")
    return Ask(request, lambda response: _served_as(provider, look_up, response), keep=True)


def model_info(look_up: LookUp, *, expand: str | None = None) -> Request:
    query = f"?expand={expand}" if expand else ""
    return Request("GET", f"{look_up.hub}/api/models/{quote(look_up.model or '', safe='/')}{query}", key=look_up.token)


def read_info(look_up: LookUp, response: Response) -> dict[str, Any]:
    try:
        info = msgspec.json.decode(response.body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidResponseError(
            f"The Hub's information on {look_up.model} is no JSON object.", model=look_up.model
        ) from error
    return info


def _served_as(provider: Provider, look_up: LookUp, response: Response) -> str:
    mappings = _mappings(read_info(look_up, response).get("inferenceProviderMapping"))
    mapping = next((found for found in mappings if found.get("provider") == provider.name), None)
    if mapping is None:
        others = sorted(str(found.get("provider")) for found in mappings)
        raise UnsupportedTaskError(
            f"{provider.name} does not serve {look_up.model}. "
            + (f"These do: {', '.join(others)}." if others else "No provider does."),
            task=look_up.task,
            available=others,
            provider=provider.name,
            model=look_up.model,
        )
    if mapping.get("task") != look_up.task:
        raise UnsupportedTaskError(
            f"{provider.name} serves {look_up.model} for {mapping.get('task')}, not for {look_up.task}.",
            task=look_up.task,
            available=[str(mapping.get("task"))],
            provider=provider.name,
            model=look_up.model,
        )
    if mapping.get("status") in ("staging", "error"):
        logger.warning("%s reports status '%s' for %s.", provider.name, mapping["status"], look_up.model)
    return str(mapping.get("providerId") or look_up.model)


def _mappings(value: Any) -> list[dict[str, Any]]:
    """The mapping as a list: the Hub has sent it as a list and as an object keyed by provider."""
    if isinstance(value, dict):
        return [{"provider": name, **found} for name, found in value.items() if isinstance(found, dict)]
    return [found for found in value if isinstance(found, dict)] if isinstance(value, list) else []
