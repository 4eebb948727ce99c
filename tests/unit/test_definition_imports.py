"""Servers of other programs' files, definitions in Markdown, and files of variables."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tiny_agents.agent.definition.env_files import read_env
from tiny_agents.agent.definition.imports import read_servers_file
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.jsonc import plain_json
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.requirements import commands_and_hosts
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError

VS_CODE = """\
{
  // what VS Code writes
  "inputs": [
    {"type": "promptString", "id": "gh-token", "description": "GitHub token", "password": true, "default": ""},
    {"type": "pickString", "id": "region", "description": "Region", "options": ["eu", {"label": "US", "value": "us"}],
     "default": "eu"},
    {"type": "command", "id": "unused", "command": "x"},
  ],
  "servers": {
    "github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/", /* remote */
               "headers": {"Authorization": "Bearer ${input:gh-token}"}, "gallery": true},
    "My Files": {"command": "npx", "args": ["-y", "files", "${workspaceFolder}", "${userHome}/x", "// no comment"],
                 "env": {"A": "${env:A}", "GONE": null}, "envFile": "${workspaceFolder}/.env"},
    "off": {"command": "x", "disabled": true},
  },
}
"""
CLAUDE = """\
{"mcpServers": {
  "db": {"command": "${DB_SERVER:-db-server}", "args": ["--key", "${DB_KEY}"], "env": {"MODE": "ro"}, "autoApprove": ["q"]},
  "events": {"type": "sse", "url": "https://x.org/${TENANT:-a}/sse"},
  "stream": {"type": "streamable-http", "url": "https://x.org/mcp", "timeout": 60000, "auth": {"CLIENT_ID": 1}},
  "old": {"serverUrl": "https://x.org/sse"}
}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    return tmp_path


def agent(folder: Path, text: str, **files: str) -> AgentDefinition:
    (folder / "agent.yaml").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content, encoding="utf-8")
    return load_definition(folder)


def params(definition: AgentDefinition) -> dict[str, dict[str, Any]]:
    return {server.name: {"type": server.type, **server.params} for server in definition.servers}


def test_servers_and_inputs_of_vs_code_arrive_with_their_meaning(folder: Path) -> None:
    (folder / ".env").write_text("B=from-file\nA=from-file\nAPI_TOKEN='token-of-file'\n")
    read = agent(folder, "import: mcp.json", mcp=VS_CODE)
    resolved = resolve_inputs(read, values={"gh-token": "gh_secret"}, env={"A": "a"}, workspace=folder)

    assert params(resolved) == {
        "github": {
            "type": "http",
            "url": "https://api.githubcopilot.com/mcp/",
            "headers": {"Authorization": "Bearer gh_secret"},
        },
        "My-Files": {
            "type": "stdio",
            "command": "npx",
            "args": ("-y", "files", str(folder), "/home/me/x", "// no comment"),
            "env": {"B": "from-file", "A": "a", "API_TOKEN": "token-of-file"},
        },
    }
    assert [item.id for item in read.inputs] == ["gh-token"], "the others aren't used by any server"
    assert resolved.secrets >= {"gh_secret", "token-of-file"}
    assert read.sources == (folder / "agent.yaml", folder / "mcp.json")
    assert "reads its variables from the file: ${workspaceFolder}/.env" in commands_and_hosts(read)


def test_servers_of_claude_and_others_arrive_with_their_meaning(folder: Path) -> None:
    read = agent(folder, "import: [./mcp.json]", mcp=CLAUDE)
    resolved = resolve_inputs(read, env={"DB_KEY": "k"})

    assert params(resolved) == {
        "db": {"type": "stdio", "command": "db-server", "args": ("--key", "k"), "env": {"MODE": "ro"}},
        "events": {"type": "sse", "url": "https://x.org/a/sse"},
        "stream": {"type": "http", "url": "https://x.org/mcp"},
        "old": {"type": "sse", "url": "https://x.org/sse"},
    }


def test_a_variable_that_is_not_set_is_an_error_in_the_imported_file(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(agent(folder, "import: mcp.json", mcp=CLAUDE), env={})

    assert str(caught.value) == (
        f"{folder / 'mcp.json'}:2:66: mcpServers.db.args[1]: the environment variable DB_KEY is not set: set it, or write "
        "${env:DB_KEY:-DEFAULT} to do without"
    )


def test_the_definitions_own_servers_and_inputs_come_first_and_then_earlier_imports(folder: Path) -> None:
    read = agent(
        folder,
        "import: [a.json, b.json]\nservers: {one: {command: own}}\ninputs: [{id: t, default: own}]",
        a='{"mcpServers": {"one": {"command": "a"}, "two": {"command": "a"}}}',
        b='{"servers": {"two": {"command": "b"}, "three": {"command": "${input:t}"}}, "inputs": [{"id": "t"}]}',
    )

    assert [server.params["command"] for server in resolve_inputs(read, env={}).servers] == ["own", "a", "own"]


def test_only_the_servers_that_are_wanted_are_taken(folder: Path) -> None:
    read = agent(folder, "import: {file: mcp.json, servers: [db, 'e*']}", mcp=CLAUDE)

    assert [server.name for server in read.servers] == ["db", "events"]


def test_the_settings_of_vs_code_hold_servers_too() -> None:
    found = read_servers_file('{"editor.x": 1, "mcp": {"servers": {"a": {"command": "x"}}}}', Path("settings.json"))

    assert [server.name for server in found.servers] == ["a"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('{"a": "// no", /* x\n y */ "b": 1, } // end', '{"a": "// no",     \n      "b": 1  }       '),
        ('["\\"//", 1 , // x\n]', '["\\"//", 1       \n]'),
        ('{"a": "/*"}', '{"a": "/*"}'),
    ],
)
def test_comments_become_spaces_so_that_places_stay(text: str, plain: str) -> None:
    assert plain_json(text) == plain


WRONG = [
    ("import: none.json", "", "agent.yaml:1:1: import[0]: 'none.json' is not there"),
    ("import: ../x.json", "", "import[0]: '../x.json' lies outside the agent's folder"),
    ("import: /etc/passwd", "", "import[0]: '/etc/passwd' lies outside the agent's folder (/etc/passwd); put it into"),
    ("import: '${agentDir}/x'", "", "import: placeholders are not filled in here: the path counts from the definition"),
    ("import: []\nimport: x", "", "agent.yaml:2:1: import: appears twice"),
    ("import: [3]", "", "import[0]: must be text, but is a number"),
    ("import: [{servers: [a]}]", "", "import[0].file: missing; it is what is imported"),
    ("import: [{file: a, server: [a]}]", "", "import[0].server: unknown key (did you mean 'servers'?)"),
    ("import: agent.yaml", "", "import[0]: 'agent.yaml' is this definition itself"),
    ("import: {file: mcp.json, servers: [dbs]}", CLAUDE, "'mcp.json' has no server 'dbs' (did you mean 'db'?)"),
    ("import: mcp.json", "", "mcp.json:1:1: not valid JSON: Expecting value (the file is empty)"),
    ("import: mcp.json", "{", "mcp.json:1:2: not valid JSON"),
    ("import: mcp.json", "[]", "mcp.json:1:1: must be a mapping of keys to values, but is a list"),
    ("import: mcp.json", '{"mcpservers": {}}', "has neither `mcpServers` nor `servers` (did you mean 'mcpServers'?)"),
    (
        "import: mcp.json",
        '{"servers": []}',
        "mcp.json:1:2: servers: must be a mapping of names to servers, but is a list",
    ),
    ("import: mcp.json", '{"servers": {"a": 1}}', "servers.a: must be a mapping of keys to values, but is a number"),
    ("import: mcp.json", '{"servers": {"a": {}}}', "servers.a: needs `command` (a program to start) or `url`"),
    (
        "import: mcp.json",
        '{"servers": {"a": {"type": "ws"}}}',
        "servers.a.type: must be stdio, http or sse, but is 'ws'",
    ),
    ("import: mcp.json", '{"servers": {"a": {"url": "x"}}}', "servers.a.url: must be an address such as https://host"),
    (
        "import: mcp.json",
        '{"servers": {"a": {"type": "http"}}}',
        "servers.a.url: missing; a server of type http needs one",
    ),
    (
        "import: mcp.json",
        '{"servers": {"a b": {"command": "x"}, "a-b": {"command": "y"}}}',
        "servers.a-b: is called 'a-b' here, and so is another server",
    ),
    (
        "import: mcp.json",
        '{"servers": {"a": {"command": "${input:c}"}}, "inputs": [{"id": "c", "type": "command"}]}',
        "inputs[0].type: command asks VS Code to run something, which only VS Code can",
    ),
    ("import: mcp.json", '{"servers": {"a": {"command": "x", "args": "y"}}}', "servers.a.args: must be a list such as"),
]


@pytest.mark.parametrize(("text", "content", "message"), WRONG, ids=[message[:60] for _, _, message in WRONG])
def test_what_can_not_be_imported_is_an_error_with_its_place(
    folder: Path, text: str, content: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        agent(folder, text, mcp=content)

    assert message in str(caught.value)
    assert str(caught.value).startswith(str(folder))


def test_everything_that_is_wrong_in_an_imported_file_is_said_at_once(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        agent(folder, "import: mcp.json", mcp='{"servers": {"a": {"url": 1, "headers": []}, "b": {}}, "inputs": 1}')

    assert [error.key for error in (caught.value, *caught.value.others)] == [
        "servers.a.url",
        "servers.a.headers",
        "servers.b",
        "inputs",
    ]


def test_a_file_elsewhere_can_be_allowed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mcp.json").write_text(CLAUDE)
    (folder / "agent.yaml").write_text(f"import: {elsewhere / 'mcp.json'}")

    assert len(load_definition(folder, allow_paths=[elsewhere]).servers) == 4


def test_agent_json_imports_nothing(folder: Path) -> None:
    (folder / "agent.json").write_text('{"import": ["x"], "servers": [{"command": "x", "envFile": 3}]}')

    assert params(load_definition(folder)) == {"x": {"type": "stdio", "command": "x"}}


@pytest.mark.parametrize("piece", ['"\\"', "/*", ",/*", "//", ",//", ", ", '"', "{", ",[", "/**"])
def test_no_text_takes_long_to_rid_of_comments(piece: str) -> None:
    started = time.process_time()
    plain_json(piece * (500_000 // len(piece)))

    assert time.process_time() - started < 2


_PIECES = st.sampled_from(
    """{"mcpServers": { {"servers": {"a": { "command": "url": "x" 1 null } }}} ] [ , : "inputs": [ "id": "type": "env": /* */
    // "${A:-b}" "http://x" prompt: a""".replace(": {", ":{").split(" ")
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=20).map("".join)))
@example('{"servers": {"a": {"command": "\\ud800"}}}')
@example("---\n\\ud800: 1\n---\n")
def test_any_text_is_read_or_is_a_config_error(text: str) -> None:
    for read in (
        lambda: read_servers_file(text, Path("mcp.json"), "import[0]."),
        lambda: parse_definition(text, format="markdown"),
        lambda: parse_definition(f"---\n{text}\n---\n{text}", format="markdown"),
        lambda: read_env(text),
    ):
        with suppress(ConfigError):
            read()


# ---- Markdown

MARKDOWN = """\
---
name: reviewer
inputs: [{id: who, default: Ada}]
servers:
  git: {command: uvx, args: [mcp-server-git]}
---

You review changes for ${input:who}.

---
In bash, ${HOME} is your home.
"""


def test_the_text_below_the_front_matter_is_the_prompt(folder: Path) -> None:
    (folder / "agent.md").write_text(f"\ufeff{MARKDOWN}".replace("\n", "\r\n"), newline="")
    read = load_definition(folder)
    resolved = resolve_inputs(read, env={})

    assert (read.name, [server.name for server in read.servers]) == ("reviewer", ["git"])
    assert resolved.prompt is not None
    assert resolved.prompt.splitlines() == [
        "You review changes for Ada.",
        "",
        "---",
        "In bash, ${HOME} is your home.",
    ]


def test_a_markdown_file_may_say_nothing_but_its_prompt(folder: Path) -> None:
    (folder / "haiku.md").write_text("---\n# nothing\n---\nAnswer in haikus.\n")

    read = load_definition(folder / "haiku.md")

    assert (read.name, read.prompt) == ("haiku", "Answer in haikus.")


def test_an_agent_in_yaml_comes_before_one_in_markdown(folder: Path) -> None:
    (folder / "agent.md").write_text("---\nname: markdown\n---\n")
    (folder / "agent.json").write_text('{"name": "json"}')

    assert load_definition(folder).name == "json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Title\n", "agent.md:1: a definition in Markdown begins with a line '---', then what agent.yaml would say"),
        ("", "agent.md:1: a definition in Markdown begins with a line '---'"),
        ("---\nname: x\n", "agent.md:1: the front matter that begins here has no end: a line '---'"),
        ("---\nname: x\nmodle: y\n---\n", "agent.md:3:1: modle: unknown key (did you mean 'model'?)"),
        (
            "---\n- a\n---\n",
            "agent.md:2:1: a definition is a mapping of keys such as model and servers; this is a list",
        ),
        ("---\nprompt: a\n---\nb", "agent.md:2:1: prompt: the prompt is the text below the front matter; keep one of"),
        ("---\nname: x\n---\na\0b", "agent.md: the prompt contains a NUL character"),
    ],
)
def test_markdown_that_is_no_definition_is_an_error(folder: Path, text: str, message: str) -> None:
    (folder / "agent.md").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_definition(folder)

    assert message in str(caught.value)


# ---- files of variables


def test_a_file_of_variables_is_read_as_shells_and_others_write_it() -> None:
    text = (
        "\ufeff# a comment\n\nA=1\nexport B = two words # and a comment\nC='as it is: $x \\n # '\n"
        'D="a\\n\\"b\\" # c" # d\nE=\nF=a#b\nG="#"\nH=#\n'
    )

    assert read_env(text) == {
        "A": "1",
        "B": "two words",
        "C": "as it is: $x \\n # ",
        "D": 'a\n"b" # c',
        "E": "",
        "F": "a#b",
        "G": "#",
        "H": "",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "servers.a.envFile: the file '{file}' can't be read: no such file or directory"),
        (b"A=1\ns3cret\n", "{file}:2: must be NAME=value (in the envFile of a)"),
        (
            b"A='s3cret\n",
            "{file}:1: a value in quotes ends on the same line, with the same quote (in the envFile of a)",
        ),
        (b'A="s3cret" x\n', "{file}:1: a value in quotes ends on the same line"),
        (b"A=\xff", "servers.a.envFile: the file '{file}' is not UTF-8 text"),
        (b"#" * 1_000_001, "servers.a.envFile: the file '{file}' is larger than 1 MB"),
        (b"A=\0", "servers.a.env.A: contains a NUL character"),
    ],
)
def test_a_file_of_variables_that_can_not_be_used_is_an_error_without_its_content(
    folder: Path, content: bytes | None, message: str
) -> None:
    file = folder / "vars"
    if content is not None:
        file.write_bytes(content)
    read = agent(folder, "servers: {a: {command: x, envFile: vars}}")
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(read, env={}, workspace=folder)

    assert message.format(file=file) in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_downloaded_agent_reads_no_variables_from_elsewhere(folder: Path) -> None:
    (folder / "agent").mkdir()
    (folder / "vars").write_text("A=1")
    read = agent(folder / "agent", "servers: {a: {command: x, envFile: vars}}")
    assert params(resolve_inputs(read, env={}, workspace=folder))["a"]["env"] == {"A": "1"}

    with pytest.raises(ConfigError, match="a downloaded agent reads files of its own folder; allow others with"):
        resolve_inputs(replace(read, downloaded=True), env={}, workspace=folder)
    allowed = replace(read, downloaded=True, allowed=(folder,))
    assert params(resolve_inputs(allowed, env={}, workspace=folder))["a"]["env"] == {"A": "1"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_an_import_that_may_not_be_read_says_so(folder: Path) -> None:
    (folder / "mcp.json").write_text("{}")
    (folder / "mcp.json").chmod(0)
    with pytest.raises(ConfigError, match="'mcp.json' can't be read: permission denied"):
        agent(folder, "import: mcp.json")
