"""`agent.lock`: what it holds, what differs from it, and what is no lock."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.lock import (
    AgentLock,
    Seen,
    differences,
    differences_of_all_tools,
    lock_of,
    lock_path,
    lock_path_of,
    mismatch,
    read_lock,
    tool_differences,
    write_lock,
)
from tiny_agents.agent.definition.reference import HubReference, Origin
from tiny_agents.agent.definition.types import AgentDefinition, SubagentDefinition, ToolsDefinition
from tiny_agents.errors import ConfigError
from tiny_agents.mcp_client.tools.pinning import ToolPrint

ENV = {"XDG_DATA_HOME": "/data", "LOCALAPPDATA": "/data"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An agent with a prompt, a server of its own, and one that is fetched."""
    folder = tmp_path / "scout"
    (folder / "tools").mkdir(parents=True)
    (folder / "agent.yaml").write_text(
        "servers:\n  own: {command: python, args: ['${agentDir}/tools/run.py']}\n"
        "  other: {command: npx, args: [-y, pkg@1.2.3]}\n"
    )
    (folder / "PROMPT.md").write_text("Look.")
    (folder / "tools" / "run.py").write_text("print()")
    (folder / "unrelated.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    return folder


def from_hub(definition: AgentDefinition, **changes: object) -> AgentDefinition:
    reference = HubReference("tiny-agents/tiny-agents", "u/a")
    origin = Origin(reference, "c" * 40, Path("/x"), {"agent.yaml": "1"}, {}, "h", reference.address)
    return replace(definition, downloaded=True, origin=replace(origin, **changes))


def test_a_lock_holds_what_the_agent_is_made_of(folder: Path) -> None:
    definition = load_definition(folder)
    inner = {"helper": {"web": {"get": ToolPrint("x")}}, "helper/reader": {"notes": {"read": ToolPrint("y")}}}
    seen = Seen({"own": {"look": ToolPrint("d", "i", "o", "h")}}, inner)
    lock = lock_of(definition, seen)

    assert (lock.agent, lock.revision) == ("agent.yaml", None)
    assert set(lock.files) == {"agent.yaml", "PROMPT.md", "tools/run.py"}
    assert lock.packages == {"other": "npm:pkg@1.2.3"}
    path = lock_path(definition)
    assert path == folder / "agent.lock"
    write_lock(path, lock, private=False)
    assert read_lock(path) == lock
    assert json.loads(path.read_text())["tools"]["own"]["look"] == {
        "description": "d",
        "input": "i",
        "output": "o",
        "hints": "h",
    }
    assert differences(lock, definition) == []
    assert differences_of_all_tools(lock, seen) == []
    helper = lock.of_agent("helper")
    assert helper is not None
    assert tool_differences(helper, inner["helper"]) == []
    reader = helper.of_agent("reader")
    assert reader is not None
    assert tool_differences(reader, {"notes": {"read": ToolPrint("z")}}) == ["changed tool: notes.read (description)"]
    assert lock.of_agent("other") is None
    assert msgspec.structs.replace(lock, agent_tools=None).of_agent("helper") is None


def test_a_lock_is_the_same_bytes_for_the_same_agent(folder: Path) -> None:
    definition = load_definition(folder)
    first = {"b": {"y": ToolPrint("1"), "x": ToolPrint("2")}, "a": {}}
    second = {"a": {}, "b": {"x": ToolPrint("2"), "y": ToolPrint("1")}}
    written = []
    for tools in (first, second):
        write_lock(folder / "one.lock", lock_of(definition, Seen(tools)), private=False)
        written.append((folder / "one.lock").read_bytes())
    assert written[0] == written[1]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_lock_beside_a_definition_can_be_shared_and_one_of_ours_can_not(folder: Path) -> None:
    lock = lock_of(load_definition(folder))
    write_lock(folder / "shared.lock", lock, private=False)
    write_lock(folder / "new" / "own.lock", lock, private=True)
    (folder / "plain").touch()
    assert stat.S_IMODE((folder / "shared.lock").stat().st_mode) == stat.S_IMODE((folder / "plain").stat().st_mode)
    assert stat.S_IMODE((folder / "new" / "own.lock").stat().st_mode) == 0o600


def test_every_difference_is_named(folder: Path) -> None:
    lock = lock_of(load_definition(folder))
    (folder / "agent.yaml").write_text("servers:\n  other: {command: npx, args: [-y, pkg@1.3.0]}\nprompt: ./new.md")
    (folder / "new.md").write_text("New.")

    assert differences(lock, load_definition(folder)) == [
        "changed: agent.yaml",
        "new: new.md",
        "gone: PROMPT.md",
        "gone: tools/run.py",
        "package of the server other: npm:pkg@1.2.3 was locked, npm:pkg@1.3.0 is there",
    ]


def test_the_revision_counts_only_together_with_a_file(folder: Path) -> None:
    definition = load_definition(folder)
    lock = lock_of(from_hub(definition))

    assert lock.agent == "hf://datasets/tiny-agents/tiny-agents/u/a"
    assert differences(lock, from_hub(definition, commit="d" * 40)) == []
    assert differences(lock, from_hub(definition, commit="d" * 40, files={"agent.yaml": "2"})) == [
        "changed: agent.yaml",
        "revision: cccccccccccc was locked, dddddddddddd is there",
    ]


def test_tools_that_differ_are_named_with_the_parts() -> None:
    lock = AgentLock(
        agent="x", files={}, tools={"s": {"a": ToolPrint("1", "1"), "b": ToolPrint(), "c": ToolPrint()}, "down": {}}
    )
    now = {"s": {"a": ToolPrint("2", "2"), "c": ToolPrint(), "d": ToolPrint()}, "t": {"x": ToolPrint()}}

    assert tool_differences(lock, now) == [
        "changed tool: s.a (description, input schema)",
        "gone tool: s.b",
        "new tool: s.d",
        "t: its tools weren't locked",
    ]
    assert tool_differences(msgspec.structs.replace(lock, tools=None), now) == []


def test_the_error_says_what_differs_and_what_to_do() -> None:
    error = mismatch([f"changed: {n}" for n in range(20)], Path("agent.lock"), "./scout")

    assert str(error).startswith("agent.lock: the agent isn't as locked: changed: 0; changed: 1; ")
    assert "changed: 11; and 8 more. If that is as it should be, `tiny-agents lock ./scout`" in str(error)


def test_where_a_lock_lies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = load_definition(folder)
    (folder / "second.json").write_text("{}")
    assert lock_path(load_definition(folder / "second.json"), ENV) == folder / "second.lock"
    hub = lock_path(from_hub(definition), ENV)
    assert hub.parent.name == "locks"
    assert hub.name.startswith("tiny-agents-tiny-agents-u-a-")
    assert hub != lock_path(from_hub(definition, address="hf://datasets/tiny-agents/tiny-agents/u-a"), ENV)
    assert lock_path(load_definition("clock"), ENV).parent == hub.parent


def test_the_lock_of_a_hub_agent_gives_its_revision(folder: Path, tmp_path: Path) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HF_ENDPOINT": "http://hub.example"}
    address = "hf://datasets/tiny-agents/tiny-agents/u/a at http://hub.example"
    definition = from_hub(load_definition(folder), address=address)
    path = lock_path(definition, env)
    assert lock_path_of("u/a", env) == path
    assert lock_path_of("u/a@v1", env) == path
    assert lock_path_of("u/a", {**env, "HF_ENDPOINT": ""}) != path, "another Hub has other agents"
    assert lock_path_of("u/b", env) != path
    assert lock_of(definition).revisions() == {}
    inner = SubagentDefinition("u/a", definition=definition)
    outer = replace(load_definition(folder), tools=ToolsDefinition(agents=(inner,)))
    assert lock_of(outer).revisions() == {address: "c" * 40}


def test_the_place_of_a_lock_is_known_before_the_agent_is_loaded(folder: Path) -> None:
    (folder / "second.json").write_text("{}")
    for ref in (folder, str(folder), folder / "agent.yaml", folder / "second.json", "clock"):
        assert lock_path_of(ref, ENV) == lock_path(load_definition(ref), ENV)
    assert lock_path_of("no such agent", ENV) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no agent.lock"),
        (b"[]", "is no agent.lock"),
        (b'{"version": 1}', "is no agent.lock"),
        (b'{"version": "1", "agent": "x", "files": {}}', "is no agent.lock"),
        (b'{"version": 1, "agent": "x", "files": {"a": 5}}', "is no agent.lock"),
        (b"\xff", "is no agent.lock"),
        (b'{"version": 1, "agent": "x", "files": {"a": "b"', "is no agent.lock"),
        (
            b'{"version": 2, "files": "something of the future"}',
            "was written by a newer tiny-agents (version 2 of agent.lock",
        ),
    ],
)
def test_what_is_no_lock_is_an_error_that_names_the_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "agent.lock"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"agent\.lock: ") as caught:
        read_lock(path)
    assert words in str(caught.value)
    with pytest.raises(ConfigError, match="can't be read: is a directory"):
        read_lock(tmp_path)
    assert read_lock(tmp_path / "none.lock") is None
