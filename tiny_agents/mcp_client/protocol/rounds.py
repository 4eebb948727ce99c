"""Requests that a server answers with questions (since 2026-07-28): answered, and made again, until they are done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tiny_agents.mcp_client.protocol.messages import NotValid

MAX_ROUNDS = 10
WAITS_S = (0.05, 0.1, 0.2, 0.25)
"""Waits before a request is made again of which the server only said that it isn't done, one per time in a row."""

Answers = dict[str, Any]
Send = Callable[[Answers], Awaitable[dict[str, Any]]]
"""Makes a request with these params besides its own, and returns the result, which may be questions again."""

Answer = Callable[[str, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


class TooManyRounds(Exception):
    """A server asked back again and again."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What a server wants to know before it goes on: requests by ids of its own, and a state that it wants back."""

    requests: dict[str, dict[str, Any]]
    state: str | None

    def answered(self, answers: Answers) -> Answers:
        """The params that go along with the request when it is made again."""
        return next_params(answers, self.state)


def next_params(answers: Answers, state: str | None) -> Answers:
    """Answers and a state, as a request takes them along."""
    return {
        **({"inputResponses": answers} if answers else {}),
        **({} if state is None else {"requestState": state}),
    }


def questions_in(result: dict[str, Any]) -> Questions | None:
    """What a result asks; None where it is the end of a request.

    Raises:
        NotValid: It asks what the protocol doesn't know.
    """
    if result.get("resultType") != "input_required":
        return None
    from tiny_agents.mcp_client.protocol.shapes import check_question  # few servers ask

    requests, state = result.get("inputRequests"), result.get("requestState")
    requests = {} if requests is None else requests
    if not isinstance(requests, dict) or not isinstance(state, (str, type(None))):
        raise NotValid("inputRequests: must be an object, and requestState text")
    if not requests and state is None:
        raise NotValid("inputRequests: is missing, and so is requestState")
    for id, asked in requests.items():
        try:
            if not isinstance(asked, dict):
                raise NotValid("must be an object")
            check_question(asked.get("method"), asked.get("params"))
        except NotValid as problem:
            raise NotValid(f"inputRequests.{id[:100]}: {problem}") from problem
    return Questions(requests, state)


async def finished(send: Send, answer: Answer) -> dict[str, Any]:
    """The result of a request, with all that its server asks meanwhile answered.

    Raises:
        RpcError: The server's, or that of a question nobody answers.
        NotValid, TooManyRounds: It asks nonsense, or without end.
    """
    found = await send({})
    waits = 0
    for _ in range(MAX_ROUNDS):
        asked = questions_in(found)
        if asked is None:
            return found
        if asked.requests:
            waits, answers = 0, await _all_answered(asked.requests, answer)
        else:
            await asyncio.sleep(WAITS_S[min(waits, len(WAITS_S) - 1)])
            waits, answers = waits + 1, {}
        found = await send(asked.answered(answers))
    if questions_in(found) is None:
        return found
    raise TooManyRounds(f"asked back more than {MAX_ROUNDS} times")


async def _all_answered(requests: dict[str, dict[str, Any]], answer: Answer) -> Answers:
    """Answers to all of them, asked for at the same time; where one isn't answered, the others needn't be."""
    try:
        async with asyncio.TaskGroup() as tasks:
            asked = {
                id: tasks.create_task(answer(request["method"], request.get("params") or {}))
                for id, request in requests.items()
            }
    except ExceptionGroup as refusals:
        raise refusals.exceptions[0] from None
    return {id: task.result() for id, task in asked.items()}
