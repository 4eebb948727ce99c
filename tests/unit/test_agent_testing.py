"""Tests of agents: what is compared with what, where tests are found, and models that answer from a script."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any, get_args

import pytest

from tiny_agents import Agent, ScriptedAnswer, ScriptedCall, ScriptedClient
from tiny_agents.agent.definition.document import read_yaml
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.test_keys import read_case
from tiny_agents.agent.definition.validation import validate_definition
from tiny_agents.agent.loop.limits import LimitName
from tiny_agents.agent.loop.rules import StopReason
from tiny_agents.agent.testing.case import AMOUNTS, OUTCOMES, STOP_REASONS
from tiny_agents.agent.testing.checking import Happened, MadeCall, problems
from tiny_agents.agent.testing.loading import cases_of
from tiny_agents.agent.testing.recording import read_recording, write_recording
from tiny_agents.errors import ConfigError, InferenceError, UsageError
from tiny_agents.mcp_client.observing.observing import Outcome

READ = MadeCall("read_note", "notes", "read_note", {"name": "garden", "lines": 3})
DENIED = MadeCall("notes__write", "notes", "write", {"name": "a"}, "denied")
INNER = MadeCall("look_up", "researcher/web", "look_up", {"city": "Oslo"})
GHOST = MadeCall("ghost", outcome="not_run")
HAPPENED = Happened(
    'It is 9. {"no": "json"}',
    calls=(READ, DENIED, INNER, GHOST),
    used={"model_calls": 3, "tool_calls": 4, "tokens": 900, "cost_usd": None, "seconds": 1.5},
)


def expected(text: str) -> Any:
    return read_case(read_yaml(f"{{prompt: a, expect: {text}}}", "tests.yaml")).expected


MET = (
    "{}",
    "{contains: It is}",
    "{contains: [It, '9'], excludes: Kyoto}",
    r"{matches: '(?i)it is \d'}",
    "{calls: [read_note]}",
    "{calls: [notes.read_*, researcher/web.look_up, web.look_up, look_*]}",
    "{calls: [{tool: read_note, arguments: {name: gar*, lines: 3}, times: 1}]}",
    "{calls: [{tool: notes.write, outcome: denied}, {tool: ghost, outcome: not_run}, {tool: 'w*', outcome: any}]}",
    "{calls: [{tool: shell.run, times: 0}]}",
    "{no_calls: [shell.*, '*delete*']}",
    "{stop_reason: [done, turn_limit]}",
    "{at_most: {model_calls: 3, tokens: 900, seconds: 1.5}}",
)


@pytest.mark.parametrize("text", MET)
def test_what_is_as_expected_has_no_problem(text: str) -> None:
    assert problems(expected(text), HAPPENED) == []


UNMET = (
    ("{contains: It was}", 'contains: "It was" is missing; the answer is "It is 9. {\\"no'),
    ("{excludes: [a, It]}", 'excludes: "It" is there; the answer is'),
    ("{matches: ^9}", "matches: '^9' fits nowhere; the answer is"),
    ("{equals: It is 9.}", 'equals: should be "It is 9."; the answer is'),
    ("{output: {no: json}}", "output: It is no JSON: Expecting value"),
    ("{schema: {type: object}}", "schema: It is no JSON: Expecting value"),
    ("{calls: [shell.run]}", "calls: shell.run was not called; it called notes.read_note {"),
    ("{calls: [notes.write]}", "calls: notes.write was not called so (outcome: ok); it called"),
    ("{calls: [{tool: read_note, arguments: {name: kitchen}}]}", "calls: read_note (name=kitchen) was not called so"),
    ("{calls: [{tool: read_note, arguments: {page: '*'}}]}", "calls: read_note (page=*) was not called so"),
    ("{calls: [{tool: read_note, times: 2}]}", "calls: read_note was to be called 2 times, and was once; it called"),
    ("{no_calls: [notes.w*]}", 'no_calls: notes.w* was called: notes.write {"name": "a"} (denied)'),
    ("{no_calls: ['*']}", "no_calls: * was called: "),
    ("{stop_reason: turn_limit}", "stop_reason: is done, not turn_limit"),
    ("{at_most: {tool_calls: 3}}", "at_most.tool_calls: 4 were used, and 3 is the most"),
    ("{at_most: {cost_usd: 1}}", "at_most.cost_usd: isn't known; for costs, the price of the model has to be"),
)


@pytest.mark.parametrize(("text", "words"), UNMET)
def test_what_is_not_as_expected_is_named_with_what_there_was(text: str, words: str) -> None:
    (problem,) = problems(expected(text), HAPPENED)
    assert problem.startswith(words)


def test_an_answer_that_is_data_is_compared_by_what_is_named() -> None:
    answer = Happened('```json\n{"a": {"b": [1, true], "c": 2}, "d": null}\n```')
    assert problems(expected("{output: {a: {b: [1, true]}, d: null}, schema: {required: [a]}}"), answer) == []
    found = problems(expected("{output: {a: {b: [1, 1], x: 2}, d: 0, e: 1}, schema: {required: [a]}}"), answer)
    assert found == [
        "output.a.b[1]: should be 1, but is true",
        "output.a.x: is missing",
        "output.d: should be 0, but is null",
        "output.e: is missing",
    ]
    assert problems(expected("{schema: {required: [z]}}"), answer) == [
        "schema: It does not fit the schema: $: 'z' is a required property The answer is "
        '"```json\\n{\\"a\\": {\\"b\\": [1, true], \\"c\\": 2}, \\"d\\": null}\\n```"'
    ]


def test_a_run_that_came_to_no_end_is_a_problem_unless_it_is_expected() -> None:
    stopped = Happened("", "time_limit", "Stopped after 3 seconds")
    assert problems(expected("{}"), stopped) == [
        "stop_reason: is time_limit (Stopped after 3 seconds), not done or exit_tool"
    ]
    assert problems(expected("{stop_reason: time_limit}"), stopped) == []
    assert problems(expected("{contains: a, stop_reason: time_limit}"), stopped) == [
        'contains: "a" is missing; there is no answer'
    ]


def test_the_words_of_tests_are_those_of_runs() -> None:
    assert set(STOP_REASONS) == set(get_args(StopReason)) - {"aborted", "failed"}
    assert set(OUTCOMES) == set(get_args(Outcome)) - {"cancelled"} | {"any"}
    assert set(AMOUNTS) == set(get_args(LimitName)) - {"repeat"}


# ---- where tests are found


def agent(folder: Path, tests: str) -> Path:
    (folder / "agent.yaml").write_text(f"model: m\ntests: {tests}\n", encoding="utf-8")
    return folder


def test_tests_come_from_files_and_from_the_definition_each_with_its_place_and_name(tmp_path: Path) -> None:
    (tmp_path / "tests" / "more").mkdir(parents=True)
    (tmp_path / "tests" / "b.yaml").write_text("- prompt: One?\n- prompt: One?\n", encoding="utf-8")
    (tmp_path / "tests" / "a.json").write_text('{"name": "alone", "prompt": "Two?"}', encoding="utf-8")
    (tmp_path / "tests" / "more" / "c.yml").write_text(f"prompt: {'long ' * 30}\n", encoding="utf-8")
    agent(tmp_path, "[./tests/*.*, {prompt: Three!}, tests/**/*.yml]")

    cases = cases_of(load_definition(tmp_path))
    assert [(case.name, case.path and case.path.name, case.line) for case in cases] == [
        ("alone", "a.json", 1),
        ("One? (1)", "b.yaml", 1),
        ("One? (2)", "b.yaml", 2),
        ("Three!", "agent.yaml", 2),
        (f"{'long ' * 11}long…", "c.yml", 1),
    ]


BROKEN = (
    ("[./none.yaml]", None, "agent.yaml:2:9: tests[0]: there is no file './none.yaml' beside the definition"),
    ("[./none/*.yaml]", None, "tests[0]: no file beside the definition fits './none/*.yaml'"),
    ("[../*.yaml]", None, "tests[0]: '../*.yaml': a pattern is about files below the agent's folder"),
    ("[../other.yaml]", None, "tests[0]: '../other.yaml' lies outside the agent's folder"),
    ("[./t.yaml]", "- promt: a\n", "t.yaml:1:3: [0].promt: unknown key (did you mean 'prompt'?)"),
    ("[./t.yaml]", "text", "t.yaml:1:1: a file with tests is a list of tests, or a single one; this is text"),
    ("[./t.yaml]", "", "t.yaml: is empty"),
    ("[./t.txt]", "- prompt: a\n", "t.txt: a file with tests ends in .yaml, .yml, .json"),
    ("[./t.yaml]", b"- prompt: \xff\n", "t.yaml:1: is not UTF-8 text (byte 0xff); save it as UTF-8"),
    (
        "[./t.yaml]",
        "- prompt: a\n  expect: {schema: ./s.json}\n",
        "t.yaml:1: [0].expect.schema: there is no file './s.json' beside this one",
    ),
    (
        "[./t.yaml]",
        "- prompt: a\n  expect: {schema: ../../s.json}\n",
        "[0].expect.schema: '../../s.json' lies outside the agent's folder",
    ),
    (
        "[{prompt: a, expect: {schema: {type: thing}}}]",
        None,
        "agent.yaml:2: tests[0].expect.schema: type is no JSON Schema: 'thing' is no type",
    ),
)


@pytest.mark.parametrize(("tests", "content", "words"), BROKEN)
def test_a_test_that_can_not_be_used_is_said_with_its_place(
    tmp_path: Path, tests: str, content: str | bytes | None, words: str
) -> None:
    if content is not None:
        name = "t.txt" if "t.txt" in tests else "t.yaml"
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    definition = load_definition(agent(tmp_path, tests))  # an agent runs whatever its tests are

    with pytest.raises(ConfigError) as caught:
        cases_of(definition)
    assert words in str(caught.value)
    assert words in str(validate_definition(tmp_path).errors[0])


def test_all_that_is_wrong_with_tests_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- promt: a\n- prompt: 3\n", encoding="utf-8")
    found = validate_definition(agent(tmp_path, "[./a.yaml, ./b.yaml]"))
    assert [error.key for error in found.errors] == ["[0].promt", "[0].prompt", "[1].prompt", "tests[1]"]


# ---- models that answer from a script


def ask(client: ScriptedClient, *said: str) -> Any:
    messages = [{"role": "user", "content": text} for text in said]
    return asyncio.run(client.chat.completions.create(messages)).choices[0]


def test_a_script_gives_each_answer_once_and_says_when_it_has_no_more() -> None:
    client = ScriptedClient(
        ["One.", ScriptedAnswer(calls=(ScriptedCall("add", {"a": 1}),)), ScriptedAnswer("Cut", finish_reason="length")]
    )
    assert ask(client, "a").message.content == "One."
    called = ask(copy.copy(client), "a")
    assert (called.finish_reason, called.message.tool_calls[0].function.arguments) == ("tool_calls", '{"a":1}')
    assert ask(client, "a").finish_reason == "length"
    with pytest.raises(InferenceError, match=r"the script has 3 answers, and the model was asked once more: And now\?"):
        ask(client, "a", "And now?")
    assert client.script.left == ()


def test_an_answer_is_for_the_message_that_it_names() -> None:
    client = ScriptedClient([ScriptedAnswer("Cold.", to="Oslo"), ScriptedAnswer("Mild.", to="Rome"), "Done."])
    assert ask(client, "Rome?").message.content == "Mild."
    assert ask(client, "Lima?").message.content == "Done."
    with pytest.raises(InferenceError, match=r"none of the answers that are left in the script \(1 of 3 answers\)"):
        ask(client, "Lima?")


def test_a_script_answers_chats_alone() -> None:
    with pytest.raises(UsageError, match="answers chats alone, and can't do text-to-image"):
        asyncio.run(ScriptedClient([]).text_to_image("a cat"))


async def _counted(client: ScriptedClient) -> Any:
    def word_count(text: str) -> int:
        """Count the words of a text."""
        return len(text.split())

    async with Agent(client=client) as agent:
        agent.add_tool(word_count)
        return await agent.run_to_completion("How many?")


def test_an_agent_works_with_a_script_as_with_a_model() -> None:
    call = ScriptedCall("word_count", {"text": "a b c"})
    result = asyncio.run(_counted(ScriptedClient([ScriptedAnswer(calls=(call,), reasoning="Let me see."), "Three."])))
    assert (result.text, result.tool_calls, result.model_calls, result.model) == ("Three.", 1, 2, "scripted")


def test_arguments_that_are_no_json_go_out_as_they_are() -> None:
    broken = ScriptedAnswer(calls=(ScriptedCall("word_count", '{"text": "a b'),))
    result = asyncio.run(_counted(ScriptedClient([broken, "Sorry."])))
    assert result.text == "Sorry."
    assert result.messages[2]["role"] == "tool"


# ---- recordings


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "answers.json"
    answers = (
        ScriptedAnswer(calls=(ScriptedCall("add", {"a": 1}), ScriptedCall("add", "{")), reasoning="Hm.", heard="x"),
        ScriptedAnswer("Three.", finish_reason="stop", usage={"prompt_tokens": 3}),
    )
    write_recording(file, {"adds": answers})
    assert read_recording(file) == {"adds": answers}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such recording: make it with --record"),
        ("", "is no recording"),
        ('{"version": 1, "tests": {"a": [{"text": 3}]}}', "is no recording (Expected `str`, got `int`"),
        ('{"version": 2, "tests": {}}', "was written by a newer tiny-agents"),
    ],
)
def test_what_is_no_recording_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "answers.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_recording(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
