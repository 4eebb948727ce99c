"""When the loop stops, and how a turn that did not end well is closed. Pure: the loop in `agent.py` only asks.

Reasons to stop:

    done         the model answered in text
    exit_tool    it called a tool that ends the turn (`task_complete`, `ask_question`)
    empty        it answered nothing at all
    turn_limit   it still wanted tools when its calls were used up
    aborted      the caller set `abort_event`, or stopped iterating
    failed       an error left the loop; the caller has it as an exception
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tiny_agents.inference.types.chat import ChatCompletionInputMessage

StopReason = Literal["done", "exit_tool", "empty", "turn_limit", "aborted", "failed"]


@dataclass(frozen=True, slots=True)
class LoopState:
    """How far a run is.

    Attributes:
        turns: Model calls made. Every one counts, those that only called tools too.
        stop: Why the loop ends; None while it goes on.
    """

    turns: int = 0
    stop: StopReason | None = None


def after_turn(state: LoopState, added: Sequence[Any], *, max_turns: int, exit_tools: Collection[str]) -> LoopState:
    """The state after one more turn.

    Args:
        added: The messages that the turn added to the history: the assistant's and the answers to its tool calls.
        max_turns: Most model calls of a run.
        exit_tools: Names of the tools that end it.
    """
    state = replace(state, turns=state.turns + 1)
    if not added:
        return replace(state, stop="empty")
    answers = list(_tool_answers(added))
    if any(message.get("name") in exit_tools for message in answers):
        return replace(state, stop="exit_tool")
    if not answers:
        return replace(state, stop="done")
    if state.turns >= max_turns:
        return replace(state, stop="turn_limit")
    return state


def _tool_answers(messages: Sequence[Any]) -> Iterator[Any]:
    return (message for message in messages if message.get("role") == "tool")


_CLOSING = {
    "empty": "(The model gave no answer.)",
    "turn_limit": "(Stopped before an answer: the limit of model calls for one request was reached.)",
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
