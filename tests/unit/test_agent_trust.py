"""Answers about downloaded agents: what they cover, and the file they are kept in."""

from __future__ import annotations

import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.reference import HubReference, Origin
from tiny_agents.agent.definition.trust import Trusted, TrustStore, as_it_is, covers, what_changed
from tiny_agents.errors import ConfigError

DEFINITION = parse_definition("name: scout\nservers: {a: {command: npx, args: [one]}}")
ORIGIN = Origin(
    HubReference("tiny-agents/tiny-agents", "u/a"),
    "c" * 40,
    Path("/x"),
    {"agent.yaml": "1", "b": "2"},
    {},
    "h",
    "hf://u/a",
)
ANSWER = as_it_is(DEFINITION, ORIGIN, on="2026-11-20")


def test_an_answer_is_for_these_files_and_these_consequences() -> None:
    assert ANSWER.name == "u/a"
    assert ANSWER.consequences == ("runs the command: npx one",)
    assert covers(ANSWER, as_it_is(DEFINITION, replace(ORIGIN, commit="d" * 40), on="2026-11-21"))
    assert not covers(None, ANSWER)
    assert not covers(ANSWER, as_it_is(DEFINITION, replace(ORIGIN, content="other")))
    # A later tiny-agents may read more out of the same file.
    assert not covers(ANSWER, as_it_is(parse_definition("servers: {a: {command: npx, args: [two]}}"), ORIGIN))


def test_what_changed_names_what_came_what_went_and_the_files() -> None:
    now = as_it_is(
        parse_definition("servers: {a: {url: 'http://x/mcp'}}"), replace(ORIGIN, files={"agent.yaml": "9", "c": "3"})
    )
    assert what_changed(ANSWER, now) == [
        "- runs the command: npx one",
        "+ connects to: http://x/mcp",
        "changed: agent.yaml",
        "new: c",
        "gone: b",
    ]
    assert what_changed(ANSWER, ANSWER) == []


def test_answers_are_kept_for_the_user_alone_replaced_and_revoked(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "new" / "answers.json")
    assert store.answers() == {}
    store.remember(ANSWER)
    store.remember(msgspec.structs.replace(ANSWER, address="other"))
    store.remember(msgspec.structs.replace(ANSWER, commit="e" * 40))
    assert {key: answer.commit[0] for key, answer in store.answers().items()} == {"hf://u/a": "e", "other": "c"}
    if sys.platform != "win32":
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    store.revoke(["hf://u/a", "unknown"])
    assert list(store.answers()) == ["other"]


def test_answers_given_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "answers.json")
    answers = [msgspec.structs.replace(ANSWER, address=f"hf://{number}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(store.remember, answers))
    assert len(store.answers()) == 12


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (b"{}", "is damaged"),
        (b'{"version": 1, "agents": [{"address": 5}]}', "is damaged"),
        (b'{"version": 1, "agents": {', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b'{"version": 2, "agents": "in a form of the future"}', "was written by a newer tiny-agents (version 2"),
    ],
)
def test_a_file_that_can_not_be_believed_is_an_error_and_not_overwritten(
    tmp_path: Path, content: bytes, words: str
) -> None:
    store = TrustStore(tmp_path / "answers.json")
    store.path.write_bytes(content)
    store.path.chmod(0o600)
    for use in (store.answers, lambda: store.remember(ANSWER), lambda: store.revoke(["x"])):
        with pytest.raises(ConfigError, match="answers.json: ") as caught:
            use()
        assert words in str(caught.value)
    assert store.path.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    store = TrustStore(tmp_path / "answers.json")
    store.remember(ANSWER)
    store.path.chmod(mode)
    with pytest.raises(ConfigError, match="others can write it, so its answers can't be believed: chmod 600"):
        store.answers()


def test_the_file_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "answers.json")
    store.remember(ANSWER)
    found = json.loads(store.path.read_text())
    assert found["version"] == 1
    assert found["agents"][0]["consequences"] == ["runs the command: npx one"]
    assert msgspec.convert(found["agents"][0], Trusted) == ANSWER
    assert sorted(os.listdir(tmp_path)) == [".answers.json.lock", "answers.json"]
