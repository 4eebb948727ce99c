"""When the loop stops, and how a turn that did not end well is closed. Pure: the loop in `agent.py` only asks.

Reasons to stop:

    done          the model answered in text
    exit_tool     it called a tool that ends the turn (`task_complete`, `ask_question`)
    empty         it answered nothing at all
    turn_limit    its calls (`limits.model_calls`, `max_turns`) were used up
    tool_limit    it wanted more tool calls than it may make
    token_limit   there are not enough tokens left for another call
    cost_limit    there is not enough money left for another call
    repeat_limit  it made the same call with the same result too often
    time_limit    its time is up
    bad_output    what it answered does not fit `output`, and asking again did not help
    aborted       the caller set `abort_event`, or stopped iterating
    failed        an error left the loop; the caller has it as an exception

A model that comes to a limit is told so and asked for a last answer without tools, where one more call is within all limits.
For `model_calls` the last of them is kept for that, if there are at least three. The reason to stop is the limit all the
same: whether the model would have been done is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from tiny_agents.agent.loop.limits import DEFAULT_MODEL_CALLS, LimitName, LimitReached, Limits
from tiny_agents.agent.loop.usage import Usage, estimated_tokens
from tiny_agents.inference.types.chat import ChatCompletionInputMessage

StopReason = Literal[
    "done", "exit_tool", "empty", "turn_limit", "tool_limit", "token_limit", "cost_limit", "repeat_limit", "time_limit",
    "bad_output", "aborted", "failed",
]  # fmt: skip

LIMIT_STOPS: Mapping[LimitName, StopReason] = {
    "model_calls": "turn_limit",
    "tool_calls": "tool_limit",
    "tokens": "token_limit",
    "cost_usd": "cost_limit",
    "repeat": "repeat_limit",
    "seconds": "time_limit",
}
"""The reason to stop for each limit."""

LEAST_CALLS_WITH_A_LAST_ANSWER = 3


class Streak(msgspec.Struct, frozen=True, gc=False):
    """How often the latest tool call, and the calls of the latest turn, came one after the other with the same results."""

    call: tuple[str, ...] = ()
    calls: int = 0
    turn: tuple[tuple[str, ...], ...] = ()
    turns: int = 0

    def after(self, made: Sequence[tuple[str, ...]]) -> Streak:
        """The streak after a turn with these calls: name, arguments and result each."""
        if not made:
            return Streak()
        call, calls = self.call, self.calls
        for one in made:
            call, calls = one, calls + 1 if one == call else 1
        turn = tuple(made)
        return Streak(call, calls, turn, self.turns + 1 if turn == self.turn else 1)

    @property
    def longest(self) -> int:
        return max(self.calls, self.turns)


class LoopState(msgspec.Struct, frozen=True, gc=False):
    """How far a run is.

    Attributes:
        turns: Model calls made. Every one counts, those that only called tools too.
        tool_calls: Tool calls carried out.
        usage: What the model calls used.
        reached: The limit that was come to. While `stop` is None, the next turn is the last answer.
        stop: Why the loop ends; None while it goes on.
    """

    turns: int = 0
    tool_calls: int = 0
    usage: Usage = msgspec.field(default_factory=Usage)
    streak: Streak = msgspec.field(default_factory=Streak)
    reached: LimitReached | None = None
    stop: StopReason | None = None


class Turn(msgspec.Struct, frozen=True, gc=False):
    """What a turn was.

    Attributes:
        added: The messages that it added to the history: the assistant's and the answers to its tool calls.
        usage: What it used.
        carried_out: Tool calls that were.
        refused: Tool calls that were not, because of `limits.tool_calls`.
        inner: What agents used that were called as tools; `carried_out` has their calls of tools too.
    """

    added: Sequence[Any]
    usage: Usage = msgspec.field(default_factory=lambda: Usage(model_calls=1))
    carried_out: int = 0
    refused: int = 0
    inner: Usage = msgspec.field(default_factory=Usage)


def after_turn(state: LoopState, turn: Turn, *, limits: Limits, exit_tools: Collection[str]) -> LoopState:
    """The state after one more turn.

    Args:
        exit_tools: Names of the tools that end a run.
    """
    answers = list(_tool_answers(turn.added))
    was_last = state.reached is not None
    state = replace(
        state,
        turns=state.turns + 1 + turn.inner.model_calls,
        tool_calls=state.tool_calls + turn.carried_out,
        usage=state.usage + turn.usage + turn.inner,
        streak=state.streak if limits.repeat is None else state.streak.after(_made(turn.added, exit_tools)),
    )
    if was_last:
        return _stopped(state)
    if not turn.added:
        return replace(state, stop="empty")
    if any(message.get("name") in exit_tools for message in answers):
        return replace(state, stop="exit_tool")
    if not answers:
        return replace(state, stop="done")
    return _limited(state, turn, limits)


def _limited(state: LoopState, turn: Turn, limits: Limits) -> LoopState:
    """The state before another turn, in the light of the limits."""
    left = _calls_left(state, turn, limits)
    reached = _soft_limit(state, turn, limits)
    if left.calls < 1:
        return _stopped(replace(state, reached=reached or left.reached))
    if reached is None and left.calls == 1 and left.keep_last:
        reached = left.reached
    if reached is not state.reached:
        state = replace(state, reached=reached)
    return _stopped(state) if limits.last_answer is False else state


def asked_again(state: LoopState, turn: Turn, limits: Limits) -> LoopState:
    """The state after an answer that has to be asked for once more: going on, or stopped where no limit leaves room."""
    left = _calls_left(state, turn, limits)
    if left.calls < 1:
        return _stopped(replace(state, reached=left.reached))
    return replace(state, stop=None)


def room_beside(state: LoopState, limits: Limits, tokens: int, cost_usd: float | None) -> bool:
    """Whether a call beside the turns leaves room for the next turn, and for a last answer after that.

    Args:
        tokens: Of that call, about; the next turn is taken to be as long.
        cost_usd: What it costs, about; None where nobody knows.
    """
    most = limits.model_calls or DEFAULT_MODEL_CALLS
    keeps_last = limits.last_answer is not False and most >= LEAST_CALLS_WITH_A_LAST_ANSWER and state.reached is None
    if most - state.turns < (3 if keeps_last else 2):
        return False
    if limits.tokens is not None and limits.tokens - state.usage.total_tokens < 2 * tokens:
        return False
    spent = state.usage.cost_usd
    known = limits.cost_usd is not None and spent is not None and cost_usd is not None
    return not known or limits.cost_usd - spent >= 2 * cost_usd  # type: ignore[operator]  # known says so


def _stopped(state: LoopState) -> LoopState:
    return state if state.reached is None else replace(state, stop=LIMIT_STOPS[state.reached.limit])


class _Left(msgspec.Struct, frozen=True):
    """How many more calls (0, 1, 2 for more) there is room for, by the limit with the least room.

    Attributes:
        keep_last: Whether a single call that is left is kept for the last answer.
    """

    calls: int
    reached: LimitReached
    keep_last: bool


def _calls_left(state: LoopState, turn: Turn, limits: Limits) -> _Left:
    most = limits.model_calls or DEFAULT_MODEL_CALLS
    keep = limits.last_answer is not False
    found = [
        _Left(
            min(2, most - state.turns),
            LimitReached("model_calls", most, state.turns),
            keep and most >= LEAST_CALLS_WITH_A_LAST_ANSWER,
        )
    ]
    usage = state.usage
    if limits.tokens is not None:
        results = estimated_tokens(_tool_answers(turn.added))
        next_call = turn.usage.total_tokens + results  # at least: the conversation so far is read again
        calls = _room(limits.tokens - usage.total_tokens, next_call)
        found.append(_Left(calls, LimitReached("tokens", limits.tokens, usage.total_tokens), keep))
    if limits.cost_usd is not None and usage.cost_usd is not None:
        calls = _room(limits.cost_usd - usage.cost_usd, turn.usage.cost_usd or 0.0)
        found.append(_Left(calls, LimitReached("cost_usd", limits.cost_usd, usage.cost_usd), keep))
    return min(found, key=lambda left: left.calls)


def _room(left: float, for_one: float) -> int:
    """How many calls fit into what is left: 0, 1, or 2 for more."""
    if left <= 0 or left < for_one:
        return 0
    return 1 if left < 2 * for_one else 2


def _soft_limit(state: LoopState, turn: Turn, limits: Limits) -> LimitReached | None:
    """A limit after which the model may still answer."""
    if turn.refused and limits.tool_calls is not None:
        return LimitReached("tool_calls", limits.tool_calls, state.tool_calls)
    if limits.repeat is not None and state.streak.longest >= limits.repeat:
        return LimitReached("repeat", limits.repeat, state.streak.longest, state.streak.call[0])
    return None


def _tool_answers(messages: Sequence[Any]) -> Iterator[Any]:
    return (message for message in messages if message.get("role") == "tool")


def _made(added: Sequence[Any], exit_tools: Collection[str]) -> list[tuple[str, ...]]:
    """Name, arguments and result of each call of a turn, in their order."""
    results = {message.get("tool_call_id"): str(message.get("content")) for message in _tool_answers(added)}
    return [
        (name, _canonical(call["function"].get("arguments")), results.get(call.get("id"), ""))
        for message in added
        for call in message.get("tool_calls") or ()
        if (name := str(call["function"].get("name"))) not in exit_tools
    ]


def _canonical(arguments: Any) -> str:
    try:
        return _sorted.encode(msgspec.json.decode(arguments)).decode()
    except (TypeError, ValueError, RecursionError):
        return str(arguments)


_sorted = msgspec.json.Encoder(order="sorted")


_CLOSING = {
    "empty": "(The model gave no answer.)",
    "turn_limit": "(Stopped before an answer: the limit of model calls for one request was reached.)",
    "tool_limit": "(Stopped before an answer: the limit of tool calls for one request was reached.)",
    "token_limit": "(Stopped before an answer: the limit of tokens for one request was reached.)",
    "cost_limit": "(Stopped before an answer: the limit of costs for one request was reached.)",
    "repeat_limit": "(Stopped before an answer: the same tool call was made again and again.)",
    "time_limit": "(Stopped before an answer: the time for one request was up.)",
    "bad_output": "(Stopped before an answer in the form that was asked for.)",
    "aborted": "(Interrupted before an answer.)",
    "failed": "(An error ended this turn before an answer.)",
}


def close_turn(messages: list[Any], start: int, reason: StopReason) -> None:
    """Leave a history that any server accepts, whatever ended the turn. Changes `messages` in place.

    A request that nothing answered is taken back (asking again must not send it twice). One that got as far as tool
    results keeps them, and a closing remark stands where the answer would have been, so that roles alternate.

    Args:
        start: Index of the user's message.
    """
    if reason not in _CLOSING:
        return
    if len(messages) == start + 1:
        del messages[start]
    elif messages[-1].get("role") in ("tool", "user"):  # images that a tool returned are in a message of the user's
        messages.append(ChatCompletionInputMessage(role="assistant", content=_CLOSING[reason]))
