"""When the loop stops, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents.agent.rules import LoopState, StopReason, after_turn, close_turn

TEXT = {"role": "assistant", "content": "hi"}
CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "1", "name": "f", "content": "x"}
EXIT = {"role": "tool", "tool_call_id": "2", "name": "task_complete", "content": ""}


@pytest.mark.parametrize(
    ("turns", "added", "stop"),
    [
        (0, [TEXT], "done"),
        (0, [CALL, RESULT], None),
        (0, [], "empty"),
        (0, [CALL, EXIT], "exit_tool"),
        (0, [CALL, EXIT, RESULT], "exit_tool"),
        (0, [CALL, RESULT, EXIT], "exit_tool"),
        (3, [CALL, RESULT], None),
        (4, [CALL, RESULT], "turn_limit"),
        (4, [CALL, EXIT], "exit_tool"),
        (4, [TEXT], "done"),
        (4, [], "empty"),
    ],
)
def test_every_reason_to_stop(turns: int, added: list[dict[str, Any]], stop: StopReason | None) -> None:
    after = after_turn(LoopState(turns=turns), added, max_turns=5, exit_tools={"task_complete"})
    assert after == LoopState(turns=turns + 1, stop=stop)


SYSTEM = {"role": "system", "content": "s"}
USER = {"role": "user", "content": "u"}


@pytest.mark.parametrize("reason", ["empty", "aborted", "failed", "turn_limit"])
def test_a_request_that_nothing_answered_is_taken_back(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER]
    close_turn(messages, 1, reason)
    assert messages == [SYSTEM]


@pytest.mark.parametrize("reason", ["empty", "aborted", "failed", "turn_limit"])
def test_tool_results_are_kept_and_the_missing_answer_is_marked(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER, CALL, RESULT]
    close_turn(messages, 1, reason)
    assert messages[:4] == [SYSTEM, USER, CALL, RESULT]
    assert messages[4].role == "assistant"
    assert messages[4].content.startswith("(")
    assert len(messages) == 5


@pytest.mark.parametrize("reason", ["empty", "aborted", "failed", "turn_limit"])
def test_images_of_tools_are_kept_too(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER, CALL, RESULT, USER]
    close_turn(messages, 1, reason)
    assert messages[:5] == [SYSTEM, USER, CALL, RESULT, USER]
    assert [message["role"] for message in messages[5:]] == ["assistant"]


@pytest.mark.parametrize("reason", ["aborted", "failed"])
def test_half_an_answer_is_kept_as_it_is(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER, TEXT]
    close_turn(messages, 1, reason)
    assert messages == [SYSTEM, USER, TEXT]


@pytest.mark.parametrize(("reason", "rest"), [("done", [TEXT]), ("exit_tool", [CALL, EXIT])])
def test_a_turn_that_ended_well_is_left_alone(reason: StopReason, rest: list[Any]) -> None:
    messages: list[Any] = [SYSTEM, USER, *rest]
    close_turn(messages, 1, reason)
    assert messages == [SYSTEM, USER, *rest]
