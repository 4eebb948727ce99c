"""Conversations that are sent again as they grow: what is sent is always what they are now."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents import ChatCompletionInputMessage, ChatCompletionInputTool, UsageError
from tiny_agents.inference import encoding
from tiny_agents.inference.encoding import Remembered, Written, encode_json, without_nulls
from tiny_agents.inference.tasks.chat import chat_completion, check_messages
from tiny_agents.inference.types.chat import (
    ChatCompletionInputFunctionDefinition,
    ChatCompletionInputMessageChunk,
    ChatCompletionInputToolCall,
)


def message(**fields: Any) -> ChatCompletionInputMessage:
    return ChatCompletionInputMessage.parse_obj_as_instance(fields)


def conversation() -> list[Any]:
    function = {"name": "look", "arguments": '{"n": 1}'}
    return [
        message(role="system", content="Be brief."),
        {"role": "user", "content": "What is it?", "name": None},
        message(role="assistant", tool_calls=[{"id": "c1", "type": "function", "function": function}]),
        message(role="tool", tool_call_id="c1", name="look", content="It is 42."),
        {"role": "assistant", "content": [{"type": "text", "text": "42", "annotations": [{"n": 1, "url": None}]}]},
        message(role="user", content=[{"type": "text", "text": "Sure?"}]),
    ]


def sent(messages: list[Any], written: Written) -> str:
    """As text: to Python `True` is equal to 1."""
    return encode_json({"messages": Remembered(messages, written)}).decode()[len('{"messages":') : -1]


def anew(messages: list[Any]) -> str:
    return encode_json([without_nulls(each) for each in messages]).decode()


def set_content(messages: list[Any]) -> None:
    messages[0].content = "Be long."


def set_undeclared(messages: list[Any]) -> None:
    messages[0]["cache_control"] = {"type": "ephemeral"}


def set_in_a_call(messages: list[Any]) -> None:
    messages[2].tool_calls[0].function.arguments = '{"n": 2}'


def undeclared_in_a_call(messages: list[Any]) -> None:
    messages[2].tool_calls[0]["thought_signature"] = "s"


def drop_a_call(messages: list[Any]) -> None:
    del messages[2].tool_calls[0]


def set_in_a_part(messages: list[Any]) -> None:
    messages[4]["content"][0]["annotations"][0]["n"] = True  # which is equal to 1, and is another word in JSON


def add_a_part(messages: list[Any]) -> None:
    messages[5].content.append(ChatCompletionInputMessageChunk(type="text", text="Really?"))


def none_in_a_dictionary(messages: list[Any]) -> None:
    messages[1]["content"] = None


def cut(messages: list[Any]) -> None:
    del messages[3:]


def insert(messages: list[Any]) -> None:
    messages.insert(1, {"role": "user", "content": "Before."})


def swap(messages: list[Any]) -> None:
    messages[0], messages[1] = messages[1], messages[0]


def another_object(messages: list[Any]) -> None:
    messages[3] = {"role": "tool", "tool_call_id": "c1", "name": "look", "content": "It is 43."}


CHANGES: list[Callable[[list[Any]], None]] = [
    set_content,
    set_undeclared,
    set_in_a_call,
    undeclared_in_a_call,
    drop_a_call,
    set_in_a_part,
    add_a_part,
    none_in_a_dictionary,
    cut,
    insert,
    swap,
    another_object,
]


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_message_that_was_changed_in_place_is_sent_as_it_is_now(
    change: Callable[[list[Any]], None], is_long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_long:
        monkeypatch.setattr(encoding, "SMALL_BYTES", 0)
    messages, written = conversation(), Written(without_nulls)
    assert sent(messages, written) == anew(messages)
    before = anew(messages)
    change(messages)
    assert sent(messages, written) == anew(messages) != before
    messages.append(message(role="assistant", content="Yes."))
    assert sent(messages, written) == anew(messages)


def test_a_conversation_that_grows_is_written_once() -> None:
    taken: list[Any] = []

    def form(item: Any) -> Any:
        taken.append(item)
        return without_nulls(item)

    messages, written = conversation(), Written(form)
    for count in range(1, len(messages) + 1):
        assert sent(messages[:count], written) == anew(messages[:count])
    assert [id(each) for each in taken] == [id(each) for each in messages]


def test_records_with_undeclared_fields_are_written_each_time_and_keep_them() -> None:
    messages = [message(role="user", content="Hi", cache_control={"type": "ephemeral"}), *conversation()]
    written = Written(without_nulls)
    for _ in range(2):
        assert '"cache_control":{"type":"ephemeral"}' in sent(messages, written)
        assert sent(messages, written) == anew(messages)


def test_what_takes_the_place_of_a_message_and_is_none_is_refused() -> None:
    messages, written = conversation(), Written(without_nulls, check_messages)

    def asked() -> bytes:
        return encode_json(chat_completion(Remembered(messages, written)).inputs)

    asked()
    messages[1] = "What?"
    with pytest.raises(UsageError, match=r"messages\[1\] is str"):
        asked()
    messages[1] = message(role="user", content="What?")
    assert b"What?" in asked()
    messages.append("And?")
    with pytest.raises(UsageError, match=r"messages\[\d+\] is str"):
        asked()


def test_tool_calls_may_be_dictionaries_in_a_message() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    inner = ChatCompletionInputToolCall(id="c1", function={"name": "look", "arguments": "{}"})  # type: ignore[arg-type]
    for kind in (call, inner):
        messages = [ChatCompletionInputMessage(role="assistant", tool_calls=[kind])]  # type: ignore[list-item]
        assert json.loads(sent(messages, Written(without_nulls))) == [{"role": "assistant", "tool_calls": [call]}]


def test_text_that_is_no_unicode_costs_its_character_and_no_message() -> None:
    messages, written = conversation(), Written(without_nulls)
    sent(messages, written)
    messages.append(message(role="tool", tool_call_id="c2", content="a\ud800b"))
    assert json.loads(sent(messages, written))[-1] == {"role": "tool", "tool_call_id": "c2", "content": "a?b"}
    assert sent(messages, written) == anew(messages)


def test_tools_are_sent_as_they_are_now() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer", "default": None}}}
    function = ChatCompletionInputFunctionDefinition(name="look", description="Looks.", parameters=schema)
    tools, written = [ChatCompletionInputTool(function=function)], Written()
    wanted = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": schema}}
    for _ in range(2):
        assert json.loads(sent(tools, written)) == [wanted]
    schema["properties"]["n"]["default"] = 1
    assert json.loads(sent(tools, written)) == [wanted]
    function.description = "Looks well."
    assert json.loads(sent(tools, written))[0]["function"]["description"] == "Looks well."
    tools.clear()
    assert sent(tools, written) == "[]"


class Odd(msgspec.Struct):
    """Something of the user's own."""

    word: str


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.0, 1.0]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
_messages = st.builds(
    lambda record, fields: message(**fields) if record else fields,
    st.booleans(),
    st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": _json}, optional={"x": _json}),
) | st.builds(lambda word: {"role": "user", "content": Odd(word)}, st.text(max_size=3))


@given(st.lists(st.lists(_messages, max_size=4), min_size=2, max_size=4), st.booleans())
def test_whatever_was_sent_before_what_is_sent_now_is_what_it_would_be_without_it(
    turns: list[list[Any]], is_long: bool
) -> None:
    written, other = Written(without_nulls), Written(without_nulls)
    with patch.object(encoding, "SMALL_BYTES", 0 if is_long else encoding.SMALL_BYTES):
        for messages in turns:
            assert sent(messages, written) == anew(messages)
            assert sent(messages[:1], other) == anew(messages[:1]), "they write into the same memory"


def test_conversations_of_several_threads_are_not_mixed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SMALL_BYTES", 0)
    begin = threading.Barrier(4, timeout=30)

    def talk(number: int) -> list[tuple[str, str]]:
        messages, written = [], Written(without_nulls)
        begin.wait()
        both = []
        for turn in range(200):
            messages.append(message(role="user", content=f"{number} {turn} " * (1 + number * turn)))
            both.append((sent(messages, written), anew(messages)))
        return both

    with ThreadPoolExecutor(4) as threads:
        for both in threads.map(talk, range(4)):
            assert all(one == other for one, other in both)
