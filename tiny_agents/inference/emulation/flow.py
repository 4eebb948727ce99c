"""Several round trips written as one generator: it yields requests, is sent the answers, returns the result.

def flow() -> Flow[str]:
    first = yield Request("POST", ...)
    second = yield Request("POST", ..., json=decode(first))
    return text_of(second)

step = as_step(flow())      # an Ask whose `then` goes on with the generator
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from tiny_agents.inference.call import Ask, Call, Request, Response, Route, Step
from tiny_agents.inference.providers.provider import Adapter

T = TypeVar("T")

Flow: TypeAlias = Generator[Request, Response, T]


def as_step(flow: Flow[T]) -> Step[T]:
    """Start `flow`; its first request, or its result if it needs none.

    A generator can't go back, so each `then` may be called once: a client that wants to try again sends the request again,
    before it calls `then`.
    """

    def go_on(response: Response | None) -> Step[T]:
        try:
            request = next(flow) if response is None else flow.send(response)
        except StopIteration as end:
            result: T = end.value
            return result
        return Ask(request, go_on)

    return go_on(None)


def ask(adapter: Adapter, call: Call[T], route: Route) -> Flow[T]:
    """The result of `call`, as part of a flow."""
    response = yield adapter.prepare(call, route)
    step: Step[T] = adapter.parse(call, route, response)
    while isinstance(step, Ask):
        response = yield step.request
        step = step.then(response)
    return step
