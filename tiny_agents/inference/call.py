"""What passes between a task, a provider and the network: frozen values, no behaviour.

    task builder --Call--> routing --Route--> provider.prepare --Request--> http --Response--> provider.parse

A step that needs another round trip first returns an `Ask` instead of its result; the client sends the request, waits if
it must, and calls `then` with the answer, until something that is no `Ask` comes back. So nothing but the client ever
sends or sleeps, and the same text serves the synchronous and the asynchronous client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from tiny_agents.errors import ProviderError
from tiny_agents.records import NoSecretsShown

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Call(msgspec.Struct, Generic[T_co], frozen=True, gc=False):
    """What the user wants of a model.

    Attributes:
        task: Name of the task as the Hub spells it; chat is "conversational".
        inputs: What the task works on: messages, a text, ...
        output: Type of the result; providers decode into it.
        model: Model of this call (id or URL); None takes the client's.
        parameters: Options of the task by their name in the API, those that are None left out.
        extra: The user's own additions to the request's body; they win over everything else.
    """

    task: str
    inputs: Any
    output: type[T_co]
    model: str | None = None
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Lora(msgspec.Struct, frozen=True):
    """LoRA weights on the Hub that a provider loads onto its base model: repository and path of the file in it."""

    repository: str
    file: str


class Route(NoSecretsShown, msgspec.Struct, frozen=True):
    """Where a call goes.

    Attributes:
        provider: Name of the provider.
        url: Base URL of the provider (or of the router in front of it), or the endpoint the user named.
        model: The model's name there; None where an endpoint serves only one.
        key: The credential for this host and no other; None sends none.
        is_endpoint: True where `url` is the user's own endpoint rather than a provider's base URL.
        headers: The user's own headers for this host (cookies among them).
        routed: True where `url` is Hugging Face's router in front of the provider rather than the provider itself.
        lora: Weights that `model` needs beside those the provider has.
    """

    not_shown = frozenset({"key", "headers"})

    provider: str
    url: str
    model: str | None
    key: str | None
    is_endpoint: bool = False
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    routed: bool = False
    lora: Lora | None = None


BEARER = ("authorization", "Bearer ")


class Request(NoSecretsShown, msgspec.Struct, frozen=True, gc=False):
    """One HTTP request. Exactly one of `json` and `body` is set, or neither.

    Attributes:
        json: Plain data or records, encoded when the request is sent.
        headers: Sent to this origin only: a redirect to another drops them.
        key: The credential, to this origin only as well.
        key_as: The header that carries the key, and what stands before it there.
        once: A failure is the answer: no second try, and no waiting for a model that is being loaded.
    """

    not_shown = frozenset({"headers", "key"})

    method: str
    url: str
    json: Any = None
    body: bytes | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    key: str | None = None
    key_as: tuple[str, str] = BEARER
    once: bool = False


class Response(NoSecretsShown, msgspec.Struct, frozen=True):
    """The answer to a `Request`: a success, read to its end (errors became exceptions before).

    Attributes:
        headers: Names in lower case.
        url: Where the answer came from, after redirects.
    """

    not_shown = frozenset({"headers"})

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Ask(msgspec.Struct, Generic[T_co], frozen=True):
    """One more round trip is needed: wait `delay_s` seconds, send `request`, go on with `then(answer)`.

    Attributes:
        keep: The answer holds for the life of the client (a look-up on the Hub), so it is asked for once.
        refused: What follows if the server answers with an error; by default the error is raised.
    """

    request: Request
    then: Callable[[Response], T_co | Ask[T_co]]
    delay_s: float = 0.0
    keep: bool = False
    refused: Callable[[ProviderError], T_co | Ask[T_co]] | None = None


Step: TypeAlias = T | Ask[T]
"""A result, or what has to be asked before there is one."""

U = TypeVar("U")


def and_then(step: Step[T], go_on: Callable[[T], U | Ask[U]]) -> U | Ask[U]:
    """`go_on` with the result of `step`, whenever it is there."""
    if not isinstance(step, Ask):
        return go_on(step)
    refused = step.refused
    return Ask(
        step.request,
        lambda response: and_then(step.then(response), go_on),
        step.delay_s,
        step.keep,
        None if refused is None else lambda error: and_then(refused(error), go_on),
    )
