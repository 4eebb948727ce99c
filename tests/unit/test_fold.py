"""Chunks of real servers -> one assistant message."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.inference.fold import ChatFold
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, decode_chunk


def fold(*deltas: dict[str, Any]) -> ChatFold:
    result = ChatFold()
    for delta in deltas:
        result.add(decode_chunk(msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]})))
    return result


def call(**fields: Any) -> dict[str, Any]:
    """A delta with one piece of a tool call; `name` and `arguments` go into its function."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {"tool_calls": [{**fields, "function": function}]}


def calls_of(folded: ChatFold) -> list[tuple[str, str, str]]:
    message = folded.message()
    assert message is not None
    return [(c.id, c.function.name, c.function.arguments or "") for c in message.tool_calls or []]


CASES: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str]]]] = {
    "in pieces": (
        [
            call(index=0, id="a", name="f", arguments=""),
            call(index=0, arguments='{"x"'),
            call(index=0, arguments=": 1}"),
        ],
        [("a", "f", '{"x": 1}')],
    ),
    "two calls, interleaved": (
        [
            call(index=0, id="a", name="f", arguments=""),
            call(index=1, id="b", name="g", arguments=""),
            call(index=0, arguments="{}"),
            call(index=1, arguments='{"y": 2}'),
        ],
        [("a", "f", "{}"), ("b", "g", '{"y": 2}')],
    ),
    "all in one delta": (
        [
            {
                "tool_calls": [
                    {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}},
                    {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}},
                ]
            }
        ],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "every call numbered 0": (
        [call(index=0, id="a", name="f", arguments="{}"), call(index=0, id="b", name="g", arguments="{}")],
        [("a", "f", "{}"), ("b", "g", "{}")],
    ),
    "every call numbered 0 and without an id": (
        [call(index=0, name="f", arguments="{}"), call(index=0, name="f", arguments='{"x": 1}')],
        [("call_0", "f", "{}"), ("call_1", "f", '{"x": 1}')],
    ),
    "no index": (
        [
            call(id="a", name="f", arguments='{"x"'),
            call(id="a", arguments=": 1}"),
            call(id="b", name="g", arguments="{}"),
        ],
        [("a", "f", '{"x": 1}'), ("b", "g", "{}")],
    ),
    "neither index nor id": (
        [call(name="f", arguments='{"x"'), call(arguments=": 1}"), call(name="g", arguments="{}")],
        [("call_0", "f", '{"x": 1}'), ("call_1", "g", "{}")],
    ),
    "the name in every piece": (
        [
            call(index=0, id="a", name="f", arguments='{"x"'),
            call(index=0, id="a", name="f", arguments=": 1}"),
            call(index=0, id="a", name="f", arguments=""),
        ],
        [("a", "f", '{"x": 1}')],
    ),
    "arguments as an object": ([call(index=0, id="a", name="f", arguments={"x": 1})], [("a", "f", '{"x":1}')]),
    "arguments null": ([call(index=0, id="a", name="f", arguments=None)], [("a", "f", "{}")]),
    "the same id twice": (
        [call(index=0, id="a", name="f", arguments="{}"), call(index=1, id="a", name="g", arguments="{}")],
        [("a", "f", "{}"), ("a_1", "g", "{}")],
    ),
    "no name at all": ([call(index=0, id="a", arguments="{}")], [("a", "", "{}")]),
    "an id that is a number": ([call(index=0, id=7, name="f", arguments="{}")], [("7", "f", "{}")]),
}


@pytest.mark.parametrize("case", CASES)
def test_tool_calls_are_put_together_however_a_server_sends_them(case: str) -> None:
    deltas, expected = CASES[case]
    assert calls_of(fold(*deltas)) == expected


def test_text_reasoning_and_the_reason_to_stop_are_kept() -> None:
    folded = fold(
        {"role": "assistant", "content": None, "reasoning_content": "let me "},
        {"role": "assistant", "reasoning_content": "see"},
        {"role": "assistant", "content": "Hel"},
        {"content": "lo"},
    )
    folded.add(decode_chunk(b'{"choices": [{"delta": {}, "finish_reason": "stop"}]}'))
    folded.add(decode_chunk(b'{"choices": [], "usage": {"total_tokens": 9}}'))
    assert folded.message() == ChatCompletionInputMessage(
        role="assistant", content="Hello", reasoning_content="let me see"
    )
    assert folded.finish_reason == "stop"
    assert folded.usage is not None
    assert folded.usage.total_tokens == 9


def test_a_model_that_says_nothing_leaves_no_message() -> None:
    assert fold({"role": "assistant", "content": ""}, {}).message() is None
    assert ChatFold().message() is None


def test_only_the_first_of_several_answers_is_folded() -> None:
    folded = ChatFold()
    folded.add(decode_chunk(b'{"choices": [{"index": 1, "delta": {"content": "b"}}]}'))
    folded.add(
        decode_chunk(b'{"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]}')
    )
    assert folded.content == "a"


def test_half_tool_calls_can_be_left_out() -> None:
    folded = fold({"content": "Let me look"}, call(index=0, id="a", name="f", arguments='{"x"'))
    message = folded.message(with_tool_calls=False)
    assert message == ChatCompletionInputMessage(role="assistant", content="Let me look")


@given(
    st.text(alphabet='{}"x:1, ', min_size=1).map(lambda text: '{"k": ' + msgspec.json.encode(text).decode() + "}"),
    st.data(),
)
def test_arguments_do_not_depend_on_how_they_are_cut(arguments: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=6)))
    pieces = [arguments[a:b] for a, b in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
    deltas = [call(index=0, id="a", name="f", arguments=""), *(call(index=0, arguments=piece) for piece in pieces)]
    assert calls_of(fold(*deltas)) == [("a", "f", arguments)]


def message_of(*deltas: dict[str, Any]) -> dict[str, Any]:
    message = fold(*deltas).message()
    assert message is not None
    return message.to_dict()


def test_blocks_of_reasoning_are_put_together_and_keep_their_signatures() -> None:
    message = message_of(
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Let ", "format": "f"}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "me see."}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "sig=="}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "abc", "id": "x"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "def", "id": "y"}]},
        {"content": "42"},
    )
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "Let me see.", "format": "f", "signature": "sig=="},
        {"type": "reasoning.encrypted", "index": 1, "data": "abc", "id": "x"},
        {"type": "reasoning.encrypted", "index": 1, "data": "def", "id": "y"},
    ]


def test_thinking_blocks_end_with_their_signature() -> None:
    message = message_of(
        {"thinking_blocks": [{"type": "thinking", "thinking": "a"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": None}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s1"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "c", "signature": ""}]},
        {"content": "x"},
    )
    assert message["thinking_blocks"] == [
        {"type": "thinking", "thinking": "ab", "signature": "s1"},
        {"type": "thinking", "thinking": "c", "signature": ""},
    ]


def test_what_a_provider_adds_to_a_tool_call_is_kept_with_it() -> None:
    signed = {"google": {"thought_signature": "EjQKMg=="}}
    message = message_of(
        {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}, "extra_content": signed}]},
        {"tool_calls": [{"id": "2", "function": {"name": "g", "arguments": "{}"}}]},
    )
    assert [call.get("extra_content") for call in message["tool_calls"]] == [signed, None]


def test_an_answer_that_broke_off_keeps_no_half_block() -> None:
    block = {"type": "reasoning.text", "index": 0, "text": "Let "}
    message = fold({"reasoning_details": [block], "content": "So"}).message(with_tool_calls=False)
    assert message is not None
    assert message.to_dict() == {"role": "assistant", "content": "So"}
