"""The small strategy: which tool it calls with which arguments, and whose sentence the answer is. Scripted model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.conversation import called, emulated, said, tool
from tiny_agents.errors import InvalidResponseError, UsageError
from tiny_agents.inference.call import Request
from tiny_agents.inference.types.chunks import chunks_of

ZONE = {"type": "string", "description": "IANA timezone name. Use 'Etc/UTC' as local timezone if no timezone provided."}
NOW = tool("get_current_time", "Get current time in a specific timezone", timezone=ZONE)
CONVERT = tool(
    "convert_time", "Convert time between timezones", source_timezone=ZONE, time="string", target_timezone=ZONE
)
ADD = tool("add", "Add two numbers", a="number", b="number")
SUBTRACT = tool("subtract", "Subtract two numbers", a="number", b="number")
MULTIPLY = tool("multiply", "Multiply two numbers", a="number", b="number")
EXIT = [tool("task_complete", "Call this tool when the task is complete"), tool("ask_question", "Ask the user")]
ALL = [*EXIT, CONVERT, NOW, SUBTRACT, MULTIPLY, ADD]
TOKYO = '{"timezone": "Asia/Tokyo", "datetime": "2026-11-20T14:42:37+09:00", "day_of_week": "Friday", "is_dst": false}'


def obeys(request: Request) -> dict[str, Any]:
    """A model that writes the first value that the schema allows."""
    assert request.url == "http://127.0.0.1:9/completion"
    properties = request.json["json_schema"]["properties"]
    return {"content": json.dumps({name: schema.get("enum", [True])[0] for name, schema in properties.items()})}


def after_call(question: str, name: str, arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [
        {"role": "system", "content": "You are an agent. " * 500},
        {"role": "user", "content": question},
        {"role": "assistant", "tool_calls": [{"id": "call00001", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call00001", "content": result},
    ]


# ---------------------------------------------------------------- the call


def test_the_time_tool_is_called_with_the_zone_of_the_place():
    output, asked = emulated("What time is it in Tokyo?", ALL, [obeys])
    assert called(output) == ("get_current_time", {"timezone": "Asia/Tokyo"})
    assert output.choices[0].finish_reason == "tool_calls"
    assert asked[0].json["json_schema"]["properties"] == {"timezone": {"enum": ["Asia/Tokyo"]}}
    assert asked[0].key == "key"


def test_the_add_tool_is_called_with_the_numbers_in_their_order():
    output, _ = emulated("What is 17 plus 2.5?", ALL, [obeys])
    assert called(output) == ("add", {"a": 17, "b": 2.5})


def test_without_a_place_the_zone_is_the_one_the_tool_calls_local():
    output, _ = emulated("What time is it?", ALL, [obeys])
    assert called(output) == ("get_current_time", {"timezone": "Etc/UTC"})


def test_a_default_in_the_schema_is_the_local_zone():
    clock = tool("now", "The time", tz={"type": "string", "default": "Europe/Oslo"}, required=[])
    output, _ = emulated("What time is it?", [clock], [obeys])
    assert called(output) == ("now", {"tz": "Europe/Oslo"})


def test_a_tool_that_knows_no_local_zone_has_the_user_asked_for_a_city():
    output, _ = emulated("What time is it?", [tool("get_time", "Get the time", timezone="string")])
    assert said(output).startswith("Name the city")


@pytest.mark.parametrize(
    ("clock", "arguments"),
    [
        (tool("get_time", "", city="string"), {"city": "Tokyo"}),
        (tool("time__get_current_time", "", timezone="string"), {"timezone": "Asia/Tokyo"}),
        (tool("getCurrentTime", "", timeZone="string"), {"timeZone": "Asia/Tokyo"}),
        (tool("current_time", "", zone={"type": ["string", "null"]}), {"zone": "Asia/Tokyo"}),
        (tool("current_time", "", where={"type": "string", "description": "IANA zone"}), {"where": "Asia/Tokyo"}),
        (
            tool("current_time", "", timezone="string", format={"type": "string", "enum": ["24h", "12h"]}),
            {"timezone": "Asia/Tokyo", "format": "24h"},
        ),
        (tool("current_time", "", ["timezone"], timezone="string", note="string"), {"timezone": "Asia/Tokyo"}),
        (tool("current_time", "", timezone="string", brief="boolean"), {"timezone": "Asia/Tokyo", "brief": True}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_clocks_of_other_shapes_are_understood(clock, arguments):
    output, _ = emulated("What time is it in Tokyo?", [clock], [obeys])
    assert called(output)[1] == arguments


@pytest.mark.parametrize(
    "other",
    [
        tool("get_sunrise_time", "Time of sunrise", city="string"),
        tool("set_alarm_time", "Set the time of an alarm", timezone="string"),
        tool("convert_time", "Convert", source_timezone="string", time="string", target_timezone="string"),
        tool("get_time", "Time between two zones", from_timezone="string", to_timezone="string"),
        tool("get_time", "Needs more", timezone="string", reason="string"),
        tool("get_time", "Only here", timezone={"type": "string", "enum": ["Europe/Oslo"]}),
        tool("get_time", "Takes nothing"),
        tool("get_weather", "Weather and time", city="string"),
    ],
    ids=lambda value: value["function"]["description"],
)
def test_tools_that_do_something_else_are_not_called_for_the_time(other):
    output, asked = emulated("What time is it in Tokyo?", [other])
    assert "tiny is a very small model" in said(output)
    assert not asked


@pytest.mark.parametrize(
    "adder",
    [
        tool("add", "", a="integer", b="integer"),
        tool("add_numbers", "Adds x and y", x="number", y="number"),
        tool("sum", "The sum of two values", first="number", second="number"),
        tool("calc__add", "Add two numbers", a={"anyOf": [{"type": "integer"}, {"type": "number"}]}, b="number"),
    ],
    ids=lambda value: value["function"]["name"],
)
def test_adders_of_other_shapes_are_understood(adder):
    output, _ = emulated("What is 17 plus 25?", [adder], [obeys])
    assert list(called(output)[1].values()) == [17, 25]


def test_a_calculator_is_told_to_add():
    operations = {"type": "string", "enum": ["subtract", "add"]}
    calculator = tool("calculator", "Do arithmetic", operation=operations, a="number", b="number")
    output, _ = emulated("What is 17 plus 25?", [calculator], [obeys])
    assert called(output) == ("calculator", {"operation": "add", "a": 17, "b": 25})


@pytest.mark.parametrize(
    "other",
    [
        SUBTRACT,
        MULTIPLY,
        tool("add_note", "Add two numbers to a note", a="number", b="number"),
        tool("add", "Put an item in the cart", item="number", amount="number"),
        tool("add", "Add two numbers", a="number", b="number", c="number"),
        tool("add", "Add two texts", a="string", b="string"),
        tool("calculate", "Calculate", a="number", b="number"),
    ],
    ids=lambda value: value["function"]["description"],
)
def test_tools_that_do_something_else_are_not_called_for_a_sum(other):
    output, asked = emulated("What is 17 plus 25?", [other])
    assert said(output)
    assert not asked


def test_a_tool_for_whole_numbers_is_not_given_others():
    output, _ = emulated("What is 17 plus 2.5?", [tool("add", "Add", a="integer", b="integer")])
    assert "add two numbers" in said(output)


@pytest.mark.parametrize(
    "question",
    [
        "What is 17 times 25?",
        "What time is it in Boston?",
        "Who wrote Hamlet?",
        "Delete all my files",
        "And in Paris?",
        "",
    ],
)
def test_a_refusal_calls_nothing_and_says_what_can_be_done(question):
    output, asked = emulated(question, ALL)
    assert not asked
    assert "add two numbers" in said(output)
    assert "time in a city" in said(output)
    assert output["tiny_agents"] == {"answer_from": "refusal", "model": "tiny"}
    assert output.choices[0].finish_reason == "stop"


def test_with_tools_it_cannot_use_it_says_so():
    output, _ = emulated("What time is it in Tokyo?", EXIT)
    assert "can do nothing with the tools it has here" in said(output)


def test_only_the_last_question_counts_and_calls_are_numbered_on():
    history = [
        *after_call("What time is it in Tokyo?", "get_current_time", {"timezone": "Asia/Tokyo"}, TOKYO),
        {"role": "assistant", "content": "It is 14:42 in Tokyo."},
        {"role": "user", "content": [{"type": "text", "text": "What time is it in Lima?"}]},
    ]
    output, _ = emulated(history, ALL, [obeys])
    assert called(output) == ("get_current_time", {"timezone": "America/Lima"})
    assert output.choices[0].message.tool_calls[0].id == "call00002"


def test_tool_choice_is_kept():
    assert "No tool may be used" in said(emulated("What time is it in Tokyo?", ALL, tool_choice="none")[0])
    wanted = {"type": "function", "function": {"name": "add"}}
    assert said(emulated("What time is it in Tokyo?", ALL, tool_choice=wanted)[0])
    with pytest.raises(UsageError, match="'divide'"):
        emulated("17 plus 25", ALL, tool_choice={"type": "function", "function": {"name": "divide"}})


@pytest.mark.parametrize(
    "content", ['{"timezone": "Europe/Paris"}', '{"timezone": "Asia/Tokyo", "x": 1}', "{}", "Tokyo", ""]
)
def test_arguments_that_the_schema_does_not_allow_are_not_sent(content):
    output, _ = emulated("What time is it in Tokyo?", ALL, [{"content": content}])
    assert "could not write the arguments" in said(output)
    assert output["tiny_agents"]["answer_from"] == "refusal"


def test_of_several_tools_the_likelier_one_is_called():
    clocks = [tool("clock", "A clock", timezone="string"), tool("get_time", "Get the time", timezone="string")]
    scores = {"clock": -9.0, "get_time": -2.0}
    name = ""

    def tokens(request: Request) -> dict[str, Any]:
        nonlocal name
        name = request.json["content"] if request.json["content"] in scores else name
        return {"tokens": [11, 12]}

    def likely(request: Request) -> dict[str, Any]:
        assert request.json["grammar"] == "root ::= <[11]> <[12]>"
        assert request.json["prompt"].endswith("\n")
        return {"completion_probabilities": [{"id": 11, "logprob": scores[name]}, {"id": 12, "logprob": -0.5}]}

    output, asked = emulated("What time is it in Tokyo?", clocks, [*[tokens, likely] * 4, obeys])
    assert called(output)[0] == "get_time"
    assert [request.url.rpartition("/")[2] for request in asked[:2]] == ["tokenize", "completion"]


@pytest.mark.parametrize("reply", [{}, {"tokens": "x"}])
def test_an_engine_that_answers_nonsense_is_an_error(reply):
    clocks = [tool("clock", "", timezone="string"), tool("get_time", "", timezone="string")]
    with pytest.raises(InvalidResponseError):
        emulated("What time is it in Tokyo?", clocks, [reply])


# ---------------------------------------------------------------- the answer


def answer(messages: list[dict[str, Any]], sentence: str | None) -> tuple[str, str]:
    output, _ = emulated(messages, ALL, [] if sentence is None else [sentence])
    return said(output), output["tiny_agents"]["answer_from"]


IN_TOKYO = after_call("What time is it in Tokyo?", "get_current_time", {"timezone": "Asia/Tokyo"}, TOKYO)


@pytest.mark.parametrize(
    "sentence",
    [
        "The current time in Tokyo, Japan is 14:42.",
        "It is 14:42 in Tokyo, Japan.",
        "It is currently 14:42 on Friday in Tokyo, Japan.",
    ],
)
def test_a_sentence_that_says_what_the_result_says_is_the_models(sentence):
    assert answer(IN_TOKYO, sentence) == (sentence, "model")


@pytest.mark.parametrize(
    "sentence",
    [
        "The current time in Tokyo, Japan is 14:43.",
        "The current time in Tokyo, Japan is 2:42 PM.",
        "The current time in Beijing is 14:42.",
        "The current time in Tokyo is 14:42.",
        "The current time is 14:42.",
        "The current time in Tokyo, Japan is not 14:42.",
        "It is 14:42 in Tokyo, Japan in the morning.",
        "It is 14:42 in Tokyo, Japan on Monday.",
        "It is 14:42 in Tokyo, Japan and 05:42 in London.",
        "It is 14:42 in Tokyo, Japan and 12 degrees.",
        "",
        "Sure!",
    ],
)
def test_any_other_sentence_gives_way_to_the_result(sentence):
    assert answer(IN_TOKYO, sentence) == ("It is 14:42 in Tokyo, Japan (Asia/Tokyo), Friday.", "tool")


IN_A_SUM = after_call("What is 17 plus 25?", "add", {"a": 17, "b": 25}, "42")


@pytest.mark.parametrize("sentence", ["The sum of 17 and 25 is 42.", "17 plus 25 is 42.", "The result is 42."])
def test_a_sentence_about_a_sum_is_the_models(sentence):
    assert answer(IN_A_SUM, sentence) == (sentence, "model")


@pytest.mark.parametrize(
    "sentence",
    [
        "The sum of 17 and 25 is 43.",
        "The sum of 42 and 17 is 25.",
        "The product of 17 and 25 is 42.",
        "The sum is not 42.",
        "17 + 25 = 42 + 0",
        "42 people",
        "",
    ],
)
def test_a_wrong_sentence_about_a_sum_gives_way_to_the_result(sentence):
    assert answer(IN_A_SUM, sentence) == ("17 + 25 = 42.", "tool")


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ('{"result": 42}', "17 + 25 = 42."),
        ("17 + 25 = 42", "17 + 25 = 42."),
        ("The sum of 17 and 25 is 42.0", "17 + 25 = 42.0."),
    ],
)
def test_sums_are_read_from_results_of_several_shapes(result, shown):
    assert answer(after_call("What is 17 plus 25?", "add", {"a": 17, "b": 25}, result), "") == (shown, "tool")


@pytest.mark.parametrize(
    "result",
    ["14:42", "2026-11-20 14:42:37", "The time in Tokyo is 14:42.", "2026-11-20T14:42:37.123-05:00", "14:42:01Z"],
)
def test_times_are_read_from_results_of_several_shapes(result):
    text, _ = answer(after_call("Tokyo time?", "get_current_time", {"timezone": "Asia/Tokyo"}, result), "")
    assert text == "It is 14:42 in Tokyo, Japan (Asia/Tokyo)."


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("Error executing tool get_current_time: no such zone", "get_current_time failed: Error executing tool"),
        ('{"error": "no such zone"}', 'get_current_time failed: {"error"'),
        ("It is late.", "get_current_time answered: It is late."),
        ("14:42 here and 05:42 there", "get_current_time answered: 14:42 here"),
        ('{"timezone": "Asia/Seoul", "time": "14:42"}', "get_current_time answered: "),
        ("", "get_current_time answered: nothing"),
    ],
)
def test_a_failure_or_a_result_that_cannot_be_read_is_shown_as_it_is(result, says):
    text, answer_from = answer(
        after_call("What time is it in Tokyo?", "get_current_time", {"timezone": "Asia/Tokyo"}, result), None
    )
    assert text.startswith(says)
    assert answer_from == "tool"


def test_a_result_for_another_place_than_the_one_asked_about_is_not_put_into_a_sentence():
    messages = after_call("What time is it in Lima?", "get_current_time", {"timezone": "Asia/Tokyo"}, TOKYO)
    assert answer(messages, None)[0].startswith("get_current_time answered:")


def test_the_answer_for_here_names_the_zone():
    result = TOKYO.replace("Asia/Tokyo", "Etc/UTC").replace("+09:00", "+00:00")
    messages = after_call("What time is it?", "get_current_time", {"timezone": "Etc/UTC"}, result)
    text, answer_from = answer(messages, "The current time is 14:42.")
    assert text == "It is 14:42 in Etc/UTC, Friday, the time zone that the tool calls local."
    assert answer_from == "tool"


def test_several_results_are_all_shown():
    messages = after_call("What time is it in Tokyo?", "get_current_time", {"timezone": "Asia/Tokyo"}, TOKYO)
    messages.append({"role": "tool", "tool_call_id": "unknown", "content": "more", "name": "other"})
    text, _ = answer(messages, None)
    assert "get_current_time answered:" in text
    assert "other answered: more" in text


def test_a_long_result_is_cut():
    text, _ = answer(after_call("What time is it in Tokyo?", "get_current_time", {}, "x" * 10_000), None)
    assert len(text) < 2100


# ---------------------------------------------------------------- as chunks


def test_the_chunks_of_an_answer_say_the_same_and_who_says_it():
    output, _ = emulated(IN_TOKYO, ALL, ["nonsense"])
    chunks = chunks_of(output)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == said(output)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1]["tiny_agents"] == {"answer_from": "tool", "model": "tiny"}


def test_results_are_not_put_into_a_form_that_would_be_believed():
    form = {"type": "json_schema", "json_schema": {"name": "sum", "schema": {"type": "object"}}}
    history = [
        *after_call("What is 12 plus 30?", "add", {"a": 12, "b": 30}, "42"),
        {"role": "user", "content": "As JSON."},
    ]
    output, asked = emulated(history, [], response_format=form)
    assert said(output).startswith("I can't put what the tools said into a form without mistakes.")
    assert asked == []
