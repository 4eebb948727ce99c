"""Look-ups on the Hub: what a model is called on a provider, and what it is for.

Source: Hub API reference, "Models" (`GET /api/models/{id}`), `expand=inferenceProviderMapping`; `GET /api/tasks`.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import msgspec

from tiny_agents.errors import InvalidResponseError, UnsupportedTaskError, UsageError, public_url
from tiny_agents.inference.call import Ask, Lora, Request, Response, Step, and_then
from tiny_agents.inference.providers.provider import LookUp, Provider, Served
from tiny_agents.inference.types.record import decode_json

logger = logging.getLogger("tiny_agents.inference")


def mapped_model(provider: Provider, look_up: LookUp) -> Step[Served]:
    """The name under which the provider serves a Hub model."""
    if look_up.model is None:
        raise UsageError(f"{provider.name}: say which model to use, by its id on the Hub: model='owner/name'.")
    return and_then(_mappings_of(look_up), lambda mappings: _served_as(provider, look_up, mappings))


def offers(look_up: LookUp) -> Step[list[tuple[str, str]]]:
    """Who serves a Hub model, in the order of the user's preferences there: pairs of provider and task."""
    return and_then(
        _mappings_of(look_up), lambda found: [(str(one.get("provider")), str(one.get("task"))) for one in found]
    )


def recommended_model(look_up: LookUp) -> Step[str]:
    """The model that the Hub recommends for the task, for a call that names none."""
    request = Request("GET", f"{look_up.hub}/api/tasks")
    return Ask(request, lambda response: _recommended(look_up, response), keep=True)


def _recommended(look_up: LookUp, response: Response) -> str:
    task = read_info(look_up, response).get(look_up.task)
    models = task.get("widgetModels") if isinstance(task, dict) else None
    if isinstance(models, list) and models and isinstance(models[0], str):
        return models[0]
    raise UsageError(
        f"Say which model to use: the Hub recommends none for {look_up.task}. "
        "Give an id on the Hub (model='owner/name'), or base_url= of an endpoint."
    )


def _mappings_of(look_up: LookUp) -> Step[list[dict[str, Any]]]:
    request = model_info(look_up, expand="inferenceProviderMapping")

    def read(response: Response) -> list[dict[str, Any]]:
        info = read_info(look_up, response)
        # The repository may have another name than the one that was asked for.
        name = info.get("id") or look_up.model
        return [{**mapping, "id": name} for mapping in _mappings(info.get("inferenceProviderMapping"))]

    return Ask(request, read, keep=True)


def model_info(look_up: LookUp, *, expand: str | None = None) -> Request:
    query = f"?expand={expand}" if expand else ""
    return Request("GET", f"{look_up.hub}/api/models/{quote(look_up.model or '', safe='/')}{query}", key=look_up.token)


def read_info(look_up: LookUp, response: Response) -> dict[str, Any]:
    try:
        info: dict[str, Any] = decode_json(response.body, dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidResponseError(
            f"The Hub's answer at {public_url(response.url)} is no JSON object.", model=look_up.model
        ) from error
    return info


def _served_as(provider: Provider, look_up: LookUp, mappings: list[dict[str, Any]]) -> Served:
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
    file = mapping.get("adapterWeightsPath")
    lora = Lora(str(mapping["id"]), file) if isinstance(file, str) and file else None
    return Served(str(mapping.get("providerId") or look_up.model), lora)


def _mappings(value: Any) -> list[dict[str, Any]]:
    """The mapping as a list: the Hub has sent it as a list and as an object keyed by provider."""
    if isinstance(value, dict):
        return [{"provider": name, **found} for name, found in value.items() if isinstance(found, dict)]
    return [found for found in value if isinstance(found, dict)] if isinstance(value, list) else []
