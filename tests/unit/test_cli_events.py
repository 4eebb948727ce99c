"""What the agent yields becomes what the reader is told."""

import json

import pytest

from tests.support.openai_server import calls, delta, text
from tiny_agents.cli.screen.events import EventReader, Origin, Text, Thought, ToolCall, ToolResult, content_text
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, decode_chunk


def chunks(turn):
    return [decode_chunk(json.dumps(event).encode()) for event in turn.events]


def result(name, content):
    return ChatCompletionInputMessage(role="tool", name=name, content=content, tool_call_id="call_0")


def read(*items):
    reader = EventReader()
    return [event for item in items for event in reader.read(item)]


def test_text_comes_piece_by_piece():
    assert read(*chunks(text("It is ", "noon."))) == [Text("It is "), Text("noon.")]


def test_a_call_is_told_whole_before_its_result():
    call = ToolCall("call_0", "now", '{"zone": "Asia/Tokyo"}')
    items = [*chunks(calls(("now", {"zone": "Asia/Tokyo"}))), result("now", "12:00")]
    assert read(*items[:-1]) == [call]
    assert read(*items) == [call, ToolResult("now", "12:00", of_several=False)]


def test_parallel_calls_are_told_first_and_their_results_are_marked():
    items = [*chunks(calls(("add", {"a": 1}), ("sub", {"a": 2}))), result("add", "3"), result("sub", "4")]
    events = read(*items)
    assert [type(event) for event in events] == [ToolCall, ToolCall, ToolResult, ToolResult]
    assert [event.of_several for event in events[2:]] == [True, True]


def test_a_turn_that_never_says_it_is_finished_still_tells_its_calls_before_the_results():
    unfinished = chunks(calls(("now", {})))[:-1]
    assert read(*unfinished) == []
    events = read(*unfinished, result("now", "12:00"))
    assert [type(event) for event in events] == [ToolCall, ToolResult]


def test_every_turn_tells_its_own_calls_once():
    first = [*chunks(calls(("add", {"a": 1}), content="Let me see.")), result("add", "3")]
    second = [*chunks(calls(("sub", {"a": 2}))), result("sub", "4")]
    events = read(*first, *second, *chunks(text("Done.")))
    assert [getattr(event, "name", None) or event.text for event in events] == [
        "Let me see.",
        "add",
        "add",
        "sub",
        "sub",
        "Done.",
    ]


def test_thinking_is_kept_apart_from_the_answer():
    items = [decode_chunk(json.dumps(delta(**fields)).encode()) for fields in ({"reasoning": "hm"}, {"content": "Yes"})]
    assert read(*items) == [Thought("hm"), Text("Yes")]
    other = decode_chunk(json.dumps(delta(reasoning_content="hm")).encode())
    assert read(other) == [Thought("hm")]


@pytest.mark.parametrize("who", ["model", "tool", "refusal"])
def test_the_last_chunk_may_say_whose_answer_it_is(who):
    last = {**delta("stop", content="Noon."), "tiny_agents": {"answer_from": who}}
    assert read(decode_chunk(json.dumps(last).encode())) == [Text("Noon."), Origin(who)]


@pytest.mark.parametrize("note", ["text", 3, {"answer_from": 1}, {}])
def test_a_note_of_another_shape_is_no_event(note):
    last = {**delta("stop"), "tiny_agents": note}
    assert read(decode_chunk(json.dumps(last).encode())) == []


def test_a_chunk_without_choices_is_no_event():
    assert read(decode_chunk(b'{"choices": [], "usage": {"total_tokens": 3}}')) == []


def test_content_in_parts_is_read_as_text():
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:..."}}, "odd"]
    assert content_text(parts) == "one\n[image_url]\n[unknown part]"
    assert content_text(None) == ""
