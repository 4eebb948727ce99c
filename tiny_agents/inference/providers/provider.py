"""What a provider is: data, plus a pure function each way per task it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tiny_agents.records import Discreet

if TYPE_CHECKING:
    from tiny_agents.errors import ProviderError
    from tiny_agents.inference.call import Call, Lora, Request, Response, Route, Step


class Adapter(msgspec.Struct, frozen=True):
    """How a provider does one task.

    Attributes:
        prepare: The request for a call on a route.
        parse: The result from the answer to it, or what else must be asked first.
        takes_urls: Whether a URL given in place of binary input is passed on as it is (`call.inputs` is then that text)
            rather than fetched first.
        refused: What follows if the provider refuses the request; by default the error is raised.
    """

    prepare: Callable[[Call[Any], Route], Request]
    parse: Callable[[Call[Any], Route, Response], Step[Any]]
    takes_urls: bool = False
    refused: Callable[[Call[Any], Route, ProviderError], Step[Any]] | None = None


class LookUp(Discreet, msgspec.Struct, frozen=True):
    """What `Provider.locate` may know: the call's task and model, the Hub's address and the token for it."""

    not_shown = frozenset({"token"})

    task: str
    model: str | None
    hub: str
    token: str | None


class Served(msgspec.Struct, frozen=True):
    """What a provider calls a model, and the weights it has to load for it."""

    model: str | None
    lora: Lora | None = None


def model_as_given(provider: Provider, look_up: LookUp) -> Step[Served]:
    """The model's name on the provider is the one the user gave."""
    return Served(look_up.model)


class Provider(msgspec.Struct, frozen=True):
    """A place that runs models.

    Attributes:
        name: As in `provider=`.
        base_url: Where calls with the provider's own key go.
        tasks: What it does, by the Hub's task names.
        key_env: Environment variable that may hold its key.
        locate: Finds the model's name on the provider; most ask the Hub.
        routed: Whether a Hugging Face token reaches it (through Hugging Face's router).
        needs_key: False where a call without any credential is worth sending.
    """

    name: str
    base_url: str
    tasks: Mapping[str, Adapter]
    locate: Callable[[Provider, LookUp], Step[Served]]
    key_env: str | None = None
    routed: bool = True
    needs_key: bool = True
