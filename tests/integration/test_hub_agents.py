"""Agents of the Hub's dataset, from a Hub on loopback."""

from __future__ import annotations

import logging
import re
import socket
from pathlib import Path

import pytest

from tests.support.hub_server import HubContent, HubServer
from tiny_agents import Agent, UsageError
from tiny_agents.agent.definition.composed import downloaded_parts
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.lock import differences, lock_of
from tiny_agents.agent.definition.requirements import commands_and_hosts
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import (
    ConfigError,
    InferenceConnectionError,
    MissingCredentialsError,
    ProviderError,
    TinyAgentsError,
)

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

AGENT = '{"model": "m", "servers": [{"type": "stdio", "command": "npx", "args": ["x"]}]}'


def hub(files: dict[str, str | HubContent]) -> HubServer:
    """A Hub whose dataset has these files."""
    contents = {
        name: content if isinstance(content, HubContent) else HubContent(content.encode(), large=False)
        for name, content in files.items()
    }
    return HubServer({f"datasets/tiny-agents/tiny-agents/{name}": content for name, content in contents.items()})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and an empty folder as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def load(ref: str, server: HubServer | str, cache: Path, **env: str) -> AgentDefinition:
    url = server if isinstance(server, str) else server.url
    return load_definition(ref, env={"HF_ENDPOINT": url, "XDG_CACHE_HOME": str(cache), "HOME": str(cache), **env})


def test_an_agent_of_the_hub_is_loaded_with_its_prompt(cache: Path) -> None:
    with hub({"julien-c/local.coder/agent.json": AGENT, "julien-c/local.coder/AGENTS.md": "You code."}) as server:
        definition = load("julien-c/local.coder", server, cache)

    assert (definition.name, definition.model, definition.prompt) == ("julien-c/local.coder", "m", "You code.")
    assert definition.downloaded
    assert not definition.strict
    assert definition.path is not None
    assert definition.path.is_relative_to(cache)


def test_agent_yaml_comes_before_agent_json_and_may_name_its_prompt(cache: Path) -> None:
    files = {
        "u/a/agent.yaml": "model: y\nprompt: ./prompts/one.md",
        "u/a/agent.json": AGENT,
        "u/a/prompts/one.md": "One.",
    }
    with hub(dict(files)) as server:
        definition = load("u/a", server, cache)

    assert (definition.model, definition.prompt, definition.strict) == ("y", "One.", True)


def test_a_difference_between_prompt_files_is_a_warning(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        hub({"u/a/agent.json": AGENT, "u/a/PROMPT.md": "prompt", "u/a/AGENTS.md": "agents"}) as server,
        caplog.at_level(logging.WARNING, logger="tiny_agents.agent"),
    ):
        assert load("u/a", server, cache).prompt == "prompt"

    assert any("AGENTS.md differs from it and is not used" in message for message in caplog.messages)


def test_a_local_folder_of_the_same_name_comes_first(cache: Path) -> None:
    (cache.parent / "u" / "a").mkdir(parents=True)
    (cache.parent / "u" / "a" / "agent.yaml").write_text("model: mine")
    with hub({"u/a/agent.json": AGENT}) as server:
        definition = load("u/a", server, cache)
        assert server.seen == []

    assert (definition.model, definition.downloaded) == ("mine", False)


def test_the_cache_serves_when_the_hub_is_away(cache: Path) -> None:
    with hub({"u/a/agent.json": AGENT, "u/a/PROMPT.md": "prompt"}) as server:
        online = load("u/a", server, cache)
        url = server.url

    assert load("u/a", url, cache) == online
    assert load("u/a", url, cache, HF_HUB_OFFLINE="1") == online


def error_of(ref: str, server: HubServer | str, cache: Path, **env: str) -> TinyAgentsError:
    with pytest.raises(TinyAgentsError) as caught:
        load(ref, server, cache, **env)
    return caught.value


def test_an_agent_that_is_not_there_is_a_config_error(cache: Path) -> None:
    with hub({"u/a/agent.json": AGENT}) as server:
        error = error_of("u/b", server, cache)

    assert isinstance(error, ConfigError)
    assert str(error) == (
        "there is no agent 'u/b': no file or folder of this name here, and u/b of the dataset tiny-agents/tiny-agents at "
        "main doesn't exist"
    )


@pytest.mark.parametrize("status", [401, 403])
def test_no_access_is_told_from_not_found(cache: Path, status: int) -> None:
    with hub({"u/a/agent.yaml": HubContent(b"", status=status, large=False)}) as server:
        error = error_of("u/a", server, cache)

    assert isinstance(error, MissingCredentialsError)
    assert "the agent 'u/a' can't be fetched from the Hub" in str(error)
    assert "HF_TOKEN" in str(error)


def test_the_users_token_opens_what_is_private(cache: Path) -> None:
    private = {name: HubContent(b"model: m", large=False, token="hf_private") for name in ("u/a/agent.yaml",)}
    with hub(dict(private)) as server:
        assert isinstance(error_of("u/a", server, cache), MissingCredentialsError)
        assert load("u/a", server, cache, HF_TOKEN="hf_private").model == "m"


def test_a_hub_that_can_not_be_reached_is_a_connection_error(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    error = error_of("u/a", url, cache)

    assert isinstance(error, InferenceConnectionError)
    assert "'u/a' is no file or folder here, and the Hub can't be asked for it" in str(error)


def test_offline_without_a_copy_says_so(cache: Path) -> None:
    error = error_of("u/a", "http://127.0.0.1:1", cache, HF_HUB_OFFLINE="1")

    assert isinstance(error, InferenceConnectionError)
    assert "HF_HUB_OFFLINE is set" in str(error)


def test_a_hub_that_fails_is_a_provider_error(cache: Path) -> None:
    with hub({"u/a/agent.yaml": HubContent(b"", status=400, large=False)}) as server:
        error = error_of("u/a", server, cache)

    assert isinstance(error, ProviderError)
    assert error.status == 400


def test_a_broken_definition_is_a_config_error_with_its_line(cache: Path) -> None:
    with hub({"u/a/agent.json": '{\n"model": }'}) as server:
        error = error_of("u/a", server, cache)

    assert isinstance(error, ConfigError)
    assert (error.line, error.column) == (2, 10)
    assert error.path is not None
    assert re.search(r"[\\/]u[\\/]a@[0-9a-f]{16}[\\/]agent\.json$", error.path)


@pytest.mark.parametrize("prompt", ["../b/PROMPT.md", "/etc/hostname.md", "x/../../b/PROMPT.md", "..\\b\\PROMPT.md"])
def test_a_prompt_outside_the_agents_folder_is_not_fetched(cache: Path, prompt: str) -> None:
    with hub({"u/a/agent.yaml": f"prompt: {prompt}", "u/b/PROMPT.md": "other"}) as server:
        error = error_of("u/a", server, cache)
        assert not any("u/b" in seen.path or "hostname" in seen.path for seen in server.seen)

    assert isinstance(error, ConfigError)
    assert "prompt: " in str(error)
    assert "lies outside the agent's folder" in str(error)


# ---- agents and files that belong to an agent


def test_an_agent_of_the_hub_brings_its_files_skills_and_agents_and_runs_none_of_them(cache: Path) -> None:
    ran = cache.parent / "ran"
    files = {
        "a/top/agent.yaml": "tools: {python: [t.py], agents: [./inner]}\nskills: [skills]\nmodel: m",
        "a/top/t.py": f"import pathlib\npathlib.Path({str(ran)!r}).touch()\n\ndef f() -> int: return 1\n",
        "a/top/inner/agent.yaml": "description: Inside.",
        "a/top/skills/x/SKILL.md": "---\nname: x\ndescription: y\n---\nHello.",
    }
    with hub(files) as server:
        definition = load("a/top", server, cache)
    inner = definition.tools.agents[0].loaded
    assert (inner.downloaded, inner.origin) == (True, definition.origin)
    assert [part.name for part in downloaded_parts(definition)] == ["a/top"]  # asked about once
    assert commands_and_hosts(definition) == [
        "runs the Python file, inside this program: t.py",
        "reads skills in: skills",
        "uses as a tool the agent: ./inner",
    ]
    assert lock_of(definition).agents == {}  # its files are among those of the agent
    assert set(lock_of(definition).files) == {name.removeprefix("a/top/") for name in files}
    assert not ran.exists()


def test_an_agent_of_the_hub_that_is_a_tool_of_ones_own_is_a_download_of_its_own(cache: Path) -> None:
    own = cache.parent / "mine.yaml"
    own.write_text("tools: {agents: [{agent: a/helper@main, name: helper}]}", encoding="utf-8")
    with hub({"a/helper/agent.json": AGENT}) as server:
        definition = load("mine.yaml", server, cache)
        assert not definition.downloaded
        (part,) = downloaded_parts(definition)
        assert part.origin is not None
        assert part.origin.reference.name == "a/helper"
        assert "the agent 'helper' runs the command: npx x" in commands_and_hosts(definition)
        locked = lock_of(definition)
        assert locked.agents["helper"].revision == part.origin.commit
    with hub({"a/helper/agent.json": AGENT.replace('"x"', '"y"')}) as server:
        changed = load("mine.yaml", server, cache)
    assert "the agent helper: changed: agent.json" in differences(locked, changed)


def test_an_agent_of_the_hub_reaches_no_agent_beside_it(cache: Path) -> None:
    (cache.parent / "secret.yaml").write_text("name: secret", encoding="utf-8")
    for path in (str(cache.parent / "secret.yaml"), "../../secret.yaml"):
        with (
            hub({"a/top/agent.yaml": f"tools: {{agents: ['{path}']}}"}) as server,
            pytest.raises(ConfigError, match="lies outside the agent's folder"),
        ):
            load("a/top", server, cache)


def test_a_circle_over_the_hub_is_an_error_with_its_names(cache: Path) -> None:
    files = {"a/one/agent.yaml": "tools: {agents: [a/two]}", "a/two/agent.yaml": "tools: {agents: [a/one]}"}
    with hub(files) as server, pytest.raises(ConfigError, match="in a circle: a/one -> a/two -> a/one"):
        load("a/one", server, cache)


def test_an_agent_that_the_hub_does_not_have_is_named_with_its_place(cache: Path) -> None:
    (cache.parent / "mine.yaml").write_text("tools:\n  agents: [a/gone]", encoding="utf-8")
    with (
        hub({"a/helper/agent.json": AGENT}) as server,
        pytest.raises(
            ConfigError, match=r"mine\.yaml:2:12: tools\.agents\[0\]: the agent 'a/gone' can't be used: there"
        ),
    ):
        load("mine.yaml", server, cache)


async def test_a_downloaded_python_file_that_was_changed_since_is_not_run(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_yaml = "tools: {python: [t.py]}\nmodel: m\nendpointUrl: http://localhost:9"
    files = {"a/top/agent.yaml": agent_yaml, "a/top/t.py": "def f(): ..."}
    with hub(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        with pytest.raises(UsageError, match=r"runs the Python file, inside this program: t\.py"):
            Agent.load("a/top")
        async with Agent.load("a/top", trust=True) as agent:
            origin = load("a/top", server, cache).origin
            assert origin is not None
            (origin.folder / "t.py").write_text("def g(): ...", encoding="utf-8")
            with pytest.raises(ConfigError, match="isn't as it was downloaded, so it isn't run"):
                await agent.load_tools()
