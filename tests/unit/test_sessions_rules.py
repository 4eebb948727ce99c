"""The rules of saved conversations that need no file: what a crash left, where cuts go, what is different, exports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.history import assert_valid
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.types import ServerDefinition
from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.agent.sessions import export
from tiny_agents.agent.sessions.about import about, definition_hash, differences, tool_differences
from tiny_agents.agent.sessions.history import before_last_requests, recover, whole_until
from tiny_agents.agent.sessions.redacting import redacted_start
from tiny_agents.agent.sessions.requests import is_request, title_of
from tiny_agents.agent.sessions.types import About, SavedMessage, SessionInfo, StoredSession
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.results.media import media_message

SYSTEM = {"role": "system", "content": "Be brief."}
IMAGE = media_message([("look", {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})]).to_dict()


def turn(number: int, calls: int, image: bool) -> list[dict[str, Any]]:
    """A request with `calls` tool calls, and the answer to it."""
    ids = [f"c{number}_{index}" for index in range(calls)]
    tool_calls = [{"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id in ids]
    called = [{"role": "assistant", "tool_calls": tool_calls}] if calls else []
    results = [{"role": "tool", "tool_call_id": id, "name": "look", "content": "seen"} for id in ids]
    images = [IMAGE] if image and calls else []
    request = {"role": "user", "content": f"request {number}"}
    return [request, *called, *results, *images, {"role": "assistant", "content": f"answer {number}"}]


HISTORIES = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=5).map(
    lambda turns: [SYSTEM, *(message for number, shape in enumerate(turns) for message in turn(number, *shape))]
)


@given(HISTORIES, st.data())
def test_a_cut_anywhere_leaves_whole_tool_calls(history: list[dict[str, Any]], data: st.DataObject) -> None:
    asked = data.draw(st.integers(1, len(history)))
    cut = history[: whole_until(history, asked)]
    assert len(cut) >= asked
    assert_valid(cut)


@given(HISTORIES, st.data(), st.sampled_from(["", "So far"]))
def test_whatever_a_crash_left_is_valid_and_another_request_can_follow(
    history: list[dict[str, Any]], data: st.DataObject, partial: str
) -> None:
    cut = history[: whole_until(history, data.draw(st.integers(2, len(history))))]
    start = max(index for index, message in enumerate(cut) if is_request(message))
    found = recover(cut, start, partial)
    assert_valid([*found.messages, {"role": "user", "content": "and?"}])
    assert len(found.messages) == 1 or found.messages[-1]["role"] == "assistant"
    assert (found.unanswered is not None) == (len(cut) == start + 1 and not partial)
    assert found.messages[:start] == cut[:start]
    again = recover(found.messages, None, "")
    assert again.messages == found.messages


@given(HISTORIES, st.data())
def test_rewinding_drops_exactly_the_last_requests(history: list[dict[str, Any]], data: st.DataObject) -> None:
    requests = [message for message in history if is_request(message)]
    turns = data.draw(st.integers(1, len(requests)))
    left = history[: before_last_requests(history, turns)]
    assert [message for message in left if is_request(message)] == requests[:-turns]
    assert_valid(left)


@given(HISTORIES)
def test_an_exported_session_comes_back_the_same(history: list[dict[str, Any]]) -> None:
    messages = tuple(SavedMessage(message, 1000.5, {"total_tokens": 3}) for message in history)
    stored = StoredSession(
        SessionInfo(id="a", title="request 0", about=About(agent="clock", tools=("look",))), messages
    )
    back = export.from_json(export.to_json(stored))
    assert back.messages == messages
    assert (back.info.title, back.info.about.agent) == ("request 0", "clock")


def test_a_bare_list_of_messages_is_a_session_too() -> None:
    back = export.from_json(json.dumps([{"role": "user", "content": "Where is\nKyoto?"}]))
    assert (back.info.title, back.run_start, len(back.messages)) == ("Where is Kyoto?", 0, 1)


def with_context(context: Any) -> str:
    shape = {"format": export.FORMAT, "version": 1, "messages": [{"role": "user", "content": "x"}], "context": context}
    return json.dumps(shape)


SUMMED_UP = {"pinned": [0], "summary": "They talked about ```ferns```.", "upto": 2, "carried": [0], "by": "model"}


def summed_up(context: dict[str, Any]) -> StoredSession:
    said = [("system", "Be kind."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    messages = tuple(SavedMessage({"role": role, "content": content}, 0.0) for role, content in said)
    return StoredSession(SessionInfo(id="a", title="T"), messages, context=context)


def test_a_summary_is_exported_and_comes_back() -> None:
    assert json.loads(export.to_json(summed_up(SUMMED_UP)))["context"] == SUMMED_UP
    assert export.from_json(export.to_json(summed_up(SUMMED_UP))).context == SUMMED_UP
    assert export.from_json(export.to_json(summed_up({**SUMMED_UP, "other": 1}))).context == SUMMED_UP
    assert "context" not in json.loads(export.to_json(msgspec.structs.replace(summed_up({}), context=None)))


def test_a_summary_stands_in_markdown_where_the_model_gets_it() -> None:
    page = export.to_markdown(summed_up(SUMMED_UP))
    before, _, after = page.partition(
        "**What is above is left out for the model, which gets this in its place**\n\n"
        "````\nThey talked about ```ferns```.\n````\n"
    )
    assert before.rstrip().endswith("## Assistant\n\nb")
    assert after.lstrip().startswith("## User\n\nc")
    assert "*(What is above is left out for the model.)*" in export.to_markdown(summed_up({"summary": "", "upto": 2}))
    assert export.to_markdown(summed_up({"pinned": [0]})).count("left out") == 0


CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "this is no JSON"),
        ("3", "this is no exported session"),
        ('{"format": "other"}', "this is no exported session"),
        ('{"format": "tiny-agents-session", "version": 2}', "this is version 2 of the format"),
        ("[]", "must be a list of messages"),
        ("[1]", "message 1 has no role"),
        ('[{"role": "pirate"}]', "message 1 has no role"),
        ('[{"role": "tool", "tool_call_id": "c1"}]', "message 1 is the result of a tool call that isn't there"),
        (with_context("x"), '"context" must be an object'),
        (with_context({"summary": 3}), '"summary" must be a text'),
        (with_context({"upto": "2"}), '"upto" must be a whole number'),
        (with_context({"pinned": [True]}), '"pinned" must be a list of whole numbers'),
        (json.dumps([CALL]), "the last tool calls have no results"),
        (json.dumps([CALL, {"role": "user", "content": "x"}]), "message 2 comes before the results"),
    ],
)
def test_what_is_no_conversation_is_not_imported(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        export.from_json(text)


def test_nothing_in_a_message_ends_its_block_in_markdown() -> None:
    messages = [
        CALL,
        {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "```\n# I am a heading\n````"},
        IMAGE,
    ]
    page = export.to_markdown(
        StoredSession(SessionInfo(id="a", title="T"), tuple(SavedMessage(m, 0.0) for m in messages))
    )
    assert "`````\n```\n# I am a heading\n````\n`````" in page
    assert "(image_url is left out here)" in page


def test_a_title_is_one_short_line() -> None:
    assert title_of("  What\n is \t this? ") == "What is this?"
    assert len(title_of("word " * 100)) == 80


@pytest.mark.parametrize(
    ("text", "saved"), [("my key is xyz-12345.", "my key is ***."), ("my key is xyz-1", "my key is "), ("so", "so")]
)
def test_a_secret_that_is_just_being_written_is_left_out(text: str, saved: str) -> None:
    assert redacted_start(text, ["xyz-12345"]) == saved


# ---------------------------------------------------------------- with whom


def test_a_definition_is_the_same_however_it_is_found_and_different_when_it_says_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("model: m\nservers: [{command: uvx, env: {TOKEN: '${input:token}'}}]\ninputs: [{id: token}]\n")
    monkeypatch.chdir(tmp_path)
    refs = ["agent.yaml", ".", str(tmp_path), file]
    seen = [about(ref, load_definition(ref), ModelSettings("m")) for ref in refs]
    assert {each.agent_hash for each in seen} == {seen[0].agent_hash}
    assert {each.agent for each in seen} == {str(file), str(tmp_path)}
    assert about("clock", load_definition("clock"), ModelSettings("m")).agent == "clock"
    definition = load_definition(file)
    servers = (ServerDefinition("uvx", "stdio", {"command": "npx"}),)
    assert definition_hash(replace(definition, servers=servers)) != definition_hash(definition)
    assert definition_hash(replace(definition, prompt="Be brief.")) != definition_hash(definition)


def test_addresses_are_saved_without_passwords_and_keys() -> None:
    model = ModelSettings("m", None, "https://me:hunter2@host:8080/v1?key=hunter3", "hunter4", "the command line")
    saved = about("clock", load_definition("clock"), model)
    assert saved.endpoint == "https://host:8080/v1"
    assert "hunter" not in repr(saved)


def test_what_is_different_is_said() -> None:
    before = About(agent="/a", agent_name="a", agent_hash="1", model="m", provider="p", tools=("x", "y"))
    assert differences(before, before) == []
    assert differences(before, msgspec.structs.replace(before, agent_hash="2")) == [
        "The agent's definition has changed since; it holds as it is now."
    ]
    assert differences(before, msgspec.structs.replace(before, agent="/b", agent_name="b", agent_hash="2")) == [
        "The agent was a, now it is b."
    ]
    assert differences(before, msgspec.structs.replace(before, model="n")) == [
        "The model was m at p, now it is n at p."
    ]
    assert tool_differences(("x", "y"), ("y", "z")) == ["Tools that are gone since: x.", "Tools that are new: z."]
    assert tool_differences((), ("y",)) == []


def test_the_checksum_of_a_definition_knows_its_agents_and_not_where_they_lie(tmp_path: Path) -> None:
    hashes = []
    for name, description in (("one", "Helps."), ("two", "Helps."), ("three", "Helps more.")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "agent.yaml").write_text("name: top\ntools: {agents: [./b.yaml], python: [t.py]}", encoding="utf-8")
        (folder / "b.yaml").write_text(f"description: {description}", encoding="utf-8")
        (folder / "t.py").write_text("def f(): ...", encoding="utf-8")
        hashes.append(definition_hash(load_definition(folder)))
    assert hashes[0] == hashes[1] != hashes[2]
