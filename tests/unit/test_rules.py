"""When the loop stops, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents.agent.loop.limits import LimitReached, Limits
from tiny_agents.agent.loop.rules import LIMIT_STOPS, LoopState, StopReason, Streak, Turn, after_turn, close_turn
from tiny_agents.agent.loop.usage import Usage


def call(name: str = "f", arguments: str = "{}", call_id: str = "1") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]}


def result(content: str = "x", call_id: str = "1", name: str = "f") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


TEXT = {"role": "assistant", "content": "hi"}
CALL, RESULT = call(), result()
EXIT = result("", "2", "task_complete")
FIVE = Limits(model_calls=5, last_answer=False)


def after(state: LoopState, turn: Turn, limits: Limits) -> LoopState:
    return after_turn(state, turn, limits=limits, exit_tools={"task_complete"})


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
def test_every_reason_to_stop_beside_the_limits(
    turns: int, added: list[dict[str, Any]], stop: StopReason | None
) -> None:
    state = after(LoopState(turns=turns), Turn(added), FIVE)
    assert (state.turns, state.stop) == (turns + 1, stop)


def used(tokens: int, cost: float | None = None) -> Usage:
    return Usage(input_tokens=tokens, model_calls=1, cost_usd=cost)


WANTS_MORE = [CALL, result("x" * 400)]  # 100 tokens and a few for the result


@pytest.mark.parametrize(
    ("limits", "state", "turn", "reached"),
    [
        # model calls: the last of at least three is kept for an answer
        (Limits(model_calls=3), LoopState(turns=0), Turn(WANTS_MORE), (None, None)),
        (Limits(model_calls=3), LoopState(turns=1), Turn(WANTS_MORE), ("model_calls", None)),
        (Limits(model_calls=2), LoopState(turns=0), Turn(WANTS_MORE), (None, None)),
        (Limits(model_calls=2), LoopState(turns=1), Turn(WANTS_MORE), ("model_calls", "turn_limit")),
        (Limits(model_calls=1), LoopState(turns=0), Turn(WANTS_MORE), ("model_calls", "turn_limit")),
        (Limits(), LoopState(turns=18), Turn(WANTS_MORE), ("model_calls", None)),
        (Limits(last_answer=False), LoopState(turns=18), Turn(WANTS_MORE), (None, None)),
        (Limits(last_answer=False), LoopState(turns=19), Turn(WANTS_MORE), ("model_calls", "turn_limit")),
        # tool calls: come to when one was refused
        (Limits(tool_calls=1), LoopState(), Turn(WANTS_MORE, carried_out=1), (None, None)),
        (Limits(tool_calls=1), LoopState(tool_calls=1), Turn(WANTS_MORE, refused=1), ("tool_calls", None)),
        (Limits(tool_calls=1, last_answer=False), LoopState(), Turn(WANTS_MORE, refused=1), ("tool_calls", "tool_limit")),
        (Limits(tool_calls=1, model_calls=1), LoopState(), Turn(WANTS_MORE, refused=1), ("tool_calls", "tool_limit")),
        # tokens: the next call reads at least what the last one read and wrote, and its results
        (Limits(tokens=10_000), LoopState(), Turn(WANTS_MORE, used(1000)), (None, None)),
        (Limits(tokens=3000), LoopState(), Turn(WANTS_MORE, used(1000)), ("tokens", None)),
        (Limits(tokens=2000), LoopState(), Turn(WANTS_MORE, used(1000)), ("tokens", "token_limit")),
        (Limits(tokens=1000), LoopState(), Turn(WANTS_MORE, used(2000)), ("tokens", "token_limit")),
        (Limits(tokens=3000, last_answer=False), LoopState(), Turn(WANTS_MORE, used(1000)), (None, None)),
        (Limits(tokens=3000), LoopState(usage=used(2500)), Turn(WANTS_MORE, used(200)), ("tokens", "token_limit")),
        # money
        (Limits(cost_usd=1.0), LoopState(), Turn(WANTS_MORE, used(1, 0.1)), (None, None)),
        (Limits(cost_usd=1.0), LoopState(), Turn(WANTS_MORE, used(1, 0.4)), ("cost_usd", None)),
        (Limits(cost_usd=1.0), LoopState(), Turn(WANTS_MORE, used(1, 0.6)), ("cost_usd", "cost_limit")),
        # two limits at once: the harder one stops, the one that was come to is named
        (Limits(tokens=1000, model_calls=2), LoopState(turns=1), Turn(WANTS_MORE, used(1)), ("model_calls", "turn_limit")),
    ],
)  # fmt: skip
def test_what_each_limit_does(
    limits: Limits, state: LoopState, turn: Turn, reached: tuple[str | None, str | None]
) -> None:
    found = after(state, turn, limits)
    assert (found.reached.limit if found.reached is not None else None, found.stop) == reached


def test_the_last_answer_ends_the_run_whatever_it_is() -> None:
    last = LoopState(turns=2, reached=LimitReached("repeat", 2, 2, "f"))
    for added in ([TEXT], [], [CALL, RESULT], [CALL, EXIT]):
        assert after(last, Turn(added), Limits()).stop == "repeat_limit"


def test_the_same_call_with_the_same_result_is_counted_whatever_the_order_of_its_arguments() -> None:
    limits, state = Limits(repeat=3), LoopState()
    for arguments in ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'):
        state = after(state, Turn([call("f", arguments), RESULT]), limits)
        assert state.reached is None
    assert after(state, Turn([call("f", '{"a":1,"b":2}'), result("other")]), limits).reached is None
    state = after(state, Turn([call("f", '{"a":1,"b":2}'), RESULT]), limits)
    assert state.reached == LimitReached("repeat", 3, 3, "f")
    assert state.stop is None


def test_repetition_is_seen_within_a_turn_and_in_a_round_of_calls() -> None:
    a, b = ("a", "{}", "1"), ("b", "{}", "2")
    assert Streak().after([a, a, a]).longest == 3
    rounds = Streak().after([a, b]).after([a, b])
    assert (rounds.calls, rounds.turns, rounds.longest) == (1, 2, 2)
    assert rounds.after([a]).longest == 1
    assert Streak().after([a]).after([]).longest == 0


@pytest.mark.parametrize("limit", LIMIT_STOPS)
def test_a_limit_is_said_to_people_and_to_the_model(limit: Any) -> None:
    reached = LimitReached(limit, 1200, 1500, "look_up")
    assert str(reached).startswith("Stopped ")
    assert "1,500" in str(reached) or "1,200" in str(reached)
    assert "tool can be called" in reached.note
    assert reached.refusal.startswith("Error: not called: stopped ")


SYSTEM = {"role": "system", "content": "s"}
USER = {"role": "user", "content": "u"}
UNFINISHED: list[StopReason] = ["empty", "aborted", "failed", "bad_output", *LIMIT_STOPS.values()]


@pytest.mark.parametrize("reason", UNFINISHED)
def test_a_request_that_nothing_answered_is_taken_back(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER]
    close_turn(messages, 1, reason)
    assert messages == [SYSTEM]


@pytest.mark.parametrize("reason", UNFINISHED)
def test_tool_results_are_kept_and_the_missing_answer_is_marked(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER, CALL, RESULT]
    close_turn(messages, 1, reason)
    assert messages[:4] == [SYSTEM, USER, CALL, RESULT]
    assert messages[4].role == "assistant"
    assert messages[4].content.startswith("(")
    assert len(messages) == 5


@pytest.mark.parametrize("reason", UNFINISHED)
def test_images_of_tools_are_kept_too(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER, CALL, RESULT, USER]
    close_turn(messages, 1, reason)
    assert messages[:5] == [SYSTEM, USER, CALL, RESULT, USER]
    assert [message["role"] for message in messages[5:]] == ["assistant"]


@pytest.mark.parametrize("reason", ["aborted", "failed", "time_limit", "turn_limit"])
def test_an_answer_or_half_of_one_is_kept_as_it_is(reason: StopReason) -> None:
    messages: list[Any] = [SYSTEM, USER, TEXT]
    close_turn(messages, 1, reason)
    assert messages == [SYSTEM, USER, TEXT]


@pytest.mark.parametrize(("reason", "rest"), [("done", [TEXT]), ("exit_tool", [CALL, EXIT])])
def test_a_turn_that_ended_well_is_left_alone(reason: StopReason, rest: list[Any]) -> None:
    messages: list[Any] = [SYSTEM, USER, *rest]
    close_turn(messages, 1, reason)
    assert messages == [SYSTEM, USER, *rest]
