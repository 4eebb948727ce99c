"""What providers are asked, as far as several ask alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiny_agents.inference.call import BEARER, Call, Request, Route
from tiny_agents.inference.encoding import without_nulls

Body = Callable[[Call[Any], Route], Mapping[str, Any]]
Prepare = Callable[[Call[Any], Route], Request]

JSON = {"content-type": "application/json"}
"""Sent with a look at a job, as huggingface_hub does."""

IMAGE = {"accept": "image/png"}
"""Sent with what asks for an image, as huggingface_hub does: a server that can choose sends the image itself."""


def options_of(call: Call[Any]) -> dict[str, Any]:
    """The options of a call and the user's own additions, which win; without those that are None."""
    given: dict[str, Any] = without_nulls({**call.parameters, **call.extra})
    return given


def renamed(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`options` under the provider's names where these differ."""
    return {names.get(name, name): value for name, value in options.items()}


def post(
    path: str | Callable[[Route], str],
    body: Body,
    *,
    headers: Mapping[str, str] | None = None,
    key_as: tuple[str, str] = BEARER,
) -> Prepare:
    """Send the JSON that `body` makes to `path` below the provider's base URL.

    Args:
        headers: Sent with it; the user's own win over them.
        key_as: How the provider wants its own key. The router takes a Hugging Face token as a bearer's in any case.
    """

    def prepare(call: Call[Any], route: Route) -> Request:
        below = path if isinstance(path, str) else path(route)
        merged = {**(headers or {}), **route.headers}
        carrier = BEARER if route.routed else key_as
        return Request("POST", route.url + below, json=body(call, route), headers=merged, key=route.key, key_as=carrier)

    return prepare


def look(
    route: Route, url: str, *, headers: Mapping[str, str] | None = None, key_as: tuple[str, str] = BEARER
) -> Request:
    """Ask for the state of a job with the key: `url` has to be the provider's own (see `answers.own`)."""
    merged = {**JSON, **(headers or {}), **route.headers}
    return Request("GET", url, headers=merged, key=route.key, key_as=BEARER if route.routed else key_as)
