"""The constrained strategy: tools for any chat endpoint, by JSON under a schema. Scripted endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import ROUTE, called, chat_reply, emulated, said, tool
from tiny_agents.errors import UsageError
from tiny_agents.inference.call import Request, Route
from tiny_agents.inference.emulation.constrained import read_object, without_tool_messages
from tiny_agents.inference.types.chat import ChatCompletionInputMessage

READ = tool("read_file", "Read a\n file", path="string")
ADD = tool("add", "Add two numbers", a="number", b="number")
TOOLS = [READ, ADD]
ENDPOINT = Route("endpoint", "https://models.example/v1", "big", "key", is_endpoint=True)


def run(messages: str | list[Any], replies: list[Any], **parameters: Any) -> tuple[Any, list[Request]]:
    return emulated(
        messages, parameters.pop("tools", TOOLS), replies, strategy="constrained", route=ENDPOINT, **parameters
    )


def schema_of(request: Request) -> dict[str, Any]:
    return request.json["response_format"]["json_schema"]["schema"]


def test_a_tool_is_chosen_and_then_its_arguments():
    output, asked = run("What is 1 plus 2?", ['{"tool": "add"}', '{"a": 1, "b": 2}'])
    assert called(output) == ("add", {"a": 1, "b": 2})
    assert output.choices[0].finish_reason == "tool_calls"
    assert output["tiny_agents"] == {"answer_from": "model", "model": "big"}
    choice, arguments = asked
    assert schema_of(choice)["properties"]["tool"]["enum"] == ["read_file", "add", "none"]
    assert schema_of(arguments) == ADD["function"]["parameters"]
    for request in asked:
        assert request.url == "https://models.example/v1/chat/completions"
        assert request.key == "key"
        assert "tools" not in request.json
        assert "tool_choice" not in request.json


def test_the_tools_are_introduced_in_the_system_message():
    _, asked = run(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}], ['{"tool": "none"}', "Hello."]
    )
    first = asked[0].json["messages"][0]
    assert first["role"] == "system"
    assert first["content"] == "Be brief.\n\nYou can use these tools:\n- read_file: Read a file\n- add: Add two numbers"


def test_without_a_tool_the_answer_is_free_text_in_the_users_own_format():
    wanted = {"type": "json_object"}
    output, asked = run("hi", ['{"tool": "none"}', '{"hello": 1}'], response_format=wanted, max_tokens=7, stop=["x"])
    assert said(output) == '{"hello": 1}'
    assert output["tiny_agents"]["answer_from"] == "model"
    assert asked[1].json["response_format"] == wanted
    assert asked[1].json["stop"] == ["x"]
    assert "stop" not in asked[0].json
    assert [request.json["max_tokens"] for request in asked] == [7, 7]


def test_results_lead_to_the_next_choice_so_calls_can_be_chained():
    history: list[Any] = [{"role": "user", "content": "Add the numbers in a.txt"}]
    first, _ = run(history, ['{"tool": "read_file"}', '{"path": "a.txt"}'])
    message = first.choices[0].message.to_dict()
    history += [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1 2"}]
    second, asked = run(history, ['{"tool": "add"}', '{"a": 1, "b": 2}'])
    assert called(second)[0] == "add"
    assert second.choices[0].message.tool_calls[0].id != message["tool_calls"][0]["id"]
    texts = [message["content"] for message in asked[0].json["messages"][1:]]
    assert texts[1] == 'I use the tool read_file with {"path":"a.txt"}'
    assert texts[2].startswith("Result of read_file:\n1 2\n\nWhich tool do you use next?")


def test_records_in_the_history_are_read_like_dictionaries():
    message = ChatCompletionInputMessage(role="user", content="hi")
    output, asked = run([message], ['{"tool": "none"}', "Hello."])
    assert said(output) == "Hello."
    assert asked[1].json["messages"][-1] == {"role": "user", "content": "hi"}


def test_tool_choice_none_asks_only_for_text():
    output, asked = run("hi", ["Hello."], tool_choice="none")
    assert said(output) == "Hello."
    assert len(asked) == 1
    assert "response_format" not in asked[0].json


def test_tool_choice_required_leaves_no_way_out():
    output, asked = run("hi", ['{"tool": "add"}', '{"a": 1, "b": 2}'], tool_choice="required")
    assert called(output)[0] == "add"
    assert schema_of(asked[0])["properties"]["tool"]["enum"] == ["read_file", "add"]


def test_a_named_tool_is_called_without_asking():
    wanted = {"type": "function", "function": {"name": "read_file"}}
    output, asked = run("hi", ['{"path": "x"}'], tool_choice=wanted)
    assert called(output) == ("read_file", {"path": "x"})
    assert len(asked) == 1


def test_a_name_that_no_tool_has_is_refused_before_anything_is_sent():
    with pytest.raises(UsageError, match="'divide'"):
        run("hi", [], tool_choice={"type": "function", "function": {"name": "divide"}})


def test_results_of_earlier_tools_are_put_into_words_when_none_is_offered():
    history = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "add", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "3"},
    ]
    output, asked = run(history, ["It is 3."], tools=[])
    assert said(output) == "It is 3."
    assert [message["role"] for message in asked[0].json["messages"]] == ["user", "assistant", "user"]


# ---------------------------------------------------------------- endpoints that ignore response_format


@pytest.mark.parametrize(
    "reply",
    [
        '```json\n{"tool": "add"}\n```',
        'I would use {"tool": "add"} here.',
        '<think>{"tool": "none"}?</think>{"tool": "add"}',
        "add",
        '"add"',
        '{"name": "add"}',
    ],
)
def test_a_choice_is_read_wherever_it_stands(reply):
    output, _ = run("1 + 2?", [reply, 'Here: {"a": 1, "b": 2}.'])
    assert called(output) == ("add", {"a": 1, "b": 2})


def test_a_reply_with_tool_and_arguments_needs_no_second_question():
    output, asked = run("1 + 2?", ['{"tool": "add", "arguments": {"a": 1, "b": 2}}'])
    assert called(output) == ("add", {"a": 1, "b": 2})
    assert len(asked) == 1


@pytest.mark.parametrize("reply", ["The answer is 3.", '{"tool": "divide"}', '{"tool": ["add"]}', "{broken", "[1, 2]"])
def test_a_reply_that_is_no_choice_is_the_final_text(reply):
    output, _ = run("1 + 2?", [chat_reply(reply, "length")])
    assert said(output) == reply
    assert output.choices[0].finish_reason == "length"


def test_arguments_that_are_no_json_are_the_final_text():
    output, _ = run("1 + 2?", ['{"tool": "add"}', "It is 3."])
    assert said(output) == "It is 3."


def test_an_empty_reply_is_an_empty_text():
    output, _ = run("1 + 2?", [chat_reply(None)])
    assert said(output) == ""


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.lists(st.text())),
    st.text(),
    st.text(),
)
def test_an_object_in_text_is_found_whatever_is_in_it(value, before, after):
    before, after = before.replace("{", "").replace("`", ""), after.replace("`", "")
    assert read_object(f"{before}{json.dumps(value)} {after}") == value


@given(st.text())
def test_no_text_breaks_the_reading_of_objects(text):
    found = read_object(text)
    assert found is None or isinstance(found, dict)


# ---------------------------------------------------------------- the history


def test_roles_take_turns_after_rewriting():
    history = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "t",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "r1"},
        {"role": "tool", "tool_call_id": "2", "content": "r2", "name": "g"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "image_url", "image_url": {"url": "u"}}]},
    ]
    rewritten = without_tool_messages(history)
    assert [message["role"] for message in rewritten] == ["system", "user", "assistant", "user"]
    assert rewritten[2]["content"] == "t\nI use the tool f with {}"
    parts = rewritten[3]["content"]
    assert parts[0]["text"] == "Result of f:\nr1\n\nResult of g:\nr2"
    assert [part["type"] for part in parts] == ["text", "text", "image_url"]


def test_the_route_of_the_embedded_model_is_asked_like_any_other():
    output, asked = emulated("1 + 2?", TOOLS, ['{"tool": "none"}', "3"], strategy="constrained", route=ROUTE)
    assert said(output) == "3"
    assert asked[0].url == "http://127.0.0.1:9/v1/chat/completions"


def test_the_users_own_additions_to_the_body_are_kept():
    _, asked = run("hi", ['{"tool": "none"}', "x"], extra={"cache_prompt": True})
    assert all(request.json["cache_prompt"] is True for request in asked)
