"""A model's tool calls: what can be understood is run, the rest is answered, and the history keeps only what is valid."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.history import assert_valid
from tiny_agents.inference.types.chat import (
    ChatCompletionInputFunctionDefinition,
    ChatCompletionInputMessage,
    ChatCompletionInputToolCall,
)
from tiny_agents.mcp_client.calls.planning import PlannedCall, ids_in, parse_arguments, plan_calls

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


def message(*calls: tuple[str, str], ids: list[str] | None = None) -> ChatCompletionInputMessage:
    return ChatCompletionInputMessage(
        role="assistant",
        tool_calls=[
            ChatCompletionInputToolCall(
                id=ids[number] if ids else f"call_{number}",
                function=ChatCompletionInputFunctionDefinition(name=name, arguments=arguments),
            )
            for number, (name, arguments) in enumerate(calls)
        ],
    )


def kept(answer: ChatCompletionInputMessage) -> list[tuple[str, str, str | None]]:
    return [(call.id, call.function.name, call.function.arguments) for call in answer.tool_calls or []]


@pytest.mark.parametrize(
    ("text", "value", "kept_text"),
    [
        ("{}", {}, "{}"),
        ("", {}, "{}"),
        ("  ", {}, "{}"),
        ("null", {}, "{}"),
        ('{"a": 1}', {"a": 1}, '{"a": 1}'),
        (' {"a":1}\n', {"a": 1}, ' {"a":1}\n'),
        ('"{\\"a\\": 1}"', {"a": 1}, '{"a": 1}'),
        (json.dumps(json.dumps(json.dumps({"a": 1}))), {"a": 1}, '{"a": 1}'),
        ('""', {}, "{}"),
        ('{"a": "one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}, '{"a": "one\\ntwo\\tthree"}'),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}, '{"a": "\ufffd"}'),
        (f'{{"n": {10**30}}}', {"n": 10**30}, f'{{"n": {10**30}}}'),
        ("{'a': 1,}", {"a": 1}, '{"a": 1}'),
        ('```json\n{"a": 1}\n```', {"a": 1}, '{"a": 1}'),
    ],
)  # fmt: skip
def test_arguments_that_can_be_understood(text: str, value: dict[str, object], kept_text: str) -> None:
    arguments = parse_arguments(text)
    assert arguments.value == value
    assert arguments.kept == kept_text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1', "not valid JSON"),
        ('{"a": 1}}', "not valid JSON"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("a=1", "They were: 'a=1'"),
        ("[1, 2]", "must be a JSON object, not '[1, 2]'"),
        ("7", "must be a JSON object"),
        ('"text"', "not valid JSON"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a": ' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("x" * 5000, "x…'"),
    ],
)
def test_arguments_that_cannot_are_explained_and_not_kept(text: str, reason: str) -> None:
    arguments = parse_arguments(text)
    assert arguments.value is None
    assert arguments.kept == "{}"
    assert reason in arguments.problem
    assert len(arguments.problem) < 500


@given(st.one_of(ANY_TEXT, st.recursive(st.none() | st.integers() | ANY_TEXT, st.lists).map(json.dumps)))
def test_whatever_the_arguments_are_an_object_is_kept(text: str) -> None:
    arguments = parse_arguments(text)
    assert isinstance(json.loads(arguments.kept), dict)
    arguments.kept.encode()
    if arguments.value is not None:
        assert json.loads(arguments.kept) == arguments.value


@given(
    st.lists(st.tuples(ANY_TEXT, ANY_TEXT, st.sampled_from(["", "a", "b", "\ud800"])), min_size=1, max_size=5),
    st.sampled_from([None, "stop", "tool_calls", "length", "content_filter"]),
)
def test_any_calls_make_a_valid_history_once_they_are_answered(
    calls: list[tuple[str, str, str]], finish_reason: str | None
) -> None:
    earlier = message(("x", "{}"), ids=["a"])
    answer = message(*((name, arguments) for name, arguments, _ in calls), ids=[call_id for *_, call_id in calls])
    planned = plan_calls(answer, finish_reason=finish_reason, used_ids=ids_in([earlier]))
    if any(not call_id for _, _, call_id in calls):
        return  # an empty id: the fold gives every call one
    history = [{"role": "user", "content": "?"}, earlier, PlannedCall("a", "x", "x").answer("")]
    assert_valid([*history, answer, *(call.answer(call.problem or "") for call in planned)])


def test_well_formed_calls_are_planned_as_they_are() -> None:
    answer = message(("add", '{"a": 1}'), ("now", ""))
    planned = plan_calls(answer, finish_reason="tool_calls")
    assert planned == [PlannedCall("call_0", "add", "add", {"a": 1}), PlannedCall("call_1", "now", "now", {})]
    assert kept(answer) == [("call_0", "add", '{"a": 1}'), ("call_1", "now", "{}")]


def test_a_call_without_a_name_and_one_with_an_illegal_name_are_kept_under_legal_ones() -> None:
    answer = message(("", "{}"), ("functions.add", "{}"))
    nameless, illegal = plan_calls(answer, finish_reason="stop")
    assert nameless.problem == "Error: this tool call has no function name."
    assert illegal.problem is None
    assert (illegal.name, illegal.kept_name) == ("functions.add", "functions_add")
    assert [name for _, name, _ in kept(answer)] == ["unnamed_tool", "functions_add"]


def test_ids_are_unique_in_the_answer_and_in_the_conversation() -> None:
    answer = message(("a", "{}"), ("a", "{}"), ("a", "{}"), ids=["call_0", "call_0", "new"])
    planned = plan_calls(answer, finish_reason="stop", used_ids={"call_0", "call_0_2"})
    assert [call.id for call in planned] == ["call_0_3", "call_0_4", "new"]
    assert [call_id for call_id, *_ in kept(answer)] == ["call_0_3", "call_0_4", "new"]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("half", ["{}", '{"path": "/tm', '{"path"', '{"path": "/tmp"'])
def test_a_call_that_was_cut_off_is_not_run(reason: str, half: str) -> None:
    answer = message(("first", '{"a": 1}'), ("write", half))
    first, write = plan_calls(answer, finish_reason=reason)
    assert first.problem is None
    assert write.problem is not None
    assert f"cut off (finish_reason '{reason}')" in write.problem
    assert kept(answer)[1][2] == "{}"


def test_a_call_that_is_whole_is_run_although_the_answer_was_cut_off() -> None:
    answer = message(("write", '{"path": "/tmp"}'))
    assert plan_calls(answer, finish_reason="length")[0].problem is None


def test_ids_are_found_in_dictionaries_and_records() -> None:
    history = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "tool_calls": [{"id": "one", "function": {}}]},
        message(("x", "{}"), ids=["two"]),
        {"role": "assistant", "content": "!", "tool_calls": None},
    ]
    assert ids_in(history) == {"one", "two"}
